//! What every implementation of `Bus` must do. Each case has a bus without subscribers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use storage::events::{
    Bus, BusError, Event, MAX_PAYLOAD_BYTES, Message, RecvError, SUBSCRIPTION_MESSAGES, Subject,
    Subscription,
};
use tokio::time::timeout;
use uuid::Uuid;

use super::DEADLINE;

/// Two handles of one bus: connections of their own where there are connections.
pub(crate) struct Buses {
    pub(crate) one: Arc<dyn Bus>,
    pub(crate) other: Arc<dyn Bus>,
}

pub(crate) fn subject(text: &str) -> Subject {
    text.parse().unwrap()
}

pub(crate) async fn subscribe(bus: &Arc<dyn Bus>, pattern: &str) -> Subscription {
    bus.subscribe(&pattern.parse().unwrap()).await.unwrap()
}

pub(crate) async fn publish(bus: &Arc<dyn Bus>, to: &str, payload: impl Into<Bytes>) {
    bus.publish(Event::new(subject(to), payload)).await.unwrap();
}

pub(crate) async fn recv(subscription: &mut Subscription) -> Message {
    timeout(DEADLINE, subscription.recv())
        .await
        .expect("a message")
        .unwrap()
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let held = timeout(DEADLINE, async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    held.await.unwrap_or_else(|_| panic!("never: {what}"));
}

pub(crate) async fn ask(
    bus: &Arc<dyn Bus>,
    to: &str,
    payload: impl Into<Bytes>,
    within: Duration,
) -> Result<Bytes, BusError> {
    bus.request(&subject(to), payload.into(), within).await
}

/// Answers every request with what it asks, in the background.
fn echo(mut subscription: Subscription) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        while let Ok(message) = subscription.recv().await {
            if let Some(reply_to) = message.reply_to {
                reply_to.send(message.event.payload).await.unwrap();
            }
        }
    })
}

pub(crate) async fn wildcards_select(buses: Buses) {
    let subjects = [
        "live",
        "live.demo",
        "live.demo.started",
        "live.other.started",
        "vod.demo.started",
        "Live.demo",
    ];
    for (pattern, selected) in [
        ("live", &["live"][..]),
        ("live.demo", &["live.demo"]),
        ("live.*", &["live.demo"]),
        (
            "live.*.started",
            &["live.demo.started", "live.other.started"],
        ),
        ("*.demo", &["live.demo", "Live.demo"]),
        ("*.demo.>", &["live.demo.started", "vod.demo.started"]),
        (
            "live.>",
            &["live.demo", "live.demo.started", "live.other.started"],
        ),
        (">", &subjects),
        ("*", &["live"]),
        ("nothing.>", &[]),
    ] {
        let mut selecting = subscribe(&buses.one, pattern).await;
        // Comes after all others from the same publisher.
        let mut end = subscribe(&buses.one, "end.of.round").await;
        for subject in subjects {
            publish(&buses.other, subject, "x").await;
        }
        publish(&buses.other, "end.of.round", "x").await;
        recv(&mut end).await;
        for expected in selected {
            let got = recv(&mut selecting).await.event.subject;
            assert_eq!(got.as_str(), *expected, "{pattern}");
        }
        // Nothing more: the next is what is published now.
        let fits = pattern.replace(['*', '>'], "fits");
        publish(&buses.other, &fits, "last").await;
        let mut last = recv(&mut selecting).await;
        if pattern == ">" && last.event.subject.as_str() == "end.of.round" {
            last = recv(&mut selecting).await;
        }
        assert_eq!(last.event.subject.as_str(), fits, "{pattern}");
        assert_eq!(last.event.payload, "last", "{pattern}");
    }
}

pub(crate) async fn publishers_hear_themselves(buses: Buses) {
    let mut subscription = subscribe(&buses.one, "chat.room").await;
    publish(&buses.one, "chat.room", "hello").await;
    assert_eq!(recv(&mut subscription).await.event.payload, "hello");
}

