//! What all requests and all fills of an edge share, and answers out of its store.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use http::Response;
use media::{Clock, Micros, Timestamp};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::body::EdgeBody;
use crate::budget::Budget;
use crate::cache_control::RequestDirectives;
use crate::cache_status::Outcome;
use crate::coalesce::Fills;
use crate::config::{EdgeConfig, OriginKind};
use crate::control::EdgeLoad;
use crate::disk_tier::DiskTier;
use crate::era::Era;
use crate::fences::Fences;
use crate::freshness::{Reuse, Rules};
use crate::head::Head;
use crate::key::CacheKey;
use crate::lookup::Found;
use crate::prewarm::Wanted;
use crate::purge::{self, PurgeRule, Verdict};
use crate::push::Feeds;
use crate::range::Extent;
use crate::request::Asked;
use crate::respond::{self, Content};
use crate::stale_alarm::StaleAlarm;
use crate::store::{Limits, MemoryStore, Stored};

/// How long an edge that does not hear of purges uses what it was answered: so that it asks
/// for each key once in that time, however many want it.
const CUT_OFF_USE: Micros = Micros::from_secs(1);

/// What all clones and all fills share.
pub(crate) struct Shared {
    pub(crate) config: EdgeConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store: MemoryStore,
    pub(crate) disk: Option<DiskTier>,
    pub(crate) fences: Arc<Fences>,
    pub(crate) fill_memory: Arc<Budget>,
    pub(crate) fills: Arc<Fills>,
    /// None where nothing is pushed.
    pub(crate) feeds: Option<Feeds>,
    pub(crate) waiting: Arc<Semaphore>,
    pub(crate) held: Arc<Semaphore>,
    /// What an operator wants stored just now.
    pub(crate) wanted: Arc<Wanted>,
    stale_alarm: Mutex<StaleAlarm>,
    pub(crate) tasks: TaskTracker,
    /// Until when purges are heard of, by the clock.
    pub(crate) hears_until: AtomicI64,
    /// A sweep is under way, or about to be.
    pub(crate) sweeping: AtomicBool,
    requests: AtomicU64,
    /// Says whether one of the upstreams is up; nobody does: one always is.
    pub(crate) upstreams: OnceLock<Box<dyn Fn() -> bool + Send + Sync>>,
    /// No new fill begins; those without a head end.
    pub(crate) closing: CancellationToken,
    /// Every fill ends.
    pub(crate) abort: CancellationToken,
}

