//! Jobs: taken in order, ended once.

use std::num::NonZeroU32;

use bytes::Bytes;
use media::{JobId, Micros, Timestamp};
use storage::rows::jobs::{
    self, AfterFailure, BACKOFF_BASE, Enqueued, FELL_SILENT, Heartbeat, JobRow, JobState, NewJob,
    Progress, TakenJob,
};
use storage::rows::sql::query;
use storage::{Database, RowError};

use crate::fixtures::{NOW, TestDatabase};

pub(crate) const TTL: Micros = Micros::from_secs(30);
pub(crate) const SECOND: Micros = Micros::from_secs(1);

on_both_engines! {
    a_job_goes_from_its_enqueuer_to_its_worker,
    a_job_is_there_only_if_its_transaction_is,
    jobs_are_taken_in_the_order_they_are_due,
    a_unique_key_is_for_unfinished_jobs,
    a_result_and_its_job_s_end_are_one_commit,
    failures_come_again_later_each_time_until_the_job_is_dead,
    a_long_error_is_cut,
    a_silent_worker_loses_its_job,
    a_job_that_silences_its_workers_dies,
    a_job_that_is_given_back_has_not_failed,
    eight_workers_handle_each_of_200_jobs_once,
}

pub(crate) fn new_job(queue: &str) -> NewJob<'_> {
    NewJob {
        queue,
        unique_key: None,
        payload: Bytes::from_static(b"payload"),
        run_at: NOW,
        max_attempts: NonZeroU32::new(3).unwrap(),
    }
}

pub(crate) async fn enqueue(db: &Database, job: &NewJob<'_>) -> Enqueued {
    let mut transaction = db.write().await.unwrap();
    let enqueued = jobs::enqueue(db, &mut transaction, job, NOW).await.unwrap();
    transaction.commit().await.unwrap();
    enqueued
}

pub(crate) async fn take(db: &Database, queue: &str, now: Timestamp) -> Option<TakenJob> {
    jobs::dequeue(db, queue, "worker", TTL, now).await.unwrap()
}

pub(crate) async fn complete(
    db: &Database,
    job: &TakenJob,
    now: Timestamp,
) -> Result<(), RowError> {
    let mut transaction = db.write().await.unwrap();
    jobs::complete(&mut transaction, job, now).await?;
    transaction.commit().await
}

pub(crate) async fn get(db: &Database, id: JobId) -> JobRow {
    jobs::get(db, id).await.unwrap().unwrap()
}

/// Asserts that the attempt can do nothing any more.
async fn assert_lost(db: &Database, job: &TakenJob, now: Timestamp) {
    let row = get(db, job.id).await;
    for (what, error) in [
        ("complete", complete(db, job, now).await.unwrap_err()),
        (
            "heartbeat",
            jobs::heartbeat(db, job, Progress::ALL, TTL, now)
                .await
                .unwrap_err(),
        ),
        ("fail", jobs::fail(db, job, "x", now).await.unwrap_err()),
        (
            "give back",
            jobs::give_back(db, job, now).await.unwrap_err(),
        ),
        ("cancel", jobs::cancelled(db, job, now).await.unwrap_err()),
    ] {
        assert!(
            matches!(error, RowError::JobLost(id) if id == job.id),
            "{what}: {error}"
        );
    }
    assert_eq!(get(db, job.id).await, row);
}

async fn a_job_goes_from_its_enqueuer_to_its_worker(test: TestDatabase) {
    let db = &test.db;
    let Enqueued::New(id) = enqueue(db, &new_job("q")).await else {
        panic!("not new");
    };
    let waiting = get(db, id).await;
    assert_eq!(waiting.state, JobState::Ready);
    assert_eq!((waiting.attempts, waiting.failures), (0, 0));
    assert_eq!(waiting.created_at, NOW);

    let job = take(db, "q", NOW).await.unwrap();
    assert_eq!((job.id, job.attempt, job.failures), (id, 1, 0));
    assert_eq!(job.payload, "payload");
    assert_eq!(take(db, "q", NOW).await, None);
    let running = get(db, id).await;
    assert_eq!(running.state, JobState::Running);
    assert_eq!(running.worker.as_deref(), Some("worker"));
    assert_eq!(running.due_at, Some(NOW + TTL));

    let third = Progress::of(1, 3);
    let beat = jobs::heartbeat(db, &job, third, TTL, NOW + SECOND).await;
    assert_eq!(beat.unwrap(), Heartbeat::Continue);
    let beaten = get(db, id).await;
    assert_eq!(beaten.progress, third);
    assert_eq!(beaten.due_at, Some(NOW + SECOND + TTL));

    complete(db, &job, NOW + SECOND).await.unwrap();
    let done = get(db, id).await;
    assert_eq!((done.state, done.due_at), (JobState::Done, None));
    assert_eq!(done.finished_at, Some(NOW + SECOND));
    assert_eq!(done.progress, Progress::ALL);
    assert_eq!(take(db, "q", NOW + TTL + TTL).await, None);
    assert_lost(db, &job, NOW + SECOND).await;
}

