//! How long a job waits after a failure.

use media::{JobId, Micros};

/// After the first failure.
pub const BACKOFF_BASE: Micros = Micros::from_secs(5);
/// After many.
pub const BACKOFF_CAP: Micros = Micros::from_secs(15 * 60);

/// How long a job waits after its `failures`-th failure, from 1: twice as long each time,
/// from [`BACKOFF_BASE`] to [`BACKOFF_CAP`], less up to a half. How much less follows from
/// the job and the failure, so that jobs which failed together do not return together.
pub fn backoff(failures: u32, job: JobId) -> Micros {
    let (base, cap) = (BACKOFF_BASE.as_micros(), BACKOFF_CAP.as_micros());
    let doublings = failures.saturating_sub(1).min(32);
    let full = base.saturating_mul(1 << doublings).min(cap);
    let half = (full / 2).unsigned_abs();
    let less = mixed(job.as_uuid().as_u64_pair().1 ^ u64::from(failures)) % (half + 1);
    Micros::new(full - i64::try_from(less).unwrap_or(0))
}

/// Spreads every bit of `bits` over all: the finalizer of SplitMix64.
fn mixed(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn doubles_from_base_to_cap() {
        let job = JobId::new();
        for failures in 0..200_u32 {
            let full = 5_000_000_i64 << failures.saturating_sub(1).min(20);
            let full = full.min(900_000_000);
            let wait = backoff(failures, job).as_micros();
            assert!((full / 2..=full).contains(&wait), "{failures}: {wait}");
            assert_eq!(backoff(failures, job).as_micros(), wait);
        }
        assert!(backoff(u32::MAX, job) >= Micros::from_secs(450));
    }

    #[test]
    fn jobs_that_failed_together_return_apart() {
        let waits: HashSet<_> = (0..100).map(|_| backoff(1, JobId::new())).collect();
        assert!(waits.len() > 90, "{}", waits.len());
        let job = JobId::new();
        let at_the_cap: HashSet<_> = (20..30).map(|failures| backoff(failures, job)).collect();
        assert!(at_the_cap.len() > 5);
    }
}
