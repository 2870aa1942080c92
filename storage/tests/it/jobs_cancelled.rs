//! Work that is wanted again while its job is being cancelled.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;

use bytes::Bytes;
use media::{Clock, JobId, Micros, SystemClock, Timestamp};
use storage::rows::jobs::{
    self, Attempt, Cancellation, Enqueued, HandlerError, JobState, NewJob, Options, Progress,
    TakenJob,
};
use storage::{Database, RowError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::children::eventually;
use crate::fixtures::{NOW, TestDatabase};

const TTL: Micros = Micros::from_secs(4);

on_both_engines! {
    a_job_that_is_being_cancelled_is_not_handed_out,
    a_job_that_was_cancelled_and_given_back_is_not_handed_out,
    what_is_enqueued_while_its_job_is_cancelled_is_done,
}

async fn enqueue(db: &Database, payload: &'static str) -> Enqueued {
    enqueue_at(db, payload, NOW).await
}

async fn enqueue_at(db: &Database, payload: &'static str, now: Timestamp) -> Enqueued {
    let job = NewJob {
        queue: "q",
        unique_key: Some("stream 1"),
        payload: Bytes::from_static(payload.as_bytes()),
        run_at: now,
        max_attempts: NonZeroU32::MIN,
    };
    let mut transaction = db.write().await.unwrap();
    let enqueued = jobs::enqueue(db, &mut transaction, &job, now).await;
    transaction.commit().await.unwrap();
    enqueued.unwrap()
}

async fn take(db: &Database) -> Option<TakenJob> {
    jobs::dequeue(db, "q", "worker", TTL, NOW).await.unwrap()
}

async fn state(db: &Database, id: JobId) -> JobState {
    jobs::get(db, id).await.unwrap().unwrap().state
}

async fn a_job_that_is_being_cancelled_is_not_handed_out(test: TestDatabase) {
    let db = &test.db;
    enqueue(db, "first").await;
    let first = take(db).await.unwrap();
    let asked = jobs::cancel(db, first.id, NOW).await.unwrap();
    assert_eq!(asked, Cancellation::Requested);

    let second = enqueue(db, "second").await;
    assert!(matches!(second, Enqueued::New(_)), "{second:?}");
    assert_eq!(state(db, first.id).await, JobState::Cancelled);
    // Its worker hears of it, and what it has done does not count.
    let beat = jobs::heartbeat(db, &first, Progress::NONE, TTL, NOW).await;
    assert!(matches!(beat, Err(RowError::JobLost(_))), "{beat:?}");
    let mut transaction = db.write().await.unwrap();
    let completed = jobs::complete(&mut transaction, &first, NOW).await;
    assert!(
        matches!(completed, Err(RowError::JobLost(_))),
        "{completed:?}"
    );
    drop(transaction);

    // The next one that wants it gets this one.
    assert_eq!(enqueue(db, "third").await, Enqueued::Existing(second.id()));
    let taken = take(db).await.unwrap();
    assert_eq!(
        (taken.id, &taken.payload[..]),
        (second.id(), &b"second"[..])
    );
    assert_eq!(take(db).await, None);
}

async fn a_job_that_was_cancelled_and_given_back_is_not_handed_out(test: TestDatabase) {
    let db = &test.db;
    enqueue(db, "first").await;
    let first = take(db).await.unwrap();
    jobs::cancel(db, first.id, NOW).await.unwrap();
    jobs::give_back(db, &first, NOW).await.unwrap();
    assert_eq!(state(db, first.id).await, JobState::Cancelled);
    let second = enqueue(db, "second").await;
    assert!(matches!(second, Enqueued::New(_)), "{second:?}");
    assert_eq!(take(db).await.unwrap().id, second.id());
}

async fn what_is_enqueued_while_its_job_is_cancelled_is_done(test: TestDatabase) {
    let db = &test.db;
    let clock = Arc::new(SystemClock);
    let first = enqueue_at(db, "slow", clock.now()).await.id();
    let (started, mut starts) = mpsc::unbounded_channel();
    let own = db.clone();
    let handler = move |attempt: Attempt| {
        let (db, started) = (own.clone(), started.clone());
        async move {
            if attempt.job.payload == "slow" {
                started.send(attempt.job.id)?;
                attempt.stop.cancelled().await;
                return Err(HandlerError::from("stopped"));
            }
            Ok(db.write().await?)
        }
    };
    let options = Options {
        queue: "q",
        worker: "worker".to_owned(),
        concurrency: NonZeroUsize::MIN,
        ttl: TTL,
    };
    let shutdown = CancellationToken::new();
    let worker = jobs::run(
        db.clone(),
        clock.clone(),
        options,
        handler,
        shutdown.clone(),
    );
    let worker = tokio::spawn(worker);
    eventually("the job has started", async || {
        starts.try_recv().is_ok_and(|started| started == first)
    })
    .await;
    jobs::cancel(db, first, clock.now()).await.unwrap();
    let second = enqueue_at(db, "quick", clock.now()).await.id();
    eventually("the work is done", async || {
        state(db, second).await == JobState::Done
    })
    .await;
    assert_eq!(state(db, first).await, JobState::Cancelled);
    shutdown.cancel();
    worker.await.unwrap();
}