async fn a_job_is_there_only_if_its_transaction_is(test: TestDatabase) {
    let mut transaction = test.db.write().await.unwrap();
    let enqueued = jobs::enqueue(&test.db, &mut transaction, &new_job("q"), NOW).await;
    drop(transaction);
    assert_eq!(take(&test.db, "q", NOW).await, None);
    let row = jobs::get(&test.db, enqueued.unwrap().id()).await;
    assert_eq!(row.unwrap(), None);
}

async fn jobs_are_taken_in_the_order_they_are_due(test: TestDatabase) {
    let db = &test.db;
    let mut ids = Vec::new();
    for (queue, due_in) in [("q", 30), ("q", 10), ("other", 0), ("q", 20), ("q", 10)] {
        let job = NewJob {
            run_at: NOW + Micros::from_secs(due_in),
            ..new_job(queue)
        };
        ids.push(enqueue(db, &job).await.id());
    }
    assert_eq!(take(db, "q", NOW).await, None);
    let first = NOW + Micros::from_secs(10);
    assert_eq!(take(db, "q", first - Micros::new(1)).await, None);
    assert_eq!(take(db, "q", first).await.unwrap().id, ids[1]);
    let late = NOW + Micros::from_secs(35);
    for next in [4, 3, 0] {
        assert_eq!(take(db, "q", late).await.unwrap().id, ids[next]);
    }
    assert_eq!(take(db, "q", late).await, None);
    assert_eq!(take(db, "other", late).await.unwrap().id, ids[2]);
}

async fn a_unique_key_is_for_unfinished_jobs(test: TestDatabase) {
    let db = &test.db;
    let keyed = |queue| NewJob {
        unique_key: Some("stream 1"),
        ..new_job(queue)
    };
    let first = enqueue(db, &keyed("q")).await;
    assert!(matches!(first, Enqueued::New(_)));
    let other = NewJob {
        payload: Bytes::from_static(b"other"),
        ..keyed("q")
    };
    assert_eq!(enqueue(db, &other).await, Enqueued::Existing(first.id()));
    assert_eq!(get(db, first.id()).await.payload, "payload");
    let elsewhere = enqueue(db, &keyed("other")).await;
    assert!(matches!(elsewhere, Enqueued::New(_)));

    let job = take(db, "q", NOW).await.unwrap();
    let while_running = enqueue(db, &keyed("q")).await;
    assert_eq!(while_running, Enqueued::Existing(first.id()));
    complete(db, &job, NOW).await.unwrap();
    let second = enqueue(db, &keyed("q")).await;
    assert!(matches!(second, Enqueued::New(id) if id != first.id()));

    let (one, two) = (new_job("q"), new_job("q"));
    assert_ne!(enqueue(db, &one).await.id(), enqueue(db, &two).await.id());
}

async fn a_result_and_its_job_s_end_are_one_commit(test: TestDatabase) {
    let db = &test.db;
    test.raw("CREATE TABLE results (job BIGINT NOT NULL)").await;
    let result = || query("INSERT INTO results (job) VALUES (1)");
    enqueue(db, &new_job("q")).await;
    let job = take(db, "q", NOW).await.unwrap();

    let mut transaction = db.write().await.unwrap();
    result().execute(&mut transaction).await.unwrap();
    jobs::complete(&mut transaction, &job, NOW).await.unwrap();
    drop(transaction);
    assert_eq!(get(db, job.id).await.state, JobState::Running);

    let mut transaction = db.write().await.unwrap();
    result().execute(&mut transaction).await.unwrap();
    jobs::complete(&mut transaction, &job, NOW).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(get(db, job.id).await.state, JobState::Done);
    let results: Vec<(i64,)> = query("SELECT job FROM results").all(db).await.unwrap();
    assert_eq!(results.len(), 1);
}

async fn failures_come_again_later_each_time_until_the_job_is_dead(test: TestDatabase) {
    let db = &test.db;
    let id = enqueue(db, &new_job("q")).await.id();
    let mut now = NOW;
    for attempt in 1..=2 {
        let job = take(db, "q", now).await.unwrap();
        assert_eq!((job.attempt, job.failures), (attempt, attempt - 1));
        let error = format!("failure {attempt}");
        let after = jobs::fail(db, &job, &error, now).await.unwrap();
        let wait = jobs::backoff(attempt, id);
        assert!(wait >= Micros::new(BACKOFF_BASE.as_micros() / 2));
        assert_eq!(after, AfterFailure::Retry(now + wait));
        assert_lost(db, &job, now).await;
        assert_eq!(get(db, id).await.error, Some(error));
        assert_eq!(take(db, "q", now + wait - Micros::new(1)).await, None);
        now = now + wait;
    }
    let job = take(db, "q", now).await.unwrap();
    let after = jobs::fail(db, &job, "failure 3", now).await.unwrap();
    assert_eq!(after, AfterFailure::Dead);
    let dead = get(db, id).await;
    assert_eq!((dead.state, dead.due_at), (JobState::Dead, None));
    assert_eq!((dead.attempts, dead.failures), (3, 3));
    assert_eq!(dead.finished_at, Some(now));
    assert_eq!(dead.error.as_deref(), Some("failure 3"));
    let much_later = now + Micros::from_secs(1_000_000);
    assert_eq!(take(db, "q", much_later).await, None);
}

