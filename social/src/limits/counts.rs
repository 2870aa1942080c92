//! Where a limit keeps its counts: of a bounded number of keys, whoever comes.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;

use super::Key;

/// Counts that all keys share which come while there is no room for more. Many, so that one of
/// them who asks too often is in the way of few.
const SHARED: usize = 4_096;

/// Counts by key. A key that has one keeps it; while there are as many as there may be, those
/// that come are put together with others, by chance.
pub(super) struct BoundedCounts {
    counts: Mutex<Counts>,
    most: usize,
    /// Nobody can tell whom they are put together with.
    hasher: RandomState,
}

#[derive(Default)]
struct Counts {
    own: HashMap<Key, Nanos>,
    shared: HashMap<usize, Nanos>,
}

impl BoundedCounts {
    /// At most `most` keys have a count of their own.
    pub(super) fn new(most: usize) -> Self {
        Self {
            counts: Mutex::default(),
            most,
            hasher: RandomState::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateStore for BoundedCounts {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, key: &Key, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut counts = self.lock();
        if let Some(count) = counts.own.get_mut(key) {
            let (answer, next) = measure(Some(*count))?;
            *count = next;
            return Ok(answer);
        }
        if counts.own.len() < self.most {
            let (answer, next) = measure(None)?;
            counts.own.insert(key.clone(), next);
            return Ok(answer);
        }
        let place = self.hasher.hash_one(key) as usize % SHARED;
        let (answer, next) = measure(counts.shared.get(&place).copied())?;
        counts.shared.insert(place, next);
        Ok(answer)
    }
}

impl ShrinkableKeyedStateStore<Key> for BoundedCounts {
    fn retain_recent(&self, drop_below: Nanos) {
        let mut counts = self.lock();
        counts.own.retain(|_, count| *count >= drop_below);
        counts.shared.retain(|_, count| *count >= drop_below);
    }

    fn shrink_to_fit(&self) {
        self.lock().own.shrink_to_fit();
    }

    /// Of those that have a count of their own.
    fn len(&self) -> usize {
        self.lock().own.len()
    }

    fn is_empty(&self) -> bool {
        let counts = self.lock();
        counts.own.is_empty() && counts.shared.is_empty()
    }
}

impl fmt::Debug for BoundedCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedCounts")
            .field("keys", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts as often as it is asked, and refuses after `most`.
    fn take(counts: &BoundedCounts, name: usize, most: u64) -> bool {
        let key = Key::text(&name.to_string());
        let measured = counts.measure_and_replace(&key, |before| {
            let before = before.map_or(0, Nanos::as_u64);
            match before < most {
                true => Ok(((), Nanos::from(before + 1))),
                false => Err(()),
            }
        });
        measured.is_ok()
    }

    #[test]
    fn who_is_known_is_counted_alone_and_who_comes_later_shares() {
        let counts = BoundedCounts::new(10);
        for name in 0..10 {
            assert!(take(&counts, name, 2));
        }
        assert_eq!(counts.len(), 10);
        // However many come, and however often they are refused,
        let let_in = (10..100_000).filter(|name| take(&counts, *name, 2)).count();
        assert_eq!(let_in, 2 * SHARED);
        assert_eq!(counts.len(), 10);
        // nobody who was there has less.
        for name in 0..10 {
            assert!(take(&counts, name, 2));
            assert!(!take(&counts, name, 2));
        }
        counts.retain_recent(Nanos::from(3));
        assert!(counts.is_empty());
        assert!(take(&counts, 70, 2));
    }

    #[test]
    fn who_was_refused_takes_no_room() {
        let counts = BoundedCounts::new(10);
        for name in 0..100 {
            assert!(!take(&counts, name, 0));
        }
        assert!(counts.is_empty());
    }
}
