//! Work that one process at a time does.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use media::{Micros, SystemClock};
use storage::Database;
use storage::rows::leases::{Lease, Terms, run_while_held};
use storage::rows::sql::query;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::children::eventually;
use crate::fixtures::TestDatabase;

on_both_engines! {
    the_next_one_works_when_the_first_stops,
    the_lease_is_renewed_while_work_goes_on,
    work_stops_when_the_lease_is_lost,
    work_that_ends_gives_the_lease_up_and_comes_again,
    who_is_shut_down_while_it_acquires_leaves_no_lease,
}

fn terms(owner: &str, ttl: Micros) -> Terms {
    Terms {
        name: "relay".to_owned(),
        owner: owner.to_owned(),
        ttl,
    }
}

/// Runs work that tells of its leases and waits to be stopped.
fn worker(
    db: Database,
    terms: Terms,
    shutdown: CancellationToken,
) -> (mpsc::UnboundedReceiver<Lease>, JoinHandle<()>) {
    let (leases, held) = mpsc::unbounded_channel();
    let task = tokio::spawn(async move {
        run_while_held(&db, &SystemClock, &terms, &shutdown, |lease, stop| {
            leases.send(lease).unwrap();
            async move { stop.cancelled().await }
        })
        .await;
    });
    (held, task)
}

async fn the_next_one_works_when_the_first_stops(test: TestDatabase) {
    // Long: only a release lets the second one in before the test gives up.
    let ttl = Micros::from_secs(30 * 60);
    let first_shutdown = CancellationToken::new();
    let (mut held, first) = worker(test.db.clone(), terms("one", ttl), first_shutdown.clone());
    let first_lease = held.recv().await.unwrap();
    first_shutdown.cancel();
    first.await.unwrap();

    let shutdown = CancellationToken::new();
    let other = test.another_handle().await;
    let (mut held, second) = worker(other, terms("two", ttl), shutdown.clone());
    let second_lease = held.recv().await.unwrap();
    assert!(second_lease.token() > first_lease.token());

    // One that waits for its turn stops as well.
    let (_held, third) = worker(test.db.clone(), terms("three", ttl), shutdown.clone());
    shutdown.cancel();
    second.await.unwrap();
    third.await.unwrap();
}

async fn the_lease_is_renewed_while_work_goes_on(test: TestDatabase) {
    let shutdown = CancellationToken::new();
    let ttl = Micros::from_secs(6);
    let (mut held, task) = worker(test.db.clone(), terms("one", ttl), shutdown.clone());
    held.recv().await.unwrap();
    let expiry = async || -> i64 {
        let (expiry,) = query("SELECT expires_at FROM leases")
            .one(&test.db)
            .await
            .unwrap();
        expiry
    };
    let first = expiry().await;
    eventually("the lease is renewed", async || expiry().await > first).await;
    assert!(held.try_recv().is_err(), "it is the same lease");
    shutdown.cancel();
    task.await.unwrap();
    assert_eq!(expiry().await, 0, "released");
}

async fn work_stops_when_the_lease_is_lost(test: TestDatabase) {
    let shutdown = CancellationToken::new();
    let ttl = Micros::from_millis(600);
    let (mut held, task) = worker(test.db.clone(), terms("one", ttl), shutdown.clone());
    let first = held.recv().await.unwrap();
    // As if it had expired and another had come and gone.
    test.raw("UPDATE leases SET token = token + 7, expires_at = 0")
        .await;
    let second = held.recv().await.unwrap();
    assert!(second.token() > first.token() + 7);
    shutdown.cancel();
    task.await.unwrap();
}

async fn work_that_ends_gives_the_lease_up_and_comes_again(test: TestDatabase) {
    let shutdown = CancellationToken::new();
    let turns = Arc::new(AtomicU64::new(0));
    let ttl = Micros::from_millis(30);
    let terms = terms("one", ttl);
    run_while_held(&test.db, &SystemClock, &terms, &shutdown, |lease, stop| {
        let turn = turns.fetch_add(1, Ordering::Relaxed) + 1;
        assert_eq!(lease.token(), turn);
        if turn == 3 {
            shutdown.cancel();
            assert!(stop.is_cancelled());
        }
        async {}
    })
    .await;
    assert_eq!(turns.load(Ordering::Relaxed), 3);
}

async fn who_is_shut_down_while_it_acquires_leaves_no_lease(test: TestDatabase) {
    // A lease that nobody releases would keep the next one waiting.
    let ttl = Micros::from_secs(600);
    for polls in 1..100 {
        let shutdown = CancellationToken::new();
        let terms = terms("one", ttl);
        let began = Cell::new(false);
        let working = run_while_held(&test.db, &SystemClock, &terms, &shutdown, |_, stop| {
            began.set(true);
            shutdown.cancel();
            async move { stop.cancelled().await }
        });
        let mut working = pin!(working);
        let mut left: u32 = polls;
        poll_fn(|context| {
            left = left.wrapping_sub(1);
            if left == 0 {
                shutdown.cancel();
            }
            working.as_mut().poll(context)
        })
        .await;
        let held = query("SELECT 1 FROM leases WHERE expires_at > 0")
            .exists(&test.db)
            .await
            .unwrap();
        assert!(!held, "after {polls} polls");
        if began.get() {
            return;
        }
    }
    panic!("it never acquired the lease");
}
