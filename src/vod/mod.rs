//! Video on demand.

pub mod command;
