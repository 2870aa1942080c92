//! The sweeper: what streams no longer keep goes, and what crashes left behind is mended.
//!
//! One process at a time sweeps, under a lease, in rounds of bounded work: `settle`
//! compares the objects of ended sessions with their rows, `keep` applies each stream's
//! rules, and housekeeping deletes what other parts of the server have done with. What one
//! stream's objects or rows refuse keeps nobody else's from being swept.

mod keep;
mod settle;
#[cfg(test)]
mod tests;

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use media::{EpochNumber, Micros, NodeId, StreamId, Timestamp, VideoId};
use packager::object_key;
use storage::objects::abort_stale_uploads;
use storage::rows::leases::{self, Lease, Terms};
use storage::rows::{
    RowError, Transaction, expiry, jobs, origins, outbox, stream_status, usage, videos, viewers,
};
use storage::{Database, ObjectError};
use tokio_util::sync::CancellationToken;

use super::archive::Shelves;
use crate::origin_node::{leave_mark, mark};

/// The pause between rounds that left nothing to do.
const ROUND: Duration = Duration::from_secs(30);
/// How long nobody sweeps after the sweeper's process was killed.
const LEASE: Micros = Micros::from_secs(30);
/// Objects deleted side by side.
const DELETED_AT_ONCE: usize = 8;
/// Uploads in parts that nobody went on with for so long are dropped.
const STALE_UPLOAD: Micros = Micros::from_secs(7 * 24 * 60 * 60);

/// Jobs that ended so long ago are forgotten, how they ended too.
const FINISHED_JOB: Micros = Micros::from_secs(7 * 24 * 60 * 60);
/// How long it is known that a consumer has handled an event, once the outbox has
/// forgotten the event.
const CONSUMED_EVENT: Micros = Micros::from_secs(24 * 60 * 60);
/// Minutes of usage and of viewers are kept for so long.
const USAGE_MINUTE: Micros = Micros::from_secs(90 * 24 * 60 * 60);
/// Origins are known for so long after they were last heard of.
const SILENT_ORIGIN: Micros = Micros::from_secs(24 * 60 * 60);
/// Rows that one step of housekeeping deletes in a transaction.
const ROWS_AT_ONCE: u32 = 1_000;
/// Cancelled videos that one step deletes.
const VIDEOS_AT_ONCE: u32 = 20;

/// What sweeps.
#[derive(Debug, Clone)]
pub(super) struct Sweeper {
    pub(super) shelves: Shelves,
    /// How long a stream without a rule of its own keeps every segment.
    pub(super) live_window: Micros,
    /// Segments that a playlist lists.
    pub(super) listed: u64,
}

/// What a step of a round has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Swept {
    /// There is more to do at once.
    more: bool,
}

