//! The order of fills and of what makes them invalid.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use media::Clock;

/// An instant, as invalidations count it: each has one of its own, later than all before.
/// They are microseconds of the edge's clock since 1970, so that they go on after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Era(i64);

impl Era {
    /// Before everything.
    pub(crate) const FIRST: Self = Self(i64::MIN);

    pub(crate) const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub(crate) const fn as_micros(self) -> i64 {
        self.0
    }
}

/// Draws them. They never go back, whatever the clock does.
#[derive(Debug)]
pub(crate) struct Eras {
    clock: Arc<dyn Clock>,
    last: AtomicI64,
}

impl Eras {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let last = AtomicI64::new(clock.now().as_micros());
        Self { clock, last }
    }

    /// What begins now knows of all invalidations so far.
    pub(crate) fn now(&self) -> Era {
        Era(self.last.load(Ordering::SeqCst))
    }

    /// None of those to come is before `era`, whatever the clock says.
    pub(crate) fn go_past(&self, era: Era) {
        self.last.fetch_max(era.as_micros(), Ordering::SeqCst);
    }

    /// The era of a new invalidation. `announce` may be told of several, and the last counts:
    /// it knows of that before anybody can begin at it.
    pub(crate) fn next(&self, announce: impl Fn(Era)) -> Era {
        let mut last = self.last.load(Ordering::SeqCst);
        loop {
            let next = self.clock.now().as_micros().max(last.saturating_add(1));
            announce(Era(next));
            match self
                .last
                .compare_exchange(last, next, Ordering::SeqCst, Ordering::SeqCst)
            {
                Ok(_) => return Era(next),
                Err(newer) => last = newer,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use media::{ManualClock, Timestamp};

    use super::*;

    #[test]
    fn eras_follow_the_clock_and_never_go_back() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_000)));
        let eras = Eras::new(clock.clone());
        let began = eras.now();
        assert_eq!(began.as_micros(), 1_000);
        let announced = Cell::new(Era::FIRST);
        let first = eras.next(|era| announced.set(era));
        assert!(first > began && announced.get() == first);
        assert_eq!(eras.now(), first);
        clock.advance(media::Micros::from_secs(1));
        let second = eras.next(|_| {});
        assert_eq!(second.as_micros(), 1_001_000);
        clock.advance(media::Micros::from_secs(-5));
        assert!(eras.next(|_| {}) > second);
    }
}
