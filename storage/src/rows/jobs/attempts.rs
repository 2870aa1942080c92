//! What a worker does with a job: takes it, and ends its attempt.

use bytes::Bytes;
use media::{JobId, Micros, Timestamp};

use super::backoff::backoff;
use super::state::{JobState, Progress};
use crate::rows::sql::{AssertSqlSafe, FromRow, Row, query};
use crate::rows::{Database, RowError, Transaction};

/// What is kept of why an attempt failed.
pub const ERROR_BYTES_AT_MOST: usize = 1_000;

/// The error of a job whose worker was killed, hung, or lost the database.
pub const FELL_SILENT: &str = "the worker fell silent";

/// A job that a worker has taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TakenJob {
    /// Id.
    pub id: JobId,
    /// As it was enqueued.
    pub payload: Bytes,
    /// Which attempt this is, from 1: the fencing token.
    pub attempt: u32,
    /// How many attempts failed or fell silent before.
    pub failures: u32,
    /// With so many it is dead.
    pub max_attempts: u32,
}

/// Whether the attempt goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heartbeat {
    /// It does.
    Continue,
    /// Somebody has cancelled the job: the worker stops, and calls [`cancelled`].
    Cancel,
}

/// What a failure has led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AfterFailure {
    /// The next attempt is at that time.
    Retry(Timestamp),
    /// It was the last.
    Dead,
    /// Somebody had cancelled it meanwhile.
    Cancelled,
}

/// A job that is due.
struct Due {
    job: TakenJob,
    fell_silent: bool,
    cancel_requested: bool,
}

impl FromRow for Due {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        let state: JobState = row.parsed("state")?;
        let attempts: u32 = row.get("attempts")?;
        let failures: u32 = row.get("failures")?;
        let fell_silent = state == JobState::Running;
        Ok(Self {
            job: TakenJob {
                id: row.get("id")?,
                payload: row.get("payload")?,
                attempt: attempts.saturating_add(1),
                failures: failures.saturating_add(fell_silent.into()),
                max_attempts: row.get("max_attempts")?,
            },
            fell_silent,
            cancel_requested: row.get("cancel_requested")?,
        })
    }
}

impl Due {
    fn next_state(&self) -> JobState {
        if self.cancel_requested {
            JobState::Cancelled
        } else if self.fell_silent && self.job.failures >= self.job.max_attempts {
            JobState::Dead
        } else {
            JobState::Running
        }
    }

    /// Its worker fell silent, and that led to `next`.
    fn tell_of_silence(&self, queue: &str, next: JobState) {
        let TakenJob { id, failures, .. } = self.job;
        let label = queue.to_owned();
        metrics::counter!("nova_jobs_fell_silent_total", "queue" => label.clone()).increment(1);
        if next == JobState::Dead {
            tracing::error!(job = %id, queue, failures, "a job is dead: its workers fell silent");
            metrics::counter!("nova_jobs_attempts_total", "queue" => label, "outcome" => "dead")
                .increment(1);
        } else {
            tracing::warn!(job = %id, queue, failures, ?next, "the worker of a job fell silent");
        }
    }
}

