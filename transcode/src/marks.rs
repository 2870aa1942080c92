//! Where segments start, carried past a decoder by presentation time.

use std::collections::VecDeque;

use media::{SegmentNumber, Timestamp};

/// Marks that wait for their frame at most. A source that delivers marks but no
/// decodable frame loses the oldest.
const MAX_WAITING: usize = 64;

/// The segment starts that the frames sent into a decoder carried. A decoder gives
/// frames back in another order and may drop some, so a mark is found again by time:
/// the first frame shown at or after the marked frame's time starts the segment.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    waiting: VecDeque<(Timestamp, SegmentNumber)>,
}

impl Marks {
    /// A frame shown at `pts` starts segment `number`.
    pub(crate) fn expect(&mut self, pts: Timestamp, number: SegmentNumber) {
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back((pts, number));
    }

    /// The segment that the decoded frame shown at `pts` starts. If the frames between
    /// two marks were lost, the later segment is the one that starts here.
    pub(crate) fn reached(&mut self, pts: Timestamp) -> Option<SegmentNumber> {
        let mut reached = None;
        while let Some((at, number)) = self.waiting.front().copied() {
            if at > pts {
                break;
            }
            reached = Some(number);
            self.waiting.pop_front();
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn the_first_frame_at_or_after_a_mark_takes_it() {
        let mut marks = Marks::default();
        marks.expect(at(100), SegmentNumber(7));
        marks.expect(at(200), SegmentNumber(8));
        let taken: Vec<_> = [60, 80, 120, 140, 200, 220]
            .map(|pts| marks.reached(at(pts)).map(|n| n.0))
            .into();
        assert_eq!(taken, [None, None, Some(7), None, Some(8), None]);
    }

    #[test]
    fn a_lost_stretch_starts_the_later_segment() {
        let mut marks = Marks::default();
        for n in 0..3 {
            marks.expect(at(100 * n), SegmentNumber(n.unsigned_abs()));
        }
        assert_eq!(marks.reached(at(250)), Some(SegmentNumber(2)));
        assert_eq!(marks.reached(at(300)), None);
    }

    #[test]
    fn marks_do_not_pile_up() {
        let mut marks = Marks::default();
        for n in 0..1_000 {
            marks.expect(at(n), SegmentNumber(n.unsigned_abs()));
        }
        assert_eq!(marks.waiting.len(), MAX_WAITING);
    }
}
