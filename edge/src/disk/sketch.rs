//! How often names were asked for lately, nearly: a count-min sketch that forgets.

use super::file::checksum;

const ROWS: usize = 4;
/// More says nothing that the comparison of two names would need.
const MOST: u8 = 15;
/// Counts are halved after so many samples for each counter of a row, so that what was
/// asked for often long ago gives way.
const SAMPLES_PER_COUNTER: u64 = 10;
/// Counters of a row, whatever the tier holds: 16 MiB of them.
const MAX_WIDTH: u64 = 1 << 22;

/// Counts of names, never too small, seldom too large.
#[derive(Debug)]
pub(super) struct Sketch {
    counters: Box<[u8]>,
    /// Counters of one row, a power of two.
    width: u64,
    samples: u64,
}

impl Sketch {
    /// For about `names` names.
    pub(super) fn new(names: u64) -> Self {
        let width = names.clamp(64, MAX_WIDTH).next_power_of_two();
        Self {
            counters: vec![0; ROWS * width as usize].into(),
            width,
            samples: 0,
        }
    }

    /// `name` was asked for.
    pub(super) fn record(&mut self, name: u64) {
        for at in self.places(name) {
            self.counters[at] = (self.counters[at] + 1).min(MOST);
        }
        self.samples += 1;
        if self.samples >= self.width * SAMPLES_PER_COUNTER {
            self.samples /= 2;
            self.counters.iter_mut().for_each(|count| *count /= 2);
        }
    }

    /// How often `name` was asked for, or a little more.
    pub(super) fn estimate(&self, name: u64) -> u8 {
        let counts = self.places(name).map(|at| self.counters[at]);
        counts.into_iter().min().unwrap_or(0)
    }

    fn places(&self, name: u64) -> [usize; ROWS] {
        std::array::from_fn(|row| {
            let mixed = checksum(row as u64 + 1, &name.to_le_bytes());
            // Less than ROWS * width, which is a length in memory.
            (row as u64 * self.width + (mixed & (self.width - 1))) as usize
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_kept_apart_and_have_a_cap() {
        let mut sketch = Sketch::new(1_000);
        for _ in 0..5 {
            sketch.record(1);
        }
        for _ in 0..100 {
            sketch.record(2);
        }
        assert_eq!(sketch.estimate(1), 5);
        assert_eq!(sketch.estimate(2), MOST);
        assert_eq!(sketch.estimate(3), 0);
    }

    #[test]
    fn what_is_no_longer_asked_for_is_forgotten() {
        let mut sketch = Sketch::new(64);
        for _ in 0..8 {
            sketch.record(1);
        }
        let before = sketch.estimate(1);
        for name in 0..10_000 {
            sketch.record(1_000 + name % 500);
        }
        for name in 0..64 {
            sketch.record(name + 5_000);
        }
        assert!(before >= 8);
        assert!(Sketch::new(u64::MAX).width == MAX_WIDTH);
        let mut sketch = Sketch::new(64);
        (0..8).for_each(|_| sketch.record(1));
        (0..640).for_each(|_| sketch.record(2));
        assert!(sketch.estimate(1) < 8);
    }
}
