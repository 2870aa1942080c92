//! Live chat, request by request, on both faces.

use media::{Clock, Micros, StreamId};
use serde_json::{Value, json};
use social::streams::create_stream;
use storage::rows::{sessions, users};

use crate::app::{Person, TestApp, generous};

on_both_engines! {
    what_is_said_is_read_on_both_faces,
    a_text_is_said_as_posts_are,
    under_a_key_it_is_said_once,
    authors_and_moderators_delete,
    a_slow_room_and_one_for_followers_say_why,
    timeouts_and_bans_hold_until_they_are_lifted,
    who_looks_after_a_room_is_kept_by_nobody,
    moderators_look_after_rooms_that_are_not_for_them,
    what_moderators_do_is_in_the_audit_log,
    a_room_is_for_who_may_watch,
    what_is_said_is_found_by_what_was_seen,
    tokens_do_what_their_scopes_say,
    what_was_said_is_in_the_export,
}

pub(crate) async fn stream(app: &TestApp, owner: &str, name: &str) -> StreamId {
    let owner = users::find_by_name(&app.database, owner).await.unwrap();
    let (clock, name) = (&*app.clock, name.parse().unwrap());
    let owner = owner.unwrap().id;
    let made = create_stream(&app.database, clock, owner, &name).await;
    made.unwrap().0.id
}

/// Ada has the stream `demo`, and is there; bob is there.
pub(crate) async fn demo(app: &TestApp) -> (Person<'_>, Person<'_>) {
    let (ada, bob) = (app.person("ada").await, app.person("bob").await);
    stream(app, "ada", "demo").await;
    (ada, bob)
}

pub(crate) const ROOM: &str = "/api/v1/streams/demo/chat";
pub(crate) const MESSAGES: &str = "/api/v1/streams/demo/chat/messages";

pub(crate) async fn say(person: &Person<'_>, text: &str) -> Value {
    let body = json!({ "text": text });
    person.post(MESSAGES, &body).await.ok(201)
}

async fn texts(person: &Person<'_>, query: &str) -> Vec<String> {
    let page = person.get(&format!("{MESSAGES}?{query}")).await.ok(200);
    let items = page["items"].as_array().unwrap().iter();
    items
        .map(|item| item["text"].as_str().unwrap().to_owned())
        .collect()
}

pub(crate) fn sanction_of(name: &str) -> String {
    format!("{ROOM}/sanctions/{name}")
}

async fn moderator<'a>(app: &'a TestApp, name: &str) -> Person<'a> {
    app.administrator(&format!("root-of-{name}")).await;
    let root = app.logged_in(&format!("root-of-{name}")).await;
    app.user(name).await;
    let path = format!("/api/v1/users/{name}/role");
    root.put(&path, &json!({ "role": "moderator" }))
        .await
        .ok(200);
    app.logged_in(name).await
}

async fn what_is_said_is_read_on_both_faces(app: TestApp) {
    let (ada, bob) = demo(&app).await;
    let room = bob.get(ROOM).await.ok(200);
    assert_eq!(
        room,
        json!({
            "stream": "demo", "last_event": 0, "slow_mode_seconds": 0,
            "followers_only": false, "viewers": 0, "is_moderator": false,
        })
    );
    let first = say(&bob, "  hello @Ada, #rust at https://example.org  ").await;
    assert_eq!(first["event"], 1);
    assert_eq!(first["text"], "hello @Ada, #rust at https://example.org");
    assert_eq!(first["author"]["name"], "bob");
    assert_eq!(first["author"]["is_moderator"], false);
    assert_eq!(first["media_time"], 1_800_000_000_000_u64);
    let parts = first["parts"].as_array().unwrap();
    let found: Vec<_> = parts
        .iter()
        .map(|part| (&part["mention"], &part["hashtag"], &part["link"]))
        .collect();
    assert!(found.contains(&(&json!("ada"), &Value::Null, &Value::Null)));
    assert!(found.contains(&(&Value::Null, &json!("rust"), &Value::Null)));

    let answer = json!({ "text": "hi", "reply_to": first["id"] });
    let answer = ada.post(MESSAGES, &answer).await.ok(201);
    assert_eq!(answer["reply_to"], first["id"]);
    assert_eq!(answer["author"]["is_moderator"], true);
    let said = r#"mutation { sendChatMessage(stream: "demo", input: { text: "third" }) {
        event text author { name isModerator } parts { text } mediaTime replyTo } }"#;
    let said = bob.data(said).await;
    assert_eq!(said["sendChatMessage"]["event"], 3);

    let page = app.anybody().get(&format!("{MESSAGES}?first=2")).await;
    let page = page.ok(200);
    assert_eq!(page["items"][1], answer);
    let next = page["next"].as_str().unwrap();
    let rest = format!("first=2&after={next}");
    assert_eq!(texts(&bob, &rest).await, [first["text"].as_str().unwrap()]);
    let oldest = texts(&bob, "oldest_first=true").await;
    assert_eq!(oldest[1..], ["hi", "third"]);
    let read = r#"{ chat(stream: "demo") { lastEvent isModerator }
        chatMessages(stream: "demo", oldestFirst: true, first: 2) {
            nodes { text } pageInfo { hasNextPage endCursor } } }"#;
    let read = ada.data(read).await;
    assert_eq!(read["chat"], json!({ "lastEvent": 3, "isModerator": true }));
    assert_eq!(read["chatMessages"]["nodes"][1]["text"], "hi");
    assert_eq!(read["chatMessages"]["pageInfo"]["hasNextPage"], true);
}

