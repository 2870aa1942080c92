//! Real servers for tests, from Debian's packages: started on free ports, gone when
//! nobody uses them.
//!
//! Everything here panics when a server cannot be had: a test without its peer has
//! failed.

pub mod nats;
pub mod port;
pub mod postgres;
