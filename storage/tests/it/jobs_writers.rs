//! Many writers on one SQLite file: nobody is told that it is busy.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use bytes::Bytes;
use media::{Clock, Micros, SystemClock};
use storage::Database;
use storage::rows::jobs::{self, NewJob};
use storage::rows::leases;
use storage::rows::sql::query;
use tokio::task::JoinSet;

use crate::children::{TestProcess, given_argument, given_database};
use crate::fixtures::TestDatabase;

const WRITERS: usize = 16;
const PROCESSES: usize = 4;
const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(10);

/// Writes for so long: a job, its attempt and its end, a lease. Any error is a panic.
/// How many jobs it has enqueued.
async fn write(db: Database, writer: String, how_long: Duration) -> u64 {
    let until = Instant::now() + how_long;
    let mut written = 0;
    while Instant::now() < until {
        let now = SystemClock.now();
        let job = NewJob {
            queue: "q",
            unique_key: None,
            payload: Bytes::from_static(&[7; 100]),
            run_at: now,
            max_attempts: NonZeroU32::MIN,
        };
        let mut transaction = db.write().await.unwrap();
        jobs::enqueue(&db, &mut transaction, &job, now)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        written += 1;

        let ttl = Micros::from_secs(600);
        let taken = jobs::dequeue(&db, "q", &writer, ttl, SystemClock.now()).await;
        if let Some(job) = taken.unwrap() {
            let mut transaction = db.write().await.unwrap();
            jobs::complete(&mut transaction, &job, now).await.unwrap();
            transaction.commit().await.unwrap();
        }
        let lease = leases::acquire(&db, "l", &writer, ttl, now).await.unwrap();
        if let Some(lease) = lease {
            lease.release(&db).await.unwrap();
        }
    }
    written
}

async fn write_in_tasks(db: &Database, tasks: usize, how_long: Duration) -> u64 {
    let mut writers = JoinSet::new();
    for writer in 0..tasks {
        writers.spawn(write(db.clone(), writer.to_string(), how_long));
    }
    writers.join_all().await.into_iter().sum()
}

async fn assert_jobs(db: &Database, written: u64) {
    let (rows,): (u64,) = query("SELECT COUNT(*) FROM jobs").one(db).await.unwrap();
    assert_eq!(rows, written);
    assert_eq!(db.check().await.unwrap(), []);
}

async fn tasks_write(how_long: Duration) {
    let test = TestDatabase::new().await;
    let written = write_in_tasks(&test.db, WRITERS, how_long).await;
    assert_jobs(&test.db, written).await;
}

async fn processes_write(how_long: Duration) {
    let test = TestDatabase::new().await;
    let seconds = how_long.as_secs().to_string();
    let mut children: Vec<_> = (0..PROCESSES)
        .map(|_| TestProcess::spawn("jobs_writers::child_writes", &test.url, &seconds))
        .collect();
    let mut written = 0;
    for child in &mut children {
        written += child.wait_for("written ").await.parse::<u64>().unwrap();
    }
    assert_jobs(&test.db, written).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_tasks_write() {
    tasks_write(SHORT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_sixteen_tasks_write() {
    tasks_write(LONG).await;
}

#[tokio::test]
async fn four_processes_write() {
    processes_write(SHORT).await;
}

#[tokio::test]
async fn long_four_processes_write() {
    processes_write(LONG).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a process of the tests above"]
async fn child_writes() {
    let how_long = Duration::from_secs(given_argument().parse().unwrap());
    let db = given_database().await;
    let written = write_in_tasks(&db, WRITERS / PROCESSES, how_long).await;
    println!("\nwritten {written}");
}