async fn a_text_is_said_as_posts_are(app: TestApp) {
    let (_, bob) = demo(&app).await;
    for (text, told) in [
        ("", "1 to 500"),
        (" \n ", "1 to 500"),
        (&*"é".repeat(501), "1 to 500"),
        ("a\u{202e}b", "direction"),
        ("a\u{0}b", "control"),
    ] {
        let answer = bob.post(MESSAGES, &json!({ "text": text })).await;
        let detail = answer.problem(400, "validation");
        assert!(detail.contains(told), "{detail}");
    }
    say(&bob, &"é".repeat(500)).await;
    say(&bob, "two\nlines").await;
    let nobody = app.anybody().post(MESSAGES, &json!({ "text": "x" })).await;
    nobody.problem(401, "unauthenticated");
    for reply_to in ["x", "0190a2f0-0000-7000-8000-000000000000"] {
        let answer = json!({ "text": "x", "reply_to": reply_to });
        bob.post(MESSAGES, &answer).await.problem(404, "not-found");
    }
    let nowhere = "/api/v1/streams/none/chat/messages";
    let answer = bob.post(nowhere, &json!({ "text": "x" })).await;
    answer.problem(404, "not-found");
    let mut settings = generous();
    settings.limits.chat_messages_per_minute = 2;
    let app = TestApp::with(settings).await;
    let (_, bob) = demo(&app).await;
    say(&bob, "one").await;
    say(&bob, "two").await;
    let third = bob.post(MESSAGES, &json!({ "text": "three" })).await;
    third.problem(429, "rate-limited");
    assert_eq!(third.headers["retry-after"], "30");
}

async fn under_a_key_it_is_said_once(app: TestApp) {
    let (_, bob) = demo(&app).await;
    let send = async |text: &str, key: &str| {
        let request = bob.request("POST", MESSAGES);
        let request = request
            .header("content-type", "application/json")
            .header("idempotency-key", key);
        let body = json!({ "text": text }).to_string();
        app.send(request.body(body.into()).unwrap()).await
    };
    let first = send("once", "k").await.ok(201);
    assert_eq!(send("once", "k").await.ok(201), first);
    let other = send("twice", "k").await;
    other.problem(422, "idempotency-key-reused");
    assert_eq!(send("once", "l").await.ok(201)["event"], 2);
    let wrong = send("once", &"k".repeat(256)).await;
    wrong.problem(400, "validation");
    let path = format!("{MESSAGES}/{}", first["id"].as_str().unwrap());
    bob.delete(&path).await.ok(204);
    send("once", "k").await.problem(404, "not-found");
}

