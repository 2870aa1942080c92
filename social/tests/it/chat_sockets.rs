//! The socket of chats, `/ws`, on a real socket.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use media::Micros;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::app::{Person, TestApp};
use crate::chat::{MESSAGES, demo, say};
use crate::sockets::{Closed, Socket, listen};

on_both_engines! {
    what_is_said_is_heard_by_all_who_are_there,
    who_comes_back_has_what_was_missed_and_nothing_twice,
    what_was_deleted_is_told_and_not_told_again,
    a_request_is_answered_by_its_id,
    the_first_word_is_hello_in_a_version_that_there_is,
    what_is_no_message_is_told_and_the_socket_stays,
    s05_a_socket_is_told_and_closed_when_its_session_ends,
    s05_a_socket_goes_on_with_another_token,
    who_blocks_somebody_hears_them_no_more,
    who_is_blocked_by_the_owner_is_put_out,
    who_is_blocked_while_joining_does_not_stay,
    whom_a_stream_is_for_no_more_is_put_out,
    a_subscription_hears_the_same,
}

const DEADLINE: Duration = Duration::from_secs(30);

/// Somebody on a socket.
pub(crate) struct Chat<S = MaybeTlsStream<TcpStream>>(pub(crate) WebSocketStream<S>);

impl Chat {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let url = format!("ws://{address}/ws");
        Self(connect_async(url).await.unwrap().0)
    }

    pub(crate) async fn hello(address: SocketAddr, person: &Person<'_>) -> Self {
        let mut chat = Self::open(address).await;
        chat.say_hello(person).await;
        chat
    }

    pub(crate) async fn of(address: SocketAddr, person: &Person<'_>) -> Self {
        let mut chat = Self::hello(address, person).await;
        chat.join(json!({})).await;
        chat
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Chat<S> {
    pub(crate) async fn tell(&mut self, what: Value) {
        let text = what.to_string();
        self.0.send(Message::Text(text.into())).await.unwrap();
    }

    /// The next message, or what the server said at the end.
    pub(crate) async fn hear(&mut self) -> Result<Value, Closed> {
        let heard = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) => {
                        return Ok(serde_json::from_str(&text).unwrap());
                    }
                    Some(Ok(Message::Close(Some(frame)))) => {
                        return Err((frame.code.into(), frame.reason.to_string()));
                    }
                    Some(Ok(_)) => {}
                    other => return Err((0, format!("{other:?}"))),
                }
            }
        };
        timeout(DEADLINE, heard).await.expect("something in time")
    }

    /// Waits until it is told that so many are there, and nothing else before.
    pub(crate) async fn hear_viewers(&mut self, viewers: u64) {
        loop {
            let heard = self.hear().await.unwrap();
            assert_eq!(heard["type"], "presence", "{heard}");
            if heard["viewers"] == viewers {
                return;
            }
        }
    }

    /// The next that is not how many are there.
    pub(crate) async fn hear_event(&mut self) -> Value {
        loop {
            let heard = self.hear().await.unwrap();
            if heard["type"] != "presence" {
                return heard;
            }
        }
    }

    /// The next that was said.
    pub(crate) async fn hear_text(&mut self) -> String {
        let heard = self.hear_event().await;
        assert_eq!(heard["type"], "message", "{heard}");
        assert_eq!(heard["room"], "demo");
        assert_eq!(heard["event"], heard["message"]["event"]);
        heard["message"]["text"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn ask(&mut self, what: Value) -> Value {
        self.tell(what).await;
        self.hear_event().await
    }

    /// How it ends, whatever is said before.
    pub(crate) async fn end(&mut self) -> Closed {
        loop {
            if let Err(closed) = self.hear().await {
                return closed;
            }
        }
    }

    pub(crate) async fn say_hello(&mut self, person: &Person<'_>) {
        let authorization = match person.access_token.as_str() {
            "" => Value::Null,
            token => json!(format!("Bearer {token}")),
        };
        let hello = json!({ "type": "hello", "version": 1, "authorization": authorization });
        let welcome = self.ask(hello).await;
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        assert_eq!(welcome["version"], 1);
        assert_eq!(welcome["user"].is_string(), !authorization.is_null());
    }

    pub(crate) async fn join(&mut self, more: Value) -> Value {
        let mut join = json!({ "type": "join", "room": "demo" });
        for (key, value) in more.as_object().unwrap() {
            join[key] = value.clone();
        }
        let joined = self.ask(join).await;
        assert_eq!(joined["type"], "joined", "{joined}");
        joined
    }
}

async fn what_is_said_is_heard_by_all_who_are_there(app: TestApp) {
    let (ada, bob) = demo(&app).await;
    let address = listen(&app).await;
    let mut of_ada = Chat::of(address, &ada).await;
    let mut of_bob = Chat::of(address, &bob).await;
    let mut nobody = Chat::of(address, &app.anybody()).await;
    of_bob
        .tell(json!({ "type": "send", "id": "7", "text": "hi @ada", "key": "k" }))
        .await;
    let (mut sent, mut said) = (Value::Null, Value::Null);
    while sent.is_null() || said.is_null() {
        let heard = of_bob.hear_event().await;
        match heard["type"].as_str().unwrap() {
            "sent" => sent = heard,
            _ => said = heard,
        }
    }
    assert_eq!((&sent["id"], &sent["event"]), (&json!("7"), &json!(1)));
    assert_eq!(said["message"]["id"], sent["message"]);
    let heard = of_ada.hear_event().await;
    assert_eq!(heard, said);
    assert_eq!(heard["message"]["author"]["name"], "bob");
    assert_eq!(heard["message"]["parts"][1]["mention"], "ada");
    assert_eq!(nobody.hear_text().await, "hi @ada");
    // What comes by the other faces, too.
    say(&ada, "by REST").await;
    for chat in [&mut of_ada, &mut of_bob, &mut nobody] {
        assert_eq!(chat.hear_text().await, "by REST");
    }
    // Whoever has not logged in only reads.
    let refused = nobody.ask(json!({ "type": "send", "text": "x" })).await;
    assert_eq!(refused["type"], "error");
    assert_eq!(refused["code"], "unauthenticated");
    let slow = json!({ "slow_mode_seconds": 30 });
    ada.patch("/api/v1/streams/demo/chat", &slow).await.ok(200);
    let changed = nobody.hear_event().await;
    assert_eq!(
        changed,
        json!({
            "type": "changed", "room": "demo", "event": 3,
            "slow_mode_seconds": 30, "followers_only": false,
        })
    );
    of_bob.hear_event().await;
    let refused = of_bob.ask(json!({ "type": "send", "text": "x" })).await;
    assert_eq!(refused["code"], "slow-mode");
    assert_eq!(refused["retry_after_seconds"], 30);
}

async fn who_comes_back_has_what_was_missed_and_nothing_twice(app: TestApp) {
    let (ada, bob) = demo(&app).await;
    let address = listen(&app).await;
    let mut there = Chat::of(address, &ada).await;
    for n in 1..=3 {
        say(&bob, &n.to_string()).await;
    }
    assert_eq!(there.hear_text().await, "1");
    drop(there);
    let mut back = Chat::hello(address, &ada).await;
    let joined = back.join(json!({ "after": 1, "id": "j" })).await;
    assert_eq!(
        (&joined["id"], &joined["is_complete"]),
        (&json!("j"), &json!(true))
    );
    assert_eq!(joined["room"]["is_moderator"], true);
    assert_eq!(back.hear_text().await, "2");
    assert_eq!(back.hear_text().await, "3");
    say(&bob, "4").await;
    assert_eq!(back.hear_text().await, "4");
    // Who comes for the first time has what they ask for.
    let mut new = Chat::hello(address, &bob).await;
    new.join(json!({ "recent": 2 })).await;
    assert_eq!(new.hear_text().await, "3");
    assert_eq!(new.hear_text().await, "4");
    // More than is kept in memory is read from rows, and is in order.
    for n in 5..=300 {
        say(&bob, &n.to_string()).await;
    }
    let mut late = Chat::hello(address, &ada).await;
    late.join(json!({ "after": 2 })).await;
    for n in 3..=300 {
        assert_eq!(late.hear_text().await, n.to_string());
    }
    // What never was, nobody has had.
    let mut odd = Chat::hello(address, &ada).await;
    let joined = odd.join(json!({ "after": 1_000 })).await;
    assert_eq!(joined["is_complete"], false);
    say(&bob, "next").await;
    assert_eq!(odd.hear_text().await, "next");
    for wrong in [json!({ "recent": 101 }), json!({ "after": 1, "recent": 1 })] {
        let mut join = json!({ "type": "join", "room": "demo" });
        join.as_object_mut()
            .unwrap()
            .extend(wrong.as_object().unwrap().clone());
        assert_eq!(odd.ask(join).await["code"], "validation");
    }
}

async fn what_was_deleted_is_told_and_not_told_again(app: TestApp) {
    let (ada, bob) = demo(&app).await;
    let address = listen(&app).await;
    let mut there = Chat::of(address, &bob).await;
    let first = say(&bob, "first").await;
    say(&bob, "second").await;
    assert_eq!(there.hear_text().await, "first");
    assert_eq!(there.hear_text().await, "second");
    let mut of_ada = Chat::of(address, &ada).await;
    of_ada
        .tell(json!({ "type": "delete", "id": "d", "message": first["id"] }))
        .await;
    let deleted = there.hear_event().await;
    let expected = json!({
        "type": "deleted", "room": "demo", "event": 3, "message": first["id"],
    });
    assert_eq!(deleted, expected);
    let mut heard = [of_ada.hear_event().await, of_ada.hear_event().await];
    heard.sort_by_key(|heard| heard["type"].as_str().unwrap().to_owned());
    assert_eq!(
        heard,
        [expected.clone(), json!({ "type": "done", "id": "d" })]
    );
    let mut new = Chat::hello(address, &bob).await;
    new.join(json!({ "after": 0 })).await;
    assert_eq!(new.hear_text().await, "second");
    assert_eq!(new.hear_event().await, expected);
    let mut recent = Chat::hello(address, &bob).await;
    recent.join(json!({ "recent": 9 })).await;
    assert_eq!(recent.hear_text().await, "second");
    let again = recent
        .ask(json!({ "type": "delete", "message": first["id"] }))
        .await;
    assert_eq!(again["code"], "not-found");
}

async fn a_request_is_answered_by_its_id(app: TestApp) {
    let (_, bob) = demo(&app).await;
    let address = listen(&app).await;
    let mut chat = Chat::hello(address, &bob).await;
    let pong = chat.ask(json!({ "type": "ping", "id": "p" })).await;
    assert_eq!(pong, json!({ "type": "pong", "id": "p" }));
    for what in [
        json!({ "type": "send", "id": "s", "text": "x" }),
        json!({ "type": "delete", "id": "s", "message": "x" }),
    ] {
        let nowhere = chat.ask(what).await;
        assert_eq!(nowhere["code"], "conflict");
        assert_eq!(nowhere["id"], "s");
    }
    let none = chat.ask(json!({ "type": "join", "room": "none" })).await;
    assert_eq!(none["code"], "not-found");
    assert_eq!(none.get("id"), None);
    chat.join(json!({})).await;
    let left = chat.ask(json!({ "type": "leave", "id": "l" })).await;
    assert_eq!(left, json!({ "type": "done", "id": "l" }));
    say(&bob, "unheard").await;
    let pong = chat.ask(json!({ "type": "ping" })).await;
    assert_eq!(pong, json!({ "type": "pong" }));
}

async fn the_first_word_is_hello_in_a_version_that_there_is(app: TestApp) {
    let (_, bob) = demo(&app).await;
    let address = listen(&app).await;
    for (first, code) in [
        (json!({ "type": "ping" }), 4400),
        (json!({ "type": "hello" }), 4400),
        (json!("hello"), 4400),
        (json!({ "type": "hello", "version": 2 }), 4406),
        (
            json!({ "type": "hello", "version": 1, "authorization": "Bearer x" }),
            4401,
        ),
    ] {
        let mut chat = Chat::open(address).await;
        chat.tell(first).await;
        assert_eq!(chat.end().await.0, code);
    }
    let mut chat = Chat::hello(address, &bob).await;
    chat.tell(json!({ "type": "hello", "version": 1 })).await;
    assert_eq!(chat.end().await.0, 4400);
    let mut chat = Chat::hello(address, &bob).await;
    chat.0
        .send(Message::Binary(b"{}".to_vec().into()))
        .await
        .unwrap();
    assert_eq!(chat.end().await.0, 1003);
    let mut chat = Chat::hello(address, &bob).await;
    chat.tell(json!({ "type": "ping", "id": "x".repeat(10_000) }))
        .await;
    assert_eq!(chat.end().await.0, 1009);
    app.request("GET", "/ws").await.problem(400, "validation");
}

async fn what_is_no_message_is_told_and_the_socket_stays(app: TestApp) {
    let (_, bob) = demo(&app).await;
    let mut chat = Chat::hello(listen(&app).await, &bob).await;
    for wrong in [json!([]), json!({}), json!({ "type": "shout" })] {
        let told = chat.ask(wrong).await;
        assert_eq!(told["type"], "error");
        assert_eq!(told["code"], "validation");
    }
    assert_eq!(chat.ask(json!({ "type": "ping" })).await["type"], "pong");
}

async fn s05_a_socket_is_told_and_closed_when_its_session_ends(app: TestApp) {
    let other = app.second_node().await;
    let (ada, bob) = demo(&app).await;
    let (here, there) = (listen(&app).await, listen(&other).await);
    let mut of_bob = Chat::of(there, &bob).await;
    let mut here_too = Chat::hello(here, &bob).await;
    let mut of_ada = Chat::of(there, &ada).await;
    let before = Instant::now();
    bob.delete("/api/v1/me/sessions").await.ok(204);
    for chat in [&mut of_bob, &mut here_too] {
        let told = chat.hear_event().await;
        assert_eq!(told["code"], "unauthenticated");
        assert_eq!(chat.end().await.0, 4401);
    }
    println!("{:?} after the logout began", before.elapsed());
    // Nobody else is.
    assert_eq!(of_ada.ask(json!({ "type": "ping" })).await["type"], "pong");
    let bob = app.logged_in("bob").await;
    let mut of_bob = Chat::of(there, &bob).await;
    app.administrator("root").await;
    let root = app.logged_in("root").await;
    let reason = json!({ "reason": "spam" });
    root.put("/api/v1/users/bob/suspension", &reason)
        .await
        .ok(200);
    assert_eq!(of_bob.end().await.0, 4401);
}

async fn s05_a_socket_goes_on_with_another_token(app: TestApp) {
    let (_, bob) = demo(&app).await;
    let address = listen(&app).await;
    let mut chat = Chat::of(address, &bob).await;
    app.later(Micros::from_secs(500));
    let answer = bob.refresh().await.ok(200);
    let later = bob.clone().with_tokens(&answer);
    let bearer = |person: &Person<'_>| format!("Bearer {}", person.access_token);
    let again = json!({ "type": "authenticate", "id": "a", "authorization": bearer(&later) });
    assert_eq!(chat.ask(again).await, json!({ "type": "done", "id": "a" }));
    app.later(Micros::from_secs(500));
    chat.tell(json!({ "type": "send", "text": "still here" }))
        .await;
    let kinds = [chat.hear_event().await, chat.hear_event().await];
    assert!(
        kinds.iter().all(|kind| kind["type"] != "error"),
        "{kinds:?}"
    );
    // A token that has expired does not do anything any more.
    app.later(Micros::from_secs(101));
    chat.tell(json!({ "type": "send", "text": "not any more" }))
        .await;
    assert_eq!(chat.end().await.0, 4401);
    // Nor is a socket handed to somebody else.
    let (ada, bob) = (app.logged_in("ada").await, app.logged_in("bob").await);
    let mut chat = Chat::of(address, &bob).await;
    chat.tell(json!({ "type": "authenticate", "authorization": bearer(&ada) }))
        .await;
    assert_eq!(chat.end().await.0, 4401);
    // Who has only read can begin to talk.
    let mut chat = Chat::of(address, &app.anybody()).await;
    let known = json!({ "type": "authenticate", "authorization": bearer(&ada) });
    assert_eq!(chat.ask(known).await["type"], "done");
    chat.tell(json!({ "type": "send", "text": "me" })).await;
    assert_ne!(chat.hear_event().await["type"], "error");
}

async fn who_blocks_somebody_hears_them_no_more(app: TestApp) {
    let other = app.second_node().await;
    let (ada, bob) = demo(&app).await;
    let eve = app.person("eve").await;
    let mut chat = Chat::of(listen(&other).await, &bob).await;
    say(&eve, "one").await;
    assert_eq!(chat.hear_text().await, "one");
    bob.put("/api/v1/users/eve/block", &json!({})).await.ok(204);
    // Until the other node has heard of it.
    let deadline = Instant::now() + DEADLINE;
    loop {
        say(&eve, "two").await;
        say(&ada, "mark").await;
        if chat.hear_text().await == "mark" {
            break;
        }
        assert_eq!(chat.hear_text().await, "mark");
        assert!(Instant::now() < deadline, "still heard");
    }
    let mut again = Chat::hello(listen(&other).await, &bob).await;
    again.join(json!({ "recent": 100 })).await;
    assert_eq!(again.hear_text().await, "mark");
    bob.delete("/api/v1/users/eve/block").await.ok(204);
    let deadline = Instant::now() + DEADLINE;
    loop {
        say(&eve, "three").await;
        say(&ada, "mark").await;
        if chat.hear_text().await == "three" {
            break;
        }
        assert!(Instant::now() < deadline, "not heard again");
    }
}

async fn who_is_blocked_by_the_owner_is_put_out(app: TestApp) {
    let (ada, bob) = demo(&app).await;
    let mut chat = Chat::of(listen(&app).await, &bob).await;
    ada.put("/api/v1/users/bob/block", &json!({})).await.ok(204);
    let left = chat.hear_event().await;
    assert_eq!(
        (&left["type"], &left["room"]),
        (&json!("left"), &json!("demo"))
    );
    say(&ada, "unheard").await;
    assert_eq!(chat.ask(json!({ "type": "ping" })).await["type"], "pong");
    let again = chat.ask(json!({ "type": "join", "room": "demo" })).await;
    assert_eq!(again["code"], "not-found");
}

async fn who_is_blocked_while_joining_does_not_stay(app: TestApp) {
    let (ada, bob) = demo(&app).await;
    let address = listen(&app).await;
    for _ in 0..10 {
        let mut chat = Chat::hello(address, &bob).await;
        let nothing = json!({});
        let blocking = ada.put("/api/v1/users/bob/block", &nothing);
        let joining = async {
            chat.tell(json!({ "type": "join", "room": "demo" })).await;
            chat.hear_event().await
        };
        let (blocked, answer) = tokio::join!(blocking, joining);
        blocked.ok(204);
        if answer["type"] == "joined" {
            assert_eq!(chat.hear_event().await["type"], "left");
        } else {
            assert_eq!(answer["code"], "not-found", "{answer}");
        }
        ada.delete("/api/v1/users/bob/block").await.ok(204);
    }
}

async fn whom_a_stream_is_for_no_more_is_put_out(app: TestApp) {
    let (ada, bob) = demo(&app).await;
    bob.put("/api/v1/users/ada/follow", &json!({}))
        .await
        .ok(200);
    let address = listen(&app).await;
    let mut of_bob = Chat::of(address, &bob).await;
    let mut nobody = Chat::of(address, &app.anybody()).await;
    let narrower = json!({ "visibility": "followers" });
    ada.patch("/api/v1/streams/demo", &narrower).await.ok(200);
    for chat in [&mut of_bob, &mut nobody] {
        let left = chat.hear_event().await;
        assert_eq!(left["type"], "left", "{left}");
    }
    let again = json!({ "type": "join", "room": "demo" });
    assert_eq!(nobody.ask(again).await["code"], "not-found");
    of_bob.join(json!({})).await;
    say(&ada, "for those who follow").await;
    assert_eq!(of_bob.hear_text().await, "for those who follow");
    bob.delete("/api/v1/users/ada/follow").await.ok(200);
    assert_eq!(of_bob.hear_event().await["type"], "left");
}

async fn a_subscription_hears_the_same(app: TestApp) {
    let (ada, bob) = demo(&app).await;
    say(&bob, "before").await;
    let mut socket = Socket::open(listen(&app).await).await;
    socket.introduce(&ada).await;
    let query = r#"subscription { chat(stream: "demo", after: 0) { __typename
        ... on ChatSaid { event message { text author { name } } }
        ... on ChatDeleted { event message }
        ... on ChatChanged { slowModeSeconds followersOnly }
        ... on ChatPresence { viewers } } }"#;
    let query = query.replace(
        "ChatDeleted { event message }",
        "ChatDeleted { event deleted: message }",
    );
    let payload = json!({ "query": query });
    socket
        .say(json!({ "id": "1", "type": "subscribe", "payload": payload }))
        .await;
    let mut next = async || {
        loop {
            let heard = socket.hear().await.unwrap();
            assert_eq!(heard["type"], "next", "{heard}");
            let event = heard["payload"]["data"]["chat"].clone();
            assert!(event.is_object(), "{heard}");
            if event["__typename"] != "ChatPresence" {
                return event;
            }
        }
    };
    let before = next().await;
    assert_eq!(before["message"]["text"], "before");
    assert_eq!(before["message"]["author"]["name"], "bob");
    let id = say(&bob, "after").await["id"].clone();
    assert_eq!(next().await["event"], 2);
    let path = format!("{MESSAGES}/{}", id.as_str().unwrap());
    bob.delete(&path).await.ok(204);
    let deleted = next().await;
    assert_eq!((&deleted["event"], &deleted["deleted"]), (&json!(3), &id));
    let only = json!({ "followers_only": true });
    ada.patch("/api/v1/streams/demo/chat", &only).await.ok(200);
    assert_eq!(next().await["followersOnly"], true);
}
