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
mod jobs_administration;
mod jobs_cancelled;
mod jobs_crash;
mod jobs_limits;
mod jobs_silent;
mod jobs_stopped;
mod jobs_worker;
mod jobs_writers;
mod leases;
mod leases_held;
mod leases_metrics;
mod leases_stopped;
mod numbering;
mod object_crashes;
mod object_faults;
mod object_layers;
mod object_store_suite;
mod object_stores;
mod object_uploads;
mod object_uploads_suite;
mod outbox;
mod outbox_anew;
mod outbox_crash;
mod outbox_nats;
mod outbox_stopped;
mod outbox_writers;
mod processes;
mod retention;
mod schema;
mod schema_parity;
mod sessions;
mod sql;
mod sql_cancelled;
mod sql_full;
mod videos;
mod windows;
