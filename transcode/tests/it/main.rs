//! Contract tests: real worker processes, and some that only claim to be.

mod audio;
mod conformance;
mod hardware;
mod misbehaving;
mod publishing;
mod rig;
mod transcoding;
