//! What was asked for before a change must not be stored, nor given to who asks after it
//! (RFC 9111 4.4).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::key::CacheKey;

/// Enough for changes of different keys to meet seldom. Where they do, an answer is not
/// stored that could have been.
const FENCES: usize = 4_096;

/// When the keys of each of a fixed number of groups were last invalidated.
#[derive(Debug)]
pub(crate) struct Fences {
    count: AtomicU64,
    raised: Box<[AtomicU64]>,
}

/// An instant, as invalidations count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Era(u64);

impl Fences {
    pub(crate) fn new() -> Self {
        Self {
            count: AtomicU64::new(0),
            raised: (0..FENCES).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// What begins now knows of all invalidations so far.
    pub(crate) fn now(&self) -> Era {
        Era(self.count.load(Ordering::SeqCst))
    }

    /// Raises the fence of `key`. Whoever removes what is stored does so afterwards.
    pub(crate) fn raise(&self, key: &CacheKey) {
        let now = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        self.of(key).fetch_max(now, Ordering::SeqCst);
    }

    /// Has `key` been invalidated since `era`? Whoever stores asks afterwards.
    pub(crate) fn stands_before(&self, key: &CacheKey, era: Era) -> bool {
        self.of(key).load(Ordering::SeqCst) > era.0
    }

    fn of(&self, key: &CacheKey) -> &AtomicU64 {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        // The remainder is less than FENCES, so it fits and is an index.
        &self.raised[(hasher.finish() % FENCES as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_stands_before_what_began_earlier() {
        let fences = Fences::new();
        let key = CacheKey::of_general("/a").unwrap();
        let before = fences.now();
        assert!(!fences.stands_before(&key, before));
        fences.raise(&key);
        assert!(fences.stands_before(&key, before));
        assert!(!fences.stands_before(&key, fences.now()));
    }
}
