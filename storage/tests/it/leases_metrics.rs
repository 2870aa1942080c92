//! What is measured of leases.

use measured::Measured;
use media::{Micros, SystemClock};
use storage::rows::leases::{self, Terms, run_while_held};
use tokio_util::sync::CancellationToken;

use crate::fixtures::{NOW, TestDatabase};

on_both_engines! {
    a_loss_is_counted_once_whoever_finds_it,
    a_loss_that_work_finds_is_counted,
}

const LOST: &str = "nova_leases_lost_total";

async fn a_loss_is_counted_once_whoever_finds_it(test: TestDatabase) {
    let measured = Measured::default();
    let _recording = metrics::set_default_local_recorder(&measured);
    let ttl = Micros::from_secs(10);
    let lease = leases::acquire(&test.db, "l", "one", ttl, NOW).await;
    let lease = lease.unwrap().unwrap();
    for _ in 0..2 {
        let mut transaction = test.db.write().await.unwrap();
        let late = lease.clone().guard(&mut transaction, NOW + ttl).await;
        late.unwrap_err();
        drop(transaction);
        lease.renew(&test.db, ttl, NOW + ttl).await.unwrap_err();
    }
    assert_eq!(measured.count(LOST), 1);
}

async fn a_loss_that_work_finds_is_counted(test: TestDatabase) {
    let measured = Measured::default();
    let _recording = metrics::set_default_local_recorder(&measured);
    let shutdown = CancellationToken::new();
    let terms = Terms {
        name: "l".to_owned(),
        owner: "one".to_owned(),
        // No renewal finds it first.
        ttl: Micros::from_secs(600),
    };
    let db = &test.db;
    run_while_held(db, &SystemClock, &terms, &shutdown, |lease, _| {
        let (test, shutdown) = (&test, &shutdown);
        async move {
            test.raw("UPDATE leases SET token = token + 1").await;
            let mut transaction = db.write().await.unwrap();
            let now = media::Clock::now(&SystemClock);
            lease.guard(&mut transaction, now).await.unwrap_err();
            shutdown.cancel();
        }
    })
    .await;
    assert_eq!(measured.count(LOST), 1);
}
