//! Contract tests: real worker processes, and some that only claim to be.

mod demuxing;
mod misbehaving;
mod publishing;
mod rig;
mod transcoding;
