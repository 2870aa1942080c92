//! Memory that running fills may hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number of bytes shared by all fills.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    used: AtomicU64,
}

/// One fill's share, given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicU64::new(0),
        })
    }

    /// Would so many bytes more find room now?
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        let used = self.used.load(Ordering::Relaxed);
        used.checked_add(bytes).is_some_and(|sum| sum <= self.limit)
    }

    pub(crate) fn reserve_nothing(self: &Arc<Self>) -> Reservation {
        Reservation {
            budget: Arc::clone(self),
            bytes: 0,
        }
    }
}

impl Reservation {
    /// Takes `bytes` more; false, and nothing taken, when there is no room.
    pub(crate) fn grow(&mut self, bytes: u64) -> bool {
        let limit = self.budget.limit;
        let taken = self
            .budget
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|&sum| sum <= limit)
            });
        if taken.is_ok() {
            self.bytes += bytes;
        }
        taken.is_ok()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_reservation_makes_room() {
        let budget = Budget::new(10);
        let mut first = budget.reserve_nothing();
        let mut second = budget.reserve_nothing();
        assert!(first.grow(7));
        assert!(!second.grow(4));
        assert!(second.grow(3));
        drop(first);
        assert!(second.grow(7));
        assert!(!second.grow(1));
        assert!(!second.grow(u64::MAX));
    }
}
