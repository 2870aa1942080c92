//! Video on demand: files of any container, cut into stretches that workers encode side by
//! side.
//!
//! - [`Cutter`] decides where the segments of a file start, and [`Cuts::chunks`] what one
//!   worker does of it. Pure.
//! - [`Demuxer`] reads a file in a child process: containers come from strangers, and
//!   libavformat is C. [`demux_main`] is that child.

mod cut;
mod demuxer;
mod message;
#[cfg(feature = "ffmpeg")]
mod process;

pub use cut::{Chunk, CutConfig, CutError, Cuts, Cutter, Mark, Packet};
pub use demuxer::{DemuxCommand, DemuxError, Demuxer};
pub use message::{Demuxed, FileInfo, Task};
#[cfg(feature = "ffmpeg")]
pub use process::demux_main;

/// The entry of the demuxing process in a build without an engine.
#[cfg(not(feature = "ffmpeg"))]
pub fn demux_main(_: &str) -> std::process::ExitCode {
    eprintln!("demuxer: {}", crate::engine::NO_ENGINE);
    std::process::ExitCode::FAILURE
}
