//! Contract tests, on real files and a real PostgreSQL.

#[macro_use]
mod fixtures;

mod accounts;
mod events;
mod file_store;
mod numbering;
mod object_store_suite;
mod processes;
mod schema;
mod sessions;
mod sql;
mod windows;