impl Swept {
    fn and(self, other: Self) -> Self {
        Self {
            more: self.more || other.more,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum SweepError {
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error(transparent)]
    Row(#[from] RowError),
    #[error(
        "no object of stream {stream}'s epoch {epoch} is in the store, and rows say that there are some: is objects.url the store that it was recorded to, and is it mounted? It is not settled before"
    )]
    NothingHeld {
        stream: StreamId,
        epoch: EpochNumber,
    },
    #[error("an init segment cannot be made again: {0}")]
    Init(#[from] packager::cmaf::InitSegmentError),
}

impl Sweeper {
    /// Sweeps whenever this process has the lease, until `shutdown`.
    pub(super) async fn run(self, shutdown: CancellationToken) {
        let Shelves {
            database, clock, ..
        } = &self.shelves;
        let terms = Terms {
            name: "sweeper".to_owned(),
            owner: leases::this_process(),
            ttl: LEASE,
        };
        let sweep = |lease, stop| self.rounds(lease, stop);
        leases::run_while_held(database, clock.as_ref(), &terms, &shutdown, sweep).await;
    }

    async fn rounds(&self, lease: Lease, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if !self.round(&lease, &stop).await.more {
                stop.run_until_cancelled(tokio::time::sleep(ROUND)).await;
            }
        }
    }

    async fn round(&self, lease: &Lease, stop: &CancellationToken) -> Swept {
        // Apart, so that nobody who waits for a round carries all of them.
        let settled = Box::pin(self.settle(lease, stop)).await;
        let kept = Box::pin(self.keep(lease, stop)).await;
        let cleaned = Box::pin(self.housekeep(stop)).await;
        settled.and(kept).and(cleaned)
    }

    /// One line for each kind of thing that is left over: its name, and what deletes some
    /// and tells how many. A step that did as much as `limit` is done again at once.
    async fn housekeep(&self, stop: &CancellationToken) -> Swept {
        let Shelves { objects, clock, .. } = &self.shelves;
        let now = clock.now();
        let rows = self.database();
        let uploads = abort_stale_uploads(objects.as_ref(), now - STALE_UPLOAD);
        let jobs = jobs::delete_finished(rows, now - FINISHED_JOB, ROWS_AT_ONCE);
        let delivered = outbox::delete_delivered(rows, now, ROWS_AT_ONCE);
        let consumed = outbox::forget_consumed(rows, now - CONSUMED_EVENT, ROWS_AT_ONCE);
        let usage = usage::delete_before(rows, now - USAGE_MINUTE, ROWS_AT_ONCE);
        let minutes = viewers::delete_minutes_before(rows, now - USAGE_MINUTE, ROWS_AT_ONCE);
        let silent = viewers::delete_silent(rows, now, ROWS_AT_ONCE);
        let stale = stream_status::delete_stale(rows, now, ROWS_AT_ONCE);
        let account_rows = expiry::delete_expired(rows, now, ROWS_AT_ONCE);
        let logins = expiry::delete_expired_logins(rows, now, ROWS_AT_ONCE);
        let origins = self.delete_silent_origins();
        let recordings = videos::delete_gone_recordings(rows, ROWS_AT_ONCE);
        let cancelled = self.delete_cancelled_videos();
        let abandoned = videos::imports::fail_abandoned(rows, ROWS_AT_ONCE);
        let limit = u64::from(ROWS_AT_ONCE);
        let steps = [
            housekeeping("stale_uploads", u64::MAX, uploads, stop).await,
            housekeeping("finished_jobs", limit, jobs, stop).await,
            housekeeping("delivered_events", limit, delivered, stop).await,
            housekeeping("consumed_events", limit, consumed, stop).await,
            housekeeping("old_usage", limit, usage, stop).await,
            housekeeping("old_viewer_minutes", limit, minutes, stop).await,
            housekeeping("silent_viewers", limit, silent, stop).await,
            housekeeping("stale_status", limit, stale, stop).await,
            housekeeping("expired_account_rows", limit, account_rows, stop).await,
            housekeeping("expired_logins", limit, logins, stop).await,
            housekeeping("silent_origins", limit, origins, stop).await,
            housekeeping("gone_recordings", limit, recordings, stop).await,
            housekeeping("cancelled_videos", VIDEOS_AT_ONCE.into(), cancelled, stop).await,
            housekeeping("abandoned_videos", limit, abandoned, stop).await,
        ];
        steps.into_iter().fold(Swept::default(), Swept::and)
    }

    /// Their marks and their rows; how many.
    async fn delete_silent_origins(&self) -> Result<u64, SweepError> {
        let before = self.shelves.clock.now() - SILENT_ORIGIN;
        let silent = origins::silent(self.database(), before, ROWS_AT_ONCE).await?;
        let mut outcome = Ok(silent.len() as u64);
        for origin in silent {
            // One that cannot go must not keep the others.
            if let Err(error) = self.delete_silent_origin(origin, before).await {
                outcome = Err(error);
            }
        }
        outcome
    }

    /// First its mark, then its row: without that nobody would know of the mark. One that has come
    /// back meanwhile keeps both.
    async fn delete_silent_origin(
        &self,
        origin: NodeId,
        before: Timestamp,
    ) -> Result<(), SweepError> {
        let objects = self.shelves.objects.as_ref();
        objects.delete(&mark(origin)).await?;
        if !origins::delete_silent(self.database(), origin, before).await? {
            leave_mark(objects, origin).await?;
        }
        Ok(())
    }

    /// First their objects, then their rows; how many.
    async fn delete_cancelled_videos(&self) -> Result<u64, SweepError> {
        let cancelled = videos::imports::cancelled(self.database(), VIDEOS_AT_ONCE).await?;
        let mut outcome = Ok(cancelled.len() as u64);
        for video in &cancelled {
            // One that cannot go must not keep the others.
            if let Err(error) = self.delete_video(*video).await {
                outcome = Err(error);
            }
        }
        outcome
    }

    async fn delete_video(&self, video: VideoId) -> Result<(), SweepError> {
        let folder = object_key::video(video);
        self.shelves.objects.delete_prefix(&folder).await?;
        let mut transaction = self.database().write().await?;
        videos::imports::delete(&mut transaction, video).await?;
        Ok(transaction.commit().await?)
    }

    /// A transaction that writes, as long as the lease is held.
    async fn write(&self, lease: &Lease) -> Result<Transaction, RowError> {
        let mut transaction = self.database().write().await?;
        let now = self.shelves.clock.now();
        lease.guard(&mut transaction, now).await?;
        Ok(transaction)
    }

    fn database(&self) -> &Database {
        &self.shelves.database
    }

    async fn delete_objects(&self, keys: Vec<String>) -> Result<(), ObjectError> {
        let count = keys.len() as u64;
        stream::iter(keys)
            .map(|key| async move { self.shelves.objects.delete(&key).await })
            .buffer_unordered(DELETED_AT_ONCE)
            .try_collect::<()>()
            .await?;
        metrics::counter!("nova_sweeper_objects_deleted_total").increment(count);
        Ok(())
    }
}

async fn housekeeping<E: Into<SweepError>>(
    step: &'static str,
    limit: u64,
    work: impl Future<Output = Result<u64, E>>,
    stop: &CancellationToken,
) -> Swept {
    match stop.run_until_cancelled(work).await {
        None => Swept::default(),
        Some(Ok(done)) => Swept {
            more: done >= limit,
        },
        Some(Err(error)) => {
            failed(step, &error.into());
            Swept::default()
        }
    }
}

/// One step has failed, for one stream or for all; the next round tries again.
fn failed(step: &'static str, error: &SweepError) {
    metrics::counter!("nova_sweeper_failures_total", "step" => step).increment(1);
    tracing::error!(step, %error, "sweeping failed");
}
