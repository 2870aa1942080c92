//! Contract tests, on real files and a real PostgreSQL.

#[macro_use]
mod fixtures;

mod accounts;
mod check;
mod children;
mod copy;
mod events;
mod file_store;
mod jobs;
mod jobs_crash;
mod jobs_worker;
mod jobs_writers;
mod leases;
mod leases_held;
mod leases_stopped;
mod numbering;
mod object_faults;
mod object_s3_server;
mod object_store_suite;
mod object_stores;
mod object_uploads_suite;
mod outbox;
mod outbox_crash;
mod outbox_stopped;
mod outbox_writers;
mod processes;
mod retention;
mod schema;
mod schema_parity;
mod sessions;
mod sql;
mod videos;
mod windows;
