//! Contract tests, on real files and a real PostgreSQL.

#[macro_use]
mod fixtures;

mod accounts;
mod events;
mod file_store;
mod numbering;
mod object_faults;
mod object_s3_server;
mod object_store_suite;
mod object_stores;
mod object_uploads_suite;
mod processes;
mod schema;
mod sessions;
mod sql;
mod windows;
