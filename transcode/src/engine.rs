//! What decodes, scales and encodes. One per worker process.

#[cfg(feature = "ffmpeg")]
pub(crate) mod ffmpeg;
#[cfg(feature = "gstreamer")]
mod gstreamer;

#[cfg(any(feature = "ffmpeg", feature = "gstreamer"))]
mod byte_stream;
#[cfg(any(feature = "ffmpeg", feature = "gstreamer"))]
mod captions;
#[cfg(any(feature = "ffmpeg", feature = "gstreamer"))]
mod idle;
#[cfg(any(feature = "ffmpeg", feature = "gstreamer"))]
mod in_flight;
#[cfg(any(feature = "ffmpeg", feature = "gstreamer"))]
mod limits;
#[cfg(any(feature = "ffmpeg", feature = "gstreamer"))]
pub(crate) mod signal;
#[cfg(any(feature = "ffmpeg", feature = "gstreamer"))]
mod takers;
#[cfg(any(feature = "ffmpeg", feature = "gstreamer"))]
mod threads;

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;

use media::Frame;
use serde::{Deserialize, Serialize};

use crate::wire::{Progress, Reply};
use crate::{Device, FakeDevice, Job, RungSet};

/// Said wherever an engine is needed and this build has none.
pub(crate) const NO_ENGINE: &str = "this build has no transcoding engine: it was built without the cargo features `ffmpeg` and `gstreamer`";

/// Takes a job's frames in and gives its rungs' frames to the [`Sink`] it was started
/// with. Every rung's frames come out in decoding order; rungs may overtake each other.
///
/// Every engine passes one suite, `tests/it/conformance`: a rung has a frame for every
/// source picture that its [`Rung::frame_step`](crate::Rung::frame_step) takes, from the
/// first segment start on, at the same presentation time, of the
/// rung's size, in the source's colours; key frames are IDR pictures that stand exactly
/// where segments start and carry their number.
pub(crate) trait Engine {
    /// The source's next frame, in decoding order. A frame that cannot be decoded is
    /// counted and skipped. Frames shown before the first segment start belong to no
    /// segment and are not encoded. Blocks while the rungs are behind.
    fn push(&mut self, frame: &Frame) -> Result<Progress, EngineError>;

    /// Which rungs are made from now on; all of them in the beginning. One that is not
    /// stops at once, one that is again begins where a segment starts, with a key frame
    /// under the same decoder configuration.
    fn select(&mut self, rungs: RungSet);

    /// No more frames: what is left comes out.
    fn finish(self: Box<Self>) -> Result<(), EngineError>;
}

/// Where an engine's output goes; called from any of its threads.
pub(crate) trait Sink: Send + Sync {
    fn emit(&self, reply: Reply) -> io::Result<()>;
}

/// An engine that a job can ask for. Which of them a build has, [`all_engines`] tells.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineName {
    /// libavcodec, libswscale and libavfilter in the worker.
    #[default]
    Ffmpeg,
    /// A GStreamer pipeline in the worker.
    Gstreamer,
}

impl EngineName {
    /// As it is spelled in configurations, and the cargo feature that brings it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ffmpeg => "ffmpeg",
            Self::Gstreamer => "gstreamer",
        }
    }
}

impl fmt::Display for EngineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Not an engine's name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no engine is called {0:?}; there are `ffmpeg` and `gstreamer`")]
pub struct UnknownEngine(pub String);

impl FromStr for EngineName {
    type Err = UnknownEngine;

    fn from_str(name: &str) -> Result<Self, UnknownEngine> {
        [Self::Ffmpeg, Self::Gstreamer]
            .into_iter()
            .find(|engine| engine.as_str() == name)
            .ok_or_else(|| UnknownEngine(name.to_owned()))
    }
}

