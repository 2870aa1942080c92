//! What people and dashboards ask of jobs.

use bytes::Bytes;
use media::{JobId, Timestamp};
use uuid::Uuid;

use super::state::{JobState, Progress};
use crate::rows::sql::{FromRow, Row, query};
use crate::rows::{Database, Entity, RowError, Unique};

/// A job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobRow {
    /// Id.
    pub id: JobId,
    /// Which workers take it.
    pub queue: String,
    /// At most one unfinished job of the queue has it.
    pub unique_key: Option<String>,
    /// As it was enqueued.
    pub payload: Bytes,
    /// Where it is.
    pub state: JobState,
    /// When a worker may take it; of a running job, when its worker has been silent for
    /// too long. `None`: never again.
    pub due_at: Option<Timestamp>,
    /// How often it was taken.
    pub attempts: u32,
    /// How many attempts failed or fell silent.
    pub failures: u32,
    /// With so many it is dead.
    pub max_attempts: u32,
    /// Who took it last.
    pub worker: Option<String>,
    /// How far the last attempt was at its last heartbeat.
    pub progress: Progress,
    /// Whether its worker is asked to stop.
    pub cancel_requested: bool,
    /// Why the last attempt that failed did.
    pub error: Option<String>,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// When it became done, dead or cancelled.
    pub finished_at: Option<Timestamp>,
}

impl FromRow for JobRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            queue: row.get("queue")?,
            unique_key: row.get("unique_key")?,
            payload: row.get("payload")?,
            state: row.parsed("state")?,
            due_at: row.get("due_at")?,
            attempts: row.get("attempts")?,
            failures: row.get("failures")?,
            max_attempts: row.get("max_attempts")?,
            worker: row.get("worker")?,
            progress: Progress::from_parts(row.get("progress")?),
            cancel_requested: row.get("cancel_requested")?,
            error: row.get("error")?,
            created_at: row.get("created_at")?,
            finished_at: row.get("finished_at")?,
        })
    }
}

/// The columns of a [`JobRow`].
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, queue, unique_key, payload, state, due_at, attempts, failures,
                    max_attempts, worker, progress, cancel_requested, error, created_at,
                    finished_at
             FROM jobs ",
            $rest
        )
    };
}

/// What [`cancel`] has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cancellation {
    /// The job will not run.
    Cancelled,
    /// The job runs: its worker is told with its next heartbeat. It may complete first.
    Requested,
    /// The job had finished, one way or another.
    TooLate,
}

/// What [`retry_dead`] has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Revival {
    /// The job is due, with all its attempts before it.
    Revived,
    /// The job is not dead.
    NotDead,
}

/// How many jobs of a queue are not done yet.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Those that wait for a worker or for their time.
    pub ready: u64,
    /// Those that a worker has.
    pub running: u64,
    /// Those that failed too often.
    pub dead: u64,
}

/// The job, if there is one.
pub async fn get(db: &Database, id: JobId) -> Result<Option<JobRow>, RowError> {
    query(select!("WHERE id = $1")).bind(id).optional(db).await
}

/// The queue's job with this unique key that is not done yet: there is one at most.
pub async fn unfinished(
    db: &Database,
    queue: &str,
    unique_key: &str,
) -> Result<Option<JobRow>, RowError> {
    query(select!(
        "WHERE queue = $1 AND unique_key = $2 AND state IN ('ready', 'running')"
    ))
    .bind(queue)
    .bind(unique_key)
    .optional(db)
    .await
}

/// Jobs of a queue in one state, oldest first, those made after `after`, at most `limit`.
pub async fn list(
    db: &Database,
    queue: &str,
    state: JobState,
    after: Option<JobId>,
    limit: u32,
) -> Result<Vec<JobRow>, RowError> {
    query(select!(
        "WHERE queue = $1 AND state = $2 AND id > $3 ORDER BY id LIMIT $4"
    ))
    .bind(queue)
    .bind(state.as_str())
    // Every id comes after the nil UUID.
    .bind(after.map_or(Uuid::nil(), JobId::as_uuid))
    .bind(limit)
    .all(db)
    .await
}

