//! Prewarms of an edge without a database: they are in this process only, and end with it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use edge::{PrewarmEnd, PrewarmOrder, PrewarmProgress as EdgeProgress, Prewarmer};
use media::{PrewarmId, Timestamp};
use storage::rows::prewarms::{PrewarmKind, PrewarmOrder as OrderRow, PrewarmProgress};
use storage::rows::prewarms::{PrewarmRow, PrewarmState};
use tokio::task::{AbortHandle, JoinSet};

use super::{PrewarmNodeStatus, PrewarmStatus};

/// Prewarms that run at a time.
pub(super) const AT_ONCE: usize = 16;
/// Those that are listed.
const LISTED: usize = 100;

/// The prewarms of the edge in this process. Dropped, it ends them.
#[derive(Debug, Default)]
pub struct LocalPrewarms(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The oldest first.
    known: VecDeque<Local>,
    tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Local {
    id: PrewarmId,
    order: OrderRow,
    urls: u64,
    requested_at: Timestamp,
    requested_by: String,
    progress: EdgeProgress,
    task: AbortHandle,
    end: Arc<OnceLock<PrewarmEnd>>,
    cancelled_at: Option<Timestamp>,
}

impl LocalPrewarms {
    /// Begins a prewarm. None: too many run.
    pub(super) fn begin(
        &self,
        prewarmer: &Prewarmer,
        order: PrewarmOrder,
        row: OrderRow,
        requested_by: &str,
        now: Timestamp,
    ) -> Option<PrewarmStatus> {
        let mut state = self.lock();
        while state.tasks.try_join_next().is_some() {}
        if state.tasks.len() >= AT_ONCE {
            return None;
        }
        let (progress, end) = (EdgeProgress::default(), Arc::new(OnceLock::new()));
        let task = {
            let (prewarmer, progress, end) = (prewarmer.clone(), progress.clone(), end.clone());
            state.tasks.spawn(async move {
                let ended = prewarmer.run(&order, &progress).await;
                // Nobody else sets it.
                let _ = end.set(ended);
            })
        };
        let urls = match row.kind {
            PrewarmKind::Urls => row.subject.lines().count() as u64,
            PrewarmKind::Video | PrewarmKind::Playlist => 0,
        };
        let local = Local {
            id: PrewarmId::new(),
            order: OrderRow {
                subject: match row.kind {
                    PrewarmKind::Urls => String::new(),
                    PrewarmKind::Video | PrewarmKind::Playlist => row.subject,
                },
                ..row
            },
            urls,
            requested_at: now,
            requested_by: requested_by.to_owned(),
            progress,
            task,
            end,
            cancelled_at: None,
        };
        let status = local.status();
        state.known.push_back(local);
        if state.known.len() > LISTED {
            // The oldest that has ended: fewer run than are listed.
            let ended = state.known.iter().position(|one| one.task.is_finished());
            state.known.remove(ended.unwrap_or_default());
        }
        Some(status)
    }

    pub(super) fn get(&self, id: PrewarmId) -> Option<PrewarmStatus> {
        let state = self.lock();
        let mut known = state.known.iter();
        known.find(|one| one.id == id).map(Local::status)
    }

    pub(super) fn list(&self, before: Option<PrewarmId>, limit: u32) -> Vec<PrewarmRow> {
        let state = self.lock();
        let newest_first = state.known.iter().rev();
        let wanted = newest_first.filter(|one| before.is_none_or(|before| one.id < before));
        let rows = wanted.map(|one| one.status().row);
        rows.take(limit as usize).collect()
    }

    pub(super) fn cancel(&self, id: PrewarmId, now: Timestamp) {
        let mut state = self.lock();
        let mut known = state.known.iter_mut();
        if let Some(one) = known.find(|one| one.id == id && one.end.get().is_none()) {
            one.task.abort();
            one.cancelled_at.get_or_insert(now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Local {
    fn status(&self) -> PrewarmStatus {
        let state = match (self.end.get(), self.cancelled_at) {
            (Some(PrewarmEnd::Done), _) => PrewarmState::Done,
            (Some(PrewarmEnd::Failed | PrewarmEnd::Stopped), _) => PrewarmState::Failed,
            (None, Some(_)) => PrewarmState::Cancelled,
            (None, None) if self.task.is_finished() => PrewarmState::Failed,
            (None, None) => PrewarmState::Running,
        };
        let figures = self.progress.figures();
        let progress = PrewarmProgress {
            total: figures.total,
            done: figures.done,
            failed: figures.failed,
            bytes: figures.bytes,
        };
        let node = PrewarmNodeStatus {
            node: None,
            state,
            is_live: true,
            progress,
            errors: self.progress.errors(),
            updated_at: self.cancelled_at.unwrap_or(self.requested_at),
        };
        let row = PrewarmRow {
            id: self.id,
            order: self.order.clone(),
            urls: self.urls,
            requested_at: self.requested_at,
            requested_by: self.requested_by.clone(),
            state,
            progress,
        };
        PrewarmStatus {
            row,
            nodes: vec![node],
        }
    }
}
