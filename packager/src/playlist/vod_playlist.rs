//! Media playlists of what does not grow (RFC 8216bis 4.4).

use std::fmt::{self, Write};

use media::{EpochNumber, Micros, RenditionName, SegmentNumber, Timestamp};

use super::media_playlist::Seconds;
use super::{init_uri, segment_uri};

/// `EXT-X-MAP` without `EXT-X-I-FRAMES-ONLY` needs 6 (RFC 8216bis 8).
const VERSION: u32 = 6;

/// A rendition of a video from beginning to end.
#[derive(Clone, PartialEq, Debug)]
pub struct VodPlaylist {
    /// The rendition.
    pub rendition: RenditionName,
    /// `EXT-X-TARGETDURATION` in seconds.
    pub target_duration: u32,
    /// Whether media time is the time of day: `EXT-X-PROGRAM-DATE-TIME`.
    pub is_dated: bool,
    /// Whether it will never be another: `EXT-X-PLAYLIST-TYPE:VOD` promises that.
    pub is_final: bool,
    /// Its segments, in order.
    pub segments: Vec<VodSegment>,
}

/// A segment of a video, or a gap.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VodSegment {
    /// Its epoch.
    pub epoch: EpochNumber,
    /// Its number.
    pub number: SegmentNumber,
    /// Presentation time of its first frame.
    pub start: Timestamp,
    /// `EXTINF`.
    pub duration: Micros,
    /// `EXT-X-GAP`.
    pub gap: bool,
}

impl VodPlaylist {
    /// The playlist.
    pub fn render(&self) -> String {
        let mut out = String::with_capacity(256 + 128 * self.segments.len());
        // Writing to a string cannot fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "#EXTM3U")?;
        writeln!(out, "#EXT-X-VERSION:{VERSION}")?;
        writeln!(out, "#EXT-X-TARGETDURATION:{}", self.target_duration)?;
        if self.is_final {
            writeln!(out, "#EXT-X-PLAYLIST-TYPE:VOD")?;
        }
        let first = self.segments.first().map(|segment| segment.number);
        writeln!(out, "#EXT-X-MEDIA-SEQUENCE:{}", first.unwrap_or_default())?;
        let (mut epoch, mut map) = (None, None);
        for segment in &self.segments {
            if epoch
                .replace(segment.epoch)
                .is_some_and(|before| before != segment.epoch)
            {
                writeln!(out, "#EXT-X-DISCONTINUITY")?;
            }
            if self.is_dated {
                let at = segment.start.to_rfc3339();
                writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{at}")?;
            }
            if segment.gap {
                writeln!(out, "#EXT-X-GAP")?;
            } else if map.replace(segment.epoch) != Some(segment.epoch) {
                let uri = init_uri(segment.epoch, &self.rendition);
                writeln!(out, "#EXT-X-MAP:URI=\"{uri}\"")?;
            }
            writeln!(out, "#EXTINF:{},", Seconds(segment.duration))?;
            let uri = segment_uri(segment.epoch, &self.rendition, segment.number);
            writeln!(out, "{uri}")?;
        }
        writeln!(out, "#EXT-X-ENDLIST")
    }
}
