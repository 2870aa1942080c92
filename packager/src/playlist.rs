//! Manifests: pure functions from what is listed to text.
//!
//! URIs are relative to `/live/{stream}/`, where all manifests of a stream are.

mod media_playlist;
mod mpd;
mod multivariant;

use media::{EpochNumber, PartIndex, RenditionName, SegmentNumber};

pub use media_playlist::{
    ListedPart, ListedSegment, MediaPlaylist, OpenSegment, RenditionReport, ServerControl,
};
pub use mpd::{Mpd, Period, Representation};
pub use multivariant::{Multivariant, Variant};

fn init_uri(epoch: EpochNumber, rendition: &RenditionName) -> String {
    format!("{epoch}/{rendition}/init.mp4")
}

fn segment_uri(epoch: EpochNumber, rendition: &RenditionName, number: SegmentNumber) -> String {
    format!("{epoch}/{rendition}/{number}.m4s")
}

fn part_uri(
    epoch: EpochNumber,
    rendition: &RenditionName,
    number: SegmentNumber,
    index: PartIndex,
) -> String {
    format!("{epoch}/{rendition}/{number}.{index}.m4s")
}
