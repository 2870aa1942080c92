//! Workers that are killed lose no job and double no result.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use media::{Clock, Micros, SystemClock};
use storage::Database;
use storage::rows::Transaction;
use storage::rows::jobs::{self, Attempt, Counts, HandlerError, NewJob, Options};
use storage::rows::leases::this_process;
use storage::rows::sql::query;
use tokio_util::sync::CancellationToken;

use crate::children::{TestProcess, eventually, given_database};
use crate::fixtures::TestDatabase;

on_both_engines! {
    killed_workers_lose_and_double_nothing,
    long_killed_workers_lose_and_double_nothing,
}

const QUEUE: &str = "crash";
/// Each enqueues a second one, together with its result.
const JOBS_OF_A_ROUND: u32 = 10;
/// Short, so that what a killed worker had comes back in the next round.
const TTL: Micros = Micros::from_millis(300);

async fn killed_workers_lose_and_double_nothing(test: TestDatabase) {
    rounds(test, 10).await;
}

async fn long_killed_workers_lose_and_double_nothing(test: TestDatabase) {
    rounds(test, 200).await;
}

async fn rounds(test: TestDatabase, rounds: u32) {
    let db = &test.db;
    test.raw("CREATE TABLE results (number BIGINT NOT NULL, step BIGINT NOT NULL)")
        .await;
    for round in 0..rounds {
        let mut transaction = db.write().await.unwrap();
        for number in 0..JOBS_OF_A_ROUND {
            let number = round * JOBS_OF_A_ROUND + number;
            enqueue(db, &mut transaction, number, 0).await.unwrap();
        }
        transaction.commit().await.unwrap();
        let mut child = TestProcess::spawn("jobs_crash::child_works", &test.url, "");
        // The kill lands elsewhere each time: at any job, and anywhere in it.
        let random = uuid::Uuid::now_v7().as_u64_pair().1;
        for _ in 0..=random % 16 {
            child.wait_for("handling").await;
        }
        tokio::time::sleep(Duration::from_micros((random >> 8) % 4_000)).await;
        child.kill().await;
    }

    let shutdown = CancellationToken::new();
    let last = tokio::spawn(work(db.clone(), shutdown.clone(), || {}));
    eventually("every job has finished", async || {
        jobs::counts(db, QUEUE).await.unwrap() == Counts::default()
    })
    .await;
    shutdown.cancel();
    last.await.unwrap();

    let mut results: Vec<(u32, u32)> = query("SELECT number, step FROM results")
        .all(db)
        .await
        .unwrap();
    results.sort_unstable();
    let once: Vec<_> = (0..rounds * JOBS_OF_A_ROUND)
        .flat_map(|number| [(number, 0), (number, 1)])
        .collect();
    assert_eq!(results, once);
    let ends: Vec<(String, u64)> = query("SELECT state, COUNT(*) FROM jobs GROUP BY state")
        .all(db)
        .await
        .unwrap();
    assert_eq!(ends, [("done".to_owned(), once.len() as u64)]);
    assert_eq!(db.check().await.unwrap(), []);
}

async fn enqueue(
    db: &Database,
    transaction: &mut Transaction,
    number: u32,
    step: u32,
) -> Result<(), HandlerError> {
    let now = SystemClock.now();
    let key = format!("{number} {step}");
    let job = NewJob {
        queue: QUEUE,
        unique_key: Some(&key),
        payload: Bytes::from(key.clone()),
        run_at: now,
        // No kill is the job's fault.
        max_attempts: NonZeroU32::MAX,
    };
    jobs::enqueue(db, transaction, &job, now).await?;
    Ok(())
}

/// Writes the job's result, and enqueues its second step in the same transaction.
async fn handle(db: Database, attempt: Attempt) -> Result<Transaction, HandlerError> {
    let payload = std::str::from_utf8(&attempt.job.payload)?;
    let (number, step) = payload.split_once(' ').ok_or("two numbers")?;
    let (number, step): (u32, u32) = (number.parse()?, step.parse()?);
    let mut transaction = db.write().await?;
    query("INSERT INTO results (number, step) VALUES ($1, $2)")
        .bind(number)
        .bind(step)
        .execute(&mut transaction)
        .await?;
    if step == 0 {
        enqueue(&db, &mut transaction, number, 1).await?;
    }
    Ok(transaction)
}

async fn work(db: Database, shutdown: CancellationToken, on_start: fn()) {
    let options = Options {
        queue: QUEUE,
        worker: this_process(),
        concurrency: NonZeroUsize::new(4).unwrap(),
        ttl: TTL,
    };
    let handler_db = db.clone();
    let handler = move |attempt| {
        on_start();
        handle(handler_db.clone(), attempt)
    };
    jobs::run(db, Arc::new(SystemClock), options, handler, shutdown).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a process of the tests above"]
async fn child_works() {
    println!();
    let db = given_database().await;
    work(db, CancellationToken::new(), || println!("handling")).await;
}
