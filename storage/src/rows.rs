//! Rows: what must be true after a crash, and what several processes must agree on.
//!
//! One SQL text serves SQLite and PostgreSQL, see [`sql`]: `$n` placeholders,
//! `RETURNING`, `ON CONFLICT`, `BIGINT` microseconds. Ids are UUIDv7, so that their order
//! is the order of their making: `UUID` on PostgreSQL, and on SQLite text, which reads the
//! same in a shell, a log and a URL.

mod catalogue;
mod check;
mod connect;
pub mod copy;
pub mod edge_assets;
mod edge_counters;
pub mod edge_nodes;
mod error;
pub mod inventory;
pub mod jobs;
pub mod leases;
mod migrate;
pub mod numbering;
pub mod origins;
pub mod outbox;
mod postgres;
pub mod prewarms;
pub mod purges;
pub mod retention;
pub mod segments;
pub mod sessions;
pub mod settling;
pub mod sql;
mod sqlite;
pub mod stream_keys;
pub mod streams;
mod transaction;
mod url;
pub mod usage;
pub mod users;
pub mod videos;
mod words;

pub use check::Fault;
pub use connect::{Database, IfMissing};
pub use error::{Entity, RowError, Unique};
pub use migrate::Migrated;
pub use transaction::Transaction;
pub use url::check_url;
