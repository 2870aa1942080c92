//! What an operator can do to an edge, whatever is behind it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use media::Timestamp;

use crate::era::Era;
use crate::purge::PurgeRule;
use crate::shared::Shared;

/// Controls an [`Edge`](crate::Edge). Clones control the same.
#[derive(Clone)]
pub struct EdgeControl(Arc<Shared>);

/// A purge that an edge has obeyed since its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Obeyed(Era);

/// What an edge has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EdgeLoad {
    /// Requests since the start, but for those that were refused for their target.
    pub requests: u64,
    /// Requests that wait for the origin.
    pub waiting: u64,
    /// Bytes of what is stored in memory.
    pub memory_bytes: u64,
}

impl EdgeControl {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// From its return on nothing is given that `rule` selects and that was asked of the
    /// origin before; of a soft rule, nothing as if it were fresh. What is being sent is sent
    /// to its end. Takes no longer the more is stored. Needs a tokio runtime.
    pub fn purge(&self, rule: &PurgeRule) -> Obeyed {
        Obeyed(self.0.purge(rule))
    }

    /// Returns when no restart can undo the purges so far; at once without a disk tier. They
    /// are in force before, and also where it fails: then it is tried again.
    pub async fn note_purges(&self) -> io::Result<()> {
        self.0.note_purges().await
    }

    /// From now on all paths with one of these prefixes have its tags, beside those that their
    /// answers bring. Purges that came before know nothing of it.
    pub fn tag_prefixes(&self, tagged: impl IntoIterator<Item = (String, Vec<String>)>) {
        let boxed = |(prefix, tags): (String, Vec<String>)| {
            (prefix.into(), tags.into_iter().map(Into::into).collect())
        };
        let tagged = tagged.into_iter().map(boxed).collect();
        self.0.fences.purges().tag_prefixes(tagged);
    }

    /// Has all that is stored been checked against this purge and all before?
    pub fn has_swept(&self, purge: Obeyed) -> bool {
        self.0.fences.purges().has_swept(purge.0)
    }

    /// Until when, by its clock, the edge would hear of a purge; `None`, as at first: always.
    /// From then on it asks the origin about what it has not asked for within the last second
    /// before it gives it, and gives nothing instead where the origin fails.
    pub fn hears_of_purges_until(&self, until: Option<Timestamp>) {
        let until = until.map_or(i64::MAX, Timestamp::as_micros);
        self.0.hears_until.store(until, Ordering::SeqCst);
    }

    /// From now on `is_up` says whether one of its upstreams is: while none is, edges that have
    /// this one as their shield are told so. Once it was said it stays.
    pub fn knows_upstreams_by(&self, is_up: impl Fn() -> bool + Send + Sync + 'static) {
        drop(self.0.upstreams.set(Box::new(is_up)));
    }

    /// What the edge has to do.
    pub fn load(&self) -> EdgeLoad {
        self.0.load()
    }
}

impl fmt::Debug for EdgeControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EdgeControl").finish_non_exhaustive()
    }
}
