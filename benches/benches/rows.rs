//! Rows per second, on SQLite and on PostgreSQL, both so that a commit survives a power
//! cut. Whole runs are timed, not single calls: what counts is how commits share the disk.
//! An argument picks the measurements that have it in their name.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use benches::databases::{Engine, Place};
use bytes::Bytes;
use media::{Micros, Timestamp};
use storage::Database;
use storage::rows::jobs::{self, NewJob};
use tokio::task::JoinSet;

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
const PAYLOAD_BYTES: usize = 200;
/// Rows written by one task after the other.
const ROWS_ALONE: u32 = 2_000;
/// Rows written by [`TASKS`] tasks, or by a hundred in a transaction.
const ROWS_TOGETHER: u32 = 8_000;
const TASKS: u32 = 8;
const BATCH: u32 = 100;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let report = Report {
        filter: filter.unwrap_or_default(),
    };
    for engine in Engine::ALL {
        if report.wants(engine.name()) {
            let place = engine.place();
            runtime.block_on(measure(&report, engine.name(), &place));
        }
    }
}

/// What is measured, and where it is printed.
struct Report {
    filter: String,
}

impl Report {
    /// Whether any measurement of this engine may be wanted: its name, or one within it.
    fn wants(&self, engine: &str) -> bool {
        const WITHIN: [&str; 1] = [JOBS];
        WITHIN
            .iter()
            .any(|section| format!("rows/{engine}/{section}").contains(&self.filter))
    }

    fn row(&self, engine: &str, section: &str, what: &str, rows: u32, took: Duration) {
        let rate = f64::from(rows) / took.as_secs_f64();
        let took = took.as_secs_f64();
        println!("{engine:<9} {section:<7} {what:<44} {rows:>6} rows {took:>7.2} s {rate:>8.0} /s");
    }
}

async fn measure(report: &Report, engine: &str, place: &Place) {
    let db = place.open().await;
    measure_jobs(report, engine, &db).await;
    db.close().await;
}

/// Runs `work` in so many tasks, each with its share of `rows`; how long all took.
async fn together<F>(tasks: u32, rows: u32, work: impl Fn(u32) -> F) -> Duration
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut running = JoinSet::new();
    let begun = Instant::now();
    for _ in 0..tasks {
        running.spawn(work(rows / tasks));
    }
    running.join_all().await;
    begun.elapsed()
}

const JOBS: &str = "jobs";

async fn measure_jobs(report: &Report, engine: &str, db: &Database) {
    let payload = Bytes::from(vec![7; PAYLOAD_BYTES]);
    for (tasks, batch, rows) in [
        (1, 1, ROWS_ALONE),
        (TASKS, 1, ROWS_TOGETHER),
        (1, BATCH, ROWS_TOGETHER),
    ] {
        let what = format!("enqueue, {tasks} tasks, {batch} a transaction");
        let took = together(tasks, rows, |share| {
            enqueue(db.clone(), payload.clone(), share, batch)
        });
        report.row(engine, JOBS, &what, rows, took.await);
    }
    for (tasks, rows) in [(1, ROWS_ALONE), (TASKS, ROWS_TOGETHER)] {
        let what = format!("dequeue and complete, {tasks} workers");
        let took = together(tasks, rows, |share| work(db.clone(), share));
        report.row(engine, JOBS, &what, rows, took.await);
    }
}

async fn enqueue(db: Database, payload: Bytes, rows: u32, batch: u32) {
    for _ in 0..rows / batch {
        let mut transaction = db.write().await.expect("a transaction");
        for _ in 0..batch {
            let job = NewJob {
                queue: "bench",
                unique_key: None,
                payload: payload.clone(),
                run_at: NOW,
                max_attempts: NonZeroU32::MIN,
            };
            let enqueued = jobs::enqueue(&db, &mut transaction, &job, NOW).await;
            enqueued.expect("enqueues");
        }
        transaction.commit().await.expect("commits");
    }
}

async fn work(db: Database, rows: u32) {
    let ttl = Micros::from_secs(600);
    for _ in 0..rows {
        let job = jobs::dequeue(&db, "bench", "worker", ttl, NOW).await;
        let job = job.expect("dequeues").expect("enough jobs");
        let mut transaction = db.write().await.expect("a transaction");
        let completed = jobs::complete(&mut transaction, &job, NOW).await;
        completed.expect("completes");
        transaction.commit().await.expect("commits");
    }
}