/// How many jobs of a queue are not done yet.
pub async fn counts(db: &Database, queue: &str) -> Result<Counts, RowError> {
    let mut counts = Counts::default();
    let rows: Vec<(String, u64)> = query(
        "SELECT state, COUNT(*) FROM jobs
         WHERE queue = $1 AND state IN ('ready', 'running', 'dead') GROUP BY state",
    )
    .bind(queue)
    .all(db)
    .await?;
    for (state, count) in rows {
        match state.parse() {
            Ok(JobState::Ready) => counts.ready = count,
            Ok(JobState::Running) => counts.running = count,
            Ok(JobState::Dead) => counts.dead = count,
            Ok(JobState::Done | JobState::Cancelled) | Err(_) => {}
        }
    }
    Ok(counts)
}

/// Cancels a job that waits, and asks the worker of one that runs to stop.
pub async fn cancel(db: &Database, id: JobId, now: Timestamp) -> Result<Cancellation, RowError> {
    let mut transaction = db.write().await?;
    let state: Option<(String,)> = query(
        "UPDATE jobs SET cancel_requested = TRUE,
             state = CASE state WHEN 'ready' THEN 'cancelled' ELSE state END,
             due_at = CASE state WHEN 'ready' THEN NULL ELSE due_at END,
             finished_at = CASE state WHEN 'ready' THEN $2 ELSE finished_at END
         WHERE id = $1 AND state IN ('ready', 'running')
         RETURNING state",
    )
    .bind(id)
    .bind(now)
    .optional(&mut transaction)
    .await?;
    transaction.commit().await?;
    match state {
        Some((state,)) if state == JobState::Running.as_str() => Ok(Cancellation::Requested),
        Some(_) => Ok(Cancellation::Cancelled),
        None => must_exist(db, id).await.map(|()| Cancellation::TooLate),
    }
}

/// Makes a dead job due, as if it had never failed. [`RowError::Taken`] when another
/// unfinished job has its unique key by now.
pub async fn retry_dead(db: &Database, id: JobId, now: Timestamp) -> Result<Revival, RowError> {
    let mut transaction = db.write().await?;
    let revived = query(
        "UPDATE jobs SET state = 'ready', due_at = $2, finished_at = NULL, failures = 0,
             progress = 0, cancel_requested = FALSE
         WHERE id = $1 AND state = 'dead'",
    )
    .bind(id)
    .bind(now)
    .execute(&mut transaction)
    .await
    .map_err(|error| match error {
        RowError::Engine(sqlx::Error::Database(inner)) if inner.is_unique_violation() => {
            RowError::Taken(Unique::JobKey)
        }
        error => error,
    })?;
    transaction.wake_after_commit(db.jobs_notify());
    transaction.commit().await?;
    if revived == 0 {
        must_exist(db, id).await?;
        return Ok(Revival::NotDead);
    }
    Ok(Revival::Revived)
}

/// Deletes jobs that finished before `before`, the dead ones too, at most `limit`; how many.
pub async fn delete_finished(
    db: &Database,
    before: Timestamp,
    limit: u32,
) -> Result<u64, RowError> {
    let mut transaction = db.write().await?;
    let deleted = query(
        "DELETE FROM jobs WHERE id IN
             (SELECT id FROM jobs WHERE finished_at < $1 ORDER BY finished_at, id LIMIT $2)",
    )
    .bind(before)
    .bind(limit)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(deleted)
}

async fn must_exist(db: &Database, id: JobId) -> Result<(), RowError> {
    match get(db, id).await? {
        Some(_) => Ok(()),
        None => Err(RowError::NotFound(Entity::Job)),
    }
}
