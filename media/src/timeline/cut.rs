//! Segments are cut and numbered.

use std::sync::Arc;

use super::probe::EARLY_KEY_FRAME;
use super::{Limits, Numbering, Placed};
use crate::{Epoch, Frame, Micros, SegmentNumber, SourceFit, Timestamp, TrackKind};

/// What a segment may last beyond TARGETDURATION: RFC 8216 4.3.3.1 compares rounded
/// durations.
const ROUNDING: Micros = Micros::from_millis(400);

/// One epoch being cut. A boundary is an instant; in each track the first frame at or
/// after it carries the new segment's number.
#[derive(Debug)]
pub(super) struct Cutter {
    epoch: Arc<Epoch>,
    origin: Micros,
    target: Micros,
    longest: Micros,
    segment: SegmentNumber,
    segment_start: Micros,
    video_mark: Option<(SegmentNumber, Micros)>,
    audio_mark: Option<(SegmentNumber, Micros)>,
    end: Micros,
    segment_bytes: usize,
    outran: bool,
}

impl Cutter {
    /// A cutter for `epoch`, whose first frame is shown at `origin` on the
    /// publication's clock.
    pub(super) fn new(epoch: Arc<Epoch>, origin: Micros, limits: Limits) -> Self {
        let mark = Some((epoch.first_segment, origin));
        Self {
            target: limits.target,
            longest: Micros::from_secs(i64::from(epoch.target_duration)) + ROUNDING,
            segment: epoch.first_segment,
            segment_start: origin,
            video_mark: mark,
            audio_mark: mark,
            end: origin,
            segment_bytes: 0,
            outran: false,
            origin,
            epoch,
        }
    }

    pub(super) fn epoch(&self) -> &Arc<Epoch> {
        &self.epoch
    }

    /// Whether a group of pictures was longer than the target duration allows, so that
    /// the source's video cannot be passed through any longer.
    pub(super) fn outran(&self) -> bool {
        self.outran
    }

    /// Bytes of the open segment so far.
    pub(super) fn segment_bytes(&self) -> usize {
        self.segment_bytes
    }

    /// Marks a frame and pins it to Unix time. Sound from before the epoch is dropped.
    pub(super) fn push(&mut self, frame: Placed) -> Option<Frame> {
        if frame.track == TrackKind::Audio && frame.pts < self.origin {
            return None;
        }
        if let Some(boundary) = self.boundary(&frame) {
            self.segment = self.segment.next();
            self.segment_start = boundary;
            self.segment_bytes = 0;
            self.video_mark = Some((self.segment, boundary));
            self.audio_mark = self.video_mark;
        }
        self.segment_bytes += frame.data.len();
        let (mark, track) = match frame.track {
            TrackKind::Video => (&mut self.video_mark, &self.epoch.video),
            TrackKind::Audio => (&mut self.audio_mark, &self.epoch.audio),
        };
        let starts = mark
            .take_if(|(_, boundary)| frame.pts >= *boundary)
            .map(|(number, _)| number);
        let usual = track.as_ref().map(|track| track.frame_duration);
        let length = frame.duration.or(usual).unwrap_or_default();
        self.end = self.end.max(frame.pts + length);
        Some(Frame {
            track: frame.track,
            dts: self.unix(frame.dts),
            pts: self.unix(frame.pts),
            duration: frame.duration,
            key: frame.key,
            starts,
            data: frame.data,
        })
    }

    /// The instant of the segment boundary that this frame makes or passes.
    fn boundary(&mut self, frame: &Placed) -> Option<Micros> {
        let elapsed = frame.pts - self.segment_start;
        let by_time = self.epoch.video.is_none() || self.epoch.source_fit == SourceFit::GopTooLong;
        if by_time {
            let whole = elapsed.as_micros() / self.target.as_micros().max(1);
            let length = Micros::new(self.target.as_micros() * whole);
            return (whole > 0).then(|| self.segment_start + length);
        }
        let key = frame.track == TrackKind::Video && frame.key;
        if key && elapsed >= self.target - EARLY_KEY_FRAME {
            return Some(frame.pts);
        }
        if elapsed > self.longest {
            self.outran = true;
            return Some(frame.pts);
        }
        None
    }

    fn unix(&self, at: Micros) -> Timestamp {
        self.epoch.start + (at - self.origin)
    }

    /// Where the next epoch begins.
    pub(super) fn finish(self) -> Numbering {
        Numbering {
            epoch: self.epoch.number.next(),
            segment: self.segment.next(),
            not_before: self.unix(self.end),
        }
    }
}
