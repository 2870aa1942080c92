//! What the benchmarks in `benches/` share.

pub mod account_server;
pub mod crowd;
pub mod databases;
pub mod full_scans;
pub mod http_client;
pub mod memory;
pub mod numbered;
pub mod processor;
pub mod quantiles;
pub mod server;
pub mod services;
