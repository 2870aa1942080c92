//! What outlives a request: objects, rows and events.
//!
//! [`objects`] keeps immutable blobs (segments), [`rows`] keeps what must be true
//! (accounts, streams, numbering, sessions), [`events`] only wakes things up. [`retention`]
//! is the rule of what a stream keeps.

pub mod events;
pub mod objects;
pub mod retention;
pub mod rows;
mod url;

pub use objects::{ObjectError, ObjectStore};
pub use rows::{Database, RowError};
pub use url::without_credentials;
