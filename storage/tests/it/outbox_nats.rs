//! A backlog of the outbox on its way to NATS, while the server dies and hangs.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use media::{Micros, SystemClock};
use peers::nats::NatsServer;
use storage::Database;
use storage::events::{self, RecvError, Subscription};
use storage::rows::outbox::{
    BATCH, BusDelivery, Deliver, DeliverError, DeliverFuture, NewEvent, OutboxEvent, Relay, Start,
    append,
};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::children::eventually;
use crate::fixtures::{NOW, TestDatabase};
use crate::outbox::{Running, delivered, payload};

on_both_engines! {
    s10_a_backlog_outlasts_a_server_that_dies_and_one_that_hangs,
}

const BATCHES: usize = 20;
const EVENTS: usize = BATCHES * BATCH as usize;
const KEYS: usize = 5;

/// The subscription is on the relay's own connection: what the server has confirmed
/// there, it has sent there before, so that nothing the relay has moved past may be
/// missing. (A subscriber with a connection of its own misses what is published before it
/// is back, which it is told.)
///
/// The events are in order as they come for the last time. The client still holds some of a
/// batch when its connection is lost, and sends them by the next one, while those before
/// them are lost: then they come before their turn, and again in it.
async fn s10_a_backlog_outlasts_a_server_that_dies_and_one_that_hangs(test: TestDatabase) {
    let db = &test.db;
    let written = write(db).await;
    let mut server = NatsServer::start().await;
    let bus = events::open(&server.url()).await.unwrap();
    let subscription = bus.subscribe(&"test.>".parse().unwrap()).await.unwrap();
    let mut subscriber = Subscriber::new(subscription);
    let delivery = Arc::new(Watched::around(BusDelivery::new(bus)));
    let clock = Arc::new(SystemClock);
    let relay = Relay::new(db.clone(), clock, "nats", Start::Oldest, delivery.clone());
    let relay = Running::start(relay.with_lease(Micros::from_secs(30)));

    for middle in [5, 10] {
        // It goes on while the server dies, but not to the end.
        delivery.let_through(middle + 3);
        subscriber.receive(middle * BATCH as usize).await;
        let failures = delivery.failures();
        server.kill();
        delivery.let_through(middle + 4);
        delivery.fails(failures).await;
        server.restart().await;
    }
    delivery.let_through(18);
    subscriber.receive(15 * BATCH as usize).await;
    let failures = delivery.failures();
    server.pause();
    delivery.let_through(BATCHES);
    // Its deadline passes.
    delivery.fails(failures).await;
    server.resume();
    let receiving = subscriber.receive(EVENTS);
    let ((), ()) = tokio::join!(receiving, delivered(db, "nats"));
    relay.stop().await;

    assert!(subscriber.interruptions >= 2, "the server died twice");
    let mut seen = HashSet::new();
    let last_times = subscriber.ids.iter().rev().filter(|id| seen.insert(**id));
    let mut oldest = [EVENTS; KEYS];
    for id in last_times {
        let index = written[id];
        let after = std::mem::replace(&mut oldest[index % KEYS], index);
        assert!(index < after, "{index} after {after}");
    }
    assert_eq!(seen.len(), EVENTS);
    println!(
        "{} of {EVENTS} events came again",
        subscriber.ids.len() - EVENTS
    );
}

/// Writes the backlog, in a transaction for each batch. The index of each event by its id;
/// its key is the rest of its index by [`KEYS`].
async fn write(db: &Database) -> HashMap<Uuid, usize> {
    let subject = "test.happened".parse().unwrap();
    let mut written = HashMap::new();
    let indexes: Vec<_> = (0..EVENTS).collect();
    for batch in indexes.chunks(BATCH as usize) {
        let mut transaction = db.write().await.unwrap();
        for index in batch {
            let event = NewEvent {
                subject: &subject,
                key: &(index % KEYS).to_string(),
                payload: Bytes::from(index.to_string()),
            };
            let id = append(db, &mut transaction, &event, NOW).await.unwrap();
            written.insert(id.as_uuid(), *index);
        }
        transaction.commit().await.unwrap();
    }
    written
}

/// Takes what comes, at once and without a limit.
struct Subscriber {
    coming: mpsc::UnboundedReceiver<Result<Uuid, RecvError>>,
    /// In the order they came, repeats too.
    ids: Vec<Uuid>,
    different: HashSet<Uuid>,
    interruptions: usize,
}

impl Subscriber {
    fn new(mut subscription: Subscription) -> Self {
        let (sender, coming) = mpsc::unbounded_channel();
        // Ends with the test.
        tokio::spawn(async move {
            loop {
                let received = subscription.recv().await;
                let is_over = matches!(received, Err(RecvError::Closed));
                let id = received.map(|message| message.event.id.expect("an id"));
                if sender.send(id).is_err() || is_over {
                    return;
                }
            }
        });
        Self {
            coming,
            ids: Vec::new(),
            different: HashSet::new(),
            interruptions: 0,
        }
    }

    /// Receives until it has so many different events.
    async fn receive(&mut self, events: usize) {
        let receiving = async {
            while self.different.len() < events {
                match self.coming.recv().await.expect("the subscription lives") {
                    Ok(id) => {
                        self.ids.push(id);
                        self.different.insert(id);
                    }
                    Err(RecvError::Interrupted) => self.interruptions += 1,
                    Err(error) => panic!("{error}"),
                }
            }
        };
        let received = tokio::time::timeout(crate::events::DEADLINE, receiving).await;
        assert!(received.is_ok(), "{} of {events}", self.different.len());
    }
}

/// A delivery that is held where it is told, and whose failures are counted.
#[derive(Debug)]
struct Watched {
    inner: BusDelivery,
    let_through: watch::Sender<usize>,
    failures: AtomicU64,
}

impl Watched {
    fn around(inner: BusDelivery) -> Self {
        Self {
            inner,
            let_through: watch::Sender::new(0),
            failures: AtomicU64::new(0),
        }
    }

    /// Lets the events of so many batches through.
    fn let_through(&self, batches: usize) {
        self.let_through.send_replace(batches * BATCH as usize);
    }

    /// Calls that have failed, or were given up.
    fn failures(&self) -> u64 {
        self.failures.load(Ordering::SeqCst)
    }

    /// Waits until more than `before` have.
    async fn fails(&self, before: u64) {
        eventually("a delivery fails", async || self.failures() > before).await;
    }

    async fn count(&self, call: DeliverFuture<'_>) -> Result<(), DeliverError> {
        let mut failure = Failure {
            failures: &self.failures,
            happens: true,
        };
        let result = call.await;
        failure.happens = result.is_err();
        result
    }
}

/// Counts when it is dropped.
struct Failure<'a> {
    failures: &'a AtomicU64,
    happens: bool,
}

impl Drop for Failure<'_> {
    fn drop(&mut self) {
        if self.happens {
            self.failures.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Deliver for Watched {
    fn deliver<'a>(&'a self, event: &'a OutboxEvent) -> DeliverFuture<'a> {
        Box::pin(async move {
            let index: usize = payload(event).parse().unwrap();
            let mut let_through = self.let_through.subscribe();
            let held = let_through.wait_for(|events| index < *events);
            held.await.expect("its sender is here");
            self.count(self.inner.deliver(event)).await
        })
    }

    fn confirm(&self) -> DeliverFuture<'_> {
        Box::pin(self.count(self.inner.confirm()))
    }
}
