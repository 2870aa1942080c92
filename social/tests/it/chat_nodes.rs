//! Chat over several nodes: on the bus in this process, and on a real `nats-server` that is lost.

use std::sync::Arc;
use std::time::Duration;

use peers::nats::NatsServer;
use serde_json::{Value, json};
use storage::events::{self, Bus, LocalBus};
use tokio::time::{Instant, sleep};

use crate::app::{TestApp, generous};
use crate::chat::{MESSAGES, ROOM, demo, say};
use crate::chat_sockets::Chat;
use crate::sockets::listen;

on_both_engines! {
    nodes_tell_each_other_what_happens,
    nodes_tell_each_other_what_happens_through_nats,
    a_bus_that_is_back_has_everybody_look_at_what_was_missed,
    a_node_that_hears_nothing_of_others_finds_what_is_said,
    of_a_node_that_is_killed_nothing_is_lost_and_nothing_comes_twice,
    chat_goes_on_while_the_bus_is_down_and_the_rest_catches_up,
}

const DEADLINE: Duration = Duration::from_secs(30);

/// A node that finds nothing by looking for as long as a test takes: what others do, it is told on
/// the bus, or never.
async fn told(app: &TestApp, bus: Arc<dyn Bus>) -> TestApp {
    let mut settings = generous();
    settings.chat_looked_every = Duration::from_secs(3_600);
    app.node_with(bus, settings).await
}

async fn nodes_tell_each_other_what_happens(app: TestApp) {
    let bus = &app.bus;
    let nodes = [told(&app, bus.clone()).await, told(&app, bus.clone()).await];
    tell_each_other(&app, &nodes).await;
}

async fn nodes_tell_each_other_what_happens_through_nats(app: TestApp) {
    let server = NatsServer::start().await;
    let one = told(&app, nats(&server).await).await;
    let nodes = [one, told(&app, nats(&server).await).await];
    tell_each_other(&app, &nodes).await;
}

async fn tell_each_other(app: &TestApp, [one, other]: &[TestApp; 2]) {
    let (ada, bob) = demo(app).await;
    let mut here = Chat::of(listen(one).await, &ada).await;
    let mut there = Chat::of(listen(other).await, &bob).await;
    for chat in [&mut here, &mut there] {
        chat.hear_viewers(2).await;
    }
    let mut last = Value::Null;
    for n in 0..20 {
        last = say(&bob.at_node([one, other][n % 2]), &n.to_string()).await;
        for chat in [&mut here, &mut there] {
            assert_eq!(chat.hear_text().await, n.to_string());
        }
    }
    let path = format!("{MESSAGES}/{}", last["id"].as_str().unwrap());
    bob.at_node(one).delete(&path).await.ok(204);
    let slow = json!({ "slow_mode_seconds": 1 });
    let changed = ada.at_node(other).patch(ROOM, &slow).await;
    changed.ok(200);
    for chat in [&mut here, &mut there] {
        let deleted = chat.hear_event().await;
        assert_eq!(deleted["type"], "deleted", "{deleted}");
        assert_eq!(deleted["message"], last["id"]);
        let changed = chat.hear_event().await;
        assert_eq!(changed["type"], "changed", "{changed}");
    }
    // Sooner than a socket looks by itself at what lies between people.
    let ada = ada.at_node(one);
    let blocked = ada.put("/api/v1/users/bob/block", &json!({})).await;
    blocked.ok(204);
    assert_eq!(there.hear_event().await["type"], "left");
    here.hear_viewers(1).await;
}

async fn a_bus_that_is_back_has_everybody_look_at_what_was_missed(app: TestApp) {
    let mut server = NatsServer::start().await;
    let one = told(&app, nats(&server).await).await;
    let other = told(&app, nats(&server).await).await;
    let (ada, bob) = demo(&app).await;
    let mut here = Chat::of(listen(&one).await, &ada).await;
    let mut there = Chat::of(listen(&other).await, &ada).await;
    server.kill();
    until_lost(&[&one, &other]).await;
    let bob = bob.at_node(&one);
    for n in 1..=10 {
        say(&bob, &n.to_string()).await;
        assert_eq!(here.hear_text().await, n.to_string());
    }
    server.restart().await;
    for n in 1..=10 {
        assert_eq!(there.hear_text().await, n.to_string());
    }
    // What is said while its own node has not come back yet, the bus does not tell.
    until_back(&[&one, &other]).await;
    say(&bob, "11").await;
    for chat in [&mut here, &mut there] {
        assert_eq!(chat.hear_text().await, "11");
    }
}

