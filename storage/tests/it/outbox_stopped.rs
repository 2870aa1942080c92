//! A relay that is stopped past its lease, and goes on.

use std::future::ready;
use std::sync::Arc;

use bytes::Bytes;
use media::Micros;
use storage::Database;
use storage::rows::outbox::{Deliver, DeliverFuture, NewEvent, OutboxEvent, append, lag};
use tokio_util::sync::CancellationToken;

use crate::children::{TestProcess, eventually, given_database};
use crate::fixtures::{NOW, TestDatabase};
use crate::outbox::{Recorder, Running, payload, relay};

const CHILD: &str = "outbox_stopped::child_delivers_when_told";

on_both_engines! {
    s10_a_stopped_relay_cannot_move_the_position_back,
    s10_a_stopped_relay_cannot_move_the_position_forward,
}

async fn s10_a_stopped_relay_cannot_move_the_position_back(test: TestDatabase) {
    let db = &test.db;
    write(db, &["1", "2"]).await;
    let mut stopped = TestProcess::spawn(CHILD, &test.url, "");
    assert_eq!(stopped.wait_for("given ").await, "1");
    stopped.stop().await;
    // Its pipe has the answer when it goes on.
    stopped.tell("taken").await;

    let recorder = Arc::new(Recorder::default());
    let other = Running::relay(db, "c", recorder.clone());
    eventually("the other relay delivers both", async || {
        recorder.taken().len() == 2 && lag(db).await.unwrap()[0].events == 0
    })
    .await;
    stopped.go_on().await;
    // Of what it had read, it delivers no more.
    assert_eq!(stopped.line().await, "confirms");
    other.stop().await;
    write(db, &["3"]).await;
    // Had it moved the position, this was "2".
    assert_eq!(stopped.line().await, "given 3");
    stopped.kill().await;
}

async fn s10_a_stopped_relay_cannot_move_the_position_forward(test: TestDatabase) {
    let db = &test.db;
    write(db, &["1", "2"]).await;
    let mut stopped = TestProcess::spawn(CHILD, &test.url, "");
    assert_eq!(stopped.wait_for("given ").await, "1");
    stopped.tell("taken").await;
    assert_eq!(stopped.line().await, "given 2");
    stopped.stop().await;
    stopped.tell("taken").await;

    // The other has the lease and takes nothing: the position stays.
    let recorder = Arc::new(Recorder::default());
    recorder.refuse("1", u32::MAX);
    let other = Running::relay(db, "c", recorder.clone());
    eventually("the other relay is given an event", async || {
        recorder.refusals_left("1") < u32::MAX
    })
    .await;
    stopped.go_on().await;
    assert_eq!(stopped.line().await, "confirms");
    other.stop().await;
    // Had it moved the position, there was nothing.
    assert_eq!(stopped.line().await, "given 1");
    stopped.kill().await;
}

async fn write(db: &Database, payloads: &[&str]) {
    for payload in payloads {
        let event = NewEvent {
            subject: &"test.happened".parse().unwrap(),
            key: "key",
            payload: Bytes::copy_from_slice(payload.as_bytes()),
        };
        let mut transaction = db.write().await.unwrap();
        append(db, &mut transaction, &event, NOW).await.unwrap();
        transaction.commit().await.unwrap();
    }
}

/// Says what it is given, takes it when it is told, and says that it confirms.
#[derive(Debug)]
struct WhenTold;

impl Deliver for WhenTold {
    fn deliver<'a>(&'a self, event: &'a OutboxEvent) -> DeliverFuture<'a> {
        Box::pin(async move {
            println!("given {}", payload(event));
            let told = tokio::task::spawn_blocking(|| std::io::stdin().lines().next());
            told.await.unwrap();
            Ok(())
        })
    }

    fn confirm(&self) -> DeliverFuture<'_> {
        println!("confirms");
        Box::pin(ready(Ok(())))
    }
}

#[tokio::test]
#[ignore = "a process of the tests above"]
async fn child_delivers_when_told() {
    let db = given_database().await;
    println!();
    // It is stopped before it renews this.
    let relay = relay(&db, "c", Arc::new(WhenTold)).with_lease(Micros::from_secs(4));
    relay.run(CancellationToken::new()).await;
}
