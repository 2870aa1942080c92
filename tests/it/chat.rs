//! Chat on real servers: two processes on one database and one bus.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use peers::nats::NatsServer;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::harness::{Http, LOST, Listener, Nova, Signal, Site, Socket};

const PASSWORD: &str = "correct horse";

/// How often something is said while the bus is down: ten times.
const EVERY: Duration = Duration::from_secs(1);

/// How long something may take that has to happen.
const SOON: Duration = Duration::from_secs(60);

/// Those who talk while a server is killed.
const TALKERS: usize = 8;
/// Messages of each: fewer than a socket may send from one tick to the next.
const EACH: usize = 50;
/// Messages of each that wait for their answers.
const WINDOW: usize = 4;
/// The server is killed when so many are answered.
const KILLED_AT: usize = 80;

/// Somebody in the room, on a socket.
struct Chat<'a>(Socket<'a>);

impl<'a> Chat<'a> {
    /// Somebody who only reads, with what came after `after`.
    fn join(runtime: &'a Runtime, http: &Http, after: u64) -> Self {
        Self::of(runtime, http, None, after)
    }

    /// The same of whoever has the token.
    fn of(runtime: &'a Runtime, http: &Http, token: Option<&str>, after: u64) -> Self {
        let mut chat = Self(Socket::of_chats(runtime, http, token));
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

/// Somebody who talks, and says again elsewhere what no answer came for.
struct Talker<'a> {
    runtime: &'a Runtime,
    name: &'a str,
    token: String,
    chat: Chat<'a>,
}

impl Talker<'_> {
    fn try_say(&mut self, number: usize) -> bool {
        self.chat.0.try_tell(&json!({
            "type": "send",
            "id": number.to_string(),
            "text": format!("{} {number}", self.name),
            "key": number.to_string(),
        }))
    }

    /// Until all is answered; how many were said again.
    fn talk(mut self, elsewhere: &Http, answered: impl Fn()) -> usize {
        let (mut rest, mut waiting, mut again) = (0..EACH, VecDeque::new(), 0);
        loop {
            let mut is_open = waiting.iter().all(|number| self.try_say(*number));
            while is_open {
                while waiting.len() < WINDOW
                    && let Some(number) = rest.next()
                {
                    waiting.push_back(number);
                    is_open &= self.try_say(number);
                }
                if waiting.is_empty() {
                    return again;
                }
                match self.chat.0.hear() {
                    Ok(heard) if heard["type"] == "sent" => {
                        let number = waiting.pop_front().unwrap();
                        assert_eq!(heard["id"], number.to_string());
                        answered();
                    }
                    Ok(heard) => assert_ne!(heard["type"], "error", "{heard}"),
                    Err(code) => {
                        assert_eq!(code, LOST);
                        is_open = false;
                    }
                }
            }
            again += waiting.len();
            self.chat = Chat::of(self.runtime, elsewhere, Some(&self.token), 0);
        }
    }
}

/// All that is said, in the order that it is heard in, by somebody who comes back where they can.
fn hear_all<'a>(runtime: &'a Runtime, mut chat: Chat<'a>, elsewhere: &Http) -> Vec<String> {
    let (mut said, mut last) = (Vec::new(), 0);
    while said.len() < TALKERS * EACH {
        match chat.0.hear() {
            Ok(heard) if heard["type"] == "message" => {
                let event = heard["event"].as_u64().unwrap();
                assert!(event > last, "{heard} came after {last}");
                last = event;
                said.push(heard["message"]["text"].as_str().unwrap().to_owned());
            }
            Ok(heard) => assert_eq!(heard["type"], "presence", "{heard}"),
            Err(code) => {
                assert_eq!(code, LOST);
                chat = Chat::join(runtime, elsewhere, last);
            }
        }
    }
    said
}

fn start(site: &Site) -> Nova {
    let serve = site.serve();
    serve
        .roles("api", &[Listener::Http, Listener::Admin])
        .start()
}

fn say(http: &Http, number: u64) {
    let path = "/api/v1/streams/garden/chat/messages";
    http.post_value(path, &json!({ "text": number.to_string() }), 201);
}

