//! What an edge is to store before anybody asks: it finds its orders in the rows, does them,
//! and tells there how far it is.
//!
//! An event says that there is something new; who misses it finds the row with the next look.
//! A process that ends leaves its orders as they are, and the next one on the directory begins
//! them anew: what is stored by then is found.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use edge::{PrewarmEnd, PrewarmFigures, PrewarmOrder, PrewarmProgress, Prewarmer};
use media::{Clock, PrewarmId, Timestamp};
use storage::events::{Bus, RecvError, Subscription};
use storage::rows::edge_nodes::Registration;
use storage::rows::prewarms::{self, OPEN_FOR, PrewarmState};
use storage::rows::{Database, RowError};
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::wake;

use super::PATIENCE;

/// The subject of the event that prewarms have come or were cancelled.
pub const PREWARM: &str = "edge.prewarm";

/// How often orders are looked for where events come from other processes.
const POLL: Duration = Duration::from_secs(5);
/// The same where they do not.
const POLL_WITHOUT_EVENTS: Duration = Duration::from_secs(1);
/// How often it is told how far they are.
const REPORT: Duration = Duration::from_secs(1);
/// Orders that are done at a time. They share what may be fetched at a time.
const AT_ONCE: usize = 4;
/// Orders that are looked at.
const PAGE: u32 = 64;
/// Why what is older is not done any more.
const TOO_OLD: &str = "it was not done within a day";

/// Tells all nodes that prewarms have come or were cancelled.
pub async fn tell(bus: &dyn Bus) {
    wake::all(bus, PREWARM).await;
}

/// Does the orders of one node.
pub(super) struct Prewarms {
    database: Database,
    clock: Arc<dyn Clock>,
    registration: Registration,
    prewarmer: Prewarmer,
    tasks: JoinSet<PrewarmEnd>,
    running: BTreeMap<PrewarmId, Run>,
    /// Why it was not known last which there are, or not told how far they are.
    trouble: Option<String>,
}

/// An order that is done, or whose end is not written down yet.
struct Run {
    progress: PrewarmProgress,
    task: AbortHandle,
    end: Option<PrewarmState>,
    requested_at: Timestamp,
    /// So it was given up.
    is_too_old: bool,
    /// What was written down last, and when.
    told: (PrewarmFigures, Instant),
}

impl Prewarms {
    pub(super) fn new(
        database: Database,
        clock: Arc<dyn Clock>,
        registration: Registration,
        prewarmer: Prewarmer,
    ) -> Self {
        Self {
            database,
            clock,
            registration,
            prewarmer,
            tasks: JoinSet::new(),
            running: BTreeMap::new(),
            trouble: None,
        }
    }

