//! From wire timestamps to numbered segments: see [`Timeline`].

use std::sync::Arc;

use bytes::Bytes;

use crate::{Codec, Epoch, EpochNumber, Frame, Micros, SegmentNumber, Timestamp, TrackKind};

/// Where a timeline begins: what the stream's row says is free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Numbering {
    /// The first epoch's number.
    pub epoch: EpochNumber,
    /// The first segment's number.
    pub segment: SegmentNumber,
    /// The end of the stream's previous epoch: media time never goes back.
    pub not_before: Timestamp,
}

/// What bounds a timeline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// A segment is cut at the first key frame at or after this.
    pub target: Micros,
    /// The longest group of pictures that is passed through.
    pub longest_gop: Micros,
}

/// One access unit as a protocol delivers it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WireFrame {
    /// Which track it belongs to.
    pub track: TrackKind,
    /// Decoding time in milliseconds, as on the wire: wraps at 2^32.
    pub timestamp: u32,
    /// Presentation time minus decoding time in milliseconds.
    pub composition_offset: i32,
    /// Whether decoding can start here.
    pub key: bool,
    /// As [`Frame::data`].
    pub data: Bytes,
}

/// What comes out of a timeline, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// A new epoch: the frames that follow belong to it.
    EpochStarted(Arc<Epoch>),
    /// The next frame, in order of decoding time across tracks.
    Frame(Frame),
    /// No more frames of the current epoch.
    EpochEnded,
}

/// Why a publication cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimelineError {
    /// A limit with a name: video came, but nothing to start decoding from.
    #[error("no key frame within {0:?} of video")]
    NoKeyFrame(Micros),
}

/// Mends and unwraps timestamps, pins them to Unix time, and marks the frame that
/// starts each segment.
#[derive(Debug)]
pub struct Timeline {
    limits: Limits,
    numbering: Numbering,
}

impl Timeline {
    /// A timeline whose first epoch and segment are `numbering`'s.
    pub fn new(limits: Limits, numbering: Numbering) -> Self {
        Self { limits, numbering }
    }

    /// A sequence header: the decoder configuration of the frames that follow.
    pub fn configure(&mut self, codec: Codec) {
        let _ = codec;
    }

    /// The next frame from the wire, which arrived at `now`.
    pub fn push(&mut self, now: Timestamp, frame: WireFrame) -> Result<(), TimelineError> {
        let _ = (now, frame);
        Ok(())
    }

    /// No more input: everything held back comes out.
    pub fn finish(&mut self) {}

    /// The next output, if one is ready.
    pub fn poll(&mut self) -> Option<Output> {
        None
    }
}