/// At one of two servers in turn.
fn say_at(servers: [&Http; 2], number: u64) {
    say(servers[number as usize % 2], number);
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
    let (mut doomed, stays) = (start(&site), start(&site));
    let ada = stays.http().log_in("ada", PASSWORD);
    let (at_doomed, at_stays) = (doomed.http().bearing(&ada), stays.http().bearing(&ada));

    let mut here = Chat::join(&runtime, &doomed.http(), 0);
    let mut there = Chat::join(&runtime, &stays.http(), 0);
    for number in 1..=10 {
        say_at([&at_doomed, &at_stays], number);
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
    let other = start(&site);
    let at_other = other.http().bearing(&ada);
    let mut far = Chat::join(&runtime, &other.http(), 15);
    nats.kill();
    let mut delays = Vec::new();
    for number in 16..=25 {
        let said_at = Instant::now();
        say_at([&at_other, &at_stays], number);
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
        say_at([&at_other, &at_stays], number);
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

#[test]
fn of_a_server_that_is_killed_while_many_talk_nothing_is_lost_and_nothing_said_twice() {
    let database = peers::postgres::database();
    let runtime = &Runtime::new().unwrap();
    let nats = runtime.block_on(NatsServer::start());
    let site = Site::with_settings(&[
        ("NOVA__DATABASE__URL", database.url().as_str()),
        ("NOVA__EVENTS__URL", nats.url().as_str()),
        ("NOVA__API__LIMITS__REQUESTS_PER_MINUTE", "100000"),
        ("NOVA__API__LIMITS__WRITES_PER_MINUTE", "100000"),
        ("NOVA__API__LIMITS__CHAT_MESSAGES_PER_MINUTE", "100000"),
    ]);
    site.create_stream("garden");
    let names: Vec<_> = (0..TALKERS).map(|n| format!("talker{n}")).collect();
    for name in &names {
        site.create_user(name, PASSWORD);
    }
    let (mut doomed, stays) = (start(&site), start(&site));
    let (at_doomed, at_stays) = (&doomed.http(), &stays.http());
    let listeners = [at_doomed, at_doomed, at_stays].map(|at| Chat::join(runtime, at, 0));
    let talkers: Vec<_> = names
        .iter()
        .zip([at_doomed, at_stays].into_iter().cycle())
        .map(|(name, at)| {
            let token = at_stays.log_in(name, PASSWORD);
            Talker {
                runtime,
                name,
                chat: Chat::of(runtime, at, Some(&token), 0),
                token,
            }
        })
        .collect();

    let answered = AtomicUsize::new(0);
    let (tell, is_time) = mpsc::channel();
    let count = || {
        if answered.fetch_add(1, Ordering::Relaxed) + 1 == KILLED_AT {
            tell.send(()).unwrap();
        }
    };
    let (again, heard) = thread::scope(|scope| {
        let listening =
            listeners.map(|chat| scope.spawn(move || hear_all(runtime, chat, at_stays)));
        let talking = talkers.into_iter();
        let talking = talking.map(|one| scope.spawn(move || one.talk(at_stays, count)));
        let talking: Vec<_> = talking.collect();
        is_time.recv_timeout(SOON).expect("they talk");
        doomed.signal(Signal::Kill);
        doomed.wait_exit();
        let again = talking.into_iter().map(|one| one.join().unwrap());
        let again: usize = again.sum();
        (again, listening.map(|one| one.join().unwrap()))
    });
    println!(
        "killed in the middle of {} messages: {again} were said again",
        TALKERS * EACH
    );
    assert!(again > 0, "nothing was on its way");
    for one in &heard {
        assert_eq!(one, &heard[0]);
    }
    for name in &names {
        let of_them = heard[0]
            .iter()
            .filter(|text| text.starts_with(&format!("{name} ")));
        let expected: Vec<_> = (0..EACH).map(|n| format!("{name} {n}")).collect();
        assert!(of_them.eq(&expected), "{name}: {:?}", heard[0]);
    }
    let room = at_stays.fetch("/api/v1/streams/garden/chat").unwrap();
    let room: Value = serde_json::from_slice(&room.body).unwrap();
    assert_eq!(room["last_event"], TALKERS * EACH, "{room}");
}
