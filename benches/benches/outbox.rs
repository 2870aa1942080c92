//! Outbox events per second, on SQLite and on PostgreSQL, both so that a commit survives a
//! power cut. Whole runs are timed, not single calls: what counts is how commits share the
//! disk. An argument picks the engine: `outbox/sqlite`, `outbox/postgres`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use benches::databases::{Engine, Place};
use bytes::Bytes;
use media::{SystemClock, Timestamp};
use storage::Database;
use storage::events::Subject;
use storage::rows::outbox::{
    Deliver, DeliverFuture, NewEvent, OutboxEvent, Relay, Start, append, consume_once,
};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
const PAYLOAD: Bytes = Bytes::from_static(&[7; 200]);
/// Events written by one task.
const EVENTS_ALONE: u32 = 2_000;
/// Events written by [`WRITERS`] tasks, or by a hundred in a transaction.
const EVENTS_TOGETHER: u32 = 8_000;
const WRITERS: u32 = 8;
const BATCH: u32 = 100;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let filter = filter.unwrap_or_default();
    for engine in Engine::ALL {
        if format!("outbox/{}", engine.name()).contains(&filter) {
            let place = engine.place();
            runtime.block_on(measure(engine.name(), &place));
        }
    }
}

async fn measure(engine: &str, place: &Place) {
    let db = place.open().await;
    let mut all = 0;
    for (writers, batch, events) in [
        (1, 1, EVENTS_ALONE),
        (WRITERS, 1, EVENTS_TOGETHER),
        (1, BATCH, EVENTS_TOGETHER),
    ] {
        let what = format!("append, {writers} writers, {batch} a transaction");
        row(
            engine,
            &what,
            events,
            write(&db, writers, batch, events).await,
        );
        all += events;
    }
    let drop = Arc::new(Counter::new(&db, "drop", all));
    let took = deliver(&db, &drop).await;
    row(engine, "deliver what waits", all, took);
    let notes = Arc::new(Counter::new(&db, "note", all));
    let took = deliver(&db, &notes).await;
    row(engine, "deliver what waits, consume_once each", all, took);

    // Holes come and go while it reads.
    let live = Arc::new(Counter::new(&db, "drop", EVENTS_TOGETHER));
    let (delivered, written) =
        tokio::join!(deliver(&db, &live), write(&db, WRITERS, 1, EVENTS_TOGETHER));
    let what = format!("append, {WRITERS} writers, while a relay delivers");
    row(engine, &what, EVENTS_TOGETHER, written);
    let what = format!("deliver, while {WRITERS} writers append");
    row(engine, &what, EVENTS_TOGETHER, delivered);
    db.close().await;
}

fn row(engine: &str, what: &str, events: u32, took: Duration) {
    let took = took.as_secs_f64();
    let rate = f64::from(events) / took;
    println!("{engine:<9} outbox  {what:<48} {events:>6} events {took:>7.2} s {rate:>8.0} /s");
}

/// How long so many writers take to append `events`, `batch` in a transaction.
async fn write(db: &Database, writers: u32, batch: u32, events: u32) -> Duration {
    let mut running = JoinSet::new();
    let begun = Instant::now();
    for writer in 0..writers {
        let db = db.clone();
        running.spawn(async move {
            let subject: Subject = "bench.happened".parse().expect("a subject");
            for _ in 0..events / writers / batch {
                let mut transaction = db.write().await.expect("a transaction");
                for _ in 0..batch {
                    let event = NewEvent {
                        subject: &subject,
                        key: &writer.to_string(),
                        payload: PAYLOAD,
                    };
                    let appended = append(&db, &mut transaction, &event, NOW).await;
                    appended.expect("appends");
                }
                transaction.commit().await.expect("commits");
            }
        });
    }
    running.join_all().await;
    begun.elapsed()
}

/// How long a relay takes to deliver what the counter waits for, positions included.
async fn deliver(db: &Database, counter: &Arc<Counter>) -> Duration {
    let clock = Arc::new(SystemClock);
    let relay = Relay::new(
        db.clone(),
        clock,
        counter.consumer,
        Start::Oldest,
        counter.clone(),
    );
    let shutdown = CancellationToken::new();
    let begun = Instant::now();
    let running = tokio::spawn(relay.run(shutdown.clone()));
    counter.done.notified().await;
    shutdown.cancel();
    running.await.expect("the relay ends");
    begun.elapsed()
}

/// Takes events and counts them.
#[derive(Debug)]
struct Counter {
    db: Database,
    consumer: &'static str,
    left: AtomicU32,
    done: Notify,
}

impl Counter {
    fn new(db: &Database, consumer: &'static str, left: u32) -> Self {
        Self {
            db: db.clone(),
            consumer,
            left: AtomicU32::new(left),
            done: Notify::new(),
        }
    }
}

impl Deliver for Counter {
    fn deliver<'a>(&'a self, event: &'a OutboxEvent) -> DeliverFuture<'a> {
        Box::pin(async move {
            if self.consumer == "note" {
                let mut transaction = self.db.write().await?;
                consume_once(&mut transaction, self.consumer, event.id, NOW).await?;
                transaction.commit().await?;
            }
            if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
                self.done.notify_one();
            }
            Ok(())
        })
    }
}