async fn authors_and_moderators_delete(app: TestApp) {
    let (ada, bob) = demo(&app).await;
    let eve = app.person("eve").await;
    let keeper = moderator(&app, "keeper").await;
    let path = async |text: &str| {
        let id = say(&bob, text).await;
        format!("{MESSAGES}/{}", id["id"].as_str().unwrap())
    };
    let one = path("one").await;
    eve.delete(&one).await.problem(403, "forbidden");
    app.anybody()
        .delete(&one)
        .await
        .problem(401, "unauthenticated");
    bob.delete(&one).await.ok(204);
    bob.delete(&one).await.problem(404, "not-found");
    ada.delete(&path("two").await).await.ok(204);
    keeper.delete(&path("three").await).await.ok(204);
    let four = path("four").await;
    let id = four.rsplit('/').next().unwrap();
    let done = format!(r#"mutation {{ deleteChatMessage(stream: "demo", id: "{id}") }}"#);
    assert_eq!(eve.graphql_code(&done).await, "forbidden");
    assert_eq!(ada.data(&done).await["deleteChatMessage"], true);
    assert!(texts(&ada, "").await.is_empty());
}

async fn a_slow_room_and_one_for_followers_say_why(app: TestApp) {
    let (ada, bob) = demo(&app).await;
    for input in [
        json!({ "slow_mode_seconds": 3601 }),
        json!({ "slow_mode_seconds": -1 }),
    ] {
        ada.patch(ROOM, &input).await.problem(400, "validation");
    }
    let slow = json!({ "slow_mode_seconds": 30 });
    bob.patch(ROOM, &slow).await.problem(403, "forbidden");
    assert_eq!(
        ada.patch(ROOM, &slow).await.ok(200)["slow_mode_seconds"],
        30
    );
    say(&bob, "one").await;
    app.later(Micros::from_millis(500));
    let refused = bob.post(MESSAGES, &json!({ "text": "two" })).await;
    refused.problem(429, "slow-mode");
    assert_eq!(refused.headers["retry-after"], "30");
    say(&ada, "one").await;
    say(&ada, "two").await;
    app.later(Micros::from_secs(30));
    say(&bob, "two").await;

    let changed = r#"mutation { changeChat(stream: "demo",
        input: { slowModeSeconds: 0, followersOnly: true }) { slowModeSeconds followersOnly } }"#;
    let changed = ada.data(changed).await;
    let expected = json!({ "slowModeSeconds": 0, "followersOnly": true });
    assert_eq!(changed["changeChat"], expected);
    let refused = bob.post(MESSAGES, &json!({ "text": "three" })).await;
    refused.problem(403, "followers-only");
    bob.put("/api/v1/users/ada/follow", &json!({})).await;
    say(&bob, "three").await;
}

async fn timeouts_and_bans_hold_until_they_are_lifted(app: TestApp) {
    let (ada, bob) = demo(&app).await;
    let of_bob = sanction_of("bob");
    let timeout = json!({ "seconds": 60 });
    bob.put(&of_bob, &timeout).await.problem(403, "forbidden");
    for wrong in [json!({ "seconds": 0 }), json!({ "seconds": 2_592_001 })] {
        ada.put(&of_bob, &wrong).await.problem(400, "validation");
    }
    let made = ada.put(&of_bob, &timeout).await.ok(200);
    assert_eq!(made["user"]["name"], "bob");
    assert_eq!(made["until"], "2027-01-15T08:01:00.000000Z");
    let refused = bob.post(MESSAGES, &json!({ "text": "x" })).await;
    refused.problem(403, "chat-timed-out");
    assert_eq!(refused.headers["retry-after"], "60");
    // Who is kept from talking reads on.
    bob.get(MESSAGES).await.ok(200);
    app.later(Micros::from_secs(60));
    say(&bob, "one").await;

    let ban = ada.put(&of_bob, &json!({})).await.ok(200);
    assert_eq!(ban["until"], Value::Null);
    let bob = app.logged_in("bob").await;
    app.later(Micros::from_secs(300));
    let refused = bob.post(MESSAGES, &json!({ "text": "x" })).await;
    refused.problem(403, "chat-banned");
    let listed = ada.get(&format!("{ROOM}/sanctions")).await.ok(200);
    assert_eq!(listed["items"], json!([ban]));
    bob.get(&format!("{ROOM}/sanctions"))
        .await
        .problem(403, "forbidden");
    let listed = ada
        .data(r#"{ chatSanctions(stream: "demo") { nodes { user { name } until } } }"#)
        .await;
    let expected = json!([{ "user": { "name": "bob" }, "until": null }]);
    assert_eq!(listed["chatSanctions"]["nodes"], expected);
    ada.delete(&of_bob).await.ok(204);
    ada.delete(&of_bob).await.ok(204);
    say(&bob, "two").await;
    let twice = r#"mutation { a: sanctionInChat(stream: "demo", name: "bob", input: { seconds: 5 })
        { until } b: liftInChat(stream: "demo", name: "bob") }"#;
    assert_eq!(ada.data(twice).await["b"], true);
    say(&bob, "three").await;
}

