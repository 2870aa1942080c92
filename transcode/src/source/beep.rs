//! A beep at every full second of the wall clock.

use std::f64::consts::TAU;

use media::Timestamp;

/// Samples per second.
pub(super) const SAMPLE_RATE: u32 = 48_000;

/// Cycles per second.
const PITCH: f64 = 1_000.0;

/// Samples of a beep: 100 ms.
const LENGTH: f64 = 4_800.0;

/// Samples over which it swells and fades, so that it does not click.
const EDGE: f64 = 240.0;

const LOUDNESS: f64 = 0.4;

/// Fills `samples`, the first of which is heard at `at`.
pub(super) fn fill(samples: &mut [f32], at: Timestamp) {
    let rate = f64::from(SAMPLE_RATE);
    let into_second = at.as_micros().rem_euclid(1_000_000) as f64 * rate / 1e6;
    for (index, sample) in samples.iter_mut().enumerate() {
        let place = (into_second + index as f64) % rate;
        *sample = if place < LENGTH {
            let edge = (place.min(LENGTH - place) / EDGE).min(1.0);
            ((TAU * PITCH * place / rate).sin() * edge * LOUDNESS) as f32
        } else {
            0.0
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beeps_in_the_first_tenth_of_a_second() {
        let mut samples = vec![0.0; 96_000];
        fill(&mut samples, Timestamp::from_micros(1_700_000_000_500_000));
        let loud: Vec<usize> = (0..samples.len())
            .filter(|&i| samples[i].abs() > 0.3)
            .collect();
        assert!(
            loud.iter()
                .all(|i| (24_000..28_800).contains(i) || (72_000..76_800).contains(i))
        );
        assert!(loud.len() > 2_000);
    }

    #[test]
    fn blocks_join_without_a_step() {
        let mut whole = vec![0.0; 2_048];
        let at = Timestamp::from_micros(1_000_010_000);
        fill(&mut whole, at);
        let mut second = vec![0.0; 1_024];
        fill(&mut second, Timestamp::from_micros(1_000_010_000 + 21_333));
        for (a, b) in whole[1_024..].iter().zip(&second) {
            assert!((a - b).abs() < 0.01);
        }
    }
}
