//! What was asked for before a change must not be stored, nor given to who asks after it
//! (RFC 9111 4.4). A change is told by an answer of the origin's, and then it is about few
//! keys, or by a purge, and then it may be about any.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use media::Clock;

use crate::config::OriginKind;
use crate::era::{Era, Eras};
use crate::key::CacheKey;
use crate::purge::{PurgeRule, Purges};

/// Enough for changes of different keys to meet seldom. Where they do, an answer is not
/// stored that could have been.
const FENCES: usize = 4_096;

/// When the keys of each of a fixed number of groups were last invalidated, and what has
/// been purged.
#[derive(Debug)]
pub(crate) struct Fences {
    clock: Arc<dyn Clock>,
    eras: Eras,
    raised: Box<[AtomicI64]>,
    purges: Purges,
}

impl Fences {
    pub(crate) fn new(kind: OriginKind, clock: Arc<dyn Clock>) -> Self {
        let first = || AtomicI64::new(Era::FIRST.as_micros());
        Self {
            eras: Eras::new(Arc::clone(&clock)),
            clock,
            raised: (0..FENCES).map(|_| first()).collect(),
            purges: Purges::new(kind),
        }
    }

    /// What begins now knows of all changes so far.
    pub(crate) fn now(&self) -> Era {
        self.eras.now()
    }

    /// Raises the fence of `key`. Whoever removes what is stored does so afterwards.
    pub(crate) fn raise(&self, key: &CacheKey) {
        let now = self.eras.next(|_| {});
        self.of(key).fetch_max(now.as_micros(), Ordering::SeqCst);
    }

    /// From its return on, nothing that `rule` selects is given. The era of the rule.
    pub(crate) fn purge(&self, rule: &PurgeRule) -> Era {
        self.purges.add(rule, self.clock.now(), &self.eras)
    }

    /// Lets nothing be given that was asked for before `era`, which an earlier process drew.
    pub(crate) fn all_before_is_gone(&self, era: Era) {
        self.eras.go_past(era);
        self.purges.all_before_is_gone(era);
    }

    /// What changes from now on does so after `era`, which an earlier process drew.
    pub(crate) fn go_past(&self, era: Era) {
        self.eras.go_past(era);
    }

    /// What has been purged.
    pub(crate) fn purges(&self) -> &Purges {
        &self.purges
    }

    /// Has a change told of `key` since `era`? Whoever stores asks afterwards.
    pub(crate) fn stands_before(&self, key: &CacheKey, era: Era) -> bool {
        self.of(key).load(Ordering::SeqCst) > era.as_micros()
    }

    /// Must what was asked for under `key` at `era` not be given to who asks now?
    pub(crate) fn separates(&self, key: &CacheKey, era: Era) -> bool {
        self.stands_before(key, era) || self.purges.may_select(key, era)
    }

    fn of(&self, key: &CacheKey) -> &AtomicI64 {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        // The remainder is less than FENCES, so it fits and is an index.
        &self.raised[(hasher.finish() % FENCES as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use media::{ManualClock, Timestamp};

    use super::*;
    use crate::purge::Selector;

    fn fences() -> Fences {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
        Fences::new(OriginKind::General, clock)
    }

    #[test]
    fn a_fence_stands_before_what_began_earlier() {
        let fences = fences();
        let key = CacheKey::of_general("/a").unwrap();
        let before = fences.now();
        assert!(!fences.stands_before(&key, before));
        fences.raise(&key);
        assert!(fences.stands_before(&key, before));
        assert!(!fences.stands_before(&key, fences.now()));
    }

    #[test]
    fn e08_a_purge_separates_what_began_earlier_from_who_asks_now() {
        let fences = fences();
        let key = CacheKey::of_general("/a/b").unwrap();
        let other = CacheKey::of_general("/b").unwrap();
        let before = fences.now();
        fences.purge(&PurgeRule {
            selector: Selector::Prefix("/a/".into()),
            soft: true,
        });
        assert!(fences.separates(&key, before));
        assert!(!fences.separates(&other, before));
        assert!(!fences.separates(&key, fences.now()));
        // Nobody knows yet what tags it will have.
        let before = fences.now();
        fences.purge(&PurgeRule {
            selector: Selector::Tag("x".into()),
            soft: false,
        });
        assert!(fences.separates(&other, before));
    }
}
