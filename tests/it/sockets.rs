//! What an open socket costs the real server.

use std::time::Duration;

use serde_json::json;
use tokio::runtime::Runtime;

use crate::harness::{Nova, Site, Socket, resident_kib, wait_for};

/// Sockets that are open before it is measured: what is needed once is there then.
const FIRST: usize = 200;
/// What S08 allows of one, in KiB.
const AIM: f64 = 16.0;
/// What is far too much of a server that was built for tests, whose futures are larger.
const FAR_TOO_MUCH: f64 = 4.0 * AIM;
/// How long the server may take until it knows of all of them.
const SOON: Duration = Duration::from_secs(60);

/// Somebody in the room who says nothing.
fn idle<'a>(runtime: &'a Runtime, nova: &Nova) -> Socket<'a> {
    let mut socket = Socket::of_chats(runtime, &nova.http(), None);
    socket.tell(&json!({ "type": "join", "room": "garden" }));
    while socket.expect()["type"] != "joined" {}
    socket
}

fn idle_sockets(count: usize) {
    // Each is a descriptor of this process too.
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    // All of them come from one address.
    let many = (FIRST + count + 100).to_string();
    let site = Site::with_settings(&[
        ("NOVA__HTTP__MAX_CONNECTIONS", many.as_str()),
        ("NOVA__HTTP__MAX_CONNECTIONS_PER_ADDRESS", many.as_str()),
        ("NOVA__HTTP__MAX_REQUESTS_PER_SECOND_PER_ADDRESS", "0"),
        ("NOVA__API__LIMITS__REQUESTS_PER_MINUTE", "100000"),
    ]);
    site.create_stream("garden");
    let nova = site.serve().start();
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
    println!("S08: {each:.1} KiB resident for each of {count} idle sockets (aim: {AIM})");
    assert!(each < FAR_TOO_MUCH, "{each:.1} KiB");
}

#[test]
fn s08_an_idle_socket_costs_little() {
    idle_sockets(400);
}

#[test]
fn long_s08_idle_sockets_cost_little() {
    idle_sockets(2_000);
}
