//! The ladder. A stream's video is decoded once and encoded again at lower
//! resolutions, with key frames where the stream's segments start, so that every
//! rendition cuts at the same instants under the same numbers.
//!
//! - [`plan()`] decides which rungs a source gets.
//! - [`Worker`] runs them in a child process: codecs are C, and a decoder that
//!   crashes or hangs must not take the server. [`Backoff`] says when to try again.
//! - [`worker`] is that child. It decodes, scales and encodes with an engine.
//! - [`vod`] reads and cuts files of any container.
//! - [`source`] makes frames to publish: the test picture, or a media file.
//!
//! Audio is never encoded again: the source's passes through.

#[cfg(feature = "ffmpeg")]
mod annex_b;
mod engine;
mod job;
#[cfg(feature = "ffmpeg")]
mod marks;
mod plan;
mod restart;
mod rung;
pub mod source;
mod supervise;
mod video;
pub mod vod;
mod wire;
pub mod worker;

pub use engine::{CodecReport, EngineName, EngineReport, UnknownEngine, all_engines, engines};
pub use job::Job;
pub use plan::{LadderConfig, LadderStep, Plan, plan};
pub use restart::Backoff;
pub use rung::{Latency, MAX_RUNGS, RateControl, Rung, RungCodec, Speed};
pub use supervise::{
    Offered, Output, STALL_LIMIT, Worker, WorkerCommand, WorkerError, WorkerInput, WorkerOutput,
};
pub use video::{ColourDescription, InvalidCodecName, Rotation, SourceCodec, VideoSource};
pub use wire::{MAX_FRAME, WireError};
