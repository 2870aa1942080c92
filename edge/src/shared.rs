//! What all requests and all fills of an edge share, and answers out of its store.

use std::sync::Arc;

use http::Response;
use media::Clock;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::body::EdgeBody;
use crate::budget::Budget;
use crate::cache_status::Outcome;
use crate::coalesce::Fills;
use crate::config::{EdgeConfig, OriginKind};
use crate::fences::Fences;
use crate::freshness::Rules;
use crate::head::Head;
use crate::key::CacheKey;
use crate::lookup::Found;
use crate::request::Asked;
use crate::respond::{self, Content};
use crate::store::{Limits, MemoryStore, Stored};

/// What all clones and all fills share.
pub(crate) struct Shared {
    pub(crate) config: EdgeConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store: MemoryStore,
    pub(crate) fences: Arc<Fences>,
    pub(crate) fill_memory: Arc<Budget>,
    pub(crate) fills: Arc<Fills>,
    pub(crate) waiting: Arc<Semaphore>,
    pub(crate) held: Arc<Semaphore>,
    pub(crate) tasks: TaskTracker,
    /// No new fill begins; those without a head end.
    pub(crate) closing: CancellationToken,
    /// Every fill ends.
    pub(crate) abort: CancellationToken,
}

impl Shared {
    pub(crate) fn new(config: EdgeConfig, clock: Arc<dyn Clock>) -> Self {
        let limit = |most: usize| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        let fences = Arc::new(Fences::new());
        // A key that took all memory would be evicted for its own weight.
        let per_key = Limits {
            variants: config.max_variants,
            bytes: config.memory_bytes / 4,
            object_bytes: config.max_object_bytes,
        };
        Self {
            store: MemoryStore::new(config.memory_bytes, per_key),
            fill_memory: Budget::new(config.fill_memory_bytes),
            fills: Fills::new(&config, Arc::clone(&fences)),
            fences,
            waiting: limit(config.max_waiting),
            held: limit(config.max_held),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            abort: CancellationToken::new(),
            config,
            clock,
        }
    }

    pub(crate) fn rules(&self) -> Rules {
        Rules {
            kind: self.config.origin,
            stale_limit: self.config.stale_if_error,
        }
    }

    /// Lets nothing be used that is stored under `keys` or on its way there.
    pub(crate) fn invalidate(&self, keys: &[CacheKey]) {
        for key in keys {
            self.fences.raise(key);
            self.store.remove(key);
        }
    }

    pub(crate) fn look_up(&self, asked: &Asked) -> Found {
        if asked.passes.is_some() {
            return Found::default();
        }
        Found::new(self.store.get(&asked.key), asked)
    }

    /// May a request that joined a fill be given its answer? Of media it may, since what
    /// was asked for held nothing of the client's.
    pub(crate) fn is_for(&self, asked: &Asked, head: &Head) -> bool {
        match asked.kind {
            OriginKind::Media => true,
            OriginKind::General => head.is_for(&asked.headers, self.clock.now()),
        }
    }

    pub(crate) fn hit(&self, asked: &Asked, stored: Arc<Stored>) -> Response<EdgeBody> {
        self.serve_stored(asked, stored, Outcome::Hit)
    }

    /// A stale answer, where one may be given because the origin fails.
    pub(crate) fn stale(
        &self,
        asked: &Asked,
        stored: Option<&Arc<Stored>>,
        detail: &'static str,
    ) -> Option<Response<EdgeBody>> {
        let stored = stored?;
        if !stored.head.is_usable_on_error(self.clock.now()) {
            return None;
        }
        let outcome = Outcome::StaleOnError { detail };
        Some(self.serve_stored(asked, Arc::clone(stored), outcome))
    }

    pub(crate) fn serve_stored(
        &self,
        asked: &Asked,
        stored: Arc<Stored>,
        outcome: Outcome,
    ) -> Response<EdgeBody> {
        let kind = self.config.origin;
        let head = Arc::clone(&stored.head);
        let content = Content::Stored(stored);
        respond::with_content(kind, asked, &head, content, None, outcome, self.clock.now())
    }
}