async fn a_long_error_is_cut(test: TestDatabase) {
    enqueue(&test.db, &new_job("q")).await;
    let job = take(&test.db, "q", NOW).await.unwrap();
    let error = format!("a zero \0 and {}", "ü".repeat(10_000));
    jobs::fail(&test.db, &job, &error, NOW).await.unwrap();
    let kept = get(&test.db, job.id).await.error.unwrap();
    assert!(kept.starts_with("a zero   and ü"), "{kept}");
    assert!(kept.len() <= jobs::ERROR_BYTES_AT_MOST);
}

async fn a_silent_worker_loses_its_job(test: TestDatabase) {
    let db = &test.db;
    let id = enqueue(db, &new_job("q")).await.id();
    let first = take(db, "q", NOW).await.unwrap();
    let later = NOW + TTL;
    assert_eq!(take(db, "q", later - Micros::new(1)).await, None);
    // Late, but nobody has asked yet.
    let beat = jobs::heartbeat(db, &first, Progress::of(1, 2), TTL, later).await;
    assert_eq!(beat.unwrap(), Heartbeat::Continue);
    assert_eq!(take(db, "q", later).await, None);

    let later = later + TTL;
    let second = take(db, "q", later).await.unwrap();
    assert_eq!((second.id, second.attempt, second.failures), (id, 2, 1));
    let row = get(db, id).await;
    assert_eq!(row.error.as_deref(), Some(FELL_SILENT));
    assert_eq!(row.progress, Progress::NONE);
    assert_lost(db, &first, later).await;
    complete(db, &second, later).await.unwrap();
}

async fn a_job_that_silences_its_workers_dies(test: TestDatabase) {
    let db = &test.db;
    let id = enqueue(db, &new_job("q")).await.id();
    let next = NewJob {
        run_at: NOW + Micros::from_secs(1_000),
        ..new_job("q")
    };
    let next = enqueue(db, &next).await.id();
    let mut now = NOW;
    for attempt in 1..=3 {
        let job = take(db, "q", now).await.unwrap();
        assert_eq!(
            (job.id, job.attempt, job.failures),
            (id, attempt, attempt - 1)
        );
        now = now + TTL;
    }
    // Buried on the way to the next.
    let now = NOW + Micros::from_secs(1_000);
    assert_eq!(take(db, "q", now).await.unwrap().id, next);
    let dead = get(db, id).await;
    assert_eq!(dead.state, JobState::Dead);
    assert_eq!((dead.attempts, dead.failures), (3, 3));
    assert_eq!(dead.error.as_deref(), Some(FELL_SILENT));
    assert_eq!(dead.finished_at, Some(now));
}

async fn a_job_that_is_given_back_has_not_failed(test: TestDatabase) {
    let db = &test.db;
    enqueue(db, &new_job("q")).await;
    for attempt in 1..=5 {
        let job = take(db, "q", NOW).await.unwrap();
        assert_eq!((job.attempt, job.failures), (attempt, 0));
        jobs::give_back(db, &job, NOW).await.unwrap();
        assert_lost(db, &job, NOW).await;
    }
}

async fn eight_workers_handle_each_of_200_jobs_once(test: TestDatabase) {
    const JOBS: usize = 200;
    test.raw("CREATE TABLE results (job BIGINT NOT NULL)").await;
    let mut transaction = test.db.write().await.unwrap();
    for number in 0..JOBS as u32 {
        let job = NewJob {
            payload: Bytes::from(number.to_le_bytes().to_vec()),
            ..new_job("q")
        };
        jobs::enqueue(&test.db, &mut transaction, &job, NOW)
            .await
            .unwrap();
    }
    transaction.commit().await.unwrap();

    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let db = test.another_handle().await;
        workers.spawn(async move {
            let mut handled = 0;
            while let Some(job) = take(&db, "q", NOW).await {
                let number = u32::from_le_bytes(job.payload[..].try_into().unwrap());
                let mut transaction = db.write().await.unwrap();
                query("INSERT INTO results (job) VALUES ($1)")
                    .bind(number)
                    .execute(&mut transaction)
                    .await
                    .unwrap();
                jobs::complete(&mut transaction, &job, NOW).await.unwrap();
                transaction.commit().await.unwrap();
                handled += 1;
            }
            handled
        });
    }
    let handled = workers.join_all().await;
    assert_eq!(handled.iter().sum::<usize>(), JOBS, "{handled:?}");
    let results: Vec<(u32,)> = query("SELECT job FROM results ORDER BY job")
        .all(&test.db)
        .await
        .unwrap();
    let numbers: Vec<_> = results.into_iter().map(|(number,)| number).collect();
    assert_eq!(numbers, Vec::from_iter(0..JOBS as u32));
}