async fn who_looks_after_a_room_is_kept_by_nobody(app: TestApp) {
    let (ada, _) = demo(&app).await;
    let keeper = moderator(&app, "keeper").await;
    for (by, name) in [
        (&ada, "ada"),
        (&ada, "keeper"),
        (&keeper, "ada"),
        (&keeper, "keeper"),
    ] {
        let answer = by.put(&sanction_of(name), &json!({})).await;
        answer.problem(403, "forbidden");
    }
    let nobody = ada.put(&sanction_of("nobody"), &json!({})).await;
    nobody.problem(404, "not-found");
    say(&keeper, "one").await;
    say(&ada, "two").await;
}

async fn moderators_look_after_rooms_that_are_not_for_them(app: TestApp) {
    let (ada, bob) = demo(&app).await;
    let (keeper, eve) = (moderator(&app, "keeper").await, app.person("eve").await);
    let mut paths = Vec::new();
    for text in ["one", "two", "three"] {
        let id = say(&bob, text).await;
        paths.push(format!("{MESSAGES}/{}", id["id"].as_str().unwrap()));
    }
    let narrower = |visibility: &str| json!({ "visibility": visibility });
    ada.put("/api/v1/users/keeper/block", &json!({}))
        .await
        .ok(204);
    for (path, visibility) in paths.iter().zip(["public", "followers", "private"]) {
        ada.patch("/api/v1/streams/demo", &narrower(visibility))
            .await
            .ok(200);
        keeper.get(ROOM).await.problem(404, "not-found");
        keeper.delete(path).await.ok(204);
        keeper
            .put(&sanction_of("bob"), &json!({ "seconds": 5 }))
            .await
            .ok(200);
        let kept = keeper.get(&format!("{ROOM}/sanctions")).await.ok(200);
        assert_eq!(kept["items"].as_array().unwrap().len(), 1);
        keeper.delete(&sanction_of("bob")).await.ok(204);
        keeper
            .patch(ROOM, &json!({ "slow_mode_seconds": 1 }))
            .await
            .ok(200);
    }
    let nothing = eve.delete(&paths[0]).await;
    nothing.problem(404, "not-found");
    let nowhere = keeper
        .patch("/api/v1/streams/nowhere/chat", &json!({}))
        .await;
    nowhere.problem(404, "not-found");
}

async fn what_moderators_do_is_in_the_audit_log(app: TestApp) {
    let (ada, bob) = demo(&app).await;
    let keeper = moderator(&app, "keeper").await;
    let id = say(&bob, "one").await;
    let path = format!("{MESSAGES}/{}", id["id"].as_str().unwrap());
    keeper.delete(&path).await.ok(204);
    keeper
        .put(&sanction_of("bob"), &json!({ "seconds": 5 }))
        .await
        .ok(200);
    ada.put(&sanction_of("bob"), &json!({})).await.ok(200);
    keeper.delete(&sanction_of("bob")).await.ok(204);
    keeper
        .patch(ROOM, &json!({ "followers_only": true }))
        .await
        .ok(200);
    // What owners do to their own rooms, and authors to what they said, is theirs.
    ada.patch(ROOM, &json!({ "followers_only": false }))
        .await
        .ok(200);
    let id = say(&bob, "two").await;
    let path = format!("{MESSAGES}/{}", id["id"].as_str().unwrap());
    bob.delete(&path).await.ok(204);

    let log = keeper.get("/api/v1/audit-log").await.ok(200);
    let log = log["items"].as_array().unwrap().iter();
    let log: Vec<_> = log
        .filter(|entry| entry["action"].as_str().unwrap().contains("chat"))
        .map(|entry| {
            let text = |key: &str| entry[key].as_str().unwrap();
            (text("actor"), text("action"), text("subject_kind"))
        })
        .collect();
    assert_eq!(
        log,
        [
            ("keeper", "change-chat", "stream"),
            ("keeper", "chat-lift", "user"),
            ("ada", "chat-ban", "user"),
            ("keeper", "chat-timeout", "user"),
            ("keeper", "delete-chat-message", "chat-message"),
        ]
    );
}

