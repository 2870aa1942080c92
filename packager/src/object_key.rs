//! Where a live stream's media are kept in the object store.

use media::{EpochNumber, RenditionName, SegmentNumber, StreamId};

/// What the keys of an epoch's objects begin with: `live/{stream}/{epoch}/`.
pub fn epoch(stream: StreamId, epoch: EpochNumber) -> String {
    format!("live/{stream}/{epoch}/")
}

/// The key of an init segment: `live/{stream}/{epoch}/{rendition}/init.mp4`.
pub fn init(stream: StreamId, epoch: EpochNumber, rendition: &RenditionName) -> String {
    format!("live/{stream}/{epoch}/{rendition}/init.mp4")
}

/// The key of a segment: `live/{stream}/{epoch}/{rendition}/{n}.m4s`.
pub fn segment(
    stream: StreamId,
    epoch: EpochNumber,
    rendition: &RenditionName,
    number: SegmentNumber,
) -> String {
    format!("live/{stream}/{epoch}/{rendition}/{number}.m4s")
}
