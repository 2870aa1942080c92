//! What the benchmarks in `benches/` share.

pub mod account_server;
pub mod databases;
pub mod http_client;
pub mod numbered;
pub mod processor;
pub mod quantiles;