async fn a_room_is_for_who_may_watch(app: TestApp) {
    let (ada, bob) = demo(&app).await;
    let eve = app.person("eve").await;
    say(&bob, "of bob").await;
    say(&eve, "of eve").await;
    bob.put("/api/v1/users/eve/block", &json!({})).await.ok(204);
    assert_eq!(texts(&bob, "").await, ["of bob"]);
    assert_eq!(texts(&eve, "").await, ["of eve"]);
    assert_eq!(texts(&ada, "").await, ["of eve", "of bob"]);
    ada.put("/api/v1/users/bob/block", &json!({})).await.ok(204);
    for path in [ROOM, MESSAGES, "/api/v1/streams/demo/chat/replay"] {
        bob.get(path).await.problem(404, "not-found");
    }
    let refused = bob.post(MESSAGES, &json!({ "text": "x" })).await;
    refused.problem(404, "not-found");
    for path in [
        "/api/v1/streams/none/chat",
        "/api/v1/streams/No%20Name/chat",
    ] {
        ada.get(path).await.problem(404, "not-found");
    }
}

async fn what_is_said_is_found_by_what_was_seen(app: TestApp) {
    let (_, bob) = demo(&app).await;
    let id = storage::rows::streams::by_name(&app.database, &"demo".parse().unwrap()).await;
    let id = id.unwrap().unwrap().id;
    let opened = sessions::open_session(&app.database, id, app.clock.now());
    opened.await.unwrap();
    app.later(Micros::from_secs(100));
    let at = |seconds: i64| app.clock.now().as_micros() / 1_000 - seconds * 1_000;
    for (text, behind) in [("a", 5), ("b", 60), ("c", 100_000)] {
        let body = json!({ "text": text, "media_time": at(behind) });
        bob.post(MESSAGES, &body).await.ok(201);
    }
    let replay = async |query: String| {
        let page = bob.get(&format!("{ROOM}/replay?{query}")).await.ok(200);
        let items = page["items"].as_array().unwrap().clone();
        let texts = items.iter().map(|item| item["text"].clone());
        (texts.collect::<Vec<_>>(), page["next"].clone())
    };
    assert_eq!(replay(String::new()).await.0, ["c", "b", "a"]);
    let (one, next) = replay(format!("from={}&first=1", at(60))).await;
    assert_eq!(one, ["b"]);
    let next = next.as_str().unwrap();
    let (rest, next) = replay(format!("from={}&after={next}", at(60))).await;
    assert_eq!((rest, next), (vec![json!("a")], Value::Null));
    // And what was said before, from there back.
    let back = |query: String| replay(format!("backwards=true&{query}"));
    assert_eq!(back(String::new()).await.0, ["a", "b", "c"]);
    assert_eq!(back(format!("from={}", at(60))).await.0, ["c"]);
    let (one, next) = back(format!("from={}&first=1", at(5))).await;
    assert_eq!(one, ["b"]);
    let next = next.as_str().unwrap();
    let (rest, next) = back(format!("from={}&after={next}", at(5))).await;
    assert_eq!((rest, next), (vec![json!("c")], Value::Null));
    let from = at(60);
    let document = format!(
        r#"{{ on: chatReplay(stream: "demo", from: {from}) {{ nodes {{ text mediaTime }} }}
              back: chatReplay(stream: "demo", from: {from}, backwards: true) {{
                  nodes {{ text }} }} }}"#
    );
    let read = bob.data(&document).await;
    assert_eq!(read["on"]["nodes"][0]["mediaTime"], from);
    assert_eq!(read["back"]["nodes"], json!([{ "text": "c" }]));
}

async fn tokens_do_what_their_scopes_say(app: TestApp) {
    let (_, bob) = demo(&app).await;
    let token = async |scopes: Value| {
        let body = json!({ "name": "program", "scopes": scopes });
        let made = bob.post("/api/v1/me/tokens", &body).await.ok(201);
        let mut program = app.anybody();
        program.access_token = made["token"].as_str().unwrap().to_owned();
        program
    };
    let reads = token(json!(["chat:read"])).await;
    let both = token(json!(["chat:read", "chat:write"])).await;
    let none = token(json!(["posts:read"])).await;
    none.get(ROOM).await.problem(403, "forbidden");
    reads.get(ROOM).await.ok(200);
    let body = json!({ "text": "x" });
    reads.post(MESSAGES, &body).await.problem(403, "forbidden");
    both.post(MESSAGES, &body).await.ok(201);
}

async fn what_was_said_is_in_the_export(app: TestApp) {
    let (_, bob) = demo(&app).await;
    let said = say(&bob, "mine").await;
    let export = bob.get("/api/v1/me/export").await.ok(200);
    let messages = &export["chat_messages"];
    assert_eq!(messages[0]["text"], "mine");
    assert_eq!(messages[0]["stream"], "demo");
    assert_eq!(messages[0]["id"], said["id"]);
    assert_eq!(messages.as_array().unwrap().len(), 1);
}
