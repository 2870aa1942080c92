//! Where decoded sound belongs on the line of samples. Pure.

use media::Micros;

use super::AudioError;

/// A timestamp may be so far from the count of samples before the count gives way:
/// containers round to milliseconds, and lips are in sync within 20.
const TOLERANCE: Micros = Micros::from_millis(15);

/// A timestamp further from the count than this is believed only with another beside it.
const BELIEVED: Micros = Micros::from_secs(2);

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
    /// Whether the next time is taken to the sample: there is no count to compare it with.
    exact: bool,
}

impl Line {
    pub(super) fn new(rate: u32) -> Self {
        Self {
            rate,
            next: Micros::ZERO,
            remainder: 0,
            skip: 0,
            exact: true,
        }
    }

    /// Whether `at` is so far off that it may be a mistake. `beside` is the time that
    /// comes after it, if there is one: two that agree are none.
    pub(super) fn is_doubtful(&self, at: Micros, beside: Option<Micros>) -> bool {
        distance(at, self.next) > BELIEVED
            && beside.is_none_or(|beside| distance(at, beside) > BELIEVED)
    }

    /// Whether sound that is heard at `at` does not follow what was before. Whoever places
    /// it then first takes out what a filter holds of that.
    pub(super) fn breaks(&self, at: Option<Micros>) -> bool {
        at.is_some_and(|at| distance(at, self.next) > self.tolerance())
    }

    /// Places `samples` of `rate` that are heard at `at`, counted from the start; without
    /// a time they follow what was before. Gives the samples of silence before them.
    pub(super) fn place(
        &mut self,
        at: Option<Micros>,
        samples: u64,
        rate: u32,
    ) -> Result<u64, AudioError> {
        let mut silence = 0;
        if let Some(at) = at {
            if self.breaks(Some(at)) {
                silence = self.go_to(at)?;
            }
            self.exact = false;
        }
        let parts = samples
            .saturating_mul(1_000_000)
            .saturating_add(self.remainder);
        let rate = u64::from(rate.max(1));
        self.remainder = parts % rate;
        let span = Micros::new(i64::try_from(parts / rate).unwrap_or(i64::MAX));
        self.next += span;
        Ok(silence)
    }

    /// Something was lost: the next time is taken to the sample.
    pub(super) fn lost(&mut self) {
        self.exact = true;
    }

    /// How many of `samples` are left out.
    pub(super) fn left_out(&mut self, samples: usize) -> usize {
        let some = self.skip.min(samples as u64);
        self.skip -= some;
        some as usize
    }

    /// What is left out reaches beyond `next`: a jump ahead takes of that first, and only
    /// the rest is silence.
    fn go_to(&mut self, at: Micros) -> Result<u64, AudioError> {
        let span = self.samples(distance(at, self.next));
        let ahead = at > self.next;
        if ahead && distance(at, self.next) > MAX_SILENCE {
            return Err(AudioError(format!(
                "{} s without sound; at most {} s are filled with silence",
                distance(at, self.next).as_secs_f64().round(),
                MAX_SILENCE.as_secs_f64()
            )));
        }
        self.next = at;
        self.remainder = 0;
        if !ahead {
            self.skip = self.skip.saturating_add(span);
            return Ok(0);
        }
        let silence = span.saturating_sub(self.skip);
        self.skip = self.skip.saturating_sub(span);
        Ok(silence)
    }

    fn tolerance(&self) -> Micros {
        if self.exact { Micros::ZERO } else { TOLERANCE }
    }

    fn samples(&self, span: Micros) -> u64 {
        u64::try_from(span.in_timescale(self.rate)).unwrap_or(0)
    }
}

