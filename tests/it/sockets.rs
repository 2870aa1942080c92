//! Very many sockets on the real server: what one costs, and what they are told of each other.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::runtime::Runtime;

use crate::harness::{Engine, Nova, Site, Socket, resident_kib, wait_for};

/// Sockets that are open before it is measured: what is needed once is there then.
const FIRST: usize = 200;
/// What S08 allows of one, in KiB.
const AT_MOST: f64 = 16.0;
/// How long the server may take until it knows of all of them.
const SOON: Duration = Duration::from_secs(60);

/// Somebody in the room who says nothing.
fn idle<'a>(runtime: &'a Runtime, nova: &Nova) -> Socket<'a> {
    let mut socket = Socket::of_chats(runtime, &nova.http(), None);
    socket.tell(&json!({ "type": "join", "room": "garden" }));
    while socket.expect()["type"] != "joined" {}
    socket
}

/// A server whose room so many come to, all of them from one address.
fn serve(site: &Site) -> Nova {
    // Each is a descriptor of this process too.
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    site.create_stream("garden");
    site.serve().start()
}

fn site_for(engine: Engine, sockets: usize) -> Site {
    let many = (sockets + 100).to_string();
    let settings = [
        ("NOVA__HTTP__MAX_CONNECTIONS", many.as_str()),
        ("NOVA__HTTP__MAX_CONNECTIONS_PER_ADDRESS", many.as_str()),
        ("NOVA__HTTP__MAX_REQUESTS_PER_SECOND_PER_ADDRESS", "0"),
        ("NOVA__API__LIMITS__REQUESTS_PER_MINUTE", "100000"),
    ];
    Site::on_with(engine, &settings)
}

fn idle_sockets(engine: Engine, count: usize) {
    let nova = serve(&site_for(engine, FIRST + count));
    let runtime = Runtime::new().unwrap();
    let mut sockets: Vec<_> = (0..FIRST).map(|_| idle(&runtime, &nova)).collect();
    let before = resident_kib(nova.pid());
    sockets.extend((0..count).map(|_| idle(&runtime, &nova)));
    wait_for("all of them", SOON, || {
        let open = nova.metric("nova_chat_sockets")?;
        let is_all = open == sockets.len() as f64;
        is_all.then_some(()).ok_or(open.to_string())
    });
    let grown = resident_kib(nova.pid()).saturating_sub(before) as f64;
    let each = grown / count as f64;
    println!("{each:.1} KiB resident for each of {count} idle sockets (S08 allows {AT_MOST})");
    assert!(each < AT_MOST, "{each:.1} KiB");
}

#[test]
fn s08_an_idle_socket_costs_little() {
    idle_sockets(Engine::Sqlite, 400);
}

#[test]
fn s08_an_idle_socket_costs_little_on_postgresql() {
    idle_sockets(Engine::Postgres, 400);
}

#[test]
fn long_s08_idle_sockets_cost_little() {
    idle_sockets(Engine::Sqlite, 2_000);
}

/// How often it is told how many are there, until it is this many.
fn told_until(socket: &mut Socket, viewers: usize) -> usize {
    let mut told = 0;
    loop {
        let heard = socket.expect();
        assert_eq!(heard["type"], "presence", "{heard}");
        told += 1;
        if heard["viewers"] == viewers {
            return told;
        }
    }
}

#[test]
fn long_s07_a_room_of_ten_thousand_hears_sums_and_what_is_said() {
    const PASSWORD: &str = "correct horse";
    const ROOM: usize = 10_000;
    let site = site_for(Engine::Sqlite, ROOM);
    site.create_user("ada", PASSWORD);
    let nova = serve(&site);
    let runtime = Runtime::new().unwrap();
    let mut first = idle(&runtime, &nova);
    let mut others: Vec<_> = (1..ROOM).map(|_| idle(&runtime, &nova)).collect();
    let told = told_until(&mut first, ROOM);
    println!("S07: {ROOM} joined, and the first of them was told {told} times");
    assert!(told < ROOM / 10, "{told}");

    let ada = nova.http().bearing(&nova.http().log_in("ada", PASSWORD));
    let said = Instant::now();
    let path = "/api/v1/streams/garden/chat/messages";
    ada.post_value(path, &json!({ "text": "Hello, all of you." }), 201);
    for socket in &mut others {
        let heard = loop {
            let heard = socket.expect();
            if heard["type"] != "presence" {
                break heard;
            }
        };
        assert_eq!(heard["message"]["text"], "Hello, all of you.", "{heard}");
    }
    println!(
        "S07: all of them have read a message after {:?}",
        said.elapsed()
    );
    assert_eq!(first.expect()["message"]["text"], "Hello, all of you.");

    drop(others);
    let told = told_until(&mut first, 1);
    println!("S07: all but one have left, and that one was told {told} times");
    assert!(told < ROOM / 10, "{told}");
}
