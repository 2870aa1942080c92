//! Jobs: work that outlives who asked for it.
//!
//! [`enqueue`] adds a job in the transaction that wants it. A worker takes the next one
//! that is due ([`dequeue`]), tells that it is alive ([`heartbeat`]), and ends its attempt
//! with [`complete`], in the transaction that writes the job's result, or with [`fail`].
//! [`run`] does all of that for a handler.
//!
//! A job runs at least once, and its result is committed once: `attempts`, which grows
//! each time the job is taken, is the fencing token of the worker that took it. A worker
//! that falls silent for longer than its heartbeats promise loses the job to the next one
//! that asks, and cannot complete it any more ([`RowError::JobLost`]).
//!
//! ```text
//!              dequeue              complete
//!   ready ──────────────▶ running ────────────▶ done
//!    ▲ │  ◀───────────────┘│ │ └──────────────▶ cancelled
//!    │ │   fail, give_back   │    cancelled
//!    │ └────────── cancel ───┼────────────────▶ cancelled
//!    │                       │ fail, silence: max_attempts reached
//!    └────── retry_dead ─── dead
//! ```

mod administration;
mod attempts;
mod backoff;
mod state;
mod worker;

use std::num::NonZeroU32;

use bytes::Bytes;
use media::{JobId, Timestamp};

use super::error::check_size;
use super::sql::{FromRow, Row, query};
use super::{Database, RowError, Transaction};

pub use administration::{
    Cancellation, Counts, JobRow, Revival, cancel, counts, delete_finished, get, list, retry_dead,
    unfinished,
};
pub use attempts::{
    AfterFailure, ERROR_BYTES_AT_MOST, FELL_SILENT, Heartbeat, TakenJob, cancelled, complete,
    dequeue, fail, give_back, heartbeat,
};
pub use backoff::{BACKOFF_BASE, BACKOFF_CAP, backoff};
pub use state::{InvalidJobState, JobState, Progress};
pub use worker::{Attempt, HandlerError, Options, POLL_INTERVAL, STOP_GRACE, run};

/// The longest name of a queue, in bytes.
pub const MAX_QUEUE_BYTES: usize = 100;

/// The longest unique key, in bytes.
pub const MAX_UNIQUE_KEY_BYTES: usize = 255;

/// The largest payload, in bytes. What is larger is an object, and the payload names it.
pub const MAX_PAYLOAD_BYTES: usize = 256 * 1024;

/// A job to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewJob<'a> {
    /// Which workers take it. [`MAX_QUEUE_BYTES`] at most.
    pub queue: &'a str,
    /// At most one unfinished job of the queue has it. `None`: as many as are enqueued.
    /// [`MAX_UNIQUE_KEY_BYTES`] at most.
    pub unique_key: Option<&'a str>,
    /// What the worker needs to know. Its form is the queue's. [`MAX_PAYLOAD_BYTES`] at
    /// most.
    pub payload: Bytes,
    /// Not before this.
    pub run_at: Timestamp,
    /// With so many failed or silent attempts it is dead.
    pub max_attempts: NonZeroU32,
}

/// What [`enqueue`] gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Enqueued {
    /// A new job.
    New(JobId),
    /// The unfinished job that has the unique key. It is left as it is: it may be running
    /// already, or be waiting for its own `run_at`. It stays unfinished at least until the
    /// transaction ends. It is never one that somebody has cancelled.
    Existing(JobId),
}

impl Enqueued {
    /// The job, new or not.
    pub fn id(self) -> JobId {
        match self {
            Self::New(id) | Self::Existing(id) => id,
        }
    }
}

/// Adds a job, and wakes the workers of this process after the commit. Those of other
/// processes see it within [`POLL_INTERVAL`].
///
/// A job with the unique key that runs and is asked to stop would not do the work. It is
/// cancelled here and now, so that its worker has lost it, and the new one takes the key.
///
/// [`RowError::TooLarge`] when the queue, the key or the payload is.
pub async fn enqueue(
    db: &Database,
    transaction: &mut Transaction,
    job: &NewJob<'_>,
    now: Timestamp,
) -> Result<Enqueued, RowError> {
    check_size("queue", job.queue.len(), MAX_QUEUE_BYTES)?;
    let key = job.unique_key.unwrap_or_default();
    check_size("unique key", key.len(), MAX_UNIQUE_KEY_BYTES)?;
    check_size("job payload", job.payload.len(), MAX_PAYLOAD_BYTES)?;
    let fresh = JobId::new();
    let there = insert(transaction, job, fresh, now).await?;
    if there.id != fresh && there.cancel_requested {
        query(
            "UPDATE jobs SET state = 'cancelled', due_at = NULL, finished_at = $2
             WHERE id = $1",
        )
        .bind(there.id)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        insert(transaction, job, fresh, now).await?;
    } else if there.id != fresh {
        return Ok(Enqueued::Existing(there.id));
    }
    transaction.wake_after_commit(db.jobs_notify());
    Ok(Enqueued::New(fresh))
}

/// Inserts the job as `fresh`, or locks the unfinished one that has its key.
async fn insert(
    transaction: &mut Transaction,
    job: &NewJob<'_>,
    fresh: JobId,
    now: Timestamp,
) -> Result<There, RowError> {
    // The update changes nothing: it locks the job that is there, and gives its id.
    query(
        "INSERT INTO jobs (id, queue, unique_key, payload, state, due_at, attempts, failures,
                           max_attempts, progress, cancel_requested, created_at)
         VALUES ($1, $2, $3, $4, 'ready', $5, 0, 0, $6, 0, FALSE, $7)
         ON CONFLICT (queue, unique_key)
             WHERE unique_key IS NOT NULL AND state IN ('ready', 'running')
             DO UPDATE SET unique_key = excluded.unique_key
         RETURNING id, cancel_requested",
    )
    .bind(fresh)
    .bind(job.queue)
    .bind(job.unique_key)
    .bind(job.payload.clone())
    .bind(job.run_at)
    .bind(job.max_attempts.get())
    .bind(now)
    .one(transaction)
    .await
}

/// The unfinished job that has a key.
struct There {
    id: JobId,
    cancel_requested: bool,
}

impl FromRow for There {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            cancel_requested: row.get("cancel_requested")?,
        })
    }
}
