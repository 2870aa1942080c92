//! Manifests: pure functions from what is listed to text.
//!
//! URIs are relative to `/live/{stream}/`, or `/vod/{video}/`, where all manifests of a
//! stream, or a video, are.

mod media_playlist;
mod mpd;
mod multivariant;
mod static_mpd;
mod vod_playlist;
mod webvtt;

use media::{EpochNumber, PartIndex, RenditionName, SegmentNumber};

pub use media_playlist::{
    ListedPart, ListedSegment, MediaPlaylist, OpenSegment, RenditionReport, ServerControl,
};
pub use mpd::{Mpd, Period, Representation};
pub use multivariant::{Multivariant, Variant};
pub use static_mpd::StaticMpd;
pub use vod_playlist::{VodPlaylist, VodSegment};
pub use webvtt::{Cue, WebVtt};

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

pub(crate) fn thumbnail_uri(epoch: EpochNumber, number: SegmentNumber) -> String {
    format!("{epoch}/thumbnails/{number}.jpg")
}

pub(crate) fn sprite_uri(epoch: EpochNumber, first: SegmentNumber, step: u64) -> String {
    format!("{epoch}/storyboard/{first}-{step}.jpg")
}
