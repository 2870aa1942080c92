//! How long ago something was asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use media::{Micros, Timestamp};

/// Segments behind the one in the making in which a player at the live edge may be: RFC 8216
/// 6.3.3 has it begin three behind the last.
const NEAR: u64 = 4;

/// When a rendition was last asked for at its live edge.
#[derive(Debug)]
pub(crate) struct Interest {
    asked: AtomicI64,
    /// The segment in the making, once something has come.
    segment: AtomicU64,
}

impl Interest {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            asked: AtomicI64::new(now.as_micros()),
            segment: AtomicU64::new(0),
        }
    }

    pub(crate) fn touch(&self, now: Timestamp) {
        self.asked.store(now.as_micros(), Ordering::Relaxed);
    }

    /// Something of `segment` was asked for. Whoever watches the past wants nothing new.
    pub(crate) fn touch_by(&self, segment: u64, now: Timestamp) {
        if segment.saturating_add(NEAR) >= self.segment.load(Ordering::Relaxed) {
            self.touch(now);
        }
    }

    /// `segment` is in the making.
    pub(super) fn reaches(&self, segment: u64) {
        self.segment.store(segment, Ordering::Relaxed);
    }

    /// Has it not been asked for, for so long?
    pub(crate) fn is_over(&self, now: Timestamp, idle: Micros) -> bool {
        now - Timestamp::from_micros(self.asked.load(Ordering::Relaxed)) >= idle
    }
}

/// What was pushed has it, so that a hit counts.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    interest: Arc<Interest>,
    segment: u64,
}

impl Wish {
    pub(super) fn new(interest: Arc<Interest>, segment: u64) -> Self {
        Self { interest, segment }
    }

    /// It was asked for.
    pub(crate) fn touch(&self, now: Timestamp) {
        self.interest.touch_by(self.segment, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_watches_the_past_wants_nothing_new() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let interest = Arc::new(Interest::new(at(0)));
        let wish = |segment| Wish::new(Arc::clone(&interest), segment);
        let idle = Micros::from_secs(10);
        // Nothing has come yet.
        wish(7).touch(at(5));
        assert!(!interest.is_over(at(14), idle));
        interest.reaches(20);
        for segment in [7, 15] {
            wish(segment).touch(at(14));
            assert!(interest.is_over(at(15), idle), "{segment}");
        }
        for (segment, now) in [(16, 20), (20, 30), (21, 40)] {
            wish(segment).touch(at(now));
            assert!(!interest.is_over(at(now + 9), idle), "{segment}");
        }
    }
}
