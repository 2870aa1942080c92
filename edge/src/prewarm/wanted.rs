//! Which keys an operator wants stored just now: they come in whatever else there is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::key::CacheKey;

/// The keys, and how many prewarms fetch each: no more than prewarms fetch at a time.
#[derive(Debug, Default)]
pub(crate) struct Wanted(Mutex<HashMap<CacheKey, usize>>);

/// A key is wanted for as long as this lives.
#[derive(Debug)]
pub(crate) struct Wanting {
    wanted: Arc<Wanted>,
    key: CacheKey,
}

impl Wanted {
    pub(crate) fn want(self: &Arc<Self>, key: &CacheKey) -> Wanting {
        *self.lock().entry(key.clone()).or_default() += 1;
        Wanting {
            wanted: Arc::clone(self),
            key: key.clone(),
        }
    }

    pub(crate) fn has(&self, key: &CacheKey) -> bool {
        self.lock().contains_key(key)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CacheKey, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Wanting {
    fn drop(&mut self) {
        let mut wanted = self.wanted.lock();
        if let Some(count) = wanted.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                wanted.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_wanted_until_nobody_wants_it() {
        let wanted = Arc::new(Wanted::default());
        let key = CacheKey::of_general("/a").unwrap();
        let (one, other) = (wanted.want(&key), wanted.want(&key));
        drop(one);
        assert!(wanted.has(&key));
        drop(other);
        assert!(!wanted.has(&key));
    }
}
