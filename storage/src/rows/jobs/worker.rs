//! The loop of a worker.

use std::error::Error;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use media::{Clock, Micros};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::attempts::{
    AfterFailure, Heartbeat, TakenJob, cancelled, complete, dequeue, fail, give_back, heartbeat,
};
use super::state::Progress;
use crate::rows::{Database, RowError, Transaction};

/// How often a worker with nothing to do asks for jobs that others enqueued, and for those
/// whose time has come.
pub const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How long a handler that is asked to stop may take. Then its future is dropped.
pub const STOP_GRACE: Duration = Duration::from_secs(5);

/// Heartbeats within the time that a worker may be silent, so that one may fail.
const HEARTBEATS_PER_TTL: i64 = 3;

/// The error of a job whose handler panicked.
const PANICKED: &str = "the handler panicked";

/// Whatever a handler fails with. Its text is kept with the job, and logged.
pub type HandlerError = Box<dyn Error + Send + Sync>;

/// How a worker works.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Whose jobs it takes. Also a metric label: not made from what people type.
    pub queue: &'static str,
    /// Who it is: [`crate::rows::leases::this_process`].
    pub worker: String,
    /// How many jobs it runs at once.
    pub concurrency: NonZeroUsize,
    /// How long it may be silent before another takes the job.
    pub ttl: Micros,
}

/// What a handler gets.
#[derive(Debug)]
pub struct Attempt {
    /// The job.
    pub job: TakenJob,
    /// Cancelled when the job is, when another worker has it, and when this worker stops.
    /// What the handler then returns counts only if it is a transaction.
    pub stop: CancellationToken,
    progress: Arc<AtomicU32>,
}

impl Attempt {
    /// Tells how far it is. Seen by others after the next heartbeat.
    pub fn report(&self, progress: Progress) {
        self.progress.store(progress.parts(), Ordering::Relaxed);
    }
}

/// Why an attempt was asked to stop.
enum Stopped {
    Cancel,
    Lost,
    Shutdown,
}

struct Worker {
    db: Database,
    clock: Arc<dyn Clock>,
    options: Options,
    shutdown: CancellationToken,
}

/// Runs the jobs of a queue until `shutdown`.
///
/// The handler returns the transaction into which it has written the job's result, and
/// the job is completed and committed in it: begin it last, since on SQLite it is the only
/// one, and no heartbeat passes meanwhile. An error, or a panic, is a failed attempt.
///
/// At shutdown the running attempts are stopped and waited for, and their jobs are given
/// back: due at once, and the attempt is no failure.
pub async fn run<H, F>(
    db: Database,
    clock: Arc<dyn Clock>,
    options: Options,
    handler: H,
    shutdown: CancellationToken,
) where
    H: Fn(Attempt) -> F,
    F: Future<Output = Result<Transaction, HandlerError>> + Send + 'static,
{
    let concurrency = options.concurrency.get();
    let worker = Arc::new(Worker {
        db,
        clock,
        options,
        shutdown,
    });
    let mut attempts = JoinSet::new();
    while !worker.shutdown.is_cancelled() {
        // Before looking, so that what is enqueued meanwhile is not missed.
        let enqueued = worker.db.jobs_notify().notified();
        while attempts.len() < concurrency
            && let Some(job) = worker.next().await
        {
            let attempt = Attempt {
                job: job.clone(),
                stop: CancellationToken::new(),
                progress: Arc::default(),
            };
            let (stop, progress) = (attempt.stop.clone(), attempt.progress.clone());
            // A task of its own: heartbeats go on while it computes.
            let handling = AbortOnDropHandle::new(tokio::spawn(handler(attempt)));
            let worker = worker.clone();
            attempts.spawn(async move { worker.attend(job, handling, stop, progress).await });
        }
        let has_room = attempts.len() < concurrency;
        tokio::select! {
            () = worker.shutdown.cancelled() => {}
            Some(ended) = attempts.join_next() => worker.ended(ended),
            () = enqueued, if has_room => {}
            () = sleep(POLL_INTERVAL), if has_room => {}
        }
    }
    while let Some(ended) = attempts.join_next().await {
        worker.ended(ended);
    }
}