fn distance(a: Micros, b: Micros) -> Micros {
    if a < b { b - a } else { a - b }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> Option<Micros> {
        Some(Micros::from_millis(millis))
    }

    /// What comes out of a line: silence and sound, in samples.
    struct Heard {
        line: Line,
        placed: u64,
    }

    impl Heard {
        fn new() -> Self {
            Self {
                line: Line::new(48_000),
                placed: 0,
            }
        }

        /// Places 100 ms. Gives the samples of silence before them, and of them.
        fn place(&mut self, millis: Option<i64>) -> (u64, u64) {
            let silence = self.line.place(millis.and_then(at), 4_800, 48_000).unwrap();
            let sound = 4_800 - self.line.left_out(4_800) as u64;
            self.placed += silence + sound;
            (silence, sound)
        }
    }

    #[test]
    fn t09_rounded_timestamps_change_nothing() {
        let mut line = Line::new(44_100);
        for frame in 0..100_000_i64 {
            let millis = frame * 1_024 * 1_000 / 44_100;
            let silence = line.place(at(millis), 1_024, 44_100).unwrap();
            assert_eq!((silence, line.skip), (0, 0), "frame {frame}");
        }
    }

    #[test]
    fn what_is_missing_is_silence_and_what_overlaps_is_cut() {
        let mut heard = Heard::new();
        assert_eq!(heard.place(Some(500)), (24_000, 4_800));
        assert_eq!(heard.place(Some(600)), (0, 4_800));
        assert_eq!(heard.place(Some(1_700)), (48_000, 4_800));
        assert_eq!(heard.place(Some(1_750)), (0, 2_400));
        assert_eq!(heard.place(None), (0, 4_800));
        assert_eq!(heard.place(Some(1_950)), (0, 4_800));
    }

    #[test]
    fn the_first_time_and_the_one_after_a_loss_are_exact() {
        let mut heard = Heard::new();
        assert_eq!(heard.place(Some(12)), (576, 4_800));
        assert_eq!(heard.place(Some(100)), (0, 4_800), "within the tolerance");
        heard.line.lost();
        assert_eq!(heard.place(Some(220)), (384, 4_800));
        let mut early = Heard::new();
        assert_eq!(early.place(Some(-12)), (0, 4_800 - 576));
        assert_eq!(early.place(Some(88)), (0, 4_800));
    }

    #[test]
    fn a_jump_back_and_forth_leaves_no_silence_and_no_hole() {
        let mut heard = Heard::new();
        for millis in [0, 100, 200] {
            assert_eq!(heard.place(Some(millis)), (0, 4_800));
        }
        assert_eq!(heard.place(Some(-1_000)), (0, 0));
        // The packet that was out of place is silence.
        assert_eq!(heard.place(Some(400)), (4_800, 4_800));
        assert_eq!(heard.place(Some(500)), (0, 4_800));
        assert_eq!(heard.placed, 600 * 48);
        assert_eq!(heard.line.skip, 0);
    }

    #[test]
    fn a_far_time_is_believed_with_another_beside_it() {
        let mut line = Line::new(48_000);
        line.place(at(0), 48_000, 48_000).unwrap();
        let far = Micros::from_secs(18_000);
        assert!(line.is_doubtful(far, None));
        assert!(line.is_doubtful(far, at(1_100)));
        assert!(!line.is_doubtful(far, Some(far + Micros::from_millis(20))));
        assert!(line.is_doubtful(Micros::ZERO - far, at(1_100)));
        assert!(!line.is_doubtful(Micros::from_millis(2_900), None));
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
                placed += i64::try_from(line.place(at(millis), samples, rate).unwrap()).unwrap();
                // What is left out ends where what is kept begins.
                let begins = Micros::from_ticks(
                    placed - i64::try_from(line.skip).unwrap(),
                    48_000,
                );
                let off = (begins - Micros::from_millis(millis)).abs();
                prop_assert!(off < TOLERANCE + Micros::from_millis(1), "{off:?}");
                let samples = samples * 48_000 / u64::from(rate);
                let left_out = line.left_out(samples as usize) as u64;
                placed += i64::try_from(samples - left_out).unwrap();
            }
        }

        #[test]
        fn no_time_panics(
            packets in proptest::collection::vec((any::<i64>(), any::<u64>(), any::<u32>()), 1..20),
        ) {
            let mut line = Line::new(48_000);
            for (micros, samples, rate) in packets {
                let _ = line.is_doubtful(Micros::new(micros), None);
                let _ = line.place(Some(Micros::new(micros)), samples, rate);
            }
        }
    }
}