pub(crate) async fn ids_and_payloads_arrive_as_they_were(buses: Buses) {
    let mut subscription = subscribe(&buses.one, "a.b").await;
    let binary: Vec<u8> = (0..=255).collect();
    let events = [
        Event::new(subject("a.b"), ""),
        Event::new(subject("a.b"), binary).with_id(Uuid::now_v7()),
        Event::new(subject("a.b"), "\r\nPUB a.b 1\r\nx\r\n"),
        Event::new(subject("a.b"), "").with_id(Uuid::nil()),
    ];
    for event in &events {
        buses.other.publish(event.clone()).await.unwrap();
    }
    for event in events {
        let message = recv(&mut subscription).await;
        assert_eq!(message.event, event);
        assert!(message.reply_to.is_none());
    }
}

pub(crate) async fn order_is_kept(buses: Buses) {
    let mut subscription = subscribe(&buses.one, "order.>").await;
    let count = SUBSCRIPTION_MESSAGES as u32;
    for index in 0..count {
        let subject = format!("order.{}", index % 7);
        publish(&buses.other, &subject, index.to_string()).await;
    }
    for index in 0..count {
        let event = recv(&mut subscription).await.event;
        assert_eq!(event.payload, index.to_string());
        assert_eq!(event.subject.as_str(), format!("order.{}", index % 7));
    }
}

pub(crate) async fn every_subscription_gets_its_own(buses: Buses) {
    let mut all = Vec::new();
    for bus in [&buses.one, &buses.other, &buses.one] {
        all.push(subscribe(bus, "a.*").await);
        all.push(subscribe(bus, "a.b").await);
    }
    publish(&buses.other, "a.b", "1").await;
    publish(&buses.other, "a.b", "2").await;
    for subscription in &mut all {
        assert_eq!(recv(subscription).await.event.payload, "1");
        assert_eq!(recv(subscription).await.event.payload, "2");
    }
}

pub(crate) async fn requests_are_answered(buses: Buses) {
    let echo = echo(subscribe(&buses.one, "ask.*").await);
    for payload in ["", "one", "two"] {
        for bus in [&buses.one, &buses.other] {
            let answer = ask(bus, "ask.echo", payload, DEADLINE).await;
            assert_eq!(answer.unwrap(), payload);
        }
    }
    let asked = (0..20).map(|index| {
        let bus = buses.other.clone();
        tokio::spawn(async move {
            let question = Bytes::from(index.to_string());
            let answer = ask(&bus, "ask.many", question.clone(), DEADLINE).await;
            assert_eq!(answer.unwrap(), question);
        })
    });
    for task in asked.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    echo.abort();
}

pub(crate) async fn the_first_answer_counts(buses: Buses) {
    let mut subscription = subscribe(&buses.one, "ask").await;
    let bus = buses.other.clone();
    let asked = tokio::spawn(async move { ask(&bus, "ask", "?", DEADLINE).await });
    let reply_to = recv(&mut subscription).await.reply_to.unwrap();
    reply_to.send("first".into()).await.unwrap();
    reply_to.clone().send("second".into()).await.unwrap();
    assert_eq!(asked.await.unwrap().unwrap(), "first");
    // Nobody waits any more.
    reply_to.send("late".into()).await.unwrap();
    let too_large = Bytes::from(vec![0; MAX_PAYLOAD_BYTES + 1]);
    assert_eq!(
        reply_to.send(too_large).await.unwrap_err(),
        BusError::PayloadTooLarge {
            size: MAX_PAYLOAD_BYTES + 1
        }
    );
}

pub(crate) async fn a_request_that_nobody_hears_fails_at_once(buses: Buses) {
    let _elsewhere = subscribe(&buses.one, "ask.other").await;
    // As long as a test may take: only an answer at once ends it sooner.
    let for_ever = Duration::from_secs(24 * 60 * 60);
    let asked = ask(&buses.other, "ask.me", "", for_ever);
    let refused = timeout(DEADLINE, asked).await.expect("at once");
    assert_eq!(
        refused.unwrap_err(),
        BusError::NoResponders(subject("ask.me"))
    );
}

pub(crate) async fn a_request_that_nobody_answers_meets_its_deadline(buses: Buses) {
    let mut subscription = subscribe(&buses.one, "ask").await;
    let forgets = tokio::spawn(async move {
        drop(recv(&mut subscription).await.reply_to.unwrap());
        subscription
    });
    let within = Duration::from_millis(50);
    let asked = ask(&buses.other, "ask", "", within).await;
    assert_eq!(asked.unwrap_err(), BusError::DeadlineExceeded);
    forgets.await.unwrap();
}

