//! A job that kills its workers does not die unseen.

use std::num::NonZeroU32;

use bytes::Bytes;
use measured::Measured;
use media::Micros;
use storage::rows::jobs::{self, NewJob};

use crate::fixtures::{NOW, TestDatabase};

on_both_engines! {
    workers_that_fall_silent_are_counted_and_so_is_what_they_leave,
}

async fn workers_that_fall_silent_are_counted_and_so_is_what_they_leave(test: TestDatabase) {
    let measured = Measured::default();
    let _recording = metrics::set_default_local_recorder(&measured);
    let silent = || measured.count("nova_jobs_fell_silent_total queue=q");
    let dead = || measured.count("nova_jobs_attempts_total queue=q outcome=dead");
    let db = &test.db;
    let job = NewJob {
        queue: "q",
        unique_key: None,
        payload: Bytes::new(),
        run_at: NOW,
        max_attempts: NonZeroU32::new(2).unwrap(),
    };
    let mut transaction = db.write().await.unwrap();
    jobs::enqueue(db, &mut transaction, &job, NOW)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let ttl = Micros::from_secs(30);
    let (second, third) = (NOW + ttl, NOW + ttl + ttl);
    for (now, counts) in [(NOW, (0, 0)), (second, (1, 0)), (third, (2, 1))] {
        let taken = jobs::dequeue(db, "q", "worker", ttl, now).await.unwrap();
        assert_eq!(taken.is_some(), now < third);
        assert_eq!((silent(), dead()), counts);
    }
}
