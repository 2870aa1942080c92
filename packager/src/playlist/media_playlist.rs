//! Media playlists with low-latency tags (RFC 8216bis 4.4). Written here, because
//! `m3u8-rs` 6 puts no tags of others into the header or behind the last segment, and
//! keeps durations as `f32`.

use std::fmt::{self, Display, Write};

use media::{EpochNumber, Micros, PartIndex, RenditionName, SegmentNumber, Timestamp};

use super::{init_uri, part_uri, segment_uri};

/// `EXT-X-SKIP` needs 9 (RFC 8216bis 8).
const VERSION: u32 = 9;

/// A media playlist as of one instant.
#[derive(Clone, PartialEq, Debug)]
pub struct MediaPlaylist {
    /// The rendition.
    pub rendition: RenditionName,
    /// `EXT-X-TARGETDURATION` in seconds.
    pub target_duration: u32,
    /// `PART-TARGET`.
    pub part_target: Micros,
    /// `EXT-X-SERVER-CONTROL`.
    pub control: ServerControl,
    /// `EXT-X-DISCONTINUITY-SEQUENCE`.
    pub discontinuity_sequence: u64,
    /// Closed segments; their numbers are contiguous.
    pub segments: Vec<ListedSegment>,
    /// The segment whose parts are still coming.
    pub open: Option<OpenSegment>,
    /// `EXT-X-PRELOAD-HINT`.
    pub hint: Option<(EpochNumber, SegmentNumber, PartIndex)>,
    /// `EXT-X-RENDITION-REPORT`.
    pub reports: Vec<RenditionReport>,
    /// `EXT-X-ENDLIST`.
    pub ended: bool,
}

/// `EXT-X-SERVER-CONTROL`, the same in all playlists of a stream (RFC 8216bis 6.2.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ServerControl {
    /// `HOLD-BACK`.
    pub hold_back: Micros,
    /// `PART-HOLD-BACK`.
    pub part_hold_back: Micros,
    /// `CAN-SKIP-UNTIL`.
    pub can_skip_until: Micros,
}

impl ServerControl {
    /// For a target duration and the largest part target of a stream: three of each
    /// (RFC 8216bis 4.4.3.8), the skip boundary six.
    pub fn new(target_duration: u32, part_target: Micros) -> Self {
        let seconds = i64::from(target_duration);
        Self {
            hold_back: Micros::from_secs(3 * seconds),
            part_hold_back: Micros::new(3 * part_target.as_micros()),
            can_skip_until: Micros::from_secs(6 * seconds),
        }
    }
}

/// A closed segment.
#[derive(Clone, PartialEq, Debug)]
pub struct ListedSegment {
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
    /// `EXT-X-DISCONTINUITY`.
    pub discontinuity: bool,
    /// Its parts, if they are still listed.
    pub parts: Vec<ListedPart>,
}

/// `EXT-X-PART`.
#[derive(Clone, PartialEq, Debug)]
pub struct ListedPart {
    /// Its place in the segment.
    pub index: PartIndex,
    /// `DURATION`.
    pub duration: Micros,
    /// `INDEPENDENT`.
    pub independent: bool,
    /// `GAP`.
    pub gap: bool,
}

/// A segment that is not closed yet.
#[derive(Clone, PartialEq, Debug)]
pub struct OpenSegment {
    /// Its epoch.
    pub epoch: EpochNumber,
    /// Its number.
    pub number: SegmentNumber,
    /// Presentation time of its first frame.
    pub start: Timestamp,
    /// `EXT-X-DISCONTINUITY`.
    pub discontinuity: bool,
    /// Its parts so far.
    pub parts: Vec<ListedPart>,
}

/// `EXT-X-RENDITION-REPORT`: how far another playlist is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RenditionReport {
    /// The other rendition.
    pub rendition: RenditionName,
    /// `LAST-MSN`.
    pub last_segment: SegmentNumber,
    /// `LAST-PART`.
    pub last_part: Option<PartIndex>,
}

impl MediaPlaylist {
    /// The playlist.
    pub fn render(&self) -> String {
        self.render_from(0)
    }

    /// The playlist as a delta update (RFC 8216bis 6.2.5.1). The whole playlist if there
    /// is nothing to skip, or an end.
    pub fn render_delta(&self) -> String {
        if self.ended {
            return self.render();
        }
        let mut behind = Micros::ZERO;
        let mut skipped = 0;
        for (index, segment) in self.segments.iter().enumerate().rev() {
            if behind > self.control.can_skip_until {
                skipped = index + 1;
                break;
            }
            behind += segment.duration;
        }
        self.render_from(skipped)
    }

    fn render_from(&self, skipped: usize) -> String {
        let parts: usize = self
            .segments
            .iter()
            .map(|segment| segment.parts.len())
            .sum();
        let mut out = String::with_capacity(512 + 192 * self.segments.len() + 96 * parts);
        // Writing to a string cannot fail.
        let _ = self.write(&mut out, skipped);
        out
    }

