//! Rows: what must be true after a crash, and what several processes must agree on.
//!
//! One SQL text serves SQLite now and PostgreSQL later: `$n` placeholders, `RETURNING`,
//! `ON CONFLICT`, `BIGINT` microseconds. Ids are `TEXT`, not 16-byte blobs: one bound
//! type serves both engines, they read the same in a shell, a log and a URL, and the
//! hyphenated form of a UUIDv7 sorts by time as its bytes do.

mod columns;
mod connect;
mod error;
pub mod expiry;
mod migrate;
pub mod numbering;
pub mod segments;
pub mod sessions;
pub mod stream_keys;
pub mod streams;
pub mod users;

pub use connect::{Database, IfMissing};
pub use error::{Entity, RowError, Unique};
pub use migrate::Fault;
