//! Many who write to the outbox at once.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use storage::Database;
use storage::events::Subject;
use storage::rows::outbox::{EventId, NewEvent, OutboxEvent, append};
use storage::rows::sql::{Engine, query};
use tokio_util::sync::CancellationToken;

use crate::children::{TestProcess, given_argument, given_database};
use crate::fixtures::{NOW, TestDatabase};
use crate::outbox::{Recorder, Running, delivered, payload};

const WRITERS: u64 = 8;
const KEYS: u64 = 5;

pub(crate) const COUNTERS: &str =
    "CREATE TABLE counters (key BIGINT NOT NULL PRIMARY KEY, n BIGINT NOT NULL)";

on_both_engines! {
    s10_what_many_writers_commit_is_delivered_in_order,
    long_s10_what_many_writers_commit_is_delivered_in_order,
}

async fn s10_what_many_writers_commit_is_delivered_in_order(test: TestDatabase) {
    many_writers(test, 150).await;
}

async fn long_s10_what_many_writers_commit_is_delivered_in_order(test: TestDatabase) {
    many_writers(test, 2_500).await;
}

/// Eight tasks and a process, each with so many transactions of one to three events.
async fn many_writers(test: TestDatabase, transactions: u32) {
    test.raw(COUNTERS).await;
    count_from_zero(&test.db).await;
    let recorder = Arc::new(Recorder::default());
    let relay = Running::relay(&test.db, "c", recorder.clone());
    let mut process = TestProcess::spawn(
        "outbox_writers::child_writes",
        &test.url,
        &transactions.to_string(),
    );
    let is_sqlite = test.db.engine() == Engine::Sqlite;
    let stop = CancellationToken::new();
    let refused = is_sqlite.then(|| tokio::spawn(refusals(test.url.clone(), stop.clone())));
    let committed = Arc::new(Mutex::new(Vec::new()));
    // Half of them write as another process does: nothing wakes the relay.
    let other = test.another_handle().await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|seed| {
            let db = if seed % 2 == 0 { &test.db } else { &other };
            let (db, committed) = (db.clone(), committed.clone());
            tokio::spawn(async move {
                let mut random = Random(seed);
                for _ in 0..transactions {
                    let ids = write_some(&db, &mut random).await;
                    committed.lock().unwrap().extend(ids);
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    process.wait_for("done").await;
    let written = counters(&test.db).await;
    delivered(&test.db, "c").await;
    relay.stop().await;

    let taken = first_deliveries(recorder.taken());
    assert_eq!(in_order_per_key(&taken), written);
    assert!(taken.is_sorted_by_key(|event| event.sequence));
    // What this is about did happen.
    if let Some(refused) = refused {
        stop.cancel();
        let refused = refused.await.unwrap();
        println!("whoever did not wait was refused {refused} times");
        assert!(refused > 0, "the file was free for whoever came");
    } else {
        let numbers: BTreeMap<EventId, i64> = taken
            .iter()
            .map(|event| (event.id, event.sequence))
            .collect();
        let committed = committed.lock().unwrap();
        let late = committed
            .windows(2)
            .filter(|pair| numbers[&pair[0]] > numbers[&pair[1]])
            .count();
        assert!(late > 0, "everybody committed in the order of numbers");
        let highest = taken.last().unwrap().sequence;
        assert!(highest > taken.len() as i64, "nobody rolled back");
    }
}

#[tokio::test]
#[ignore = "a process of the tests above"]
async fn child_writes() {
    let db = given_database().await;
    let mut random = Random(WRITERS);
    for _ in 0..given_argument().parse().unwrap() {
        write_some(&db, &mut random).await;
    }
    println!("\ndone");
}

/// SplitMix64: the same numbers for the same seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

pub(crate) async fn count_from_zero(db: &Database) {
    let mut transaction = db.write().await.unwrap();
    for key in 0..KEYS {
        query("INSERT INTO counters (key, n) VALUES ($1, 0)")
            .bind(key)
            .execute(&mut transaction)
            .await
            .unwrap();
    }
    transaction.commit().await.unwrap();
}

/// How many events of each key were committed.
pub(crate) async fn counters(db: &Database) -> BTreeMap<String, u64> {
    let rows: Vec<(u64, u64)> = query("SELECT key, n FROM counters WHERE n > 0")
        .all(db)
        .await
        .unwrap();
    rows.into_iter()
        .map(|(key, n)| (key.to_string(), n))
        .collect()
}

/// One transaction: a few events of one key, numbered by the key's row, which keeps other
/// writers of the key waiting. One in five is rolled back.
pub(crate) async fn write_some(db: &Database, random: &mut Random) -> Vec<EventId> {
    let subject: Subject = "test.counted".parse().unwrap();
    let key = random.below(KEYS);
    let mut ids = Vec::new();
    let mut transaction = db.write().await.unwrap();
    for _ in 0..=random.below(3) {
        let (n,): (u64,) = query("UPDATE counters SET n = n + 1 WHERE key = $1 RETURNING n")
            .bind(key)
            .one(&mut transaction)
            .await
            .unwrap();
        let event = NewEvent {
            subject: &subject,
            key: &key.to_string(),
            payload: Bytes::from(n.to_string()),
        };
        let id = append(db, &mut transaction, &event, NOW).await.unwrap();
        ids.push(id);
        // So that they commit in another order than they began.
        let pause = random.below(1_500);
        tokio::time::sleep(Duration::from_micros(pause)).await;
    }
    if random.below(5) == 0 {
        return Vec::new();
    }
    transaction.commit().await.unwrap();
    ids
}

/// Asks for the write lock of SQLite's file again and again, and does not wait for it as writers
/// do: how often another had it.
async fn refusals(url: String, stop: CancellationToken) -> u32 {
    let options: SqliteConnectOptions = url.parse().unwrap();
    let mut file = options
        .busy_timeout(Duration::ZERO)
        .connect()
        .await
        .unwrap();
    let mut refused = 0;
    while !stop.is_cancelled() {
        match sqlx::raw_sql("BEGIN IMMEDIATE; ROLLBACK")
            .execute(&mut file)
            .await
        {
            Ok(_) => {}
            Err(error) if is_busy(&error) => refused += 1,
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    refused
}

/// `SQLITE_BUSY`, or a more precise form of it.
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    let code: Option<u32> = code.and_then(|code| code.parse().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

/// Without what came again: on a busy machine a lease is lost.
fn first_deliveries(mut events: Vec<OutboxEvent>) -> Vec<OutboxEvent> {
    let mut seen = HashSet::new();
    events.retain(|event| seen.insert(event.sequence));
    events
}

/// How many events of each key there are, numbered from one without a gap.
fn in_order_per_key(events: &[OutboxEvent]) -> BTreeMap<String, u64> {
    let mut counted = BTreeMap::new();
    for event in events {
        let n = counted.entry(event.key.clone()).or_insert(0);
        *n += 1;
        assert_eq!(payload(event), n.to_string(), "key {}", event.key);
    }
    counted
}