/// Takes the job of the queue that has been due for longest, for a worker that promises a
/// [`heartbeat`] within `ttl`. A job whose worker has broken that promise is due too. If
/// it may not run again it becomes dead, or cancelled, on the way. Both are logged and
/// counted: nobody else is there to tell of a job that kills its workers. The queue is a
/// metric label.
pub async fn dequeue(
    db: &Database,
    queue: &str,
    worker: &str,
    ttl: Micros,
    now: Timestamp,
) -> Result<Option<TakenJob>, RowError> {
    let next_due = format!(
        "SELECT id, payload, state, attempts, failures, max_attempts, cancel_requested
         FROM jobs WHERE queue = $1 AND due_at <= $2
         ORDER BY due_at, id LIMIT 1 {}",
        db.engine().skip_locked()
    );
    loop {
        let mut transaction = db.write().await?;
        let due: Option<Due> = query(AssertSqlSafe(next_due.clone()))
            .bind(queue)
            .bind(now)
            .optional(&mut transaction)
            .await?;
        let Some(due) = due else {
            return Ok(None);
        };
        let next_state = due.next_state();
        let error = due.fell_silent.then_some(FELL_SILENT);
        let job = &due.job;
        if next_state == JobState::Running {
            take(&mut transaction, job, error, worker, now + ttl).await?;
        } else {
            bury(&mut transaction, job, error, next_state, now).await?;
        }
        transaction.commit().await?;
        if due.fell_silent {
            due.tell_of_silence(queue, next_state);
        }
        if next_state == JobState::Running {
            return Ok(Some(due.job));
        }
    }
}

async fn take(
    transaction: &mut Transaction,
    job: &TakenJob,
    error: Option<&str>,
    worker: &str,
    due_at: Timestamp,
) -> Result<(), RowError> {
    query(
        "UPDATE jobs SET state = 'running', attempts = $2, failures = $3, worker = $4,
             due_at = $5, progress = 0, error = COALESCE($6, error)
         WHERE id = $1",
    )
    .bind(job.id)
    .bind(job.attempt)
    .bind(job.failures)
    .bind(worker)
    .bind(due_at)
    .bind(error)
    .execute(transaction)
    .await?;
    Ok(())
}

async fn bury(
    transaction: &mut Transaction,
    job: &TakenJob,
    error: Option<&str>,
    state: JobState,
    now: Timestamp,
) -> Result<(), RowError> {
    query(
        "UPDATE jobs SET state = $2, due_at = NULL, finished_at = $3, failures = $4,
             error = COALESCE($5, error)
         WHERE id = $1",
    )
    .bind(job.id)
    .bind(state.as_str())
    .bind(now)
    .bind(job.failures)
    .bind(error)
    .execute(transaction)
    .await?;
    Ok(())
}

/// Says that the attempt goes on and how far it is, and promises the next heartbeat within
/// `ttl`. [`RowError::JobLost`] when the promise was broken and another worker has the job.
pub async fn heartbeat(
    db: &Database,
    job: &TakenJob,
    progress: Progress,
    ttl: Micros,
    now: Timestamp,
) -> Result<Heartbeat, RowError> {
    let mut transaction = db.write().await?;
    let asked: Option<(bool,)> = query(
        "UPDATE jobs SET due_at = $3, progress = $4
         WHERE id = $1 AND attempts = $2 AND state = 'running'
         RETURNING cancel_requested",
    )
    .bind(job.id)
    .bind(job.attempt)
    .bind(now + ttl)
    .bind(progress.parts())
    .optional(&mut transaction)
    .await?;
    transaction.commit().await?;
    match asked {
        Some((false,)) => Ok(Heartbeat::Continue),
        Some((true,)) => Ok(Heartbeat::Cancel),
        None => Err(RowError::JobLost(job.id)),
    }
}

/// Ends the job, in the transaction that writes its result: both are there or neither.
/// [`RowError::JobLost`] when the attempt is over; then the transaction must not commit.
pub async fn complete(
    transaction: &mut Transaction,
    job: &TakenJob,
    now: Timestamp,
) -> Result<(), RowError> {
    let completed = query(
        "UPDATE jobs SET state = 'done', due_at = NULL, finished_at = $3, progress = $4
         WHERE id = $1 AND attempts = $2 AND state = 'running'",
    )
    .bind(job.id)
    .bind(job.attempt)
    .bind(now)
    .bind(Progress::ALL.parts())
    .execute(transaction)
    .await?;
    unless_lost(completed, job)
}

