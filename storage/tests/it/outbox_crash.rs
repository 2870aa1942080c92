//! Writers and relays that are killed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use media::Micros;
use storage::rows::outbox::{Deliver, DeliverFuture, OutboxEvent, consume_once};
use storage::rows::sql::{FromRow, Row, query};
use storage::{Database, RowError};
use tokio_util::sync::CancellationToken;

use crate::children::{TestProcess, given_argument, given_database};
use crate::fixtures::{NOW, TestDatabase};
use crate::outbox::{Running, delivered, payload, relay};
use crate::outbox_writers::{COUNTERS, Random, count_from_zero, counters, write_some};

const CONSUMER: &str = "c";

/// Every delivery, by the process it happened in and its place there.
const DELIVERIES: &str = "CREATE TABLE deliveries (
    life BIGINT NOT NULL, place BIGINT NOT NULL,
    sequence BIGINT NOT NULL, key BIGINT NOT NULL, n BIGINT NOT NULL)";

/// What the consumer has done.
const DONE: &str = "CREATE TABLE done (key BIGINT NOT NULL, n BIGINT NOT NULL)";

on_both_engines! {
    s10_killed_writers_and_relays_lose_nothing,
    long_s10_killed_writers_and_relays_lose_nothing,
}

async fn s10_killed_writers_and_relays_lose_nothing(test: TestDatabase) {
    kill(test, 10).await;
}

async fn long_s10_killed_writers_and_relays_lose_nothing(test: TestDatabase) {
    kill(test, 200).await;
}

async fn kill(test: TestDatabase, rounds: u64) {
    for table in [COUNTERS, DELIVERIES, DONE] {
        test.raw(table).await;
    }
    count_from_zero(&test.db).await;
    let mut random = Random(rounds);
    for round in 0..rounds {
        let argument = round.to_string();
        let spawn = |name| TestProcess::spawn(name, &test.url, &argument);
        let mut writer = spawn("outbox_crash::child_writes");
        let mut relay = spawn("outbox_crash::child_delivers");
        // Somewhere in a later transaction, or in the next delivery.
        for _ in 0..=random.below(8) {
            writer.wait_for("wrote").await;
        }
        for _ in 0..random.below(12) {
            relay.wait_for("delivered").await;
        }
        let (first, second) = match random.below(2) {
            0 => (writer, relay),
            _ => (relay, writer),
        };
        first.kill().await;
        second.kill().await;
    }
    let last = Arc::new(Consumer::new(&test.db, rounds));
    let running = Running::start(relay(&test.db, CONSUMER, last));
    delivered(&test.db, CONSUMER).await;
    running.stop().await;
    check(&test.db).await;
    assert_eq!(test.db.check().await.unwrap(), []);
}

/// Every committed event was delivered and done once, and in order.
async fn check(db: &Database) {
    let written = counters(db).await;
    let done: Vec<(u64, u64)> = query("SELECT key, n FROM done ORDER BY key, n")
        .all(db)
        .await
        .unwrap();
    let expected: Vec<(u64, u64)> = written
        .iter()
        .flat_map(|(key, n)| (1..=*n).map(|n| (key.parse().unwrap(), n)))
        .collect();
    assert_eq!(done, expected);

    // From one redelivery to the next nothing is passed over, and a redelivery begins
    // where the position was: maybe before, never behind what was delivered.
    let mut deliveries: Vec<Delivery> = query("SELECT * FROM deliveries").all(db).await.unwrap();
    deliveries.sort_unstable_by_key(|delivery| (delivery.life, delivery.place));
    let mut highest: BTreeMap<u64, u64> = BTreeMap::new();
    let mut since_redelivery: BTreeMap<u64, u64> = BTreeMap::new();
    let mut last = 0;
    for Delivery {
        sequence, key, n, ..
    } in deliveries
    {
        if sequence <= last {
            since_redelivery.clear();
        }
        last = sequence;
        let before = highest.get(&key).copied().unwrap_or(0);
        match since_redelivery.insert(key, n) {
            Some(previous) => assert_eq!(n, previous + 1, "event {sequence}"),
            None => assert!(n <= before + 1, "event {sequence}: {n} after {before}"),
        }
        highest.insert(key, before.max(n));
    }
}

struct Delivery {
    life: u64,
    place: u64,
    sequence: i64,
    key: u64,
    n: u64,
}

impl FromRow for Delivery {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            life: row.get("life")?,
            place: row.get("place")?,
            sequence: row.get("sequence")?,
            key: row.get("key")?,
            n: row.get("n")?,
        })
    }
}

#[derive(Debug)]
struct Consumer {
    db: Database,
    life: u64,
    places: AtomicU64,
}

impl Consumer {
    fn new(db: &Database, life: u64) -> Self {
        Self {
            db: db.clone(),
            life,
            places: AtomicU64::new(0),
        }
    }
}

impl Deliver for Consumer {
    fn deliver<'a>(&'a self, event: &'a OutboxEvent) -> DeliverFuture<'a> {
        Box::pin(async move {
            let (key, n): (u64, u64) =
                (event.key.parse().unwrap(), payload(event).parse().unwrap());
            let mut transaction = self.db.write().await?;
            query(
                "INSERT INTO deliveries (life, place, sequence, key, n)
                 VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(self.life)
            .bind(self.places.fetch_add(1, Ordering::Relaxed))
            .bind(event.sequence)
            .bind(key)
            .bind(n)
            .execute(&mut transaction)
            .await?;
            if consume_once(&mut transaction, CONSUMER, event.id, NOW).await? {
                query("INSERT INTO done (key, n) VALUES ($1, $2)")
                    .bind(key)
                    .bind(n)
                    .execute(&mut transaction)
                    .await?;
            }
            transaction.commit().await?;
            println!("delivered");
            Ok(())
        })
    }
}

#[tokio::test]
#[ignore = "a process of the tests above"]
async fn child_writes() {
    let db = given_database().await;
    let mut random = Random(given_argument().parse().unwrap());
    println!();
    loop {
        if !write_some(&db, &mut random).await.is_empty() {
            println!("wrote");
        }
        // The one lock of SQLite is for the relay, too.
        tokio::time::sleep(Duration::from_micros(random.below(8_000))).await;
    }
}

#[tokio::test]
#[ignore = "a process of the tests above"]
async fn child_delivers() {
    let db = given_database().await;
    let life = given_argument().parse().unwrap();
    println!();
    let consumer = Arc::new(Consumer::new(&db, life));
    let relay = relay(&db, CONSUMER, consumer).with_lease(Micros::from_millis(600));
    relay.run(CancellationToken::new()).await;
}
