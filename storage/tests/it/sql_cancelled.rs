//! A call whose caller has gone leaves nothing behind: whoever waits with a deadline drops
//! futures at every point.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use storage::rows::Transaction;
use storage::rows::sql::{Engine, query};
use storage::{Database, RowError};
use tokio::time::{Instant, sleep};

use crate::fixtures::TestDatabase;

/// All connections of a pool of PostgreSQL, and more than the readers of SQLite.
const CONNECTIONS: usize = 16;

/// Less than what ends a transaction that stands still.
const SOON: Duration = Duration::from_secs(10);

on_both_engines! {
    what_is_cancelled_while_it_begins_leaves_no_transaction,
    what_is_cancelled_while_it_commits_leaves_no_transaction,
}

/// Polls a future so often at most, and drops it.
async fn polled<T>(future: impl Future<Output = T>, times: usize) -> Option<T> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Cancels what `begin` gives at each of its await points; how many there are.
async fn cancelled_everywhere<T, F: Future<Output = Result<T, RowError>>>(
    begin: impl Fn() -> F,
) -> usize {
    for polls in 0.. {
        // More than once: the next one gets the connection that the last one had, and one
        // may find its answer there at its first look.
        let mut ended = 0;
        for _ in 0..8 {
            match polled(begin(), polls).await {
                Some(done) => {
                    done.unwrap();
                    ended += 1;
                }
                None => tokio::task::yield_now().await,
            }
        }
        if ended == 8 {
            return polls;
        }
    }
    unreachable!("it ends some time")
}

/// Every connection works, and none is in a transaction that somebody else began.
async fn assert_clean(test: &TestDatabase) {
    let db = &test.db;
    if db.engine() == Engine::Postgres {
        let deadline = Instant::now() + SOON;
        let other = test.another_handle().await;
        loop {
            let open: Vec<(String,)> = query(
                "SELECT query FROM pg_stat_activity
                 WHERE datname = current_database() AND state LIKE 'idle in transaction%'",
            )
            .all(&other)
            .await
            .unwrap();
            if open.is_empty() {
                break;
            }
            assert!(Instant::now() < deadline, "left open: {open:?}");
            sleep(Duration::from_millis(10)).await;
        }
    }
    // SQLite has one writer.
    let writers = match db.engine() {
        Engine::Sqlite => 1,
        Engine::Postgres => CONNECTIONS,
    };
    let mut all = Vec::new();
    for _ in 0..writers {
        let mut transaction = db.write().await.unwrap();
        if db.engine() == Engine::Postgres {
            let mode: (String, String) = query(
                "SELECT current_setting('transaction_isolation'),
                        current_setting('transaction_read_only')",
            )
            .one(&mut transaction)
            .await
            .unwrap();
            assert_eq!((&*mode.0, &*mode.1), ("read committed", "off"));
        }
        all.push(transaction);
    }
    for mut transaction in all {
        insert(&mut transaction).await;
        transaction.commit().await.unwrap();
    }
    let written = count(db).await;
    // Each sees what was written: none is of before.
    let mut all = Vec::new();
    let readers = match db.engine() {
        Engine::Sqlite => 4,
        Engine::Postgres => CONNECTIONS,
    };
    for _ in 0..readers {
        let mut snapshot = db.snapshot().await.unwrap();
        let (seen,): (i64,) = query("SELECT COUNT(*) FROM things")
            .one(&mut snapshot)
            .await
            .unwrap();
        assert_eq!(seen, written);
        all.push(snapshot);
    }
}

async fn insert(transaction: &mut Transaction) {
    query("INSERT INTO things (number) VALUES (1)")
        .execute(transaction)
        .await
        .unwrap();
}

async fn count(db: &Database) -> i64 {
    let (count,) = query("SELECT COUNT(*) FROM things").one(db).await.unwrap();
    count
}

async fn what_is_cancelled_while_it_begins_leaves_no_transaction(test: TestDatabase) {
    test.raw("CREATE TABLE things (number BIGINT NOT NULL)")
        .await;
    let db = &test.db;
    // On a busy machine every answer may be there at the first look.
    let deadline = Instant::now() + SOON;
    while cancelled_everywhere(|| db.write()).await <= 1 {
        assert!(Instant::now() < deadline, "it was never waited for");
    }
    assert_clean(&test).await;
    cancelled_everywhere(|| db.snapshot()).await;
    assert_clean(&test).await;
}

async fn what_is_cancelled_while_it_commits_leaves_no_transaction(test: TestDatabase) {
    test.raw("CREATE TABLE things (number BIGINT NOT NULL)")
        .await;
    let db = &test.db;
    cancelled_everywhere(|| async {
        let mut transaction = db.write().await?;
        query("INSERT INTO things (number) VALUES (1)")
            .execute(&mut transaction)
            .await?;
        transaction.commit().await
    })
    .await;
    assert_clean(&test).await;
}
