//! Where the stream's segments begin and end, read off one track.

use std::collections::VecDeque;

use media::{Frame, Micros, Segment, SegmentNumber, Timestamp};

use crate::segmenter::ReorderDelay;

/// A closed stretch of the stream's timeline: what a segment of any rendition under the
/// same number covers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    /// The segment's number.
    pub number: SegmentNumber,
    /// Presentation time of its first frame.
    pub start: Timestamp,
    /// Until the first frame of the next segment.
    pub duration: Micros,
}

impl Cut {
    /// A segment with nothing in it over this stretch.
    pub(crate) fn gap(self) -> Segment {
        Segment {
            number: self.number,
            start: self.start,
            duration: self.duration,
            size: 0,
        }
    }
}

/// The lead's last cuts.
#[derive(Debug, Default)]
pub(crate) struct Cuts {
    closed: VecDeque<Cut>,
    longest: Micros,
}

impl Cuts {
    pub(crate) fn get(&self, number: SegmentNumber) -> Option<Cut> {
        self.closed.iter().find(|cut| cut.number == number).copied()
    }

    pub(crate) fn last(&self) -> Option<Cut> {
        self.closed.back().copied()
    }

    /// The longest that a made-up gap may be.
    pub(crate) fn longest(&self) -> Micros {
        self.longest
    }

    pub(crate) fn set_longest(&mut self, longest: Micros) {
        self.longest = longest;
    }

    /// Keeps `cut` and the `kept` - 1 before it; tells whether it is a new one.
    pub(crate) fn push(&mut self, cut: Cut, kept: usize) -> bool {
        let new = self.last().is_none_or(|last| cut.number > last.number);
        if new {
            self.closed.push_back(cut);
            while self.closed.len() > kept {
                self.closed.pop_front();
            }
        }
        new
    }
}

/// Reads cuts off the frames of the lead track: the source's video, or its audio when
/// there is no video. Independent of whether the source itself is packaged.
#[derive(Debug)]
pub struct Lead {
    frame_duration: Micros,
    reorder: ReorderDelay,
    open: Option<(SegmentNumber, Timestamp)>,
    end: Timestamp,
}

impl Lead {
    /// For one epoch of a track whose usual frame lasts `frame_duration`.
    pub fn new(frame_duration: Micros) -> Self {
        Self {
            frame_duration,
            reorder: ReorderDelay::default(),
            open: None,
            end: Timestamp::default(),
        }
    }

    /// The lead track's next frame. Gives the segment that it closes.
    pub fn observe(&mut self, frame: &Frame) -> Option<Cut> {
        let start = self.reorder.start(frame);
        let mut closed = None;
        if let Some(number) = frame.starts {
            if let Some((open, _)) = self.open {
                let end = if open.next() == number {
                    start
                } else {
                    self.end
                };
                closed = self.close(end);
            }
            self.open = Some((number, start));
        }
        self.end = self.reorder.decode_time(frame) + frame.duration.unwrap_or(self.frame_duration);
        closed
    }

    /// No more frames: closes the open segment where the last frame ends.
    pub fn finish(&mut self) -> Option<Cut> {
        self.close(self.end)
    }

    fn close(&mut self, end: Timestamp) -> Option<Cut> {
        self.open.take().map(|(number, start)| Cut {
            number,
            start,
            duration: (end - start).max(Micros::ZERO),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segmenter::fixture::{START, marked, video, video_frame};
    use crate::segmenter::{Output, PartTarget, Segmenter};

    #[test]
    fn agrees_with_the_segmenter_on_every_segment() {
        let rendition = video(25.0);
        let mut segmenter = Segmenter::new(&rendition, PartTarget::of(&rendition));
        let mut lead = Lead::new(rendition.frame_duration);
        let mut cuts = Vec::new();
        for index in 0..200_i64 {
            let mut frame = video_frame(START + Micros::from_millis(40 * index), 100);
            frame.pts = frame.pts + Micros::from_millis(40 * (2 + index % 2));
            // Number 12 is never seen.
            let number = [(0, 10), (50, 11), (100, 13), (150, 14)];
            if let Some(&(_, number)) = number.iter().find(|(at, _)| *at == index) {
                frame = marked(number, frame);
                frame.pts = frame.dts + Micros::from_millis(80);
            }
            cuts.extend(lead.observe(&frame));
            segmenter.push(frame).unwrap();
        }
        cuts.extend(lead.finish());
        segmenter.finish();
        let segments: Vec<_> = std::iter::from_fn(|| segmenter.poll())
            .filter_map(|output| match output {
                Output::Segment(segment) => Some(Cut {
                    number: segment.number,
                    start: segment.start,
                    duration: segment.duration,
                }),
                Output::Part(_) => None,
            })
            .collect();
        assert_eq!(cuts, segments);
        assert_eq!(cuts.len(), 4);
    }
}
