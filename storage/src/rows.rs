//! Rows: what must be true after a crash, and what several processes must agree on.
//!
//! One SQL text serves SQLite and PostgreSQL, see [`sql`]: `$n` placeholders,
//! `RETURNING`, `ON CONFLICT`, `BIGINT` microseconds. Ids are UUIDv7, so that their order
//! is the order of their making: `UUID` on PostgreSQL, and on SQLite text, which reads the
//! same in a shell, a log and a URL.

pub mod account_events;
pub mod account_export;
pub mod api_tokens;
pub mod audit_log;
pub mod avatars;
pub mod blocks;
mod catalogue;
pub mod chat;
mod check;
mod connect;
pub mod copy;
pub mod edge_assets;
mod edge_counters;
pub mod edge_nodes;
pub mod email_tokens;
pub mod erasure;
mod error;
pub mod expiry;
pub mod feed;
pub mod follow_events;
pub mod follows;
pub mod idempotency_keys;
pub mod images;
pub mod inventory;
pub mod jobs;
pub mod leases;
pub mod likes;
pub mod login_sessions;
mod looked;
mod migrate;
pub mod mutes;
pub mod notifications;
pub mod numbering;
pub mod origins;
pub mod outbox;
#[cfg(test)]
mod plans;
pub mod playback_bars;
pub mod playback_keys;
pub mod post_counts;
pub mod post_events;
pub mod post_videos;
mod postgres;
pub mod posts;
pub mod preferences;
pub mod prewarms;
mod profile_events;
pub mod profile_links;
pub mod purges;
pub mod registrations;
pub mod relations;
pub mod reports;
pub mod retention;
pub mod search;
pub mod segments;
pub mod sessions;
pub mod settling;
pub mod signing_keys;
pub mod sql;
mod sqlite;
pub mod stream_events;
pub mod stream_keys;
pub mod stream_status;
pub mod streams;
mod transaction;
mod turns;
mod url;
pub mod usage;
pub mod users;
pub mod videos;
pub mod viewers;
mod words;

pub use check::Fault;
pub use connect::{Database, IfMissing};
pub use error::{Entity, RowError, Unique};
pub use looked::{LOOKED_AT_MOST, Page};
pub use migrate::Migrated;
pub use sqlite::READERS as SQLITE_READERS;
pub use transaction::Transaction;
pub use url::check_url;
