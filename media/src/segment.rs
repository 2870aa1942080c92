//! What a packager makes of frames.

use bytes::Bytes;

use crate::{Micros, PartIndex, SegmentNumber, Timestamp};

/// A CMAF chunk: one `moof` and its `mdat`. Served as an LL-HLS partial segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// The segment it belongs to.
    pub segment: SegmentNumber,
    /// Its place in the segment.
    pub index: PartIndex,
    /// Presentation time of its first frame.
    pub start: Timestamp,
    /// From its first frame to the first frame of the next part.
    pub duration: Micros,
    /// Whether it begins with a key frame.
    pub independent: bool,
    /// The chunk. Empty: a gap (`GAP=YES`, RFC 8216bis 4.4.4.9).
    pub data: Bytes,
}

impl Part {
    /// Whether there is no media for this part.
    pub fn is_gap(&self) -> bool {
        self.data.is_empty()
    }
}

/// A finished segment: the concatenation of its parts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Its number in the stream.
    pub number: SegmentNumber,
    /// Presentation time of its first frame.
    pub start: Timestamp,
    /// From its first frame to the first frame of the next segment.
    pub duration: Micros,
    /// Bytes of all its parts together; 0 is a gap (`EXT-X-GAP`, RFC 8216bis 4.4.4.7).
    pub size: u64,
}

impl Segment {
    /// Whether there is no media for this segment.
    pub fn is_gap(&self) -> bool {
        self.size == 0
    }
}
