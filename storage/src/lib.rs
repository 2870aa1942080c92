//! What outlives a request: objects and rows.
