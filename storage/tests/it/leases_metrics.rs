//! What was measured in the thread of a test.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use media::{Micros, SystemClock};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use storage::rows::leases::{self, Terms, run_while_held};
use tokio_util::sync::CancellationToken;

use crate::fixtures::{NOW, TestDatabase};

on_both_engines! {
    a_loss_is_counted_once_whoever_finds_it,
    a_loss_that_work_finds_is_counted,
}

/// Counters and gauges, by `name label=value ...`.
#[derive(Default)]
pub(crate) struct Measured {
    counters: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    gauges: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
}

impl Measured {
    pub(crate) fn count(&self, name: &str) -> u64 {
        let all = self.counters.lock().unwrap();
        all.get(name)
            .map_or(0, |count| count.load(Ordering::Acquire))
    }

    /// None: it was never set.
    pub(crate) fn gauge(&self, name: &str) -> Option<f64> {
        let all = self.gauges.lock().unwrap();
        let bits = all.get(name)?.load(Ordering::Acquire);
        Some(f64::from_bits(bits))
    }

    fn named(key: &Key) -> String {
        let labels = key
            .labels()
            .map(|label| format!(" {}={}", label.key(), label.value()));
        key.name().to_owned() + &labels.collect::<String>()
    }
}

impl Recorder for Measured {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut all = self.counters.lock().unwrap();
        Counter::from_arc(all.entry(Self::named(key)).or_default().clone())
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let mut all = self.gauges.lock().unwrap();
        Gauge::from_arc(all.entry(Self::named(key)).or_default().clone())
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
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