/// Why an engine cannot go on.
#[derive(Debug, thiserror::Error)]
#[cfg_attr(
    not(any(feature = "ffmpeg", feature = "gstreamer")),
    expect(dead_code, reason = "without an engine there is one error")
)]
pub(crate) enum EngineError {
    /// Starting the engine, or a step of it.
    #[error("{what}: {why}")]
    Step { what: String, why: String },
    /// There is no memory for a step, which says nothing about what it was given.
    #[error("{what}: cannot allocate memory")]
    #[cfg_attr(
        all(feature = "gstreamer", not(feature = "ffmpeg")),
        expect(dead_code, reason = "the other engine's")
    )]
    Memory { what: String },
    /// A rung's thread ended without a word.
    #[error("a thread of the engine panicked")]
    #[cfg_attr(
        all(feature = "gstreamer", not(feature = "ffmpeg")),
        expect(dead_code, reason = "the other engine's")
    )]
    Panicked,
    /// This build has none.
    #[error("{NO_ENGINE}")]
    #[cfg_attr(
        any(feature = "ffmpeg", feature = "gstreamer"),
        expect(dead_code, reason = "the other build's")
    )]
    NoEngine,
    /// This build has others.
    #[error("this build has no engine `{0}`: it was built without the cargo feature `{0}`")]
    #[cfg_attr(
        all(feature = "ffmpeg", feature = "gstreamer"),
        expect(dead_code, reason = "the other builds'")
    )]
    NotBuilt(EngineName),
    /// Nobody reads what comes out.
    #[error("output: {0}")]
    Output(#[from] io::Error),
}

/// Starts the job's engine. Decoder configurations go to `sink` before it returns. They
/// follow from the job alone: a worker that replaces another announces the same.
pub(crate) fn start(
    job: &Job,
    sink: Arc<dyn Sink>,
    fake: Option<FakeDevice>,
) -> Result<Box<dyn Engine>, EngineError> {
    #[cfg(not(any(feature = "ffmpeg", feature = "gstreamer")))]
    if all_engines().is_empty() {
        return Err(EngineError::NoEngine);
    }
    match job.engine {
        #[cfg(feature = "ffmpeg")]
        EngineName::Ffmpeg => Ok(Box::new(ffmpeg::Ffmpeg::start(job, sink, fake)?)),
        #[cfg(feature = "gstreamer")]
        EngineName::Gstreamer => Ok(Box::new(gstreamer::Gstreamer::start(job, sink, fake)?)),
        #[cfg(not(all(feature = "ffmpeg", feature = "gstreamer")))]
        name => {
            let _ = (sink, fake);
            Err(EngineError::NotBuilt(name))
        }
    }
}

/// The engines that this build has, the default first.
pub const fn all_engines() -> &'static [EngineName] {
    &[
        #[cfg(feature = "ffmpeg")]
        EngineName::Ffmpeg,
        #[cfg(feature = "gstreamer")]
        EngineName::Gstreamer,
    ]
}

/// What an engine of this build finds on this machine. For workers: it reads in what it
/// finds.
pub(crate) fn report(engine: EngineName) -> Result<EngineReport, EngineError> {
    match engine {
        #[cfg(feature = "ffmpeg")]
        EngineName::Ffmpeg => Ok(ffmpeg::report()),
        #[cfg(feature = "gstreamer")]
        EngineName::Gstreamer => Ok(gstreamer::report()),
        #[cfg(not(all(feature = "ffmpeg", feature = "gstreamer")))]
        name => Err(EngineError::NotBuilt(name)),
    }
}

/// An engine and what it found on this machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EngineReport {
    /// Which.
    pub name: EngineName,
    /// Libraries it is linked with, and their versions as they run.
    pub libraries: Vec<(String, String)>,
    /// The codecs, and whatever else, that it needs.
    pub codecs: Vec<CodecReport>,
    /// Devices that it has an encoder for, and the engine's name for the encoder. Whether
    /// one works, only [`crate::try_device`] tells.
    pub devices: Vec<(Device, String)>,
}

/// A codec that an engine needs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CodecReport {
    /// `H.264 encoder`.
    pub purpose: String,
    /// The engine's name for it: `libx264`.
    pub name: String,
    /// Whether it is there.
    pub present: bool,
    /// What brings it, in Debian's words.
    pub package: String,
}

impl EngineReport {
    /// What it needs and has not.
    pub fn missing(&self) -> impl Iterator<Item = &CodecReport> {
        self.codecs.iter().filter(|codec| !codec.present)
    }
}
