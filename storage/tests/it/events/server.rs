//! A server that is lost, slow, refusing or not there.

use std::sync::Arc;
use std::time::Duration;

use storage::events::{
    self, Bus, BusError, Event, MAX_PAYLOAD_BYTES, PUBLISH_QUEUE, RecvError, Subscription,
};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::DEADLINE;
use super::suite::{ask, publish, recv, subject, subscribe, until};
use peers::nats::NatsServer;
use peers::port::ReservedPort;

async fn open(server: &NatsServer) -> Arc<dyn Bus> {
    events::open(&server.url()).await.unwrap()
}

async fn interrupted(subscription: &mut Subscription) {
    let told = timeout(DEADLINE, subscription.recv()).await.expect("news");
    assert_eq!(told.unwrap_err(), RecvError::Interrupted);
}

async fn lost(bus: &Arc<dyn Bus>) {
    until("the loss is noticed", async || bus.health().is_err()).await;
}

/// The one sentence that opening `url` fails with.
async fn refused(url: &str) -> String {
    let opened = timeout(DEADLINE, events::open(url)).await;
    let error = opened.expect("an end in time").unwrap_err();
    let sentence = error.to_string();
    assert!(!sentence.contains('\n'), "{sentence}");
    for text in [&sentence, &format!("{error:?}")] {
        assert!(!text.contains("s3cr3t"), "{text}");
    }
    sentence
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_killed_is_found_again() {
    let mut server = NatsServer::start().await;
    let (bus, other) = (open(&server).await, open(&server).await);
    let mut exact = subscribe(&bus, "live.demo").await;
    let mut wild = subscribe(&bus, "live.>").await;
    for round in ["first", "second"] {
        publish(&other, "live.demo", "before").await;
        assert_eq!(recv(&mut exact).await.event.payload, "before");
        assert_eq!(recv(&mut wild).await.event.payload, "before");

        let since = other.checkpoint();
        publish(&other, "nobody.hears", "x").await;
        server.kill();
        lost(&bus).await;
        lost(&other).await;
        let event = Event::new(subject("live.demo"), "lost");
        let gone = Err(BusError::Disconnected);
        assert_eq!(other.publish(event).await, gone);
        assert_eq!(other.flush(since, DEADLINE).await, gone);
        let asked = ask(&other, "a", "?", DEADLINE).await;
        assert_eq!(asked.unwrap_err(), BusError::Disconnected);
        let subscribed = other.subscribe(&"a".parse().unwrap()).await;
        assert_eq!(subscribed.unwrap_err(), BusError::Disconnected);

        server.restart().await;
        // By then the server has the subscriptions again.
        interrupted(&mut exact).await;
        interrupted(&mut wild).await;
        until("the other is back", async || other.health().is_ok()).await;
        // What was published before the loss may have been lost with it.
        let unconfirmed = other.flush(since, DEADLINE).await;
        assert_eq!(unconfirmed, Err(BusError::Unconfirmed));
        let since = other.checkpoint();
        publish(&other, "live.demo", round).await;
        other.flush(since, DEADLINE).await.unwrap();
        assert_eq!(recv(&mut exact).await.event.payload, round);
        assert_eq!(recv(&mut wild).await.event.payload, round);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_subscription_does_not_come_back_with_the_server() {
    let mut server = NatsServer::start().await;
    let bus = open(&server).await;
    let dropped = subscribe(&bus, "ask.me").await;
    let mut stays = subscribe(&bus, "other").await;
    server.kill();
    lost(&bus).await;
    drop(dropped);
    server.restart().await;
    interrupted(&mut stays).await;
    let within = Duration::from_millis(20);
    until("nobody hears", async || {
        let asked = ask(&bus, "ask.me", "?", within).await;
        asked == Err(BusError::NoResponders(subject("ask.me")))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_is_waited_for_within_bounds() {
    let server = NatsServer::start().await;
    let bus = open(&server).await;
    let mut subscription = subscribe(&bus, "small").await;
    server.pause();
    let since = bus.checkpoint();
    let flushed = bus.flush(since, Duration::from_millis(50)).await;
    assert_eq!(flushed, Err(BusError::DeadlineExceeded));
    let asked = ask(&bus, "small", "?", Duration::from_millis(50));
    assert_eq!(asked.await.unwrap_err(), BusError::DeadlineExceeded);
    // The operating system takes some megabytes for it, then the queue is full.
    let payload = vec![0; MAX_PAYLOAD_BYTES];
    let mut taken = 0;
    let refused = loop {
        let event = Event::new(subject("large"), payload.clone());
        match timeout(DEADLINE, bus.publish(event)).await.expect("an end") {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 4 * PUBLISH_QUEUE, "{taken} events were taken");
    };
    assert_eq!(refused, BusError::Stalled);
    server.resume();
    until("it goes on", async || {
        bus.flush(bus.checkpoint(), DEADLINE).await.is_ok()
    })
    .await;
    publish(&bus, "small", "after").await;
    let received = loop {
        match timeout(DEADLINE, subscription.recv()).await.expect("it") {
            Ok(message) if message.reply_to.is_some() => {}
            // It may have hung for so long that the client gave it up.
            Err(RecvError::Interrupted) => {}
            other => break other.unwrap().event.payload,
        }
    };
    assert_eq!(received, "after");
}

#[tokio::test]
async fn credentials_let_in() {
    let server = NatsServer::start_with(&["--user", "nova", "--pass", "s3cr3t@:/%"]).await;
    let url = server.url_of("nova:s3cr3t%40:%2F%25");
    let bus = events::open(&url).await.unwrap();
    bus.flush(bus.checkpoint(), DEADLINE).await.unwrap();
    let shown = format!("{bus:?}");
    assert!(shown.contains("***@127.0.0.1"), "{shown}");

    for wrong in ["nova:s3cr3t", "s3cr3t"] {
        let sentence = refused(&server.url_of(wrong)).await;
        assert!(sentence.contains("refuses these credentials"), "{sentence}");
        assert!(sentence.contains("events.url"), "{sentence}");
    }
    let sentence = refused(&server.url()).await;
    assert!(sentence.contains("refuses these credentials"), "{sentence}");

    let server = NatsServer::start_with(&["--auth", "s3cr3t"]).await;
    let bus = events::open(&server.url_of("s3cr3t")).await.unwrap();
    let shown = format!("{bus:?}");
    assert!(!shown.contains("s3cr3t"), "{shown}");
}

#[tokio::test]
async fn any_server_of_the_url_will_do() {
    let server = NatsServer::start().await;
    let nobody = ReservedPort::any();
    let url = format!("//{},", nobody.address());
    let url = server.url().replace("//", &url);
    let bus = events::open(&url).await.unwrap();
    bus.flush(bus.checkpoint(), DEADLINE).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_one_sentence() {
    let nobody = ReservedPort::any();
    let address = nobody.address().to_string();
    let sentence = refused(&format!("nats://nova:s3cr3t@{address}")).await;
    assert!(sentence.contains(&address), "{sentence}");
    assert!(sentence.contains("refused"), "{sentence}");
    assert!(sentence.contains("start nats-server"), "{sentence}");

    let sentence = refused("nats://s3cr3t@events.invalid").await;
    assert!(sentence.contains("start nats-server"), "{sentence}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_one_sentence() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://nova:s3cr3t@{}", silent.local_addr().unwrap());
    let sentence = refused(&url).await;
    assert!(sentence.contains("no events server answers"), "{sentence}");
}

#[tokio::test]
async fn a_server_without_tls_is_one_sentence() {
    let server = NatsServer::start().await;
    let url = server.url_of("nova:s3cr3t").replace("nats:", "tls:");
    let sentence = refused(&url).await;
    assert!(sentence.contains("tls://***@"), "{sentence}");
}

#[tokio::test]
async fn a_server_that_takes_less_than_an_event_is_one_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("nats.conf");
    std::fs::write(&file, "max_payload: 1000").unwrap();
    let server = NatsServer::start_with(&["--config", file.to_str().unwrap()]).await;
    let sentence = refused(&server.url()).await;
    assert!(sentence.contains("1000 bytes only"), "{sentence}");
    assert!(sentence.contains("max_payload"), "{sentence}");
}
