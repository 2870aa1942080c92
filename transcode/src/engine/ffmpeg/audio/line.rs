//! Where decoded sound belongs on the line of samples. Pure.

use media::Micros;

use super::AudioError;

/// A timestamp may be so far from the count of samples before the count gives way:
/// containers round to milliseconds, and lips are in sync within 20.
const TOLERANCE: Micros = Micros::from_millis(15);

/// The longest silence between two packets.
const MAX_SILENCE: Micros = Micros::from_secs(6 * 3_600);

/// Counts samples at the encoder's rate.
#[derive(Debug)]
pub(super) struct Line {
    rate: u32,
    /// Where the next sound begins if nothing is missing.
    next: Micros,
    /// What is left of a source's frame that is not a whole microsecond, in samples
    /// times a million.
    remainder: u64,
    /// Samples that are still to be left out.
    skip: u64,
}

/// What is done with sound: silence before it, or samples left out of it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Fit {
    pub(super) silence: u64,
    pub(super) skip: u64,
}

impl Line {
    pub(super) fn new(rate: u32) -> Self {
        Self {
            rate,
            next: Micros::ZERO,
            remainder: 0,
            skip: 0,
        }
    }

    /// Places `samples` of `rate` that are heard at `at`, counted from the start; without
    /// a time they follow what was before.
    pub(super) fn place(
        &mut self,
        at: Option<Micros>,
        samples: u64,
        rate: u32,
    ) -> Result<Fit, AudioError> {
        let off = at.map_or(Micros::ZERO, |at| at - self.next);
        if off > MAX_SILENCE {
            return Err(AudioError(format!(
                "{} s without sound; at most {} s are filled with silence",
                off.as_secs_f64().round(),
                MAX_SILENCE.as_secs_f64()
            )));
        }
        let mut fit = Fit::default();
        if off > TOLERANCE {
            fit.silence = self.samples(off);
            self.next += off;
        } else if off < Micros::ZERO - TOLERANCE {
            fit.skip = self.samples(Micros::ZERO - off);
            self.next += off;
        }
        let parts = samples * 1_000_000 + self.remainder;
        let rate = u64::from(rate.max(1));
        self.remainder = parts % rate;
        self.next += Micros::new(i64::try_from(parts / rate).unwrap_or(i64::MAX));
        Ok(fit)
    }

    /// So many of the samples to come are left out.
    pub(super) fn skip(&mut self, samples: u64) {
        self.skip += samples;
    }

    /// How many of `samples` are left out.
    pub(super) fn left_out(&mut self, samples: usize) -> usize {
        let some = self.skip.min(samples as u64);
        self.skip -= some;
        some as usize
    }

    fn samples(&self, span: Micros) -> u64 {
        u64::try_from(span.in_timescale(self.rate)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> Option<Micros> {
        Some(Micros::from_millis(millis))
    }

    #[test]
    fn t09_rounded_timestamps_change_nothing() {
        let mut line = Line::new(44_100);
        for frame in 0..100_000_i64 {
            let millis = frame * 1_024 * 1_000 / 44_100;
            let fit = line.place(at(millis), 1_024, 44_100).unwrap();
            assert_eq!(fit, Fit::default(), "frame {frame}");
        }
    }

    #[test]
    fn what_is_missing_is_silence_and_what_overlaps_is_cut() {
        let mut line = Line::new(48_000);
        let silence = |silence| Fit { silence, skip: 0 };
        let skip = |skip| Fit { silence: 0, skip };
        assert_eq!(line.place(at(500), 4_800, 48_000).unwrap(), silence(24_000));
        assert_eq!(line.place(at(600), 4_800, 48_000).unwrap(), silence(0));
        assert_eq!(
            line.place(at(1_700), 4_800, 48_000).unwrap(),
            silence(48_000)
        );
        assert_eq!(line.place(at(1_750), 4_800, 48_000).unwrap(), skip(2_400));
        assert_eq!(line.place(None, 4_800, 48_000).unwrap(), Fit::default());
        assert_eq!(
            line.place(at(1_950), 4_800, 48_000).unwrap(),
            Fit::default()
        );
    }

    #[test]
    fn a_day_of_silence_is_refused() {
        let mut line = Line::new(48_000);
        let error = line.place(at(86_400_000), 1, 48_000).unwrap_err();
        assert!(error.to_string().contains("86400 s"), "{error}");
    }

    proptest! {
        #[test]
        fn sound_ends_up_within_the_tolerance(
            packets in proptest::collection::vec((0..5_000_i64, 1..5_000_u64), 1..50),
            rate in prop_oneof![Just(8_000_u32), Just(22_050), Just(44_100), Just(48_000)],
        ) {
            let mut line = Line::new(48_000);
            // Samples at the encoder's rate: as many as there is time.
            let mut placed = 0_i64;
            for (millis, samples) in packets {
                let fit = line.place(at(millis), samples, rate).unwrap();
                placed += i64::try_from(fit.silence).unwrap() - i64::try_from(fit.skip).unwrap();
                let begins = Micros::from_ticks(placed, 48_000);
                let off = (begins - Micros::from_millis(millis)).abs();
                prop_assert!(off < TOLERANCE + Micros::from_millis(1), "{off:?}");
                placed += i64::try_from(samples * 48_000 / u64::from(rate)).unwrap();
            }
        }

        #[test]
        fn no_time_panics(
            packets in proptest::collection::vec((any::<i32>(), 0..100_000_u64, any::<u32>()), 1..20),
        ) {
            let mut line = Line::new(48_000);
            for (micros, samples, rate) in packets {
                let _ = line.place(Some(Micros::new(micros.into())), samples, rate);
            }
        }
    }
}
