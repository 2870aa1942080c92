//! A measured frame duration as the frame rate that was meant.

use crate::Micros;

/// Frames per second as a fraction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameRate {
    /// Frames in `denominator` seconds.
    pub numerator: u32,
    /// Seconds.
    pub denominator: u32,
}

/// How far a measured duration may be from the rate that is meant, as a fraction of it:
/// timestamps in milliseconds over a group of pictures of a second are off by 0.1 %.
const NEAR: f64 = 0.002_5;

/// The longest duration taken, in microseconds.
const LONGEST: i64 = 1_000_000_000;

impl FrameRate {
    /// The rate of frames that usually last `duration`: the nearest whole number, or
    /// NTSC rate (a whole number times 1000/1001), if one is near; else as measured.
    pub fn nearest(duration: Micros) -> Self {
        let micros = duration.as_micros().clamp(1, LONGEST);
        let measured = 1e6 / micros as f64;
        // A rate just below a whole number may be the NTSC rate of it.
        let whole = measured.round().max(1.0) as u32;
        let rates = [
            Self {
                numerator: whole,
                denominator: 1,
            },
            Self {
                numerator: whole.saturating_mul(1_000),
                denominator: 1_001,
            },
        ];
        rates
            .into_iter()
            .map(|rate| (rate, (rate.as_f64() / measured - 1.0).abs()))
            .filter(|(_, off)| *off <= NEAR)
            .min_by(|(_, a), (_, b)| a.total_cmp(b))
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
    fn p07_usual_rates_are_recognised() {
        for (micros, numerator, denominator) in [
            (33_333, 30, 1),
            (33_345, 30, 1),
            (33_367, 30_000, 1_001),
            (41_708, 24_000, 1_001),
            (41_667, 24, 1),
            (40_000, 25, 1),
            (20_000, 50, 1),
            (16_667, 60, 1),
            (16_683, 60_000, 1_001),
            (1_000_000, 1, 1),
            (71_000, 1_000_000, 71_000),
            (9_000_000, 1_000_000, 9_000_000),
        ] {
            let expected = FrameRate {
                numerator,
                denominator,
            };
            assert_eq!(
                FrameRate::nearest(Micros::new(micros)),
                expected,
                "{micros} us"
            );
        }
    }

    #[test]
    fn nonsense_is_some_rate() {
        for micros in [i64::MIN, -5, 0, 1, i64::MAX] {
            let rate = FrameRate::nearest(Micros::new(micros));
            assert!(
                rate.numerator > 0 && rate.denominator > 0,
                "{micros}: {rate:?}"
            );
        }
    }
}
