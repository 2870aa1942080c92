//! What all requests and all fills of an edge share, and answers out of its store.

use std::sync::{Arc, Mutex, PoisonError};

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
use crate::stale_alarm::StaleAlarm;
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
    stale_alarm: Mutex<StaleAlarm>,
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
            stale_alarm: Mutex::default(),
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
        let now = self.clock.now();
        if !stored.head.is_usable_on_error(now) {
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

    /// The origin gave what is stored under `key` anew.
    pub(crate) fn is_current(&self, key: &CacheKey) {
        let now = self.clock.now();
        self.alarm(|alarm| {
            if let Some((group, lasted)) = alarm.recovered(now, key.as_str()) {
                let seconds = lasted.as_micros() / 1_000_000;
                tracing::info!(
                    group,
                    lasted = seconds,
                    "no stale answers are given any more"
                );
            }
        });
    }

    fn alarm(&self, act: impl FnOnce(&mut StaleAlarm)) {
        let mut alarm = self
            .stale_alarm
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        act(&mut alarm);
        let seconds = alarm.max_age(self.clock.now()).as_micros() as f64 / 1e6;
        metrics::gauge!("nova_edge_stale_age_seconds").set(seconds);
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