    fn write(&self, out: &mut String, skipped: usize) -> fmt::Result {
        self.write_header(out)?;
        if skipped > 0 {
            writeln!(out, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")?;
        }
        let mut map = None;
        for segment in self.segments.iter().skip(skipped) {
            self.write_segment(out, segment, &mut map)?;
        }
        if let Some(open) = &self.open {
            self.write_lead_in(out, open.discontinuity, open.start)?;
            self.write_map(out, open.epoch, &mut map)?;
            self.write_parts(out, open.epoch, open.number, &open.parts)?;
        }
        if let Some((epoch, number, index)) = self.hint {
            let uri = part_uri(epoch, &self.rendition, number, index);
            writeln!(out, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{uri}\"")?;
        }
        for report in &self.reports {
            let RenditionReport {
                rendition,
                last_segment,
                ..
            } = report;
            write!(
                out,
                "#EXT-X-RENDITION-REPORT:URI=\"{rendition}.m3u8\",LAST-MSN={last_segment}"
            )?;
            if let Some(part) = report.last_part {
                write!(out, ",LAST-PART={part}")?;
            }
            writeln!(out)?;
        }
        if self.ended {
            writeln!(out, "#EXT-X-ENDLIST")?;
        }
        Ok(())
    }

    fn write_header(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "#EXTM3U")?;
        writeln!(out, "#EXT-X-VERSION:{VERSION}")?;
        writeln!(out, "#EXT-X-TARGETDURATION:{}", self.target_duration)?;
        writeln!(
            out,
            "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL={},HOLD-BACK={},PART-HOLD-BACK={}",
            Seconds(self.control.can_skip_until),
            Seconds(self.control.hold_back),
            Seconds(self.control.part_hold_back),
        )?;
        writeln!(
            out,
            "#EXT-X-PART-INF:PART-TARGET={}",
            Seconds(self.part_target)
        )?;
        let first = self.segments.first().map(|segment| segment.number);
        let first = first.or(self.open.as_ref().map(|open| open.number));
        writeln!(out, "#EXT-X-MEDIA-SEQUENCE:{}", first.unwrap_or_default())?;
        writeln!(
            out,
            "#EXT-X-DISCONTINUITY-SEQUENCE:{}",
            self.discontinuity_sequence
        )
    }

    fn write_segment(
        &self,
        out: &mut String,
        segment: &ListedSegment,
        map: &mut Option<EpochNumber>,
    ) -> fmt::Result {
        self.write_lead_in(out, segment.discontinuity, segment.start)?;
        if segment.gap {
            writeln!(out, "#EXT-X-GAP")?;
        }
        if !segment.gap || segment.parts.iter().any(|part| !part.gap) {
            self.write_map(out, segment.epoch, map)?;
        }
        self.write_parts(out, segment.epoch, segment.number, &segment.parts)?;
        writeln!(out, "#EXTINF:{},", Seconds(segment.duration))?;
        let uri = segment_uri(segment.epoch, &self.rendition, segment.number);
        writeln!(out, "{uri}")
    }

    fn write_lead_in(
        &self,
        out: &mut String,
        discontinuity: bool,
        start: Timestamp,
    ) -> fmt::Result {
        if discontinuity {
            writeln!(out, "#EXT-X-DISCONTINUITY")?;
        }
        writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{}", start.to_rfc3339())
    }

    fn write_map(
        &self,
        out: &mut String,
        epoch: EpochNumber,
        map: &mut Option<EpochNumber>,
    ) -> fmt::Result {
        if map.replace(epoch) == Some(epoch) {
            return Ok(());
        }
        let uri = init_uri(epoch, &self.rendition);
        writeln!(out, "#EXT-X-MAP:URI=\"{uri}\"")
    }

    fn write_parts(
        &self,
        out: &mut String,
        epoch: EpochNumber,
        number: SegmentNumber,
        parts: &[ListedPart],
    ) -> fmt::Result {
        for part in parts {
            // A picture that stood longer than the part target: players refuse a longer
            // part, and learn its true length from the media.
            let duration = part.duration.min(self.part_target);
            let uri = part_uri(epoch, &self.rendition, number, part.index);
            write!(
                out,
                "#EXT-X-PART:DURATION={},URI=\"{uri}\"",
                Seconds(duration)
            )?;
            if part.independent {
                write!(out, ",INDEPENDENT=YES")?;
            }
            if part.gap {
                write!(out, ",GAP=YES")?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

/// Exact decimal seconds: five decimals at least (RFC 8216bis 4.4.4.1 wants accuracy),
/// a sixth where there are microseconds.
pub(super) struct Seconds(pub(super) Micros);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        let sign = if micros < 0 { "-" } else { "" };
        let (seconds, fraction) = (
            micros.unsigned_abs() / 1_000_000,
            micros.unsigned_abs() % 1_000_000,
        );
        match fraction % 10 {
            0 => write!(f, "{sign}{seconds}.{:05}", fraction / 10),
            _ => write!(f, "{sign}{seconds}.{fraction:06}"),
        }
    }
}
