//! A rate limit without a lock: the generic cell rate algorithm.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::config::Rate;

const SECOND: u64 = 1_000_000_000;

/// A bucket of tokens, full when new. Times are since a beginning of the caller's.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// When it is full again, in nanoseconds.
    full_at: AtomicU64,
}

impl Bucket {
    /// Takes a token; else says how long to wait for one.
    pub(super) fn take(&self, now: Duration, rate: Rate) -> Result<(), Duration> {
        if rate.per_second == 0 {
            return Ok(());
        }
        let now = nanos(now);
        let interval = SECOND / u64::from(rate.per_second);
        let room = interval.saturating_mul(rate.burst.max(1).into());
        let mut full_at = self.full_at.load(Ordering::Relaxed);
        loop {
            let next = full_at.max(now).saturating_add(interval);
            let missing = next.saturating_sub(now).saturating_sub(room);
            if missing > 0 {
                return Err(Duration::from_nanos(missing));
            }
            let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
            match self
                .full_at
                .compare_exchange_weak(full_at, next, set, fetch)
            {
                Ok(_) => return Ok(()),
                Err(other) => full_at = other,
            }
        }
    }

    /// Has nothing been taken that has not come back?
    pub(super) fn is_full(&self, now: Duration) -> bool {
        self.full_at.load(Ordering::Relaxed) <= nanos(now)
    }
}

/// Good for 584 years.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        per_second: 10,
        burst: 3,
    };

    #[test]
    fn a_burst_then_the_rate() {
        let bucket = Bucket::default();
        let at = |millis| Duration::from_millis(millis);
        for _ in 0..3 {
            assert_eq!(bucket.take(at(1_000), RATE), Ok(()));
        }
        assert_eq!(bucket.take(at(1_000), RATE), Err(at(100)));
        assert_eq!(bucket.take(at(1_060), RATE), Err(at(40)));
        assert_eq!(bucket.take(at(1_100), RATE), Ok(()));
        assert_eq!(bucket.take(at(1_100), RATE), Err(at(100)));
        assert!(!bucket.is_full(at(1_399)));
        assert!(bucket.is_full(at(1_400)));
        for _ in 0..3 {
            assert_eq!(bucket.take(at(5_000), RATE), Ok(()));
        }
        assert!(bucket.take(at(5_000), RATE).is_err());
    }

    #[test]
    fn no_rate_is_no_limit() {
        let bucket = Bucket::default();
        let none = Rate {
            per_second: 0,
            burst: 0,
        };
        assert!((0..1_000).all(|_| bucket.take(Duration::ZERO, none).is_ok()));
    }
}
