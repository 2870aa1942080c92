//! Real servers for tests, from Debian's packages, and an S3 service in this process:
//! started on free ports, gone when nobody uses them.
//!
//! Everything here panics when a server cannot be had: a test without its peer has
//! failed.

pub mod nats;
pub mod port;
pub mod postgres;
pub mod s3;
