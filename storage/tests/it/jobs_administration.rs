//! Jobs from outside: cancelled, brought back from the dead, listed, deleted.

use std::num::NonZeroU32;

use media::{JobId, Micros};
use storage::Database;
use storage::rows::jobs::{
    self, AfterFailure, Cancellation, Counts, Heartbeat, JobState, NewJob, Progress, Revival,
};

use crate::fixtures::{NOW, TestDatabase};
use crate::jobs::{SECOND, TTL, complete, enqueue, get, new_job, take};

on_both_engines! {
    a_waiting_job_is_cancelled_at_once,
    a_running_job_is_cancelled_by_its_worker,
    a_cancelled_job_does_not_run_again,
    a_dead_job_is_revived,
    jobs_are_listed_counted_and_deleted,
    what_is_no_job_is_an_error,
}

async fn a_waiting_job_is_cancelled_at_once(test: TestDatabase) {
    let db = &test.db;
    let id = enqueue(db, &new_job("q")).await.id();
    let cancelled = jobs::cancel(db, id, NOW + SECOND).await.unwrap();
    assert_eq!(cancelled, Cancellation::Cancelled);
    let row = get(db, id).await;
    assert_eq!((row.state, row.due_at), (JobState::Cancelled, None));
    assert_eq!(row.finished_at, Some(NOW + SECOND));
    assert_eq!(take(db, "q", NOW + TTL).await, None);
    let again = jobs::cancel(db, id, NOW + TTL).await.unwrap();
    assert_eq!(again, Cancellation::TooLate);
    assert_eq!(get(db, id).await, row);
}

async fn a_running_job_is_cancelled_by_its_worker(test: TestDatabase) {
    let db = &test.db;
    enqueue(db, &new_job("q")).await;
    let job = take(db, "q", NOW).await.unwrap();
    let asked = jobs::cancel(db, job.id, NOW).await.unwrap();
    assert_eq!(asked, Cancellation::Requested);
    let beat = jobs::heartbeat(db, &job, Progress::NONE, TTL, NOW).await;
    assert_eq!(beat.unwrap(), Heartbeat::Cancel);
    assert_eq!(get(db, job.id).await.state, JobState::Running);
    jobs::cancelled(db, &job, NOW + SECOND).await.unwrap();
    let row = get(db, job.id).await;
    assert_eq!(row.state, JobState::Cancelled);
    assert_eq!(row.finished_at, Some(NOW + SECOND));

    // Who completes first has completed.
    enqueue(db, &new_job("q")).await;
    let job = take(db, "q", NOW).await.unwrap();
    jobs::cancel(db, job.id, NOW).await.unwrap();
    complete(db, &job, NOW).await.unwrap();
    assert_eq!(get(db, job.id).await.state, JobState::Done);
}

async fn a_cancelled_job_does_not_run_again(test: TestDatabase) {
    let db = &test.db;
    // Its attempt fails.
    enqueue(db, &new_job("q")).await;
    let failing = take(db, "q", NOW).await.unwrap();
    jobs::cancel(db, failing.id, NOW).await.unwrap();
    let after = jobs::fail(db, &failing, "x", NOW).await.unwrap();
    assert_eq!(after, AfterFailure::Cancelled);
    // Its worker falls silent.
    enqueue(db, &new_job("q")).await;
    let silent = take(db, "q", NOW).await.unwrap();
    jobs::cancel(db, silent.id, NOW).await.unwrap();
    // Its worker stops.
    enqueue(db, &new_job("q")).await;
    let given = take(db, "q", NOW).await.unwrap();
    jobs::cancel(db, given.id, NOW).await.unwrap();
    jobs::give_back(db, &given, NOW).await.unwrap();

    assert_eq!(take(db, "q", NOW + TTL + TTL).await, None);
    for job in [failing, silent, given] {
        let row = get(db, job.id).await;
        assert_eq!(row.state, JobState::Cancelled);
        assert_eq!(row.attempts, 1);
    }
}

