//! The outbox: written with what it tells, delivered at least once, in order.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use media::{Micros, SystemClock, Timestamp};
use storage::events::{Bus, LocalBus, Subject};
use storage::rows::outbox::{
    self, BusDelivery, Deliver, DeliverError, DeliverFuture, EventId, NewEvent, OutboxEvent, Relay,
    Start, append, consume_once, delete_delivered, forget_consumed, lag, register, unregister,
};
use storage::rows::sql::query;
use storage::{Database, RowError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::children::eventually;
use crate::fixtures::{NOW, TestDatabase};

on_both_engines! {
    an_event_is_there_when_its_transaction_is,
    every_consumer_gets_every_event_in_order,
    a_new_consumer_begins_where_it_is_told,
    an_event_that_fails_stays_first_and_blocks_its_consumer_only,
    what_is_not_confirmed_comes_again,
    two_relays_of_a_consumer_take_turns,
    an_event_is_consumed_once,
    a_note_stays_as_long_as_its_event,
    events_are_kept_until_every_consumer_has_them,
    without_a_consumer_events_grow_old,
    a_lag_is_counted,
    what_is_too_large_is_refused,
    events_reach_the_bus_with_their_ids,
    numbers_that_were_lost_stop_nobody,
}

/// Keeps what it is given.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    taken: Mutex<Vec<OutboxEvent>>,
    /// How often to refuse events with these payloads.
    refusals: Mutex<HashMap<String, u32>>,
    /// How often not to confirm.
    unconfirmed: Mutex<u32>,
    busy: AtomicBool,
}

impl Recorder {
    pub(crate) fn taken(&self) -> Vec<OutboxEvent> {
        self.taken.lock().unwrap().clone()
    }

    fn payloads(&self) -> Vec<String> {
        self.taken().iter().map(payload).collect()
    }

    pub(crate) fn refuse(&self, payload: &str, times: u32) {
        let mut refusals = self.refusals.lock().unwrap();
        refusals.insert(payload.to_owned(), times);
    }

    pub(crate) fn refusals_left(&self, payload: &str) -> u32 {
        self.refusals.lock().unwrap()[payload]
    }

    async fn has(&self, payloads: &[&str]) {
        eventually("the events are delivered", async || {
            self.taken.lock().unwrap().len() >= payloads.len()
        })
        .await;
        assert_eq!(self.payloads(), payloads);
    }
}

impl Deliver for Recorder {
    fn deliver<'a>(&'a self, event: &'a OutboxEvent) -> DeliverFuture<'a> {
        Box::pin(async move {
            assert!(!self.busy.swap(true, Ordering::SeqCst), "two at a time");
            tokio::task::yield_now().await;
            self.busy.store(false, Ordering::SeqCst);
            if let Some(times) = self.refusals.lock().unwrap().get_mut(&payload(event))
                && *times > 0
            {
                *times -= 1;
                return Err(DeliverError::Other("told to refuse".into()));
            }
            self.taken.lock().unwrap().push(event.clone());
            Ok(())
        })
    }

    fn confirm(&self) -> DeliverFuture<'_> {
        let mut times = self.unconfirmed.lock().unwrap();
        let refused = *times > 0;
        *times = times.saturating_sub(1);
        Box::pin(async move {
            if refused {
                return Err(DeliverError::Other("told not to confirm".into()));
            }
            Ok(())
        })
    }
}

/// A relay that runs until [`Running::stop`].
pub(crate) struct Running {
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn relay(db: &Database, consumer: &'static str, deliver: Arc<dyn Deliver>) -> Self {
        Self::start(relay(db, consumer, deliver))
    }

