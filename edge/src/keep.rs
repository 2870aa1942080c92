//! Storing what came from the upstream, unless it was purged or changed meanwhile.

use http::HeaderMap;

use crate::era::Era;
use crate::freshness::NoStoreReason;
use crate::key::CacheKey;
use crate::purge::Verdict;
use crate::shared::Shared;
use crate::store::Stored;

/// Whether an answer was stored, or why not.
pub(crate) type Storage = Result<(), NoStoreReason>;

impl Shared {
    /// Was what has these fields not purged since it was asked for?
    pub(crate) fn not_purged(&self, key: &CacheKey, headers: &HeaderMap, asked: Era) -> Storage {
        match self.fences.purges().verdict(key, headers, asked).0 {
            Verdict::Stays => Ok(()),
            Verdict::Stale(_) | Verdict::Gone => Err(NoStoreReason::Invalidated),
        }
    }

    /// Stores an answer, unless it was purged since it was `asked` for, or its key invalidated
    /// since `began`.
    pub(crate) fn keep(&self, key: &CacheKey, stored: Stored, asked: Era, began: Era) -> Storage {
        self.not_purged(key, &stored.head.headers, asked)?;
        if self.fences.stands_before(key, began) {
            return Err(NoStoreReason::Invalidated);
        }
        // What was purged is not joined to it.
        self.store.current(key, self.fences.purges());
        let stored = self.store.insert(key, stored.begun_at(asked));
        // Looked at again: an invalidation raises first and removes then, so that of what it
        // meets here one of the two removes it.
        if self.fences.stands_before(key, began) {
            self.store.remove(key);
            return Err(NoStoreReason::Invalidated);
        }
        self.write_to_disk(key, &stored, began);
        Ok(())
    }
}
