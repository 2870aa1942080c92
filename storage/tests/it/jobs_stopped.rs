//! A worker that is stopped until another has its job, and goes on, cannot write.

use std::num::NonZeroU32;

use bytes::Bytes;
use media::{Clock, Micros, SystemClock};
use storage::RowError;
use storage::rows::jobs::{self, NewJob, Progress};
use storage::rows::sql::query;

use crate::children::{TestProcess, eventually, given_database};
use crate::fixtures::TestDatabase;

/// Long enough for a first heartbeat on a busy machine.
const TTL: Micros = Micros::from_secs(3);

on_both_engines! {
    a_stopped_worker_whose_job_was_taken_cannot_write,
}

async fn a_stopped_worker_whose_job_was_taken_cannot_write(test: TestDatabase) {
    test.raw("CREATE TABLE results (attempt BIGINT NOT NULL)")
        .await;
    let db = &test.db;
    let job = NewJob {
        queue: "q",
        unique_key: None,
        payload: Bytes::new(),
        run_at: SystemClock.now(),
        max_attempts: NonZeroU32::new(3).unwrap(),
    };
    let mut transaction = db.write().await.unwrap();
    jobs::enqueue(db, &mut transaction, &job, SystemClock.now())
        .await
        .unwrap();
    transaction.commit().await.unwrap();

    let mut worker = TestProcess::spawn("jobs_stopped::child_works_when_told", &test.url, "");
    worker.wait_for("taken ").await;
    worker.tell("heartbeat").await;
    assert_eq!(worker.line().await, "alive");
    worker.stop().await;
    // Its pipe has the commands when it goes on.
    worker.tell("write").await;
    worker.tell("heartbeat").await;
    let mut second = None;
    eventually("another worker gets the job", async || {
        let now = SystemClock.now();
        let ttl = Micros::from_secs(600);
        second = jobs::dequeue(db, "q", "other", ttl, now).await.unwrap();
        second.is_some()
    })
    .await;
    worker.go_on().await;
    assert_eq!(worker.line().await, "lost");
    assert_eq!(worker.line().await, "lost");

    let second = second.unwrap();
    assert_eq!((second.attempt, second.failures), (2, 1));
    let mut transaction = db.write().await.unwrap();
    write(&mut transaction, second.attempt).await;
    jobs::complete(&mut transaction, &second, SystemClock.now())
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let rows: Vec<(u32,)> = query("SELECT attempt FROM results").all(db).await.unwrap();
    assert_eq!(rows, [(2,)]);
}

async fn write(transaction: &mut storage::rows::Transaction, attempt: u32) {
    query("INSERT INTO results (attempt) VALUES ($1)")
        .bind(attempt)
        .execute(transaction)
        .await
        .unwrap();
}

#[tokio::test]
#[ignore = "a process of the tests above"]
async fn child_works_when_told() {
    let db = given_database().await;
    let job = jobs::dequeue(&db, "q", "child", TTL, SystemClock.now()).await;
    let job = job.unwrap().unwrap();
    println!("\ntaken {}", job.attempt);
    for command in std::io::stdin().lines() {
        let now = SystemClock.now();
        let done = match command.unwrap().as_str() {
            "heartbeat" => jobs::heartbeat(&db, &job, Progress::NONE, TTL, now)
                .await
                .map(|_| "alive"),
            _ => {
                let mut transaction = db.write().await.unwrap();
                write(&mut transaction, job.attempt).await;
                match jobs::complete(&mut transaction, &job, now).await {
                    Ok(()) => transaction.commit().await.map(|()| "wrote"),
                    Err(error) => Err(error),
                }
            }
        };
        match done {
            Ok(done) => println!("{done}"),
            Err(RowError::JobLost(_)) => println!("lost"),
            Err(error) => panic!("{error}"),
        }
    }
}