/// A job that has failed for the last time.
async fn dead(db: &Database, unique_key: Option<&str>) -> JobId {
    let job = NewJob {
        max_attempts: NonZeroU32::MIN,
        unique_key,
        ..new_job("q")
    };
    enqueue(db, &job).await;
    let job = take(db, "q", NOW).await.unwrap();
    let after = jobs::fail(db, &job, "failed", NOW).await.unwrap();
    assert_eq!(after, AfterFailure::Dead);
    job.id
}

async fn jobs_are_listed_counted_and_deleted(test: TestDatabase) {
    let db = &test.db;
    assert_eq!(jobs::counts(db, "q").await.unwrap(), Counts::default());
    dead(db, None).await;
    for _ in 0..7 {
        enqueue(db, &new_job("q")).await;
    }
    enqueue(db, &new_job("other")).await;
    for seconds in 0..3 {
        let job = take(db, "q", NOW).await.unwrap();
        let at = NOW + Micros::from_secs(seconds);
        complete(db, &job, at).await.unwrap();
    }
    take(db, "q", NOW).await.unwrap();
    let counts = jobs::counts(db, "q").await.unwrap();
    let expected = Counts {
        ready: 3,
        running: 1,
        dead: 1,
    };
    assert_eq!(counts, expected);

    let mut listed = Vec::new();
    loop {
        let after = listed.last().copied();
        let page = jobs::list(db, "q", JobState::Ready, after, 2)
            .await
            .unwrap();
        listed.extend(page.iter().map(|job| job.id));
        if page.len() < 2 {
            break;
        }
    }
    assert_eq!(listed.len(), 3);
    assert!(listed.is_sorted());

    let before = NOW + Micros::from_secs(2);
    assert_eq!(jobs::delete_finished(db, before, 2).await.unwrap(), 2);
    assert_eq!(jobs::delete_finished(db, before, 2).await.unwrap(), 1);
    assert_eq!(jobs::delete_finished(db, before, 2).await.unwrap(), 0);
    let done = jobs::list(db, "q", JobState::Done, None, 10).await.unwrap();
    assert_eq!(done.len(), 1);
    assert_eq!(done[0].finished_at, Some(before));
    assert_eq!(jobs::counts(db, "q").await.unwrap().ready, 3);
}

async fn what_is_no_job_is_an_error(test: TestDatabase) {
    let (db, nothing) = (&test.db, JobId::new());
    assert_eq!(jobs::get(db, nothing).await.unwrap(), None);
    for error in [
        jobs::cancel(db, nothing, NOW).await.unwrap_err(),
        jobs::retry_dead(db, nothing, NOW).await.unwrap_err(),
    ] {
        assert_eq!(error.to_string(), "no such job");
    }
}

async fn a_dead_job_is_revived(test: TestDatabase) {
    let db = &test.db;
    let id = dead(db, Some("key")).await;
    let revived = jobs::retry_dead(db, id, NOW + SECOND).await.unwrap();
    assert_eq!(revived, Revival::Revived);
    let again = jobs::retry_dead(db, id, NOW + SECOND).await.unwrap();
    assert_eq!(again, Revival::NotDead);
    let row = get(db, id).await;
    assert_eq!(row.state, JobState::Ready);
    assert_eq!(row.finished_at, None);
    assert_eq!(take(db, "q", NOW).await, None);
    let job = take(db, "q", NOW + SECOND).await.unwrap();
    assert_eq!((job.id, job.attempt, job.failures), (id, 2, 0));
    complete(db, &job, NOW + SECOND).await.unwrap();

    let id = dead(db, Some("key")).await;
    let keyed = NewJob {
        unique_key: Some("key"),
        ..new_job("q")
    };
    enqueue(db, &keyed).await;
    let error = jobs::retry_dead(db, id, NOW).await.unwrap_err();
    assert_eq!(error.to_string(), "the job's unique key is taken");
    assert_eq!(get(db, id).await.state, JobState::Dead);
}