impl Shared {
    pub(crate) fn new(config: EdgeConfig, clock: Arc<dyn Clock>, disk: Option<DiskTier>) -> Self {
        let limit = |most: usize| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        let fences = Arc::new(Fences::new(config.origin, Arc::clone(&clock)));
        if let Some(tier) = &disk {
            // Also where the clock was set back since.
            fences.go_past(tier.disk.newest());
            if let Some(purged) = tier.disk.purged() {
                fences.all_before_is_gone(purged);
            }
        }
        // A key that took all memory would be evicted for its own weight.
        let per_key = Limits {
            variants: config.max_variants,
            bytes: config.memory_bytes / 4,
            object_bytes: config.max_object_bytes,
        };
        Self {
            store: MemoryStore::new(config.origin, config.memory_bytes, per_key),
            disk,
            fill_memory: Budget::new(config.fill_memory_bytes),
            fills: Fills::new(&config, Arc::clone(&fences)),
            fences,
            feeds: match config.origin {
                OriginKind::Media => config.push.clone().map(Feeds::new),
                OriginKind::General => None,
            },
            waiting: limit(config.max_waiting),
            held: limit(config.max_held),
            wanted: Arc::default(),
            stale_alarm: Mutex::default(),
            hears_until: AtomicI64::new(i64::MAX),
            sweeping: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            upstreams: OnceLock::new(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            abort: CancellationToken::new(),
            config,
            clock,
        }
    }

    /// Is none of the upstreams up?
    pub(crate) fn is_cut_off(&self) -> bool {
        self.upstreams.get().is_some_and(|is_up| !is_up())
    }

    pub(crate) fn rules(&self) -> Rules {
        Rules {
            kind: self.config.origin,
            stale_limit: self.config.stale_if_error,
        }
    }

    /// Lets nothing be used that is stored under `keys` or on its way there; returns when no
    /// restart can bring it back.
    pub(crate) async fn invalidate(&self, keys: &[CacheKey]) {
        for key in keys {
            self.fences.raise(key);
            self.store.remove(key);
        }
        if let Some(tier) = &self.disk {
            tier.disk.remove(keys).await;
        }
    }

    /// Bytes that the larger of the tiers has room for.
    pub(crate) fn capacity(&self) -> u64 {
        let disk = self
            .disk
            .as_ref()
            .map_or(0, |tier| tier.disk.config().bytes);
        self.config.memory_bytes.max(disk)
    }

    /// Is half of what requests and fills may take free, so that what nobody waits for does
    /// not stand in anybody's way?
    pub(crate) fn is_at_ease(&self) -> bool {
        let is_half_free = |most: usize, room: &Semaphore| {
            room.available_permits() >= most.min(Semaphore::MAX_PERMITS) / 2
        };
        is_half_free(self.config.max_waiting, &self.waiting)
            && is_half_free(self.config.max_held, &self.held)
            && self.fills.is_half_free(&self.config)
            && self.fill_memory.has_room(self.config.fill_memory_bytes / 2)
            && self.disk_is_at_ease()
    }

    /// Returns when no restart can undo the purges so far.
    pub(crate) async fn note_purges(&self) -> std::io::Result<()> {
        match &self.disk {
            Some(tier) => tier.disk.note_purge(self.fences.purges().latest()).await,
            None => Ok(()),
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
        // Also where nothing is filled any more.
        self.end_alarms();
        EdgeLoad {
            requests: self.requests.load(Ordering::Relaxed),
            waiting: taken(self.config.max_waiting, &self.waiting)
                + taken(self.config.max_held, &self.held),
            memory_bytes: self.store.bytes(),
        }
    }

    pub(crate) fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
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
        self.reuse_at(stored, &asked.wishes, self.clock.now())
    }

    /// The same for a request with these `wishes`, at `now`.
    pub(crate) fn reuse_at(
        &self,
        stored: &Stored,
        wishes: &RequestDirectives,
        now: Timestamp,
    ) -> Reuse {
        match stored.head.reuse(now, wishes) {
            Reuse::Fresh | Reuse::Revalidate if !self.may_use(stored, now) => Reuse::Stale,
            reuse => reuse,
        }
    }

    /// Is it known not to have been purged, or so new that it does not matter?
    fn may_use(&self, stored: &Stored, now: Timestamp) -> bool {
        self.hears_of_purges(now) || now - stored.head.arrival.received() <= CUT_OFF_USE
    }

    pub(crate) fn hears_of_purges(&self, now: Timestamp) -> bool {
        now.as_micros() < self.hears_until.load(Ordering::Relaxed)
    }

    /// May a request that joined a fill be given its answer? Of media it may, since what
    /// was asked for held nothing of the client's.
    pub(crate) fn is_for(&self, asked: &Asked, head: &Head) -> bool {
        match asked.kind {
            OriginKind::Media => true,
            OriginKind::General => head.is_for(&asked.headers, self.clock.now()),
        }
    }

    /// A stale answer, where one may be given because the origin fails.
    pub(crate) fn stale(
        self: &Arc<Self>,
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
        let age = stored.head.age(now);
        self.alarm(|alarm| {
            if let Some(group) = alarm.served(now, asked.key.as_str(), age) {
                let seconds = age.as_micros() / 1_000_000;
                tracing::warn!(group, age = seconds, detail, "stale answers are given");
            }
        });
        let outcome = Outcome::StaleOnError { detail };
        Some(self.serve_stored(asked, Arc::clone(stored), outcome))
    }

    /// Tells where no stale answers are given any more.
    pub(crate) fn end_alarms(&self) {
        self.alarm(|_| {});
    }

    fn alarm(&self, act: impl FnOnce(&mut StaleAlarm)) {
        let mut alarm = self
            .stale_alarm
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for (group, lasted) in alarm.ended(self.clock.now()) {
            let seconds = lasted.as_micros() / 1_000_000;
            tracing::info!(
                group,
                lasted = seconds,
                "no stale answers are given any more"
            );
        }
        act(&mut alarm);
        let seconds = alarm.max_age().as_micros() as f64 / 1e6;
        metrics::gauge!("nova_edge_stale_age_seconds").set(seconds);
    }

    pub(crate) fn serve_stored(
        self: &Arc<Self>,
        asked: &Asked,
        stored: Arc<Stored>,
        outcome: Outcome,
    ) -> Response<EdgeBody> {
        let kind = self.config.origin;
        let now = self.clock.now();
        stored.is_asked_for(now);
        let head = Arc::clone(&stored.head);
        let extent = stored.whole.map(Extent::Known);
        let content = match &head.large {
            Some(object) => Content::Slices(self.slices(asked, object)),
            None => Content::Stored(stored),
        };
        respond::with_content(kind, asked, &head, content, extent, outcome, now)
    }
}