    pub(crate) fn start(relay: Relay) -> Self {
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(relay.run(shutdown.clone()));
        Self { shutdown, task }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

/// A relay that asks for its lease often.
pub(crate) fn relay(db: &Database, consumer: &'static str, deliver: Arc<dyn Deliver>) -> Relay {
    let clock = Arc::new(SystemClock);
    Relay::new(db.clone(), clock, consumer, Start::Oldest, deliver).with_lease(Micros::from_secs(6))
}

pub(crate) fn payload(event: &OutboxEvent) -> String {
    String::from_utf8(event.payload.to_vec()).unwrap()
}

async fn add(
    db: &Database,
    transaction: &mut storage::rows::Transaction,
    payload: &str,
) -> EventId {
    let event = NewEvent {
        subject: &"test.happened".parse::<Subject>().unwrap(),
        key: "key",
        payload: Bytes::copy_from_slice(payload.as_bytes()),
    };
    append(db, transaction, &event, NOW).await.unwrap()
}

/// Events in a transaction each.
pub(crate) async fn write(db: &Database, payloads: &[&str]) -> Vec<EventId> {
    let mut ids = Vec::new();
    for payload in payloads {
        let mut transaction = db.write().await.unwrap();
        ids.push(add(db, &mut transaction, payload).await);
        transaction.commit().await.unwrap();
    }
    ids
}

async fn events(db: &Database) -> u64 {
    let (count,) = query("SELECT COUNT(*) FROM outbox_events")
        .one(db)
        .await
        .unwrap();
    count
}

/// Waits until the consumer has all that is committed, for as long as it gets on.
pub(crate) async fn delivered(db: &Database, consumer: &str) {
    let left = async || {
        let rows: Vec<(i64,)> = query(
            "SELECT COALESCE((SELECT MAX(sequence) FROM outbox_events), 0) - position
             FROM outbox_consumers WHERE name = $1",
        )
        .bind(consumer)
        .all(db)
        .await
        .unwrap();
        rows.first().map_or(i64::MAX, |(left,)| *left)
    };
    let mut before = i64::MAX;
    while before > 0 {
        eventually("the consumer gets on", async || left().await < before).await;
        before = left().await;
    }
}

async fn an_event_is_there_when_its_transaction_is(test: TestDatabase) {
    let recorder = Arc::new(Recorder::default());
    let running = Running::relay(&test.db, "c", recorder.clone());
    let mut transaction = test.db.write().await.unwrap();
    add(&test.db, &mut transaction, "never happened").await;
    drop(transaction);
    let mut transaction = test.db.write().await.unwrap();
    let first = add(&test.db, &mut transaction, "1").await;
    let second = add(&test.db, &mut transaction, "2").await;
    transaction.commit().await.unwrap();
    recorder.has(&["1", "2"]).await;
    let taken = recorder.taken();
    assert_eq!([taken[0].id, taken[1].id], [first, second]);
    assert!(taken[0].sequence < taken[1].sequence);
    assert_eq!(taken[0].subject.as_str(), "test.happened");
    assert_eq!((taken[0].key.as_str(), taken[0].created_at), ("key", NOW));
    running.stop().await;
}

async fn every_consumer_gets_every_event_in_order(test: TestDatabase) {
    // Written by another handle: nothing wakes these relays.
    let other = test.another_handle().await;
    let payloads: Vec<String> = (0..300).map(|n| n.to_string()).collect();
    let payloads: Vec<&str> = payloads.iter().map(String::as_str).collect();
    write(&other, &payloads[..150]).await;
    let (first, second) = <(Arc<Recorder>, Arc<Recorder>)>::default();
    let running = [
        Running::relay(&test.db, "first", first.clone()),
        Running::relay(&test.db, "second", second.clone()),
    ];
    write(&other, &payloads[150..]).await;
    first.has(&payloads).await;
    second.has(&payloads).await;
    for relay in running {
        relay.stop().await;
    }
    // A position is kept.
    let running = Running::relay(&test.db, "first", first.clone());
    write(&test.db, &["more"]).await;
    let all = [&payloads[..], &["more"]].concat();
    first.has(&all).await;
    running.stop().await;
}

async fn a_new_consumer_begins_where_it_is_told(test: TestDatabase) {
    write(&test.db, &["old"]).await;
    register(&test.db, "all", Start::Oldest, NOW).await.unwrap();
    register(&test.db, "new", Start::Next, NOW).await.unwrap();
    // It is there already.
    register(&test.db, "new", Start::Oldest, NOW).await.unwrap();
    write(&test.db, &["new"]).await;
    for (consumer, payloads) in [("all", &["old", "new"][..]), ("new", &["new"])] {
        let recorder = Arc::new(Recorder::default());
        let running = Running::relay(&test.db, consumer, recorder.clone());
        recorder.has(payloads).await;
        running.stop().await;
    }
    assert!(unregister(&test.db, "new").await.unwrap());
    assert!(!unregister(&test.db, "new").await.unwrap());
}

async fn an_event_that_fails_stays_first_and_blocks_its_consumer_only(test: TestDatabase) {
    let (failing, other) = <(Arc<Recorder>, Arc<Recorder>)>::default();
    failing.refuse("2", 2);
    let running = [
        Running::relay(&test.db, "failing", failing.clone()),
        Running::relay(&test.db, "other", other.clone()),
    ];
    write(&test.db, &["1", "2", "3"]).await;
    other.has(&["1", "2", "3"]).await;
    failing.has(&["1", "2", "3"]).await;
    assert_eq!(failing.refusals_left("2"), 0);
    for relay in running {
        relay.stop().await;
    }
}

async fn what_is_not_confirmed_comes_again(test: TestDatabase) {
    let recorder = Arc::new(Recorder::default());
    *recorder.unconfirmed.lock().unwrap() = 1;
    write(&test.db, &["1", "2"]).await;
    let running = Running::relay(&test.db, "c", recorder.clone());
    recorder.has(&["1", "2", "1", "2"]).await;
    delivered(&test.db, "c").await;
    running.stop().await;
}

async fn two_relays_of_a_consumer_take_turns(test: TestDatabase) {
    let other = test.another_handle().await;
    // It fails when it is used by two.
    let recorder = Arc::new(Recorder::default());
    let first = Running::relay(&test.db, "c", recorder.clone());
    let payloads: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    let payloads: Vec<&str> = payloads.iter().map(String::as_str).collect();
    write(&test.db, &payloads[..100]).await;
    recorder.has(&payloads[..100]).await;
    let second = Running::relay(&other, "c", recorder.clone());
    write(&test.db, &payloads[100..150]).await;
    // It gives its lease back.
    first.stop().await;
    write(&test.db, &payloads[150..]).await;
    recorder.has(&payloads).await;
    second.stop().await;
}

async fn an_event_is_consumed_once(test: TestDatabase) {
    let event = write(&test.db, &["1"]).await[0];
    let consume = async |consumer: &str, commits: bool| {
        let mut transaction = test.db.write().await.unwrap();
        let first = consume_once(&mut transaction, consumer, event, NOW)
            .await
            .unwrap();
        if commits {
            transaction.commit().await.unwrap();
        }
        first
    };
    assert!(consume("c", false).await);
    assert!(consume("c", true).await);
    assert!(!consume("c", true).await);
    assert!(consume("other", true).await);
    // Of those who try at once, one does it.
    let event = write(&test.db, &["2"]).await[0];
    let tries = (0..8).map(|_| {
        let db = test.db.clone();
        tokio::spawn(async move {
            let mut transaction = db.write().await.unwrap();
            let first = consume_once(&mut transaction, "c", event, NOW).await;
            transaction.commit().await.unwrap();
            u32::from(first.unwrap())
        })
    });
    let mut firsts = 0;
    for one in tries.collect::<Vec<_>>() {
        firsts += one.await.unwrap();
    }
    assert_eq!(firsts, 1);
}

async fn a_note_stays_as_long_as_its_event(test: TestDatabase) {
    let db = &test.db;
    let ids = write(db, &["1", "2"]).await;
    for id in ids {
        let mut transaction = db.write().await.unwrap();
        assert!(consume_once(&mut transaction, "c", id, NOW).await.unwrap());
        transaction.commit().await.unwrap();
    }
    let later = NOW + Micros::from_secs(1);
    assert_eq!(forget_consumed(db, later, 10).await.unwrap(), 0);
    test.raw("DELETE FROM outbox_events").await;
    assert_eq!(forget_consumed(db, NOW, 10).await.unwrap(), 0);
    assert_eq!(forget_consumed(db, later, 1).await.unwrap(), 1);
    assert_eq!(forget_consumed(db, later, 10).await.unwrap(), 1);
    assert_eq!(forget_consumed(db, later, 10).await.unwrap(), 0);
}

async fn events_are_kept_until_every_consumer_has_them(test: TestDatabase) {
    let db = &test.db;
    let much_later = NOW + Micros::from_secs(1_000_000_000);
    let first = Arc::new(Recorder::default());
    register(db, "slow", Start::Oldest, NOW).await.unwrap();
    let running = Running::relay(db, "first", first.clone());
    write(db, &["1", "2", "3"]).await;
    first.has(&["1", "2", "3"]).await;
    delivered(db, "first").await;
    assert_eq!(delete_delivered(db, much_later, 10).await.unwrap(), 0);
    assert!(unregister(db, "slow").await.unwrap());
    assert_eq!(delete_delivered(db, NOW, 2).await.unwrap(), 2);
    assert_eq!(delete_delivered(db, NOW, 2).await.unwrap(), 1);
    assert_eq!(events(db).await, 0);
    // An empty outbox goes on counting where it was.
    write(db, &["4"]).await;
    first.has(&["1", "2", "3", "4"]).await;
    running.stop().await;
}

async fn without_a_consumer_events_grow_old(test: TestDatabase) {
    let db = &test.db;
    write(db, &["1", "2"]).await;
    let old = NOW + outbox::UNCONSUMED_FOR;
    assert_eq!(delete_delivered(db, old, 10).await.unwrap(), 0);
    let older = old + Micros::new(1);
    assert_eq!(delete_delivered(db, older, 1).await.unwrap(), 1);
    assert_eq!(delete_delivered(db, older, 10).await.unwrap(), 1);
}

async fn a_lag_is_counted(test: TestDatabase) {
    let db = &test.db;
    assert_eq!(lag(db).await.unwrap(), []);
    register(db, "waits", Start::Oldest, NOW).await.unwrap();
    let recorder = Arc::new(Recorder::default());
    let running = Running::relay(db, "reads", recorder.clone());
    write(db, &["1", "2"]).await;
    delivered(db, "reads").await;
    let of = |consumer: &str, events, oldest: Option<Timestamp>| outbox::Lag {
        consumer: consumer.to_owned(),
        events,
        oldest,
    };
    let expected = [of("reads", 0, None), of("waits", 2, Some(NOW))];
    assert_eq!(lag(db).await.unwrap(), expected);
    running.stop().await;
}

async fn what_is_too_large_is_refused(test: TestDatabase) {
    let subject: Subject = "test.happened".parse().unwrap();
    let try_out = async |key: usize, payload: usize| {
        let event = NewEvent {
            subject: &subject,
            key: &"k".repeat(key),
            payload: Bytes::from(vec![0; payload]),
        };
        let mut transaction = test.db.write().await.unwrap();
        append(&test.db, &mut transaction, &event, NOW).await
    };
    let (key, payload) = (outbox::MAX_KEY_BYTES, outbox::MAX_PAYLOAD_BYTES);
    try_out(key, payload).await.unwrap();
    for error in [
        try_out(key + 1, 0).await.unwrap_err(),
        try_out(0, payload + 1).await.unwrap_err(),
    ] {
        assert!(matches!(error, RowError::TooLarge { .. }), "{error}");
    }
}

async fn events_reach_the_bus_with_their_ids(test: TestDatabase) {
    let bus = Arc::new(LocalBus::new());
    let pattern = "test.>".parse().unwrap();
    let mut subscription = bus.subscribe(&pattern).await.unwrap();
    let delivery = Arc::new(BusDelivery::new(bus));
    let running = Running::relay(&test.db, "bus", delivery);
    let ids = write(&test.db, &["1", "2"]).await;
    for (id, text) in ids.iter().zip(["1", "2"]) {
        let message = subscription.recv().await.unwrap();
        assert_eq!(message.event.id, Some(id.as_uuid()));
        assert_eq!(message.event.subject.as_str(), "test.happened");
        assert_eq!(message.event.payload, text);
    }
    delivered(&test.db, "bus").await;
    running.stop().await;
}

async fn numbers_that_were_lost_stop_nobody(test: TestDatabase) {
    write(&test.db, &["1", "lost", "2", "lost", "lost", "3"]).await;
    test.raw("DELETE FROM outbox_events WHERE sequence IN (2, 4, 5)")
        .await;
    let recorder = Arc::new(Recorder::default());
    let running = Running::relay(&test.db, "c", recorder.clone());
    recorder.has(&["1", "2", "3"]).await;
    running.stop().await;
}

/// On SQLite only one transaction writes at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_a_transaction_that_commits_late_is_not_passed_over() {
    let test = TestDatabase::on_postgres().await;
    let db = &test.db;
    write(db, &["1"]).await;
    let mut late = db.write().await.unwrap();
    add(db, &mut late, "2").await;
    write(db, &["3"]).await;
    let recorder = Arc::new(Recorder::default());
    let running = Running::relay(db, "c", recorder.clone());
    // With the same look it has seen "3".
    recorder.has(&["1"]).await;
    // Then it takes a transaction id.
    let last_id = async || {
        let text = "SELECT CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT)";
        let (id,): (i64,) = query(text).one(db).await.unwrap();
        id
    };
    let before = last_id().await;
    eventually("transactions begin and end", async || {
        last_id().await > before
    })
    .await;
    assert_eq!(recorder.payloads(), ["1"]);
    late.commit().await.unwrap();
    recorder.has(&["1", "2", "3"]).await;
    running.stop().await;
}
