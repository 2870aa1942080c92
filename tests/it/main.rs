//! The real `nova` binary against its public contract, with real encoders and players.

mod architecture;
mod bench;
mod commands;
mod configuration;
mod database;
mod demo;
mod engines;
mod events;
mod harness;
mod hostile;
mod low_latency;
mod operations;
mod pictures;
mod playback;
mod publishing;
mod restart;
mod retention;
mod roles;
mod shedding;
mod shutdown;
mod storage_services;
mod three_tiers;
mod vod;
mod watch_page;
mod worker_crash;
