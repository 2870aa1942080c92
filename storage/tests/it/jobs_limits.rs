//! What is too large for a job.

use std::num::NonZeroU32;

use bytes::Bytes;
use storage::RowError;
use storage::rows::jobs::{self, MAX_PAYLOAD_BYTES, MAX_QUEUE_BYTES, MAX_UNIQUE_KEY_BYTES, NewJob};

use crate::fixtures::{NOW, TestDatabase};

on_both_engines! {
    what_is_too_large_for_a_job_is_named,
}

async fn what_is_too_large_for_a_job_is_named(test: TestDatabase) {
    let enqueue = async |queue: usize, key: usize, payload: usize| {
        let job = NewJob {
            queue: &"q".repeat(queue),
            unique_key: Some(&"k".repeat(key)),
            payload: Bytes::from(vec![0; payload]),
            run_at: NOW,
            max_attempts: NonZeroU32::MIN,
        };
        let mut transaction = test.db.write().await.unwrap();
        let enqueued = jobs::enqueue(&test.db, &mut transaction, &job, NOW).await?;
        transaction.commit().await?;
        Ok::<_, RowError>(enqueued)
    };
    let most = (MAX_QUEUE_BYTES, MAX_UNIQUE_KEY_BYTES, MAX_PAYLOAD_BYTES);
    enqueue(most.0, most.1, most.2).await.unwrap();
    for (named, enqueued) in [
        ("queue", enqueue(most.0 + 1, 1, 1).await),
        ("unique key", enqueue(1, most.1 + 1, 1).await),
        ("job payload", enqueue(1, 1, most.2 + 1).await),
    ] {
        match enqueued {
            Err(RowError::TooLarge { what, .. }) => assert_eq!(what, named),
            other => panic!("{named}: {other:?}"),
        }
    }
}
