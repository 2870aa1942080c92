//! What a live window is told, and how it refuses.

use media::{EpochNumber, PartIndex, Rendition, RenditionName, Segment, SegmentNumber, Timestamp};

use crate::cmaf::InitSegmentError;

/// The most parts of one segment.
pub(crate) const MAX_PARTS: usize = 512;

/// The most renditions of a stream.
pub(crate) const MAX_RENDITIONS: usize = 32;

/// How much of a stream is kept at hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LiveConfig {
    /// Segments in a playlist. RFC 8216bis 6.2.2 wants three target durations at least;
    /// delta updates (6.2.5.1) skip nothing in playlists of six or fewer.
    pub playlist_segments: usize,
    /// Segments whose bytes stay in memory after they have left the playlist. Older
    /// ones are served from the object store.
    pub spare_segments: usize,
    /// Bytes of closed segments kept in memory for one rendition; beyond it the oldest
    /// are served from the object store.
    pub rendition_bytes: usize,
}

impl LiveConfig {
    /// The fewest segments in a playlist.
    pub const MIN_PLAYLIST_SEGMENTS: usize = 4;

    pub(crate) fn listed(&self) -> usize {
        self.playlist_segments.max(Self::MIN_PLAYLIST_SEGMENTS)
    }

    pub(crate) fn kept(&self) -> usize {
        self.listed() + self.spare_segments
    }
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            playlist_segments: 10,
            spare_segments: 4,
            rendition_bytes: 128 << 20,
        }
    }
}

/// A new epoch.
#[derive(Clone, PartialEq, Debug)]
pub struct EpochPlan {
    /// Its number.
    pub number: EpochNumber,
    /// The number of its first segment. Numbers between this and the previous epoch's
    /// last segment become gaps.
    pub first_segment: SegmentNumber,
    /// Presentation time of its first frame.
    pub start: Timestamp,
    /// Seconds. See [`super::LiveStream::begin_epoch`].
    pub target_duration: u32,
    /// The renditions whose codec is known.
    pub renditions: Vec<Rendition>,
    /// Renditions whose codec is not known yet. Manifests that list renditions wait for
    /// them.
    pub expected: Vec<RenditionName>,
}

/// What survived of a stream that was live when its server stopped. Bytes are in the
/// object store.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RestoredStream {
    /// Oldest first.
    pub epochs: Vec<RestoredEpoch>,
    /// The lowest number that nobody has taken. The one before it was in the making; those
    /// before that were closed and may have been listed, whether they were stored or not.
    pub next_segment: SegmentNumber,
}

/// An epoch of a [`RestoredStream`].
#[derive(Clone, PartialEq, Debug)]
pub struct RestoredEpoch {
    /// Its number.
    pub number: EpochNumber,
    /// The number of its first segment.
    pub first_segment: SegmentNumber,
    /// Presentation time of its first frame.
    pub start: Timestamp,
    /// Seconds.
    pub target_duration: u32,
    /// What is known of its renditions; may be empty, it is then missing in the MPD.
    pub renditions: Vec<Rendition>,
    /// Its finished segments in order of their numbers. Gaps may be among them: where no
    /// rendition has a segment, a gap tells that there was one.
    pub segments: Vec<(RenditionName, Segment)>,
}

/// Why the live window refused something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LiveError {
    /// The stream has ended.
    #[error("the stream has ended")]
    Ended,
    /// Epochs only grow, and so do their first segments.
    #[error("epoch {number} from segment {first_segment} does not follow what is there")]
    EpochOutOfOrder {
        /// The epoch refused.
        number: EpochNumber,
        /// Its first segment.
        first_segment: SegmentNumber,
    },
    /// No epoch has begun, or the segment is older than all known ones.
    #[error("segment {0} belongs to no known epoch")]
    NoEpoch(SegmentNumber),
    /// The rendition is not part of the segment's epoch.
    #[error("rendition {0} is not part of the epoch")]
    UnknownRendition(RenditionName),
    /// A limit with a name.
    #[error("rendition {0} would be one too many, {MAX_RENDITIONS} at most")]
    TooManyRenditions(RenditionName),
    /// A limit with a name.
    #[error("segment {0} has more than {MAX_PARTS} parts")]
    TooManyParts(SegmentNumber),
    /// The segment is already closed, filled with a gap or given up.
    #[error("segment {number} of {rendition} is stale: {next} is next")]
    Stale {
        /// The rendition.
        rendition: RenditionName,
        /// The segment refused.
        number: SegmentNumber,
        /// The earliest one that is still taken.
        next: SegmentNumber,
    },
    /// Parts come in order, and a segment after its parts.
    #[error("segment {number} of {rendition}: part {expected} is next")]
    PartOutOfOrder {
        /// The rendition.
        rendition: RenditionName,
        /// The segment.
        number: SegmentNumber,
        /// The part that is missing.
        expected: PartIndex,
    },
    /// A codec that no init segment can be written for.
    #[error(transparent)]
    Init(#[from] InitSegmentError),
}
