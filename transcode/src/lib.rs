//! The ladder. A stream's video is decoded once and encoded again at lower
//! resolutions, with key frames where the stream's segments start, so that every
//! rendition cuts at the same instants under the same numbers.
//!
//! - [`plan()`] decides which rungs a source gets.
//! - [`Worker`] runs them in a child process: codecs are C, and a decoder that
//!   crashes or hangs must not take the server. [`Backoff`] says when to try again.
//! - [`Governor`] decides which rungs are made when the machine cannot make them all.
//! - [`worker`] is that child. It decodes, scales and encodes with an engine.
//! - [`vod`] reads and cuts files of any container.
//! - [`pictures`] makes JPEGs of key frames.
//! - [`source`] makes frames to publish: the test picture, or a media file.
//!
//! AAC is never encoded again: it passes through. Sound of a file in another codec
//! becomes AAC with `AudioTranscoder`.

#[cfg(any(feature = "ffmpeg", feature = "gstreamer"))]
mod annex_b;
#[cfg(feature = "bench")]
pub mod bench;
mod engine;
#[cfg(any(feature = "ffmpeg", feature = "gstreamer"))]
mod gate;
mod hardware;
mod job;
#[cfg(any(feature = "ffmpeg", feature = "gstreamer"))]
mod marks;
pub mod pictures;
mod plan;
mod restart;
mod rung;
mod shed;
pub mod source;
mod supervise;
mod video;
pub mod vod;
mod wire;
pub mod worker;

#[cfg(feature = "ffmpeg")]
pub use engine::ffmpeg::audio::{AudioError, AudioSource, AudioTranscoder, FrameSink};
pub use engine::{CodecReport, EngineName, EngineReport, UnknownEngine, all_engines};
pub use hardware::{Device, Encoder, EncoderChoice, FakeDevice, UnknownEncoder};
pub use job::Job;
pub use plan::{
    InvalidProfile, LadderConfig, LadderSource, LadderStep, Plan, Preset, Profile, Steps, Unfit,
    plan, plan_source,
};
pub use restart::Backoff;
pub use rung::{Latency, MAX_RUNGS, RateControl, Rung, RungCodec, RungSet, Speed};
pub use shed::{Change, Decision, Governor, LadderId, ShedReason};
pub use supervise::{
    BACKGROUND_NICE, Backlog, LIVE_NICE, Output, STALL_LIMIT, Worker, WorkerCommand, WorkerControl,
    WorkerError, WorkerInput, WorkerOutput, survey, try_device,
};
pub use video::{ColourDescription, InvalidCodecName, Rotation, SourceCodec, VideoSource};
pub use wire::{MAX_FRAME, VERSION as WIRE_VERSION, WireError};
