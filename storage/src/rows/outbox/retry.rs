//! When an event that failed is tried again. No IO.

use std::time::Duration;

/// After how many failures in a row an event is an alarm.
pub const ALARM_AFTER: u32 = 10;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How often the event that is first in line has failed.
#[derive(Debug, Default)]
pub(super) struct Retry {
    failures: u32,
}

impl Retry {
    /// An event was delivered.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// The event failed: how long to wait before the next attempt. Twice as long each
    /// time; one relay asks, so that nothing is gained by chance.
    pub(super) fn failed(&mut self) -> Duration {
        let doublings = self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        FIRST_PAUSE
            .saturating_mul(1 << doublings)
            .min(LONGEST_PAUSE)
    }

    /// Failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether somebody should look at it.
    pub(super) fn is_alarm(&self) -> bool {
        self.failures >= ALARM_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut retry = Retry::default();
        let pauses: Vec<u128> = (0..9).map(|_| retry.failed().as_millis()).collect();
        let doubled = [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000];
        assert_eq!(pauses, doubled);
        assert!(!retry.is_alarm());
        retry.failed();
        assert!(retry.is_alarm());
        for _ in 0..100 {
            assert_eq!(retry.failed(), LONGEST_PAUSE);
        }
        retry.succeeded();
        assert_eq!(retry.failed(), FIRST_PAUSE);
        assert!(!retry.is_alarm());
    }
}
