//! When a worker that died is started again.

use media::{Micros, Timestamp};

/// Waits longer after every failure in a row. The first retry is made at once,
/// because a lone crash should cost the viewers as little as it can; a source that
/// kills every worker should not cost a process a second.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Backoff {
    failures_in_a_row: u32,
    started: Timestamp,
}

/// The second retry's delay; every further one doubles it.
const STEP: Micros = Micros::from_millis(500);

/// The longest delay.
const CAP: Micros = Micros::from_secs(30);

/// A worker that ran this long was healthy: its end is a first failure again.
const HEALTHY: Micros = Micros::from_secs(60);

impl Backoff {
    /// For a worker that is started at `now`.
    pub fn started(now: Timestamp) -> Self {
        Self {
            failures_in_a_row: 0,
            started: now,
        }
    }

    /// The worker failed at `now`: how long to wait before it is started again. Call
    /// [`Backoff::restarted`] then.
    pub fn failed(&mut self, now: Timestamp) -> Micros {
        if now - self.started >= HEALTHY {
            self.failures_in_a_row = 0;
        }
        let delay = match self.failures_in_a_row {
            0 => Micros::ZERO,
            n => Micros::new(STEP.as_micros() << (n - 1).min(16)).min(CAP),
        };
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        delay
    }

    /// The worker was started again at `now`.
    pub fn restarted(&mut self, now: Timestamp) {
        self.started = now;
    }

    /// Failures since the last healthy run.
    pub fn failures_in_a_row(&self) -> u32 {
        self.failures_in_a_row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_retry_is_at_once_and_later_ones_wait_longer() {
        let mut now = Timestamp::from_micros(0);
        let mut backoff = Backoff::started(now);
        let mut delays = Vec::new();
        for _ in 0..10 {
            now = now + Micros::from_secs(1);
            let delay = backoff.failed(now);
            delays.push(delay.as_micros() / 1_000);
            now = now + delay;
            backoff.restarted(now);
        }
        assert_eq!(
            delays,
            [
                0, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000
            ]
        );
    }

    #[test]
    fn a_healthy_run_forgives() {
        let mut now = Timestamp::from_micros(0);
        let mut backoff = Backoff::started(now);
        for _ in 0..5 {
            backoff.failed(now);
        }
        backoff.restarted(now);
        now = now + HEALTHY;
        assert_eq!(backoff.failed(now), Micros::ZERO);
        assert_eq!(backoff.failures_in_a_row(), 1);
    }

    #[test]
    fn failing_for_ever_does_not_overflow() {
        let now = Timestamp::from_micros(0);
        let mut backoff = Backoff::started(now);
        for _ in 0..100 {
            assert!(backoff.failed(now) <= CAP);
        }
    }
}
