//! Chat on real servers: two processes on one database and one bus.

use std::thread;
use std::time::{Duration, Instant};

use peers::nats::NatsServer;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::harness::{Http, Listener, Nova, Signal, Site, Socket};

const PASSWORD: &str = "correct horse";

/// How often something is said while the bus is down: ten times.
const EVERY: Duration = Duration::from_secs(1);

/// Somebody who only reads, on a socket.
struct Chat<'a>(Socket<'a>);

impl<'a> Chat<'a> {
    /// In the room, with what came after `after`.
    fn join(runtime: &'a Runtime, http: &Http, after: u64) -> Self {
        let mut chat = Self(Socket::of_chats(runtime, http, None));
        chat.0
            .tell(&json!({ "type": "join", "room": "garden", "after": after }));
        let joined = chat.hear();
        assert_eq!(joined["is_complete"], true, "{joined}");
        chat
    }

    fn hear(&mut self) -> Value {
        loop {
            let heard = self.0.expect();
            if heard["type"] != "presence" {
                return heard;
            }
        }
    }

    fn hears(&mut self, number: u64) {
        let heard = self.hear();
        assert_eq!(heard["message"]["text"], number.to_string(), "{heard}");
        assert_eq!(heard["event"], number, "{heard}");
    }
}

fn say(http: &Http, number: u64) {
    let path = "/api/v1/streams/garden/chat/messages";
    http.post_value(path, &json!({ "text": number.to_string() }), 201);
}

#[test]
fn of_a_server_that_is_killed_no_message_is_lost_and_a_bus_that_is_down_stops_nobody() {
    let database = peers::postgres::database();
    let runtime = Runtime::new().unwrap();
    let mut nats = runtime.block_on(NatsServer::start());
    let site = Site::with_settings(&[
        ("NOVA__DATABASE__URL", database.url().as_str()),
        ("NOVA__EVENTS__URL", nats.url().as_str()),
    ]);
    site.create_stream("garden");
    site.create_user("ada", PASSWORD);
    let start = || -> Nova {
        let serve = site.serve();
        serve
            .roles("api", &[Listener::Http, Listener::Admin])
            .start()
    };
    let (mut doomed, stays) = (start(), start());
    let ada = stays.http().log_in("ada", PASSWORD);
    let (at_doomed, at_stays) = (doomed.http().bearing(&ada), stays.http().bearing(&ada));

    let mut here = Chat::join(&runtime, &doomed.http(), 0);
    let mut there = Chat::join(&runtime, &stays.http(), 0);
    for number in 1..=10 {
        say(
            if number % 2 == 0 {
                &at_doomed
            } else {
                &at_stays
            },
            number,
        );
        there.hears(number);
    }
    for number in 1..=6 {
        here.hears(number);
    }
    doomed.signal(Signal::Kill);
    doomed.wait_exit();
    drop(here);
    for number in 11..=15 {
        say(&at_stays, number);
        there.hears(number);
    }
    let mut back = Chat::join(&runtime, &stays.http(), 6);
    for number in 7..=15 {
        back.hears(number);
    }

    // Without a bus whoever is there talks on, and others find it.
    let other = start();
    let at_other = other.http().bearing(&ada);
    let mut far = Chat::join(&runtime, &other.http(), 15);
    nats.kill();
    let mut delays = Vec::new();
    for number in 16..=25 {
        let said_at = Instant::now();
        say(
            if number % 2 == 0 {
                &at_other
            } else {
                &at_stays
            },
            number,
        );
        there.hears(number);
        far.hears(number);
        delays.push(said_at.elapsed());
        // It is down for as long as that takes.
        thread::sleep(EVERY.saturating_sub(said_at.elapsed()));
    }
    let longest = delays.iter().max().unwrap();
    println!("without a bus for 10 s: everybody hears everything within {longest:?}");
    runtime.block_on(nats.restart());
    for number in 26..=30 {
        say(
            if number % 2 == 0 {
                &at_other
            } else {
                &at_stays
            },
            number,
        );
        there.hears(number);
        far.hears(number);
    }
    // Nothing was lost on the way of who did not look.
    for number in 16..=30 {
        back.hears(number);
    }
    let sockets = stays.metric("nova_chat_sockets").unwrap();
    assert!(sockets >= 2.0, "{sockets}");
}
