//! Frames in, parts and segments out.

#[cfg(test)]
pub(crate) mod fixture;
mod part_target;
mod reorder;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use media::{
    Frame, Micros, Part, PartIndex, Rendition, Segment, SegmentNumber, Timestamp, TrackKind,
};

use crate::cmaf::{Sample, SampleDefaults, chunk};

pub use part_target::PartTarget;
pub(crate) use reorder::ReorderDelay;

/// The largest access unit taken, in bytes.
pub const MAX_FRAME_BYTES: usize = 16 << 20;

/// A part is closed before it grows past this, whatever it lasts, so that its sizes
/// fit their 32-bit boxes.
pub const MAX_PART_BYTES: usize = 64 << 20;

/// How far a frame's time may be from where the frame before it ended and still be
/// taken as contiguous, in ticks: both were rounded, to microseconds and to ticks.
const ROUNDING_TICKS: i64 = 2;

/// What comes out of a segmenter, in order: the parts of a segment, then the segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// The next part of the open segment.
    Part(Part),
    /// The open segment is closed. A gap, of size 0, has no parts.
    Segment(Segment),
}

/// Why a frame was refused. The segmenter's state is as it was before the frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SegmenterError {
    /// The rendition is of the other kind.
    #[error("a frame of {given:?} for a rendition of {expected:?}")]
    WrongTrack {
        /// The rendition's kind.
        expected: TrackKind,
        /// The frame's.
        given: TrackKind,
    },
    /// Larger than [`MAX_FRAME_BYTES`].
    #[error("a frame of {0} bytes, expected {MAX_FRAME_BYTES} at most")]
    FrameTooLarge(usize),
    /// Segment numbers only grow.
    #[error("a frame starts segment {given}, but segment {open} is open")]
    NumberWentBack {
        /// The open segment.
        open: SegmentNumber,
        /// What the frame says.
        given: SegmentNumber,
    },
}

/// Cuts one rendition's frames of one epoch into CMAF parts and segments. Decides
/// nothing about segments: [`Frame::starts`] does.
///
/// A frame lasts until the next one is decoded, so one frame is held back. Decoding
/// times are shifted by the epoch's reorder delay, so that a segment's `tfdt` is the
/// presentation time of its first frame; composition offsets may then be negative.
///
/// Frames before the first marked one are dropped. A segment that does not begin with a
/// key frame is a gap, its frames are dropped.
#[derive(Debug)]
pub struct Segmenter {
    track: TrackKind,
    timescale: u32,
    frame_duration: Micros,
    part_target: Micros,
    defaults: SampleDefaults,
    reorder: ReorderDelay,
    segment: Option<OpenSegment>,
    part: Option<OpenPart>,
    samples: Vec<Sample>,
    held: Option<Held>,
    /// Where the decode time of the next frame is if nothing is missing.
    expected_tick: Option<i64>,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
struct OpenSegment {
    number: SegmentNumber,
    start: Timestamp,
    next_part: PartIndex,
    size: u64,
    gap: bool,
    /// Of a gap, where its last dropped frame ends.
    end: Timestamp,
}

#[derive(Debug)]
struct OpenPart {
    start: Timestamp,
    end: Timestamp,
    decode_tick: i64,
    independent: bool,
    bytes: usize,
}

#[derive(Debug)]
struct Held {
    frame: Frame,
    decode: Timestamp,
    tick: i64,
}

impl Segmenter {
    /// A segmenter for one epoch of `rendition`.
    pub fn new(rendition: &Rendition, part_target: PartTarget) -> Self {
        Self {
            track: rendition.codec.kind(),
            timescale: rendition.codec.timescale(),
            frame_duration: rendition.frame_duration,
            part_target: part_target.duration(),
            defaults: SampleDefaults::of(rendition),
            reorder: ReorderDelay::default(),
            segment: None,
            part: None,
            samples: Vec::new(),
            held: None,
            expected_tick: None,
            outputs: VecDeque::new(),
        }
    }

    /// With a reorder delay that is known: several segmenters that make parts of one
    /// rendition agree on decoding times.
    #[must_use]
    pub fn with_reorder_delay(self, delay: Micros) -> Self {
        Self {
            reorder: ReorderDelay::known(delay),
            ..self
        }
    }

    /// The next frame in decoding order.
    pub fn push(&mut self, frame: Frame) -> Result<(), SegmenterError> {
        self.check(&frame)?;
        let start = self.reorder.start(&frame);
        let decode = self.reorder.decode_time(&frame);
        let tick = self.tick(&frame, decode);
        if let Some(number) = frame.starts {
            self.start_segment(&frame, number, start, tick);
        } else if let Some(held) = self.held.take() {
            self.append(held, tick, decode);
        }
        let Some(segment) = &mut self.segment else {
            return Ok(());
        };
        if segment.gap {
            segment.end = decode + self.frame_duration;
            return Ok(());
        }
        self.expected_tick = Some(tick + self.natural_ticks(&frame));
        self.held = Some(Held {
            frame,
            decode,
            tick,
        });
        Ok(())
    }

    /// No more frames: the held frame lasts as long as the usual one, the open part and
    /// segment are closed.
    pub fn finish(&mut self) {
        let end = self.end_of_held();
        self.close_segment(end);
    }