impl Worker {
    async fn next(&self) -> Option<TakenJob> {
        let Options {
            queue, worker, ttl, ..
        } = &self.options;
        if self.shutdown.is_cancelled() {
            return None;
        }
        match dequeue(&self.db, queue, worker, *ttl, self.clock.now()).await {
            Ok(job) => job,
            Err(error) => {
                tracing::warn!(queue, %error, "no job can be taken");
                None
            }
        }
    }

    /// Stays with the handler until it has ended, and ends the attempt as it must.
    async fn attend(
        &self,
        job: TakenJob,
        mut handling: AbortOnDropHandle<Result<Transaction, HandlerError>>,
        stop: CancellationToken,
        progress: Arc<AtomicU32>,
    ) {
        let (result, stopped) = tokio::select! {
            biased;
            result = &mut handling => (result, None),
            stopped = self.stopped(&job, &progress) => {
                stop.cancel();
                let result = match timeout(STOP_GRACE, &mut handling).await {
                    Ok(result) => result,
                    Err(_) => {
                        handling.abort();
                        handling.await
                    }
                };
                (result, Some(stopped))
            }
        };
        let outcome = match self.end(&job, result, stopped).await {
            Ok(outcome) => outcome,
            Err(RowError::JobLost(_)) => "lost",
            Err(error) => {
                // Nobody tells it: it falls silent, and another takes it.
                tracing::warn!(job = %job.id, %error, "the end of a job's attempt was not written");
                "unknown"
            }
        };
        let queue = self.options.queue;
        metrics::counter!("nova_jobs_attempts_total", "queue" => queue, "outcome" => outcome)
            .increment(1);
    }

    /// Tells that the attempt goes on, until it must not.
    async fn stopped(&self, job: &TakenJob, progress: &AtomicU32) -> Stopped {
        let ttl = self.options.ttl;
        let pause = Micros::new(ttl.as_micros() / HEARTBEATS_PER_TTL).to_duration();
        let heartbeats = async {
            loop {
                sleep(pause).await;
                let progress = Progress::from_parts(progress.load(Ordering::Relaxed));
                match heartbeat(&self.db, job, progress, ttl, self.clock.now()).await {
                    Ok(Heartbeat::Continue) => {}
                    Ok(Heartbeat::Cancel) => return Stopped::Cancel,
                    Err(RowError::JobLost(_)) => return Stopped::Lost,
                    // Nobody may have taken it: whether it is lost shows at the end.
                    Err(error) => tracing::warn!(job = %job.id, %error, "no heartbeat"),
                }
            }
        };
        let stopped = self.shutdown.run_until_cancelled(heartbeats).await;
        stopped.unwrap_or(Stopped::Shutdown)
    }

    async fn end(
        &self,
        job: &TakenJob,
        result: Result<Result<Transaction, HandlerError>, JoinError>,
        stopped: Option<Stopped>,
    ) -> Result<&'static str, RowError> {
        let (db, now) = (&self.db, self.clock.now());
        let error = match (result, stopped) {
            (Ok(Ok(transaction)), _) => match self.commit(job, transaction).await {
                Ok(()) => return Ok("done"),
                Err(RowError::JobLost(id)) => return Err(RowError::JobLost(id)),
                Err(error) => error.to_string(),
            },
            (_, Some(Stopped::Lost)) => return Ok("lost"),
            (_, Some(Stopped::Cancel)) => {
                cancelled(db, job, now).await?;
                return Ok("cancelled");
            }
            (_, Some(Stopped::Shutdown)) => {
                give_back(db, job, now).await?;
                return Ok("given_back");
            }
            (Ok(Err(error)), None) => error.to_string(),
            (Err(_), None) => PANICKED.to_owned(),
        };
        let after = fail(db, job, &error, now).await?;
        tracing::warn!(job = %job.id, queue = self.options.queue, error, ?after, "a job failed");
        Ok(match after {
            AfterFailure::Retry(_) => "failed",
            AfterFailure::Dead => "dead",
            AfterFailure::Cancelled => "cancelled",
        })
    }

    async fn commit(&self, job: &TakenJob, mut transaction: Transaction) -> Result<(), RowError> {
        complete(&mut transaction, job, self.clock.now()).await?;
        transaction.commit().await
    }

    fn ended(&self, attempt: Result<(), JoinError>) {
        if let Err(error) = attempt {
            tracing::error!(queue = self.options.queue, %error, "a job's attempt ended by itself");
        }
    }
}
