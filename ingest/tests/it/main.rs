//! What ingest promises to encoders and to the live pipeline.

mod encoders;
mod house;
mod peer;
mod server;
mod session;
mod takeover;