    pub(super) async fn run(
        mut self,
        mut events: Subscription,
        events_are_shared: bool,
        shutdown: CancellationToken,
    ) {
        let every = |period| {
            let mut ticks = interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let mut poll = every(match events_are_shared {
            true => POLL,
            false => POLL_WITHOUT_EVENTS,
        });
        let mut report = every(REPORT);
        let mut hears_events = true;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                _ = poll.tick() => {}
                event = events.recv(), if hears_events => {
                    hears_events = !matches!(event, Err(RecvError::Closed));
                }
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
                _ = report.tick(), if !self.running.is_empty() => {}
            }
            let step = async {
                let told = self.report().await;
                // Others are looked for all the same.
                self.look().await.and(told)
            };
            let trouble = match shutdown.run_until_cancelled(timeout(PATIENCE, step)).await {
                None => break,
                Some(Ok(ended)) => ended.err().map(|error| error.to_string()),
                Some(Err(_)) => Some("the database does not answer in time".to_owned()),
            };
            self.note(trouble);
        }
        self.tasks.shutdown().await;
    }

    /// Logs what has changed.
    fn note(&mut self, trouble: Option<String>) {
        if self.trouble == trouble {
            return;
        }
        match &trouble {
            Some(error) => {
                tracing::warn!(%error, "prewarms cannot be read, or not written how far they are");
            }
            None => tracing::info!("prewarms are read and written again"),
        }
        self.trouble = trouble;
    }

    /// Begins what has come, and ends what was cancelled. One that cannot be begun does not
    /// keep the others from it.
    async fn look(&mut self) -> Result<(), RowError> {
        let open = prewarms::open(&self.database, self.registration.id(), PAGE).await?;
        self.running.retain(|id, run| {
            let stays = open.contains(id);
            if !stays {
                run.task.abort();
            }
            stays
        });
        let mut looked = Ok(());
        for id in open {
            let busy = self.running.values().filter(|run| run.end.is_none());
            if busy.count() >= AT_ONCE {
                break;
            }
            if !self.running.contains_key(&id) {
                looked = looked.and(self.begin(id).await);
            }
        }
        looked
    }

    async fn begin(&mut self, id: PrewarmId) -> Result<(), RowError> {
        let Some((row, requested_at)) = prewarms::order(&self.database, id).await? else {
            return Ok(());
        };
        let now = self.clock.now();
        let parsed = PrewarmOrder::parse(
            self.prewarmer.origin(),
            &row.kind.to_string(),
            &row.subject,
            row.depth,
            &row.renditions,
        );
        let order = match parsed {
            Ok(order) if requested_at + OPEN_FOR > now => order,
            Ok(_) => return self.refuse(id, TOO_OLD.to_owned()).await,
            // A newer version may know more.
            Err(error) => return self.refuse(id, error.to_string()).await,
        };
        if !prewarms::begin(&self.database, &self.registration, id, now).await? {
            return Ok(());
        }
        tracing::info!(%id, kind = order.kind(), "a prewarm begins");
        let progress = PrewarmProgress::default();
        let (prewarmer, shown) = (self.prewarmer.clone(), progress.clone());
        let task = self
            .tasks
            .spawn(async move { prewarmer.run(&order, &shown).await });
        let run = Run {
            progress,
            task,
            end: None,
            requested_at,
            is_too_old: false,
            told: (PrewarmFigures::default(), Instant::now()),
        };
        self.running.insert(id, run);
        Ok(())
    }

    async fn refuse(&self, id: PrewarmId, error: String) -> Result<(), RowError> {
        let (database, node) = (&self.database, &self.registration);
        let (state, progress) = (PrewarmState::Failed, prewarms::PrewarmProgress::default());
        let now = self.clock.now();
        prewarms::report(database, node, id, state, &progress, &[error], now).await?;
        Ok(())
    }

    fn ended(&mut self, ended: Result<(tokio::task::Id, PrewarmEnd), JoinError>) {
        let (task, end) = match ended {
            Ok((task, end)) => (task, end),
            Err(error) if error.is_cancelled() => return,
            Err(error) => {
                tracing::error!(%error, "a prewarm was lost");
                (error.id(), PrewarmEnd::Failed)
            }
        };
        let mut runs = self.running.iter_mut();
        let Some((id, run)) = runs.find(|(_, run)| run.task.id() == task) else {
            return;
        };
        let figures = run.progress.figures();
        tracing::info!(%id, ?end, ?figures, "a prewarm has ended");
        run.end = match end {
            PrewarmEnd::Done => Some(PrewarmState::Done),
            PrewarmEnd::Failed => Some(PrewarmState::Failed),
            // The next process does it.
            PrewarmEnd::Stopped => None,
        };
    }

    /// Writes down how far they are. One of which that fails does not keep the others from it.
    async fn report(&mut self) -> Result<(), RowError> {
        let (mut over, mut reported) = (Vec::new(), Ok(()));
        for (id, run) in &mut self.running {
            match run
                .report(*id, &self.database, &self.registration, &*self.clock)
                .await
            {
                Ok(true) => {}
                Ok(false) => over.push(*id),
                Err(error) => reported = reported.and(Err(error)),
            }
        }
        for id in over {
            self.running.remove(&id);
        }
        reported
    }
}

impl Run {
    /// Writes down how far it is, if there is something new. False when it is over.
    async fn report(
        &mut self,
        id: PrewarmId,
        database: &Database,
        node: &Registration,
        clock: &dyn Clock,
    ) -> Result<bool, RowError> {
        let now = clock.now();
        if self.end.is_none() && self.requested_at + OPEN_FOR <= now {
            tracing::warn!(%id, "a prewarm is given up: {TOO_OLD}");
            self.task.abort();
            self.end = Some(PrewarmState::Failed);
            self.is_too_old = true;
        }
        let mut errors = self.progress.errors();
        if self.is_too_old {
            errors.insert(0, TOO_OLD.to_owned());
        }
        let figures = self.progress.figures();
        let is_news = figures != self.told.0 && self.told.1.elapsed() >= REPORT;
        if self.end.is_none() && !is_news {
            return Ok(true);
        }
        let state = self.end.unwrap_or(PrewarmState::Running);
        let progress = prewarms::PrewarmProgress {
            total: figures.total,
            done: figures.done,
            failed: figures.failed,
            bytes: figures.bytes,
        };
        let goes_on = prewarms::report(database, node, id, state, &progress, &errors, now).await?;
        self.told = (figures, Instant::now());
        if !goes_on {
            self.task.abort();
        }
        Ok(goes_on && self.end.is_none())
    }
}
