//! HTTP cache in front of an origin.
