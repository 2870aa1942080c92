//! Whether something changed under a key since one looked, without a look at what is stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use twox_hash::XxHash3_64;

/// So many that a key which changes is seldom in one group with a key that is asked for.
const GROUPS: usize = 8_192;

/// Counts of changes, one for each of a fixed number of groups of keys. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Changes(Arc<[AtomicU64]>);

/// How often something has changed in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) group: usize,
    changes: u64,
}

impl Default for Changes {
    fn default() -> Self {
        Self((0..GROUPS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Changes {
    pub(crate) fn groups(&self) -> usize {
        self.0.len()
    }

    /// What one sees of `key` after this, one sees as long as its mark is the same.
    pub(crate) fn mark(&self, key: &str) -> Mark {
        let group = group(key);
        Mark {
            group,
            changes: self.0[group].load(Ordering::Acquire),
        }
    }

    /// Something else may be seen of `key` from now on.
    pub(crate) fn changed(&self, key: &str) {
        self.0[group(key)].fetch_add(1, Ordering::Release);
    }
}

fn group(key: &str) -> usize {
    XxHash3_64::oneshot(key.as_bytes()) as usize % GROUPS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_the_same_until_its_key_changes() {
        let changes = Changes::default();
        let other = (0..)
            .map(|n| format!("/live/b/{n}"))
            .find(|other| group(other) != group("/live/a/1"))
            .unwrap();
        let (one, two) = (changes.mark("/live/a/1"), changes.mark(&other));
        changes.clone().changed(&other);
        assert_eq!(changes.mark("/live/a/1"), one);
        assert_ne!(changes.mark(&other), two);
        changes.changed("/live/a/1");
        assert_ne!(changes.mark("/live/a/1"), one);
    }
}
