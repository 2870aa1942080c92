//! What decodes, scales and encodes. One per worker process.

#[cfg(feature = "ffmpeg")]
pub(crate) mod ffmpeg;

use std::io;
use std::sync::Arc;

use media::Frame;
use serde::Serialize;

use crate::Job;
use crate::wire::{Progress, Reply};

/// Said wherever an engine is needed and this build has none.
pub(crate) const NO_ENGINE: &str =
    "this build has no transcoding engine: it was built without the cargo feature `ffmpeg`";

/// Takes a job's frames in and gives its rungs' frames to the [`Sink`] it was started
/// with. Every rung's frames come out in order; rungs may overtake each other.
pub(crate) trait Engine {
    /// The source's next frame, in decoding order. A frame that cannot be decoded is
    /// counted and skipped. Frames shown before the first segment start belong to no
    /// segment and are not encoded. Blocks while the rungs are behind.
    fn push(&mut self, frame: &Frame) -> Result<Progress, EngineError>;

    /// No more frames: what is left comes out.
    fn finish(self: Box<Self>) -> Result<(), EngineError>;
}

/// Where an engine's output goes; called from any of its threads.
pub(crate) trait Sink: Send + Sync {
    fn emit(&self, reply: Reply) -> io::Result<()>;
}

/// Why an engine cannot go on.
#[derive(Debug, thiserror::Error)]
#[cfg_attr(
    not(feature = "ffmpeg"),
    expect(dead_code, reason = "without an engine there is one error")
)]
pub(crate) enum EngineError {
    /// Starting the engine, or a step of it.
    #[error("{what}: {why}")]
    Step { what: String, why: String },
    /// A rung's thread ended without a word.
    #[error("a thread of the engine panicked")]
    Panicked,
    /// This build.
    #[error("{NO_ENGINE}")]
    #[cfg_attr(feature = "ffmpeg", expect(dead_code, reason = "the other build's"))]
    NoEngine,
    /// Nobody reads what comes out.
    #[error("output: {0}")]
    Output(#[from] io::Error),
}

/// Starts the engine on `job`. Decoder configurations go to `sink` before it returns.
pub(crate) fn start(job: &Job, sink: Arc<dyn Sink>) -> Result<Box<dyn Engine>, EngineError> {
    #[cfg(feature = "ffmpeg")]
    return Ok(Box::new(ffmpeg::Ffmpeg::start(job, sink)?));
    #[cfg(not(feature = "ffmpeg"))]
    {
        let _ = (job, sink);
        Err(EngineError::NoEngine)
    }
}

/// What this build can encode with; empty if it has no engine.
pub fn engines() -> Vec<EngineReport> {
    #[cfg(feature = "ffmpeg")]
    return vec![ffmpeg::report()];
    #[cfg(not(feature = "ffmpeg"))]
    Vec::new()
}

/// An engine and what it found on this machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct EngineReport {
    /// `ffmpeg`.
    pub name: &'static str,
    /// Libraries it is linked with, and their versions as they run.
    pub libraries: Vec<(&'static str, String)>,
    /// The codecs it needs.
    pub codecs: Vec<CodecReport>,
}

/// A codec that an engine needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct CodecReport {
    /// `H.264 encoder`.
    pub purpose: &'static str,
    /// The engine's name for it: `libx264`.
    pub name: &'static str,
    /// Whether it is there.
    pub present: bool,
}

impl EngineReport {
    /// Whether all it needs is there.
    pub fn usable(&self) -> bool {
        self.codecs.iter().all(|codec| codec.present)
    }
}
