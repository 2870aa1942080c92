//! The media unit that crosses every boundary.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Codec, EpochNumber, Micros, SegmentNumber, Timestamp};

/// What a track carries. A stream has at most one track of each kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrackKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// One access unit on the timeline.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Which track it belongs to.
    pub track: TrackKind,
    /// When it is decoded.
    pub dts: Timestamp,
    /// When it is shown; never before `dts`.
    pub pts: Timestamp,
    /// How long it lasts, where the codec says so (audio). Of a video frame only the
    /// next frame's `dts` tells.
    pub duration: Option<Micros>,
    /// Whether decoding can start here. Every audio frame is a key frame.
    pub key: bool,
    /// Set on the first frame of a segment: the segment's number.
    pub starts: Option<SegmentNumber>,
    /// H.264 and HEVC: NAL units with length prefixes (ISO/IEC 14496-15 5.3.2), the
    /// prefix's size as in the track's `avcC` or `hvcC`. AAC: one raw data block, no ADTS header.
    pub data: Bytes,
}

/// A track as it is within one epoch.
#[derive(Clone, PartialEq, Debug)]
pub struct Track {
    /// Codec and its decoder configuration.
    pub codec: Codec,
    /// Bits per second, measured over the epoch's first group of pictures.
    pub bit_rate: u32,
    /// The usual time from one frame to the next, measured (video) or known (audio).
    pub frame_duration: Micros,
}

/// What lies between two discontinuities: constant tracks, one set of init segments,
/// one DASH Period.
#[derive(Clone, PartialEq, Debug)]
pub struct Epoch {
    /// Belongs to the stream and only grows.
    pub number: EpochNumber,
    /// The number of its first segment.
    pub first_segment: SegmentNumber,
    /// Presentation time of its first frame.
    pub start: Timestamp,
    /// `EXT-X-TARGETDURATION` in seconds, constant for the epoch.
    pub target_duration: u32,
    /// The video track, if there is one.
    pub video: Option<Track>,
    /// The audio track, if there is one.
    pub audio: Option<Track>,
    /// Whether the source's own video can be cut into segments.
    pub source_fit: SourceFit,
}

impl Epoch {
    /// The track of this kind, if the epoch has it.
    pub fn track(&self, kind: TrackKind) -> Option<&Track> {
        match kind {
            TrackKind::Video => self.video.as_ref(),
            TrackKind::Audio => self.audio.as_ref(),
        }
    }

    /// The track whose segment boundaries are the stream's: video where there is any.
    pub fn lead(&self) -> Option<(TrackKind, &Track)> {
        [TrackKind::Video, TrackKind::Audio]
            .into_iter()
            .find_map(|kind| Some((kind, self.track(kind)?)))
    }

    /// Whether the epoch has a track of this kind.
    pub fn has(&self, kind: TrackKind) -> bool {
        self.track(kind).is_some()
    }
}

/// Whether the source's video can be served as it came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SourceFit {
    /// Its key frames come often enough: passthrough.
    Passthrough,
    /// Its groups of pictures are longer than a segment may be: it is encoded again,
    /// with key frames where segments start.
    GopTooLong,
}