/// Ends the attempt without a result: the next one follows after [`backoff`], unless this
/// was the last. Of `error` at most [`ERROR_BYTES_AT_MOST`] are kept.
pub async fn fail(
    db: &Database,
    job: &TakenJob,
    error: &str,
    now: Timestamp,
) -> Result<AfterFailure, RowError> {
    let failures = job.failures.saturating_add(1);
    let retry_at = now + backoff(failures, job.id);
    let mut transaction = db.write().await?;
    let next: Option<Next> = query(
        "UPDATE jobs SET failures = $3, error = $4,
             state = CASE WHEN cancel_requested THEN 'cancelled' WHEN $5 THEN 'dead'
                          ELSE 'ready' END,
             due_at = CASE WHEN cancel_requested OR $5 THEN NULL ELSE $6 END,
             finished_at = CASE WHEN cancel_requested OR $5 THEN $7 ELSE NULL END
         WHERE id = $1 AND attempts = $2 AND state = 'running'
         RETURNING state",
    )
    .bind(job.id)
    .bind(job.attempt)
    .bind(failures)
    .bind(bounded(error))
    .bind(failures >= job.max_attempts)
    .bind(retry_at)
    .bind(now)
    .optional(&mut transaction)
    .await?;
    transaction.commit().await?;
    match next {
        Some(Next(JobState::Cancelled)) => Ok(AfterFailure::Cancelled),
        Some(Next(JobState::Dead)) => Ok(AfterFailure::Dead),
        Some(_) => Ok(AfterFailure::Retry(retry_at)),
        None => Err(RowError::JobLost(job.id)),
    }
}

struct Next(JobState);

impl FromRow for Next {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        row.parsed("state").map(Self)
    }
}

/// At most [`ERROR_BYTES_AT_MOST`], and without the zero that PostgreSQL's text cannot hold.
fn bounded(error: &str) -> String {
    error[..error.floor_char_boundary(ERROR_BYTES_AT_MOST)].replace('\0', " ")
}

/// Ends an attempt that [`Heartbeat::Cancel`] has stopped.
pub async fn cancelled(db: &Database, job: &TakenJob, now: Timestamp) -> Result<(), RowError> {
    let mut transaction = db.write().await?;
    let cancelled = query(
        "UPDATE jobs SET state = 'cancelled', due_at = NULL, finished_at = $3
         WHERE id = $1 AND attempts = $2 AND state = 'running'",
    )
    .bind(job.id)
    .bind(job.attempt)
    .bind(now)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    unless_lost(cancelled, job)
}

/// Ends an attempt because its worker stops: the job is due at once, for another, and the
/// attempt is no failure. If somebody has cancelled it meanwhile it is cancelled.
pub async fn give_back(db: &Database, job: &TakenJob, now: Timestamp) -> Result<(), RowError> {
    let mut transaction = db.write().await?;
    let given = query(
        "UPDATE jobs SET
             state = CASE WHEN cancel_requested THEN 'cancelled' ELSE 'ready' END,
             due_at = CASE WHEN cancel_requested THEN NULL ELSE $3 END,
             finished_at = CASE WHEN cancel_requested THEN $3 ELSE NULL END
         WHERE id = $1 AND attempts = $2 AND state = 'running'",
    )
    .bind(job.id)
    .bind(job.attempt)
    .bind(now)
    .execute(&mut transaction)
    .await?;
    transaction.wake_after_commit(db.jobs_notify());
    transaction.commit().await?;
    unless_lost(given, job)
}

fn unless_lost(changed: u64, job: &TakenJob) -> Result<(), RowError> {
    if changed == 0 {
        return Err(RowError::JobLost(job.id));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_cut_between_characters() {
        let long = "é".repeat(ERROR_BYTES_AT_MOST);
        assert_eq!(bounded(&long).len(), ERROR_BYTES_AT_MOST);
        let odd = format!("a{long}");
        assert_eq!(bounded(&odd).len(), ERROR_BYTES_AT_MOST - 1);
        assert_eq!(bounded("a\0b"), "a b");
    }
}
