//! Notifications on real servers: two processes on one database and one bus, which is lost.

use std::time::{Duration, Instant};

use peers::nats::NatsServer;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::harness::{Http, Listener, Site, Socket, wait_for};

const PASSWORD: &str = "correct horse";
/// How long a notification may take.
const SOON: Duration = Duration::from_secs(30);

/// Somebody who looks at their notifications.
struct Looking<'a>(Socket<'a>);

impl<'a> Looking<'a> {
    fn begin(runtime: &'a Runtime, http: &Http, token: &str) -> Self {
        let mut socket = Socket::of_graphql(runtime, http, token);
        let document = "subscription { notificationsChanged { unread } }";
        let payload = json!({ "query": document });
        socket.tell(&json!({ "type": "subscribe", "id": "1", "payload": payload }));
        let mut looking = Self(socket);
        assert_eq!(looking.hear(), 0);
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

fn like(http: &Http, post: &str) {
    let answer = http.put(&format!("/api/v1/posts/{post}/like")).unwrap();
    assert_eq!(answer.status, 204, "{}", answer.text());
}

#[test]
fn two_servers_tell_what_happens_and_a_bus_that_is_down_loses_nothing() {
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
    let mut here = Looking::begin(&runtime, &one.http(), &ada);
    let mut there = Looking::begin(&runtime, &other.http(), &ada);

    // Whichever does it, both tell.
    for (at, node) in [&one, &other].into_iter().enumerate() {
        like(&node.http().bearing(&bob), &post(&of_ada, &format!("{at}")));
        for looking in [&mut here, &mut there] {
            looking.until(at as u64 + 1);
        }
    }

    // Without a bus it is there for whoever asks, and who looks is told of it afterwards.
    let late = post(&of_ada, "late");
    nats.kill();
    like(&other.http().bearing(&bob), &late);
    for node in [&one, &other] {
        let http = node.http().bearing(&ada);
        wait_for("the notification", SOON, || {
            let answer = http.fetch("/api/v1/notifications/unread")?.text();
            let unread: Value = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
            (unread["unread"] == 3).then_some(()).ok_or(answer)
        });
    }
    runtime.block_on(nats.restart());
    for looking in [&mut here, &mut there] {
        looking.until(3);
    }
    like(&one.http().bearing(&bob), &post(&of_ada, "last"));
    for looking in [&mut here, &mut there] {
        looking.until(4);
    }
}
