//! What all requests and all fills of an edge share, and answers out of its store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use http::Response;
use media::{Clock, Micros, Timestamp};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::body::EdgeBody;
use crate::budget::Budget;
use crate::cache_status::Outcome;
use crate::coalesce::Fills;
use crate::config::{EdgeConfig, OriginKind};
use crate::control::EdgeLoad;
use crate::era::Era;
use crate::fences::Fences;
use crate::freshness::{Reuse, Rules};
use crate::head::Head;
use crate::key::CacheKey;
use crate::lookup::Found;
use crate::purge::{self, PurgeRule, Verdict};
use crate::request::Asked;
use crate::respond::{self, Content};
use crate::store::{Limits, MemoryStore, Stored};

/// How long an edge that does not hear of purges uses what it was answered: so that it asks
/// for each key once in that time, however many want it.
const CUT_OFF_USE: Micros = Micros::from_secs(1);

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
    /// Until when purges are heard of, by the clock.
    pub(crate) hears_until: AtomicI64,
    /// A sweep is under way, or about to be.
    pub(crate) sweeping: AtomicBool,
    pub(crate) requests: AtomicU64,
    /// No new fill begins; those without a head end.
    pub(crate) closing: CancellationToken,
    /// Every fill ends.
    pub(crate) abort: CancellationToken,
}

impl Shared {
    pub(crate) fn new(config: EdgeConfig, clock: Arc<dyn Clock>) -> Self {
        let limit = |most: usize| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        let fences = Arc::new(Fences::new(config.origin, Arc::clone(&clock)));
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
            hears_until: AtomicI64::new(i64::MAX),
            sweeping: AtomicBool::new(false),
            requests: AtomicU64::new(0),
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

    /// Lets nothing be given that `rule` selects and was asked for before now.
    pub(crate) fn purge(self: &Arc<Self>, rule: &PurgeRule) -> Era {
        let era = self.fences.purge(rule);
        if !self.sweeping.swap(true, Ordering::SeqCst) {
            self.tasks.spawn(purge::sweep(Arc::clone(self)));
        }
        era
    }

    pub(crate) fn load(&self) -> EdgeLoad {
        let taken = |most: usize, room: &Semaphore| {
            let most = most.min(Semaphore::MAX_PERMITS);
            most.saturating_sub(room.available_permits()) as u64
        };
        EdgeLoad {
            requests: self.requests.load(Ordering::Relaxed),
            waiting: taken(self.config.max_waiting, &self.waiting)
                + taken(self.config.max_held, &self.held),
            memory_bytes: self.store.bytes(),
        }
    }

    pub(crate) fn look_up(&self, asked: &Asked) -> Found {
        // Before the look: a purge between the two is one that the fill does not know of.
        let at = self.fences.now();
        let resource = match asked.passes {
            Some(_) => None,
            None => self.store.current(&asked.key, self.fences.purges()),
        };
        Found::new(at, resource, asked)
    }

    /// What may be done with `stored` for this request.
    pub(crate) fn reuse(&self, stored: &Stored, asked: &Asked) -> Reuse {
        let now = self.clock.now();
        match stored.head.reuse(now, &asked.wishes) {
            Reuse::Fresh | Reuse::Revalidate if !self.may_use(stored, now) => Reuse::Stale,
            reuse => reuse,
        }
    }

    /// Is it known not to have been purged, or so new that it does not matter?
    fn may_use(&self, stored: &Stored, now: Timestamp) -> bool {
        now.as_micros() < self.hears_until.load(Ordering::Relaxed)
            || now - stored.head.arrival.received() <= CUT_OFF_USE
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
        let now = self.clock.now();
        // It may have been purged while the request waited.
        let (purges, since) = (self.fences.purges(), stored.checked.era());
        let is_gone = !purges.is_checked(since)
            && purges.verdict(&asked.key, &stored.head.headers, since).0 == Verdict::Gone;
        if is_gone || !self.may_use(stored, now) || !stored.head.is_usable_on_error(now) {
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
