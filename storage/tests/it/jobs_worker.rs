//! The loop of a worker.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use media::{Clock, JobId, Micros, SystemClock};
use storage::Database;
use storage::rows::Transaction;
use storage::rows::jobs::{
    self, Attempt, Cancellation, HandlerError, Heartbeat, JobRow, JobState, NewJob, Options,
    Progress,
};
use storage::rows::leases::this_process;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::children::eventually;
use crate::fixtures::TestDatabase;

/// Long enough that a busy machine is not silent by chance.
const TTL: Micros = Micros::from_secs(4);

on_both_engines! {
    every_queue_has_its_worker,
    at_most_so_many_jobs_run_at_once,
    errors_and_panics_are_failures,
    heartbeats_keep_a_job_and_tell_its_progress,
    a_cancelled_job_stops_its_handler,
    a_lost_job_stops_its_handler,
    a_worker_that_stops_gives_its_jobs_back,
    a_heartbeat_that_is_given_up_halfway_harms_nothing,
}

/// A worker that runs until it is told to stop.
struct Running {
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn new<H, F>(db: &Database, queue: &'static str, handler: H) -> Self
    where
        H: Fn(Attempt) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Transaction, HandlerError>> + Send + 'static,
    {
        let options = Options {
            queue,
            worker: this_process(),
            concurrency: NonZeroUsize::new(3).unwrap(),
            ttl: TTL,
        };
        let shutdown = CancellationToken::new();
        let worker = jobs::run(
            db.clone(),
            Arc::new(SystemClock),
            options,
            handler,
            shutdown.clone(),
        );
        Self {
            shutdown,
            task: tokio::spawn(worker),
        }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

async fn enqueue(db: &Database, queue: &str, payload: &'static str) -> JobId {
    let now = SystemClock.now();
    let job = NewJob {
        queue,
        unique_key: None,
        payload: Bytes::from_static(payload.as_bytes()),
        run_at: now,
        max_attempts: NonZeroU32::MIN,
    };
    let mut transaction = db.write().await.unwrap();
    let enqueued = jobs::enqueue(db, &mut transaction, &job, now).await;
    transaction.commit().await.unwrap();
    enqueued.unwrap().id()
}

async fn wait_for_state(db: &Database, id: JobId, state: JobState) -> JobRow {
    let row = async || jobs::get(db, id).await.unwrap().unwrap();
    eventually(state.as_str(), async || row().await.state == state).await;
    row().await
}

type Handling = BoxFuture<'static, Result<Transaction, HandlerError>>;

/// A handler that ends when it is stopped, and the jobs that it was started with.
fn until_stopped() -> (
    mpsc::UnboundedReceiver<JobId>,
    impl Fn(Attempt) -> Handling + Send + Sync + 'static,
) {
    let (started, starts) = mpsc::unbounded_channel();
    let handler = move |attempt: Attempt| -> Handling {
        let started = started.clone();
        Box::pin(async move {
            attempt.report(Progress::of(1, 4));
            started.send(attempt.job.id)?;
            attempt.stop.cancelled().await;
            Err("stopped".into())
        })
    };
    (starts, handler)
}

async fn every_queue_has_its_worker(test: TestDatabase) {
    let db = &test.db;
    let workers = ["a", "b"].map(|queue| {
        let own = db.clone();
        Running::new(db, queue, move |attempt| {
            let db = own.clone();
            async move {
                assert_eq!(attempt.job.payload, queue);
                Ok(db.write().await?)
            }
        })
    });
    for _ in 0..5 {
        for queue in ["a", "b"] {
            let id = enqueue(db, queue, queue).await;
            let done = wait_for_state(db, id, JobState::Done).await;
            assert_eq!((done.attempts, done.failures), (1, 0));
        }
    }
    for worker in workers {
        worker.stop().await;
    }
}

async fn at_most_so_many_jobs_run_at_once(test: TestDatabase) {
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let mut last = None;
    for _ in 0..20 {
        last = Some(enqueue(&test.db, "q", "").await);
    }
    let (db, counters) = (test.db.clone(), (running, most.clone()));
    let worker = Running::new(&test.db, "q", move |_| {
        let (db, (running, most)) = (db.clone(), counters.clone());
        async move {
            let now_running = running.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now_running, Ordering::SeqCst);
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            let transaction = db.write().await;
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(transaction?)
        }
    });
    wait_for_state(&test.db, last.unwrap(), JobState::Done).await;
    worker.stop().await;
    let most = most.load(Ordering::SeqCst);
    assert!((1..=3).contains(&most), "{most}");
    let counts = jobs::counts(&test.db, "q").await.unwrap();
    assert_eq!(counts, jobs::Counts::default());
}

async fn errors_and_panics_are_failures(test: TestDatabase) {
    let worker = Running::new(&test.db, "q", |attempt| async move {
        if attempt.job.payload == "panic" {
            panic!("as the test wants");
        }
        Err("as the test wants".into())
    });
    for (payload, error) in [
        ("error", "as the test wants"),
        ("panic", "the handler panicked"),
    ] {
        let id = enqueue(&test.db, "q", payload).await;
        let dead = wait_for_state(&test.db, id, JobState::Dead).await;
        assert_eq!(dead.error.as_deref(), Some(error));
    }
    worker.stop().await;
}

async fn heartbeats_keep_a_job_and_tell_its_progress(test: TestDatabase) {
    let db = &test.db;
    let (mut starts, handler) = until_stopped();
    let worker = Running::new(db, "q", handler);
    let id = enqueue(db, "q", "").await;
    starts.recv().await.unwrap();
    let first = jobs::get(db, id).await.unwrap().unwrap();
    eventually("the promise is renewed", async || {
        let row = jobs::get(db, id).await.unwrap().unwrap();
        row.due_at > first.due_at && row.progress != Progress::NONE
    })
    .await;
    let row = jobs::get(db, id).await.unwrap().unwrap();
    assert_eq!((row.attempts, row.progress), (1, Progress::of(1, 4)));
    worker.stop().await;
}

async fn a_cancelled_job_stops_its_handler(test: TestDatabase) {
    let db = &test.db;
    let (mut starts, handler) = until_stopped();
    let worker = Running::new(db, "q", handler);
    let id = enqueue(db, "q", "").await;
    assert_eq!(starts.recv().await, Some(id));
    let cancelled = jobs::cancel(db, id, SystemClock.now()).await.unwrap();
    assert_eq!(cancelled, Cancellation::Requested);
    let row = wait_for_state(db, id, JobState::Cancelled).await;
    assert_eq!((row.failures, row.error), (0, None));
    worker.stop().await;
}

async fn a_lost_job_stops_its_handler(test: TestDatabase) {
    let db = &test.db;
    let (mut starts, handler) = until_stopped();
    let worker = Running::new(db, "q", handler);
    let id = enqueue(db, "q", "").await;
    starts.recv().await.unwrap();
    // As if another had taken it over, and fell silent.
    test.raw("UPDATE jobs SET attempts = attempts + 7, due_at = 0, max_attempts = 9")
        .await;
    // It is free for its next attempt as soon as the lost one has ended, or before.
    assert_eq!(starts.recv().await, Some(id));
    let row = jobs::get(db, id).await.unwrap().unwrap();
    assert_eq!((row.attempts, row.failures), (9, 1));
    worker.stop().await;
    // Given back once: what the lost attempt did at its end changed nothing.
    let row = jobs::get(db, id).await.unwrap().unwrap();
    assert_eq!((row.state, row.attempts), (JobState::Ready, 9));
    assert_eq!(row.failures, 1);
}

async fn a_worker_that_stops_gives_its_jobs_back(test: TestDatabase) {
    let db = &test.db;
    let (mut starts, handler) = until_stopped();
    let worker = Running::new(db, "q", handler);
    for _ in 0..3 {
        enqueue(db, "q", "").await;
    }
    for _ in 0..3 {
        starts.recv().await.unwrap();
    }
    worker.stop().await;
    let ready = jobs::list(db, "q", JobState::Ready, None, 10)
        .await
        .unwrap();
    assert_eq!(ready.len(), 3);
    for job in ready {
        assert_eq!((job.attempts, job.failures, job.error), (1, 0, None));
        assert!(job.due_at.unwrap() <= SystemClock.now());
    }
}

/// A worker gives up the heartbeat under way when its handler ends.
async fn a_heartbeat_that_is_given_up_halfway_harms_nothing(test: TestDatabase) {
    let db = &test.db;
    enqueue(db, "q", "").await;
    let now = SystemClock.now();
    let job = jobs::dequeue(db, "q", "worker", TTL, now).await;
    let job = job.unwrap().unwrap();
    for round in 0..300_u32 {
        let heartbeat = jobs::heartbeat(db, &job, Progress::from_parts(round), TTL, now);
        // Dropped after so many steps, at every place that it waits at.
        let given_up = async {
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            beat = heartbeat => assert_eq!(beat.unwrap(), Heartbeat::Continue),
            () = given_up => {}
        }
    }
    let last = Progress::from_parts(777);
    let beat = jobs::heartbeat(db, &job, last, TTL, now).await;
    assert_eq!(beat.unwrap(), Heartbeat::Continue);
    let row = jobs::get(db, job.id).await.unwrap().unwrap();
    assert_eq!(row.progress, last);
    let mut transaction = db.write().await.unwrap();
    jobs::complete(&mut transaction, &job, now).await.unwrap();
    transaction.commit().await.unwrap();
}