    /// The next output, if one is ready.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn check(&self, frame: &Frame) -> Result<(), SegmenterError> {
        if frame.track != self.track {
            return Err(SegmenterError::WrongTrack {
                expected: self.track,
                given: frame.track,
            });
        }
        if frame.data.len() > MAX_FRAME_BYTES {
            return Err(SegmenterError::FrameTooLarge(frame.data.len()));
        }
        match (&self.segment, frame.starts) {
            (Some(open), Some(given)) if given <= open.number => {
                Err(SegmenterError::NumberWentBack {
                    open: open.number,
                    given,
                })
            }
            _ => Ok(()),
        }
    }

    /// The frame's decode time in ticks: where the frame before it ended, unless it is
    /// really elsewhere; always after the frame before it.
    fn tick(&self, frame: &Frame, decode: Timestamp) -> i64 {
        let tick = decode.in_timescale(self.timescale);
        let tick = match self.expected_tick {
            Some(expected)
                if frame.duration.is_some() && (tick - expected).abs() <= ROUNDING_TICKS =>
            {
                expected
            }
            _ => tick,
        };
        let earliest = self.held.as_ref().map_or(0, |held| held.tick + 1);
        tick.max(earliest)
    }

    fn natural_duration(&self, frame: &Frame) -> Micros {
        frame.duration.unwrap_or(self.frame_duration)
    }

    fn natural_ticks(&self, frame: &Frame) -> i64 {
        self.natural_duration(frame)
            .in_timescale(self.timescale)
            .max(1)
    }

    fn start_segment(&mut self, frame: &Frame, number: SegmentNumber, start: Timestamp, tick: i64) {
        let follows = self
            .segment
            .as_ref()
            .is_some_and(|open| open.number.next() == number);
        let end = if follows {
            if let Some(held) = self.held.take() {
                self.append(held, tick, start);
            }
            start
        } else {
            // Segments between were lost: what was open ends with its last frame.
            self.end_of_held()
        };
        self.close_segment(end);
        self.segment = Some(OpenSegment {
            number,
            start,
            next_part: PartIndex(0),
            size: 0,
            gap: !frame.key,
            end: start,
        });
    }

    /// Appends the held frame as if nothing followed it; returns where it ends.
    fn end_of_held(&mut self) -> Timestamp {
        let Some(held) = self.held.take() else {
            return self
                .segment
                .as_ref()
                .map_or_else(Timestamp::default, |open| open.end);
        };
        let end = held.decode + self.natural_duration(&held.frame);
        let tick = held.tick + self.natural_ticks(&held.frame);
        self.append(held, tick, end);
        end
    }

    /// Adds a frame that lasts until `next_tick`, which is `end`, to the open part. The
    /// part closes when another usual frame would take it past the target, or before
    /// this one if this one does.
    fn append(&mut self, held: Held, next_tick: i64, end: Timestamp) {
        let size = held.frame.data.len();
        if self.part.as_ref().is_some_and(|part| {
            end - part.start > self.part_target || part.bytes + size > MAX_PART_BYTES
        }) {
            self.close_part(held.decode);
        }
        let Some(segment) = &self.segment else {
            return;
        };
        let first_of_segment = self.part.is_none() && segment.next_part == PartIndex(0);
        let start = if first_of_segment {
            segment.start
        } else {
            held.decode
        };
        let part = self.part.get_or_insert(OpenPart {
            start,
            end,
            decode_tick: held.tick,
            independent: held.frame.key,
            bytes: 0,
        });
        part.end = end;
        part.bytes += size;
        let full = end + self.frame_duration - part.start > self.part_target;
        self.samples.push(sample(&held, next_tick, self.timescale));
        if full {
            self.close_part(end);
        }
    }

    fn close_part(&mut self, end: Timestamp) {
        let (Some(part), Some(segment)) = (self.part.take(), &mut self.segment) else {
            return;
        };
        let index = segment.next_part;
        // Grows over the whole stream, also when a segmenter starts in its middle.
        let sequence_number = (segment.number.0 as u32) << 8 | (index.0 & 0xff);
        let data = chunk(
            sequence_number,
            part.decode_tick.unsigned_abs(),
            &self.samples,
            self.defaults,
        );
        self.samples.clear();
        segment.next_part = index.next();
        segment.size += data.len() as u64;
        self.outputs.push_back(Output::Part(Part {
            segment: segment.number,
            index,
            start: part.start,
            duration: span(part.start, end),
            independent: part.independent,
            data,
        }));
    }

    fn close_segment(&mut self, end: Timestamp) {
        self.close_part(end);
        if let Some(segment) = self.segment.take() {
            self.outputs.push_back(Output::Segment(Segment {
                number: segment.number,
                start: segment.start,
                duration: span(segment.start, end),
                size: segment.size,
            }));
        }
    }
}

fn span(start: Timestamp, end: Timestamp) -> Micros {
    (end - start).max(Micros::ZERO)
}

fn sample(held: &Held, next_tick: i64, timescale: u32) -> Sample {
    let composition_offset = match held.frame.track {
        TrackKind::Video => held.frame.pts.in_timescale(timescale) - held.tick,
        TrackKind::Audio => 0,
    };
    let bounds = i64::from(i32::MIN)..=i64::from(i32::MAX);
    Sample {
        data: held.frame.data.clone(),
        duration: u32::try_from(next_tick - held.tick).unwrap_or(u32::MAX),
        composition_offset: composition_offset.clamp(*bounds.start(), *bounds.end()) as i32,
        sync: held.frame.key,
    }
}
