//! Notifications on real servers: two processes on one database and one bus, which is lost.

use std::thread;
use std::time::{Duration, Instant};

use peers::nats::NatsServer;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::harness::{Http, Listener, Site, Socket, wait_for};

const PASSWORD: &str = "correct horse";
/// How long a notification may take.
const SOON: Duration = Duration::from_secs(30);
/// How often something happens while the bus is down.
const EVERY: Duration = Duration::from_secs(1);

/// Somebody who looks at their notifications.
struct Looking<'a>(Socket<'a>);

impl<'a> Looking<'a> {
    /// So many are unread at first.
    fn begin(runtime: &'a Runtime, http: &Http, token: &str, unread: u64) -> Self {
        let mut socket = Socket::of_graphql(runtime, http, token);
        let document = "subscription { notificationsChanged { unread } }";
        let payload = json!({ "query": document });
        socket.tell(&json!({ "type": "subscribe", "id": "1", "payload": payload }));
        let mut looking = Self(socket);
        assert_eq!(looking.hear(), unread);
        looking
    }

    /// How many are unread, when that is told next.
    fn hear(&mut self) -> u64 {
        loop {
            let heard = self.0.expect();
            assert_eq!(heard["payload"]["errors"], Value::Null, "{heard}");
            let unread = heard["payload"]["data"]["notificationsChanged"]["unread"].as_u64();
            if let Some(unread) = unread {
                return unread;
            }
        }
    }

    /// Waits until so many are told to be unread: what comes at once may be told at once.
    fn until(&mut self, unread: u64) {
        let begun = Instant::now();
        while self.hear() != unread {
            assert!(begun.elapsed() < SOON, "{unread} are not told");
        }
    }
}

fn post(http: &Http, text: &str) -> String {
    let made = http.post_value("/api/v1/posts", &json!({ "text": text }), 201);
    made["id"].as_str().unwrap().to_owned()
}

/// Waits until whoever asks is told that so many are unread.
fn is_unread(http: &Http, expected: u64) {
    wait_for("the notification", SOON, || {
        let answer = http.fetch("/api/v1/notifications/unread")?.text();
        let unread: Value = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
        let is_so = unread["unread"] == expected;
        is_so.then_some(()).ok_or(answer)
    });
}

fn like(http: &Http, post: &str) {
    let answer = http.put(&format!("/api/v1/posts/{post}/like")).unwrap();
    assert_eq!(answer.status, 204, "{}", answer.text());
}

/// Two servers whose bus is lost, and back when it was down for so long.
fn lose_the_bus(down: Duration) {
    let database = peers::postgres::database();
    let runtime = Runtime::new().unwrap();
    let mut nats = runtime.block_on(NatsServer::start());
    let site = Site::with_settings(&[
        ("NOVA__DATABASE__URL", database.url().as_str()),
        ("NOVA__EVENTS__URL", nats.url().as_str()),
    ]);
    for name in ["ada", "bob"] {
        site.create_user(name, PASSWORD);
    }
    let start = || {
        let serve = site.serve();
        serve
            .roles("api", &[Listener::Http, Listener::Admin])
            .start()
    };
    let (one, other) = (start(), start());
    let (ada, bob) = (
        one.http().log_in("ada", PASSWORD),
        one.http().log_in("bob", PASSWORD),
    );
    let of_ada = one.http().bearing(&ada);
    let mut here = Looking::begin(&runtime, &one.http(), &ada, 0);
    let mut there = Looking::begin(&runtime, &other.http(), &ada, 0);

    // Whichever does it, both tell.
    for (at, node) in [&one, &other].into_iter().enumerate() {
        like(&node.http().bearing(&bob), &post(&of_ada, &format!("{at}")));
        for looking in [&mut here, &mut there] {
            looking.until(at as u64 + 1);
        }
    }

    // Without a bus it is there for whoever asks, or comes, and who looks is told of it afterwards.
    nats.kill();
    for node in [&one, &other] {
        wait_for("the loss", SOON, || {
            let connected = node.metric("nova_events_server_connected")?;
            (connected == 0.0).then_some(()).ok_or("connected".into())
        });
    }
    let lost_at = Instant::now();
    let mut unread = 2;
    loop {
        let said_at = Instant::now();
        unread += 1;
        let node = [&one, &other][unread as usize % 2];
        like(&node.http().bearing(&bob), &post(&of_ada, "late"));
        for node in [&one, &other] {
            is_unread(&node.http().bearing(&ada), unread);
            Looking::begin(&runtime, &node.http(), &ada, unread);
        }
        if lost_at.elapsed() >= down {
            break;
        }
        thread::sleep(EVERY.saturating_sub(said_at.elapsed()));
    }
    println!(
        "without a bus for {:?}: {unread} notifications, there at once and told afterwards",
        lost_at.elapsed()
    );
    runtime.block_on(nats.restart());
    // Sooner than they look by themselves.
    for looking in [&mut here, &mut there] {
        looking.until(unread);
    }
    like(&one.http().bearing(&bob), &post(&of_ada, "last"));
    for looking in [&mut here, &mut there] {
        looking.until(unread + 1);
    }
}

#[test]
fn two_servers_tell_what_happens_and_a_bus_that_is_lost_loses_nothing() {
    lose_the_bus(Duration::ZERO);
}

#[test]
fn long_two_servers_tell_what_happens_and_a_bus_that_is_down_for_10_s_loses_nothing() {
    lose_the_bus(Duration::from_secs(10));
}