pub(crate) async fn a_slow_subscriber_is_told_how_many_it_lost(buses: Buses) {
    const LOST: usize = 10;
    let mut slow = subscribe(&buses.one, "flood").await;
    let mut quick = subscribe(&buses.one, "other").await;
    let count = SUBSCRIPTION_MESSAGES + LOST;
    for index in 0..count {
        publish(&buses.other, "flood", index.to_string()).await;
    }
    // Nobody else is held up.
    publish(&buses.other, "other", "x").await;
    recv(&mut quick).await;
    until("all were lost", async || slow.missed() == LOST as u64).await;
    assert_eq!(
        slow.recv().await.unwrap_err(),
        RecvError::Lagged(LOST as u64)
    );
    assert_eq!(slow.missed(), 0);
    // The oldest gave way.
    for index in LOST..count {
        assert_eq!(recv(&mut slow).await.event.payload, index.to_string());
    }
    publish(&buses.other, "flood", "on").await;
    assert_eq!(recv(&mut slow).await.event.payload, "on");
}

pub(crate) async fn dropping_a_subscription_unsubscribes(buses: Buses) {
    let within = Duration::from_millis(20);
    let first = subscribe(&buses.one, "ask.me").await;
    let second = subscribe(&buses.one, "ask.*").await;
    drop(first);
    let asked = ask(&buses.other, "ask.me", "", within).await;
    assert_eq!(asked.unwrap_err(), BusError::DeadlineExceeded);
    drop(second);
    until("the server knows", async || {
        let asked = ask(&buses.other, "ask.me", "", within).await;
        asked == Err(BusError::NoResponders(subject("ask.me")))
    })
    .await;
}

pub(crate) async fn payloads_have_a_limit(buses: Buses) {
    let mut subscription = subscribe(&buses.one, "a").await;
    let largest = Bytes::from(vec![7; MAX_PAYLOAD_BYTES]);
    let too_large = Bytes::from(vec![7; MAX_PAYLOAD_BYTES + 1]);
    let refused = BusError::PayloadTooLarge {
        size: MAX_PAYLOAD_BYTES + 1,
    };
    let event = Event::new(subject("a"), too_large.clone());
    assert_eq!(buses.other.publish(event).await.unwrap_err(), refused);
    let asked = ask(&buses.other, "a", too_large, DEADLINE);
    assert_eq!(asked.await.unwrap_err(), refused);
    let event = Event::new(subject("a"), largest.clone()).with_id(Uuid::now_v7());
    buses.other.publish(event).await.unwrap();
    assert_eq!(recv(&mut subscription).await.event.payload, largest);
}

pub(crate) async fn a_flush_proves(buses: Buses) {
    buses.one.health().unwrap();
    let since = buses.other.checkpoint();
    buses.other.flush(since, DEADLINE).await.unwrap();
    for index in 0..100 {
        publish(&buses.other, "a", index.to_string()).await;
    }
    buses.other.flush(since, DEADLINE).await.unwrap();
    // The server had all that before this subscription: none of it comes.
    let mut subscription = subscribe(&buses.one, "a").await;
    publish(&buses.other, "a", "next").await;
    assert_eq!(recv(&mut subscription).await.event.payload, "next");
}

/// What a bus sends for itself (inboxes, answers, flushes) is nobody's event.
pub(crate) async fn nothing_else_comes_through(buses: Buses) {
    let mut all = subscribe(&buses.one, ">").await;
    let mut three = subscribe(&buses.one, "*.*").await;
    let echo = echo(subscribe(&buses.other, "ask.echo").await);
    let asked = ask(&buses.one, "ask.echo", "?", DEADLINE);
    assert_eq!(asked.await.unwrap(), "?");
    let since = buses.one.checkpoint();
    buses.one.flush(since, DEADLINE).await.unwrap();
    drop(subscribe(&buses.one, "b.c").await);
    publish(&buses.one, "the.end", "x").await;
    for subscription in [&mut all, &mut three] {
        assert_eq!(recv(subscription).await.event.subject.as_str(), "ask.echo");
        assert_eq!(recv(subscription).await.event.subject.as_str(), "the.end");
    }
    echo.abort();
}