async fn a_node_that_hears_nothing_of_others_finds_what_is_said(app: TestApp) {
    let other = app.node_on(Arc::new(LocalBus::new())).await;
    let (ada, bob) = demo(&app).await;
    let mut there = Chat::of(listen(&other).await, &ada).await;
    say(&bob, "unheard of").await;
    assert_eq!(there.hear_text().await, "unheard of");
}

async fn until_lost(nodes: &[&TestApp]) {
    until_noticed("the loss", nodes, |node| node.bus.health().is_err()).await;
}

async fn until_back(nodes: &[&TestApp]) {
    until_noticed("the return", nodes, |node| node.bus.health().is_ok()).await;
}

async fn until_noticed(what: &str, nodes: &[&TestApp], by: impl Fn(&TestApp) -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !nodes.iter().all(|node| by(node)) {
        assert!(Instant::now() < deadline, "{what} is not noticed");
        sleep(Duration::from_millis(10)).await;
    }
}

async fn nats(server: &NatsServer) -> Arc<dyn Bus> {
    events::open(&server.url()).await.unwrap()
}

/// A node that runs apart, so that it can be ended in the middle of whatever it does.
struct Node {
    runtime: Option<tokio::runtime::Runtime>,
}

impl Node {
    fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn of_a_node_that_is_killed_nothing_is_lost_and_nothing_comes_twice(app: TestApp) {
    let server = NatsServer::start().await;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let app = Arc::new(app);
    let (of_node, url) = (app.clone(), server.url());
    let started = runtime.spawn(async move {
        let bus = events::open(&url).await.unwrap();
        let node = of_node.node_on(bus).await;
        let address = listen(&node).await;
        (node, address)
    });
    let (doomed, at_doomed) = started.await.unwrap();
    let mut node = Node {
        runtime: Some(runtime),
    };
    let survivor = app.node_on(nats(&server).await).await;
    let (ada, bob) = demo(&app).await;

    let mut chat = Chat::of(at_doomed, &ada).await;
    let mut last = 0;
    for n in 1..=10 {
        say(&bob.at_node(&survivor), &n.to_string()).await;
    }
    for n in 1..=7 {
        assert_eq!(chat.hear_text().await, n.to_string());
        last = n;
    }
    node.kill();
    // What is said meanwhile, also by whoever was at the node that is gone.
    for n in 11..=20 {
        say(&bob.at_node(&survivor), &n.to_string()).await;
    }
    drop(doomed);
    let mut back = Chat::hello(listen(&survivor).await, &ada).await;
    let joined = back.join(json!({ "after": last })).await;
    assert_eq!(joined["is_complete"], true);
    for n in last + 1..=20 {
        assert_eq!(back.hear_text().await, n.to_string());
    }
    say(&bob.at_node(&survivor), "21").await;
    assert_eq!(back.hear_text().await, "21");
}

async fn chat_goes_on_while_the_bus_is_down_and_the_rest_catches_up(app: TestApp) {
    let mut server = NatsServer::start().await;
    let (one, other) = (
        app.node_on(nats(&server).await).await,
        app.node_on(nats(&server).await).await,
    );
    let (ada, bob) = demo(&app).await;
    let mut here = Chat::of(listen(&one).await, &ada).await;
    let mut there = Chat::of(listen(&other).await, &ada).await;
    say(&bob.at_node(&one), "0").await;
    assert_eq!(here.hear_text().await, "0");
    assert_eq!(there.hear_text().await, "0");
    server.kill();
    until_lost(&[&one, &other]).await;
    for n in 1..=10 {
        let node = [&one, &other][n % 2];
        let before = Instant::now();
        say(&bob.at_node(node), &n.to_string()).await;
        let local = [&mut here, &mut there];
        let [first, second] = local;
        let (near, far) = match n % 2 {
            0 => (first, second),
            _ => (second, first),
        };
        assert_eq!(near.hear_text().await, n.to_string());
        // Nobody who is at the same node waits for a bus.
        assert!(before.elapsed() < Duration::from_secs(5));
        assert_eq!(far.hear_text().await, n.to_string());
    }
    server.restart().await;
    until_back(&[&one, &other]).await;
    for n in 11..=20 {
        let node = [&one, &other][n % 2];
        say(&bob.at_node(node), &n.to_string()).await;
        assert_eq!(here.hear_text().await, n.to_string());
        assert_eq!(there.hear_text().await, n.to_string());
    }
}
