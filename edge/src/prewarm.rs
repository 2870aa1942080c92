//! Prewarm: what will be asked for is stored before anybody asks.
//!
//! An order names paths, a video, or a playlist. Playlists are read, and what they name is
//! asked of the edge itself, as viewers ask: so fills are shared, purges hold, and what is
//! stored already costs nothing. An operator's wish it is all the same: what comes is admitted
//! to a full cache, whatever else was asked for how often.
//!
//! Viewers go first. A few objects are fetched at a time, and none while half of what requests
//! and fills may take is taken; a body is read no faster than it gets to the disk.

mod fetch;
mod kept;
mod order;
mod plan;
mod playlist;
mod progress;
mod wanted;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub use order::{InvalidPrewarm, MAX_PREWARM_PATHS, PrewarmOrder};
pub use playlist::read_any_playlist;
pub use progress::{PrewarmFigures, PrewarmProgress};
pub(crate) use wanted::Wanted;

use crate::config::OriginKind;
use crate::edge_future::EdgeFuture;
use crate::request::Asked;
use crate::shared::Shared;
use fetch::{Fault, Read};

/// With so many objects in a row that the origin gives no answer for, it is left alone; so is a
/// disk that takes nothing.
const MOST_FAULTS: u32 = 8;

/// How objects are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrewarmConfig {
    /// Objects that are fetched at a time, of all orders together.
    pub concurrency: usize,
    /// How long an object for which there is no room, here or at the origin, is tried again, and
    /// how long it is waited for a disk that takes nothing.
    pub patience: Duration,
    /// From one try to the next, at first.
    pub pause: Duration,
}

impl Default for PrewarmConfig {
    fn default() -> Self {
        Self {
            concurrency: 4,
            patience: Duration::from_secs(60),
            pause: Duration::from_millis(250),
        }
    }
}

/// How a run of an order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrewarmEnd {
    /// All is stored.
    Done,
    /// Something is not: the progress tells.
    Failed,
    /// The edge is shutting down.
    Stopped,
}

/// Has an edge store what will be asked for. Clones do so together.
#[derive(Clone)]
pub struct Prewarmer(Arc<Inner>);

/// Asks the edge, whatever is behind it.
type Ask = Box<dyn Fn(Asked) -> EdgeFuture + Send + Sync>;

struct Inner {
    shared: Arc<Shared>,
    config: PrewarmConfig,
    ask: Ask,
    /// For objects that are fetched: not for those that wait for another try.
    room: Semaphore,
}

impl Prewarmer {
    pub(crate) fn new(shared: Arc<Shared>, config: PrewarmConfig, ask: Ask) -> Self {
        let room = Semaphore::new(config.concurrency.clamp(1, Semaphore::MAX_PERMITS));
        Self(Arc::new(Inner {
            shared,
            config,
            ask,
            room,
        }))
    }

    /// What is behind the edge.
    pub fn origin(&self) -> OriginKind {
        self.0.shared.config.origin
    }

    /// Stores what `order` is about, and tells `progress`. Ends when all has been tried, when
    /// the origin fails again and again, when the disk takes nothing, when there is more than the
    /// cache has room for, or with the edge. Dropped, it begins nothing more.
    pub async fn run(&self, order: &PrewarmOrder, progress: &PrewarmProgress) -> PrewarmEnd {
        let _running = Gauge::raise();
        let plan = match plan::plan(&self.0, order, progress).await {
            Ok(plan) => plan,
            Err(Stopped) => return PrewarmEnd::Stopped,
        };
        progress.found(plan.len() as u64);
        let run = Arc::new(Run {
            prewarmer: self.clone(),
            progress: progress.clone(),
            left: Mutex::new(plan.into_iter()),
            faults: AtomicU32::new(0),
            ends: AtomicBool::new(false),
        });
        let mut workers = JoinSet::new();
        for _ in 0..self.0.config.concurrency.max(1) {
            workers.spawn(Arc::clone(&run).work());
        }
        while let Some(ended) = workers.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a task of a prewarm was lost");
                progress.told("a task was lost, see the log");
            }
        }
        let figures = progress.figures();
        if self.0.shared.closing.is_cancelled() && figures.done < figures.total {
            return PrewarmEnd::Stopped;
        }
        match figures.done == figures.total {
            true => PrewarmEnd::Done,
            false => PrewarmEnd::Failed,
        }
    }
}

impl fmt::Debug for Prewarmer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prewarmer")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

/// The edge is shutting down.
struct Stopped;

/// What the workers of one run share.
struct Run {
    prewarmer: Prewarmer,
    progress: PrewarmProgress,
    left: Mutex<std::vec::IntoIter<Arc<str>>>,
    /// Objects in a row for which the origin gave no answer, or that the disk did not take.
    faults: AtomicU32,
    /// Nothing more is begun.
    ends: AtomicBool,
}

impl Run {
    async fn work(self: Arc<Self>) {
        let inner = &self.prewarmer.0;
        while let Some(key) = self.next() {
            let fetched = inner.fetch(&key, Read::Nothing).await;
            let gives_up = fetched.as_ref().err().and_then(Fault::gives_up);
            match fetched {
                Ok(fetched) => self.progress.done(fetched.bytes),
                Err(Fault::ShuttingDown) => return,
                Err(fault) => inner.failed(&self.progress, &key, &fault),
            }
            self.look_ahead(gives_up);
        }
    }

    fn next(&self) -> Option<Arc<str>> {
        if self.ends.load(Ordering::Relaxed) {
            return None;
        }
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.next()
    }

    /// Ends the run where nothing would come of the rest: for the reason that enough of the last
    /// objects give, or because there is no room for more.
    fn look_ahead(&self, gives_up: Option<&'static str>) {
        let faults = match gives_up {
            Some(_) => self.faults.fetch_add(1, Ordering::Relaxed) + 1,
            None => {
                self.faults.store(0, Ordering::Relaxed);
                0
            }
        };
        let room = self.prewarmer.0.shared.capacity();
        let reason = if let Some(reason) = gives_up.filter(|_| faults >= MOST_FAULTS) {
            reason.to_owned()
        } else if self.progress.figures().bytes > room {
            let mebibytes = room >> 20;
            format!("given up: it is more than the {mebibytes} MiB that the cache has room for")
        } else {
            return;
        };
        if !self.ends.swap(true, Ordering::Relaxed) {
            self.progress.told(&reason);
        }
    }
}

impl Inner {
    /// What is under `key` is not stored.
    fn failed(&self, progress: &PrewarmProgress, key: &str, fault: &Fault) {
        metrics::counter!("nova_edge_prewarm_objects_total", "outcome" => "failed").increment(1);
        progress.failed(key, &fault.to_string());
    }
}

/// Orders that run.
struct Gauge(metrics::Gauge);

impl Gauge {
    fn raise() -> Self {
        let gauge = metrics::gauge!("nova_edge_prewarms_running");
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}
