//! The pictures that an encoder has, and whether it keeps its word about them.

use std::collections::VecDeque;

use media::{SegmentNumber, Timestamp};

/// Pictures that an encoder may hold back at most: x264's longest look-ahead is 250.
const MOST: usize = 512;

/// Pictures in the encoder, as they were sent: when they are shown, what they start.
#[derive(Default)]
pub(super) struct InFlight {
    pictures: VecDeque<(Timestamp, Option<SegmentNumber>)>,
    last_dts: Option<Timestamp>,
}

impl InFlight {
    /// A picture is sent.
    pub(super) fn expect(
        &mut self,
        pts: Timestamp,
        starts: Option<SegmentNumber>,
    ) -> Result<(), &'static str> {
        if self.pictures.len() >= MOST {
            return Err("holds too many pictures back");
        }
        self.pictures.push_back((pts, starts));
        Ok(())
    }

    /// The encoder is gone, and what it had.
    #[cfg(feature = "ffmpeg")]
    pub(super) fn clear(&mut self) {
        self.pictures.clear();
    }

    /// What the access unit shown at `pts` starts. An encoder that breaks its word is
    /// caught here, before a packager believes it.
    pub(super) fn take(
        &mut self,
        dts: Timestamp,
        pts: Timestamp,
        key: bool,
    ) -> Result<Option<SegmentNumber>, &'static str> {
        let place = self.pictures.iter().position(|&(sent, _)| sent == pts);
        let Some((_, starts)) = place.and_then(|place| self.pictures.remove(place)) else {
            return Err("gave a frame that was not sent to it");
        };
        if key != starts.is_some() {
            return Err(if key {
                "gave a key frame where no segment starts"
            } else {
                "gave no key frame where a segment starts"
            });
        }
        if dts > pts || self.last_dts.is_some_and(|last| dts <= last) {
            return Err("gave frames out of decoding order");
        }
        self.last_dts = Some(dts);
        Ok(starts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn sent(pictures: &[(i64, Option<u64>)]) -> InFlight {
        InFlight {
            pictures: pictures
                .iter()
                .map(|&(pts, starts)| (at(pts), starts.map(SegmentNumber)))
                .collect(),
            last_dts: None,
        }
    }

    #[test]
    fn t01_reordered_frames_find_their_marks() {
        let mut sent = sent(&[(0, Some(7)), (1, None), (2, None), (3, Some(8))]);
        let mut take = |dts, pts, key| sent.take(at(dts), at(pts), key).map(|n| n.map(|n| n.0));
        assert_eq!(take(-1, 0, true), Ok(Some(7)));
        assert_eq!(take(0, 2, false), Ok(None));
        assert_eq!(take(1, 1, false), Ok(None));
        assert_eq!(take(2, 3, true), Ok(Some(8)));
        assert!(take(3, 3, false).is_err(), "twice");
    }

    #[test]
    fn an_encoder_that_breaks_its_word_is_caught() {
        let take = |dts, pts, key| {
            let mut sent = sent(&[(0, Some(1)), (1, None)]);
            sent.last_dts = Some(at(-5));
            sent.take(at(dts), at(pts), key)
        };
        assert!(take(0, 0, false).unwrap_err().contains("no key frame"));
        assert!(take(0, 1, true).unwrap_err().contains("no segment"));
        assert!(take(2, 1, false).unwrap_err().contains("order"));
        assert!(take(-5, 1, false).unwrap_err().contains("order"));
        assert!(take(-4, 1, false).is_ok());
    }

    #[test]
    fn an_encoder_that_gives_nothing_back_is_caught() {
        let mut sent = InFlight::default();
        let refused = (0..10_000).find_map(|pts| sent.expect(at(pts), None).err());
        assert!(refused.unwrap().contains("too many"));
    }
}
