//! How long parts are.

use media::{Micros, Rendition};

/// What a part lasts at most, `PART-TARGET` (RFC 8216bis 4.4.3.7): a whole number of a
/// rendition's frames, so that a part never falls far short of it (4.4.4.9 wants 85 %).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PartTarget(Micros);

impl PartTarget {
    /// Parts are as many whole frames as fit this, and at least one.
    pub const BASE: Micros = Micros::from_millis(334);

    /// Timestamps from the wire are in milliseconds and the usual frame's duration is
    /// measured with them: as much later than calculated may a part's last frame end.
    const ROUNDING: Micros = Micros::from_millis(2);

    /// The part target of a rendition.
    pub fn of(rendition: &Rendition) -> Self {
        Self::of_frames(rendition.frame_duration)
    }

    fn of_frames(frame_duration: Micros) -> Self {
        let frame = frame_duration.as_micros().max(1_000);
        let frames = (Self::BASE.as_micros() / frame).max(1);
        let exact = frame.saturating_mul(frames);
        let millis = (exact + Self::ROUNDING.as_micros() + 999) / 1_000;
        Self(Micros::from_millis(millis))
    }

    /// As a span: whole milliseconds.
    pub fn duration(self) -> Micros {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_of_frames_fits() {
        for (frame_duration, millis) in [
            (16_667, 336),
            (33_333, 336),
            (33_367, 336),
            (40_000, 322),
            (41_708, 336),
            (21_333, 322),
            (23_220, 328),
            (200_000, 202),
            (1_000_000, 1_002),
        ] {
            assert_eq!(
                PartTarget::of_frames(Micros::new(frame_duration)).duration(),
                Micros::from_millis(millis),
                "{frame_duration}"
            );
        }
    }
}
