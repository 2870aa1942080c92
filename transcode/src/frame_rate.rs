//! The frame rate an encoder is told.

use media::Micros;

/// Frames per second as a fraction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameRate {
    /// Frames in `denominator` seconds.
    pub numerator: u32,
    /// Seconds.
    pub denominator: u32,
}

/// The rates cameras and encoders are set to.
const USUAL: [(u32, u32); 13] = [
    (10, 1),
    (12, 1),
    (15, 1),
    (20, 1),
    (24_000, 1_001),
    (24, 1),
    (25, 1),
    (30_000, 1_001),
    (30, 1),
    (50, 1),
    (60_000, 1_001),
    (60, 1),
    (120, 1),
];

/// The longest frame an encoder is told of, in microseconds.
const LONGEST: i64 = 1_000_000;

/// The shortest frame an encoder is told of, in microseconds.
const SHORTEST: i64 = 4_000;

impl FrameRate {
    /// The rate of frames that usually last `duration`. A usual rate within 0.25% is
    /// taken to be meant: timestamps in milliseconds make 33.3 ms of 30 fps, and a
    /// rate of 30.0003 fps would need the next higher H.264 level.
    pub fn nearest(duration: Micros) -> Self {
        let micros = match duration.as_micros() {
            ..=0 => 33_333,
            micros => micros.clamp(SHORTEST, LONGEST),
        };
        USUAL
            .iter()
            .map(|&(numerator, denominator)| Self {
                numerator,
                denominator,
            })
            .map(|rate| (rate, (rate.frame_duration().as_micros() - micros).abs()))
            .filter(|(_, error)| error * 400 <= micros)
            .min_by_key(|(_, error)| *error)
            .map_or(
                Self {
                    numerator: 1_000_000,
                    denominator: u32::try_from(micros).unwrap_or(u32::MAX),
                },
                |(rate, _)| rate,
            )
    }

    /// How long one frame lasts.
    pub fn frame_duration(self) -> Micros {
        Micros::from_ticks(i64::from(self.denominator), self.numerator)
    }

    /// Frames per second.
    pub fn as_f64(self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_rates_are_recognised() {
        for (micros, numerator, denominator) in [
            (33_333, 30, 1),
            (33_367, 30_000, 1_001),
            (41_708, 24_000, 1_001),
            (41_667, 24, 1),
            (40_000, 25, 1),
            (20_000, 50, 1),
            (16_667, 60, 1),
            (16_683, 60_000, 1_001),
            (0, 30, 1),
            (-5, 30, 1),
            (71_000, 1_000_000, 71_000),
            (9_000_000, 1_000_000, 1_000_000),
            (1, 1_000_000, 4_000),
        ] {
            assert_eq!(
                FrameRate::nearest(Micros::new(micros)),
                FrameRate {
                    numerator,
                    denominator
                },
                "{micros} us"
            );
        }
    }
}
