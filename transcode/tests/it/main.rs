//! Contract tests: real worker processes, and some that only claim to be.

mod audio;
mod conformance;
mod demuxing;
mod enormous;
mod hardware;
mod limits;
mod misbehaving;
mod pictures;
mod publishing;
mod rig;
mod rungs;
mod transcoding;
