//! Contract tests, on real files.

mod accounts;
mod file_store;
mod fixtures;
mod numbering;
mod object_store_suite;
mod processes;
mod schema;
mod sessions;
mod windows;
