//! Two counts over the last moments.

use std::time::{Duration, Instant};

/// Slots of a window: what is counted is forgotten by a tenth of the window at a time.
const SLOTS: u32 = 10;

/// Counts of two kinds over a window that moves with the time.
#[derive(Debug, Clone)]
pub(crate) struct RollingCounts {
    began: Instant,
    slot: Duration,
    slots: [Slot; SLOTS as usize],
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// The slot's number since `began`.
    number: u64,
    counts: [u64; 2],
}

impl RollingCounts {
    pub(crate) fn new(window: Duration, now: Instant) -> Self {
        Self {
            began: now,
            slot: (window / SLOTS).max(Duration::from_millis(1)),
            slots: [Slot::default(); SLOTS as usize],
        }
    }

    fn number(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.began).as_nanos();
        u64::try_from(elapsed / self.slot.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Counts one of `kind`, 0 or 1.
    pub(crate) fn count(&mut self, now: Instant, kind: usize) {
        let number = self.number(now);
        // Below SLOTS, so it fits.
        let slot = &mut self.slots[(number % u64::from(SLOTS)) as usize];
        if slot.number != number {
            *slot = Slot {
                number,
                ..Slot::default()
            };
        }
        if let Some(count) = slot.counts.get_mut(kind) {
            *count += 1;
        }
    }

    /// Both counts of the window that ends at `now`.
    pub(crate) fn sums(&self, now: Instant) -> [u64; 2] {
        let number = self.number(now);
        let oldest = (number + 1).saturating_sub(SLOTS.into());
        self.slots
            .iter()
            .filter(|slot| (oldest..=number).contains(&slot.number))
            .fold([0, 0], |[a, b], slot| {
                [a + slot.counts[0], b + slot.counts[1]]
            })
    }

    pub(crate) fn clear(&mut self) {
        self.slots = [Slot::default(); SLOTS as usize];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_window_does_not_count() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut counts = RollingCounts::new(Duration::from_secs(10), start);
        counts.count(at(0), 0);
        counts.count(at(5_000), 1);
        assert_eq!(counts.sums(at(9_999)), [1, 1]);
        assert_eq!(counts.sums(at(10_000)), [0, 1]);
        assert_eq!(counts.sums(at(15_000)), [0, 0]);
        counts.count(at(100_000), 0);
        assert_eq!(counts.sums(at(100_001)), [1, 0]);
        counts.clear();
        assert_eq!(counts.sums(at(100_001)), [0, 0]);
    }
}
