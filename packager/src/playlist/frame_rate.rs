//! A measured frame duration as a frame rate.

use media::Micros;

/// Frames per second as a fraction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameRate {
    /// Frames.
    pub numerator: u32,
    /// In so many seconds.
    pub denominator: u32,
}

impl FrameRate {
    /// The rate that encoders mean by frames of about this duration: a whole number, or
    /// one of the NTSC rates, if one is within 0.04 %, less than half of what is between
    /// 30 and 29.97; else just the measured one.
    pub fn of(frame_duration: Micros) -> Self {
        let duration = frame_duration.as_micros().clamp(1, 1_000_000_000);
        let measured = 1e6 / duration as f64;
        let whole = measured.round().max(1.0) as u32;
        let near = |rate: &Self| (rate.as_f64() / measured - 1.0).abs() < 0.000_4;
        let usual = [
            Self {
                numerator: whole,
                denominator: 1,
            },
            Self {
                numerator: whole.saturating_mul(1_000),
                denominator: 1_001,
            },
        ];
        usual.into_iter().find(near).unwrap_or(Self {
            numerator: 1_000_000,
            denominator: duration as u32,
        })
    }

    /// Frames per second.
    pub fn as_f64(self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator)
    }

    /// The form of DASH's `@frameRate`.
    pub(super) fn to_dash(self) -> String {
        match self.denominator {
            1 => self.numerator.to_string(),
            denominator => format!("{}/{denominator}", self.numerator),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p07_measured_durations_give_the_encoders_rate() {
        for (micros, dash) in [
            (33_333, "30"),
            (33_340, "30"),
            (33_367, "30000/1001"),
            (41_708, "24000/1001"),
            (41_667, "24"),
            (40_000, "25"),
            (16_683, "60000/1001"),
            (16_667, "60"),
            (1_000_000, "1"),
            (70_000, "1000000/70000"),
        ] {
            assert_eq!(
                FrameRate::of(Micros::new(micros)).to_dash(),
                dash,
                "{micros}"
            );
        }
    }
}
