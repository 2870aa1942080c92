//! A room of very many: who is slow, how many are there, and the end of a node.

use std::net::SocketAddr;

use media::Clock;
use serde_json::json;
use storage::rows::chat::{self, NewChatMessage};
use storage::rows::{streams, users};
use tokio::net::TcpSocket;
use tokio_tungstenite::{MaybeTlsStream, client_async};

use crate::app::TestApp;
use crate::chat::{demo, say};
use crate::chat_sockets::Chat;
use crate::sockets::listen;

on_both_engines! {
    s07_a_slow_reader_is_let_go_and_comes_back,
    s07_who_reads_hears_however_much_was_said_at_once,
    s07_joins_and_leaves_are_summed_up,
    a_server_that_stops_says_so,
}

/// A server whose sockets hold little that is not read.
async fn listen_with_small_buffers(app: &TestApp) -> SocketAddr {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(4_096).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(16).unwrap();
    let address = listener.local_addr().unwrap();
    let router = app.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn open_with_a_small_buffer(address: SocketAddr) -> Chat {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let stream = MaybeTlsStream::Plain(socket.connect(address).await.unwrap());
    let url = format!("ws://{address}/ws");
    let mut chat = Chat(client_async(url, stream).await.unwrap().0);
    chat.ask(json!({ "type": "hello", "version": 1 })).await;
    chat
}

/// Says so many more than there are, numbered, at once.
async fn say_many(app: &TestApp, count: u64) {
    let db = &app.database;
    let stream = streams::by_name(db, &"demo".parse().unwrap()).await;
    let stream = stream.unwrap().unwrap().id;
    let author = users::find_by_name(db, "bob").await.unwrap().unwrap().id;
    let from = chat::room(db, stream).await.unwrap().last_event;
    let messages: Vec<_> = (from + 1..=from + count)
        .map(|n| NewChatMessage {
            author,
            reply_to: None,
            body: format!("{n} {}", "x".repeat(480)),
            media_at: None,
            client_key: None,
        })
        .collect();
    let mut transaction = db.write().await.unwrap();
    chat::send(&mut transaction, stream, &messages, app.clock.now())
        .await
        .unwrap();
    transaction.commit().await.unwrap();
}

async fn s07_a_slow_reader_is_let_go_and_comes_back(app: TestApp) {
    const ROUNDS: u64 = 6;
    const EACH: u64 = 60;
    const SAID: u64 = ROUNDS * EACH;
    let (_, bob) = demo(&app).await;
    let address = listen_with_small_buffers(&app).await;
    let mut slow = open_with_a_small_buffer(address).await;
    slow.join(json!({})).await;
    let mut fast = Chat::of(address, &app.anybody()).await;
    for round in 0..ROUNDS {
        say_many(&app, EACH - 1).await;
        let last = (round + 1) * EACH;
        say(&bob, &format!("{last} is the last")).await;
        // Whoever reads is not let go because of who does not.
        for n in round * EACH + 1..=last {
            assert!(fast.hear_text().await.starts_with(&format!("{n} ")));
        }
    }
    let mut last = 0;
    let closed = loop {
        match slow.hear().await {
            Ok(heard) if heard["type"] == "message" => {
                last += 1;
                assert_eq!(heard["event"], last);
            }
            Ok(_) => {}
            Err(closed) => break closed,
        }
    };
    assert_eq!(closed.0, 4409, "{closed:?}");
    assert!(closed.1.contains("join again"), "{closed:?}");
    assert!((1..SAID).contains(&last), "{last}");
    let mut back = Chat::hello(address, &bob).await;
    back.join(json!({ "after": last })).await;
    for n in last + 1..=SAID {
        assert!(back.hear_text().await.starts_with(&format!("{n} ")));
    }
}

/// More than a listener may be behind: it comes in pages.
async fn s07_who_reads_hears_however_much_was_said_at_once(app: TestApp) {
    const SAID: u64 = 1_000;
    let (_, bob) = demo(&app).await;
    let mut fast = Chat::of(listen(&app).await, &app.anybody()).await;
    say_many(&app, SAID - 1).await;
    say(&bob, &format!("{SAID} is the last")).await;
    for n in 1..=SAID {
        assert!(fast.hear_text().await.starts_with(&format!("{n} ")));
    }
}

async fn s07_joins_and_leaves_are_summed_up(app: TestApp) {
    const MORE: u64 = 12;
    let other = app.second_node().await;
    let (_, bob) = demo(&app).await;
    let (here, there) = (listen(&app).await, listen(&other).await);
    let mut watcher = Chat::of(here, &bob).await;
    let mut more = Vec::new();
    for n in 0..MORE {
        let address = [here, there][(n % 2) as usize];
        more.push(Chat::of(address, &app.anybody()).await);
    }
    let mut told = 0;
    let mut until = async |viewers: u64| {
        loop {
            let heard = watcher.hear().await.unwrap();
            assert_eq!(heard["type"], "presence", "{heard}");
            told += 1;
            if heard["viewers"] == viewers {
                return told;
            }
        }
    };
    assert!(until(1 + MORE).await < MORE);
    drop(more);
    assert!(until(1).await < 2 * MORE);
    let room = bob.get("/api/v1/streams/demo/chat").await.ok(200);
    assert_eq!(room["viewers"], 1);
}

async fn a_server_that_stops_says_so(app: TestApp) {
    demo(&app).await;
    let address = listen(&app).await;
    let mut chat = Chat::of(address, &app.anybody()).await;
    drop(app);
    let closed = chat.end().await;
    assert_eq!(closed.0, 1001, "{closed:?}");
}
