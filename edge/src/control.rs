//! What an operator can do to an edge, whatever is behind it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

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

    /// Has all that is stored been checked against this purge and all before?
    pub fn has_swept(&self, purge: Obeyed) -> bool {
        self.0.fences.purges().has_retired(purge.0)
    }

    /// Whether the edge hears of purges. While it does not, what it has not asked the origin
    /// for within the last second is asked about before it is given, and nothing is given
    /// instead where the origin fails.
    pub fn hears_of_purges(&self, hears: bool) {
        self.0.cut_off.store(!hears, Ordering::SeqCst);
        metrics::gauge!("nova_edge_cut_off").set(if hears { 0.0 } else { 1.0 });
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
