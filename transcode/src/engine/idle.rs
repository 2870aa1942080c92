//! When nothing is decoded. Pure.

use media::Frame;

/// Nothing is decoded while no rung is wanted, nor then until a segment starts with a key
/// frame: rungs return there.
#[derive(Debug)]
pub(crate) struct Idle {
    wanted: bool,
    idle: bool,
    /// Whether the last segment started with a key frame. A source whose segments do not
    /// is decoded all the time: there may never be a frame to begin with.
    starts_with_key: bool,
}

impl Default for Idle {
    fn default() -> Self {
        Self {
            wanted: true,
            idle: false,
            starts_with_key: true,
        }
    }
}

impl Idle {
    /// Whether a rung is wanted from now on. True: what the decoder has is not needed.
    pub(crate) fn want(&mut self, wanted: bool) -> bool {
        self.wanted = wanted;
        let begins = !wanted && !self.idle && self.starts_with_key;
        self.idle |= begins;
        begins
    }

    /// Whether the source's next frame is not decoded.
    pub(crate) fn skips(&mut self, frame: &Frame) -> bool {
        if frame.starts.is_some() {
            self.starts_with_key = frame.key;
            self.idle &= !(frame.key && self.wanted);
        }
        self.idle
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use media::{SegmentNumber, Timestamp, TrackKind};

    use super::*;

    /// `|` starts a segment with a key frame, `k` is a key frame, `+` starts a segment.
    fn decoded(idle: &mut Idle, text: &str) -> String {
        text.chars()
            .map(|kind| {
                let frame = Frame {
                    track: TrackKind::Video,
                    dts: Timestamp::from_micros(0),
                    pts: Timestamp::from_micros(0),
                    duration: None,
                    key: matches!(kind, '|' | 'k'),
                    starts: matches!(kind, '|' | '+').then_some(SegmentNumber(1)),
                    data: Bytes::new(),
                };
                if idle.skips(&frame) { ' ' } else { kind }
            })
            .collect()
    }

    #[test]
    fn decoding_stops_at_once_and_goes_on_where_rungs_return() {
        let mut idle = Idle::default();
        assert_eq!(decoded(&mut idle, "..|.k"), "..|.k");
        assert!(idle.want(false));
        assert!(!idle.want(false), "only once");
        assert_eq!(decoded(&mut idle, "..|.k"), "     ");
        assert!(!idle.want(true));
        assert_eq!(decoded(&mut idle, "..k.|."), "    |.");
    }

    #[test]
    fn a_source_without_key_frames_at_its_marks_is_decoded_on() {
        let mut idle = Idle::default();
        assert_eq!(decoded(&mut idle, "|..+."), "|..+.");
        assert!(!idle.want(false));
        assert_eq!(decoded(&mut idle, "..+."), "..+.");
    }
}
