//! Notifications as somebody sees them, on both faces, and that sockets are told of them.

use std::time::Duration;

use media::{Clock, StreamId};
use serde_json::{Value, json};
use social::streams::create_stream;
use storage::events::Event;
use storage::rows::notifications::{NEWS, Writer, fan_out_step};
use storage::rows::outbox::{Deliver, OutboxEvent};
use storage::rows::sql::query;
use storage::rows::{sessions, users};

use crate::app::{Person, TestApp};
use crate::chat_sockets::Chat;
use crate::posts::{answered, path, write, written};
use crate::sockets::{Socket, listen};

on_both_engines! {
    both_faces_show_the_same,
    what_is_read_is_counted_no_more,
    a_token_reads_and_marks_by_its_scopes,
    what_cannot_be_marked_is_refused,
    who_does_not_want_it_is_not_told,
    a_broadcast_is_shown_with_its_owner,
    a_moderators_deed_names_nobody,
    a_socket_is_told_at_once,
    a_socket_that_missed_something_is_told_all_the_same,
    s05_a_socket_is_told_nothing_after_a_logout,
    the_socket_of_chats_tells_of_them_when_it_is_asked,
    notifications_are_exported,
}

/// What a server does beside requests: everybody is told of all that has happened.
async fn tell(app: &TestApp) {
    let (db, clock) = (app.database.clone(), app.clock.clone());
    let writer = Writer::new(db, clock, app.bus.clone());
    let events: Vec<OutboxEvent> = query(
        "SELECT sequence, id, subject, key, payload, created_at FROM outbox_events
         ORDER BY sequence",
    )
    .all(&app.database)
    .await
    .unwrap();
    for event in &events {
        writer.deliver(event).await.unwrap();
    }
    writer.confirm().await.unwrap();
}

/// Everything of it that GraphQL shows too.
const FIELDS: &str = "id kind people { name displayName } peopleCount post { id text } \
     answer { id text } stream { name isLive owner } revision isRead createdAt changedAt";

/// What somebody is told, the same on both faces.
async fn list(person: &Person<'_>) -> Vec<Value> {
    let page = person.get("/api/v1/notifications").await.ok(200);
    let items = page["items"].as_array().unwrap().clone();
    let document = format!("{{ notifications {{ nodes {{ {FIELDS} }} }} }}");
    let data = person.data(&document).await;
    let nodes = data["notifications"]["nodes"].as_array().unwrap();
    assert_eq!(items.len(), nodes.len());
    for (item, node) in items.iter().zip(nodes) {
        let pick = |value: &Value, names: &[&str]| -> Value {
            match value {
                Value::Null => Value::Null,
                value => names.iter().map(|name| value[*name].clone()).collect(),
            }
        };
        assert_eq!(item["id"], node["id"]);
        let kind = item["kind"].as_str().unwrap().to_uppercase();
        assert_eq!(json!(kind), node["kind"]);
        for (rest, graphql) in [
            ("people_count", "peopleCount"),
            ("revision", "revision"),
            ("is_read", "isRead"),
            ("created_at", "createdAt"),
            ("changed_at", "changedAt"),
        ] {
            assert_eq!(item[rest], node[graphql], "{rest}");
        }
        for name in ["post", "answer"] {
            let names = ["id", "text"];
            assert_eq!(
                pick(&item[name], &names),
                pick(&node[name], &names),
                "{name}"
            );
        }
        let stream = pick(&item["stream"], &["name", "is_live", "owner"]);
        assert_eq!(stream, pick(&node["stream"], &["name", "isLive", "owner"]));
        let (people, shown) = (item["people"].as_array(), node["people"].as_array());
        for (one, other) in people.unwrap().iter().zip(shown.unwrap()) {
            let one = pick(one, &["name", "display_name"]);
            assert_eq!(one, pick(other, &["name", "displayName"]));
        }
        assert_eq!(people.unwrap().len(), shown.unwrap().len());
    }
    items
}

async fn unread(person: &Person<'_>) -> u64 {
    let counted = person.get("/api/v1/notifications/unread").await.ok(200);
    let data = person.data("{ unreadNotifications { unread } }").await;
    assert_eq!(counted, data["unreadNotifications"]);
    counted["unread"].as_u64().unwrap()
}

async fn like(person: &Person<'_>, post: &str) {
    let like = format!("{}/like", path(post));
    person.put(&like, &json!({})).await.ok(204);
}

async fn follow(person: &Person<'_>, name: &str) {
    let follow = format!("/api/v1/users/{name}/follow");
    person.put(&follow, &json!({})).await.ok(200);
}

/// A token of somebody's with these scopes.
async fn with_scopes<'a>(person: &Person<'a>, scopes: &[&str]) -> Person<'a> {
    let body = json!({ "name": "t", "scopes": scopes });
    let made = person.post("/api/v1/me/tokens", &body).await.ok(201);
    let mut other = person.app.anybody();
    other.access_token = made["token"].as_str().unwrap().to_owned();
    other
}

async fn both_faces_show_the_same(app: TestApp) {
    let ada = app.person("ada").await;
    let mut others = Vec::new();
    for name in ["bob", "cleo", "dan", "eve"] {
        others.push(app.person(name).await);
    }
    let post = written(&ada, "In the garden").await;
    for other in &others {
        like(other, &post).await;
        tell(&app).await;
        app.later(media::Micros::from_secs(1));
    }
    follow(&others[0], "ada").await;
    let answer = answered(&others[1], &post, "Which one?").await;
    let mention = write(&others[2], json!({ "text": "Hello @ada" })).await;
    tell(&app).await;
    let told = list(&ada).await;
    let kinds: Vec<_> = told
        .iter()
        .map(|one| one["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["mention", "comment", "follow", "like"]);
    let names = |one: &Value| -> Vec<String> {
        let people = one["people"].as_array().unwrap().iter();
        people
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect()
    };
    // The last who did it, and how many.
    assert_eq!(names(&told[3]), ["eve", "dan", "cleo"]);
    assert_eq!(told[3]["people_count"], 4);
    assert_eq!(told[3]["post"]["id"], json!(post));
    assert_eq!(told[1]["answer"]["id"], json!(answer));
    assert_eq!(told[1]["post"]["id"], json!(post));
    assert_eq!(told[0]["post"]["id"], mention["id"]);
    assert_eq!(told[2]["post"], Value::Null);
    assert_eq!(unread(&ada).await, 4);
    // Page by page.
    let first = ada.get("/api/v1/notifications?first=3").await.ok(200);
    let next = first["next"].as_str().unwrap();
    let second = format!("/api/v1/notifications?first=3&after={next}");
    let second = ada.get(&second).await.ok(200);
    assert_eq!(second["items"], json!([told[3]]));
    assert_eq!(second["next"], Value::Null);
    // Whom one blocks is gone at once.
    ada.put("/api/v1/users/dan/block", &json!({})).await.ok(204);
    let told = list(&ada).await;
    assert_eq!(told.len(), 3);
    assert_eq!(names(&told[2]), ["eve", "cleo", "bob"]);
    assert_eq!(
        (told[2]["people_count"].as_u64(), unread(&ada).await),
        (Some(3), 3)
    );
    for path in ["/api/v1/notifications", "/api/v1/notifications/unread"] {
        app.anybody()
            .get(path)
            .await
            .problem(401, "unauthenticated");
    }
    assert_eq!(list(&others[3]).await.len(), 0);
}

async fn what_is_read_is_counted_no_more(app: TestApp) {
    let (ada, bob) = (app.person("ada").await, app.person("bob").await);
    let cleo = app.person("cleo").await;
    for text in ["a", "b", "c"] {
        like(&bob, &written(&ada, text).await).await;
    }
    tell(&app).await;
    let told = list(&ada).await;
    let seen = json!({ "seen": [{ "id": told[2]["id"], "revision": told[2]["revision"] }] });
    let left = ada.put("/api/v1/notifications/read", &seen).await.ok(200);
    assert_eq!(left, json!({ "unread": 2 }));
    assert_eq!(list(&ada).await[2]["is_read"], true);
    // What was added since it was seen stays unread.
    like(&cleo, told[1]["post"]["id"].as_str().unwrap()).await;
    tell(&app).await;
    let seen = json!({ "seen": [{ "id": told[1]["id"], "revision": 1 }] });
    let left = ada.put("/api/v1/notifications/read", &seen).await.ok(200);
    assert_eq!(left, json!({ "unread": 2 }));
    let document = format!(
        "mutation {{ readNotifications(input: {{ upTo: {} }}) {{ unread }} }}",
        told[0]["id"]
    );
    // Nobody marks what is somebody else's.
    let data = bob.data(&document).await;
    assert_eq!(data["readNotifications"]["unread"], 0);
    assert_eq!(unread(&ada).await, 2);
    let data = ada.data(&document).await;
    assert_eq!(data["readNotifications"]["unread"], 0);
    let document = format!(
        "mutation {{ readNotifications(input: {{ seen: [{{ id: {}, revision: 1 }}] }}) \
         {{ unread }} }}",
        told[0]["id"]
    );
    assert_eq!(ada.data(&document).await["readNotifications"]["unread"], 0);
    assert!(list(&ada).await.iter().all(|one| one["is_read"] == true));
}

async fn a_token_reads_and_marks_by_its_scopes(app: TestApp) {
    let ada = app.person("ada").await;
    let reads = with_scopes(&ada, &["notifications:read"]).await;
    let marks = with_scopes(&ada, &["notifications:write"]).await;
    let both = with_scopes(&ada, &["notifications:read", "notifications:write"]).await;
    let other = with_scopes(&ada, &["account:read", "posts:read"]).await;
    let all = json!({ "up_to": "018f0000-0000-7000-8000-000000000000" });
    for (token, lists, can_mark) in [
        (&reads, true, false),
        (&marks, false, false),
        (&both, true, true),
        (&other, false, false),
    ] {
        for path in ["/api/v1/notifications", "/api/v1/notifications/unread"] {
            let answer = token.get(path).await;
            match lists {
                true => drop(answer.ok(200)),
                false => drop(answer.problem(403, "forbidden")),
            }
        }
        let answer = token.put("/api/v1/notifications/read", &all).await;
        match can_mark {
            true => drop(answer.ok(200)),
            false => drop(answer.problem(403, "forbidden")),
        }
    }
}

async fn what_cannot_be_marked_is_refused(app: TestApp) {
    let ada = app.person("ada").await;
    let id = "018f0000-0000-7000-8000-000000000000";
    let many = vec![json!({ "id": id, "revision": 1 }); 101];
    for body in [
        json!({ "seen": [{ "id": "x", "revision": 1 }] }),
        json!({ "seen": [{ "id": id, "revision": u64::MAX }] }),
        json!({ "seen": [{ "id": id, "revision": -1 }] }),
        json!({ "up_to": "x" }),
        json!({ "seen": many }),
        json!({ "all": true }),
    ] {
        let answer = ada.put("/api/v1/notifications/read", &body).await;
        answer.problem(400, "validation");
    }
    let input = r#"{ upTo: "x" }"#;
    let code = ada
        .graphql_code(&format!(
            "mutation {{ readNotifications(input: {input}) {{ unread }} }}"
        ))
        .await;
    assert_eq!(code, "validation");
    // What is not there is passed over.
    for body in [
        json!({ "seen": [{ "id": id, "revision": i64::MAX }], "up_to": id }),
        json!({ "seen": [] }),
        json!({}),
    ] {
        let left = ada.put("/api/v1/notifications/read", &body).await.ok(200);
        assert_eq!(left, json!({ "unread": 0 }));
    }
}

async fn who_does_not_want_it_is_not_told(app: TestApp) {
    let (ada, bob) = (app.person("ada").await, app.person("bob").await);
    let preferences = ada.get("/api/v1/me/preferences").await.ok(200);
    assert_eq!(preferences["notify_like"], "on");
    let body = json!({ "notify_like": "off" });
    ada.patch("/api/v1/me/preferences", &body).await.ok(200);
    like(&bob, &written(&ada, "a").await).await;
    follow(&bob, "ada").await;
    tell(&app).await;
    let told = list(&ada).await;
    assert_eq!((told.len(), &told[0]["kind"]), (1, &json!("follow")));
    let body = json!({ "notify_like": "sometimes" });
    ada.patch("/api/v1/me/preferences", &body)
        .await
        .problem(400, "validation");
}

async fn stream(app: &TestApp, owner: &str) -> StreamId {
    let owner = users::find_by_name(&app.database, owner).await.unwrap();
    let (owner, name) = (owner.unwrap().id, "engines".parse().unwrap());
    let created = create_stream(&app.database, &*app.clock, owner, &name).await;
    created.unwrap().0.id
}

async fn a_broadcast_is_shown_with_its_owner(app: TestApp) {
    let (ada, bob) = (app.person("ada").await, app.person("Bob").await);
    follow(&ada, "Bob").await;
    app.later(media::Micros::from_secs(1));
    let stream = stream(&app, "Bob").await;
    let opened = sessions::open_session(&app.database, stream, app.clock.now()).await;
    let session = opened.unwrap().session.id;
    tell(&app).await;
    let told = fan_out_step(&app.database, session, app.clock.now()).await;
    assert_eq!(told.unwrap().unwrap().len(), 1);
    let told = list(&ada).await;
    assert_eq!(told[0]["kind"], "went_live");
    assert_eq!(told[0]["people"][0]["name"], "Bob");
    assert_eq!(told[0]["people_count"], 1);
    let shown = json!({ "name": "engines", "title": "engines", "is_live": true, "owner": "Bob" });
    assert_eq!(told[0]["stream"], shown);
    drop(bob);
    sessions::end_session(&app.database, session, app.clock.now())
        .await
        .unwrap();
    assert_eq!(list(&ada).await[0]["stream"]["is_live"], false);
}

async fn a_moderators_deed_names_nobody(app: TestApp) {
    app.administrator("root").await;
    let root = app.logged_in("root").await;
    let ada = app.person("ada").await;
    let post = written(&ada, "a").await;
    root.delete(&path(&post)).await.ok(204);
    tell(&app).await;
    let told = list(&ada).await;
    assert_eq!(told[0]["kind"], "post_removed");
    assert_eq!(
        (&told[0]["people"], &told[0]["people_count"]),
        (&json!([]), &json!(0))
    );
    assert_eq!(told[0]["post"], Value::Null);
    assert!(!told[0].to_string().contains("root"));
}

const SUBSCRIPTION: &str = "subscription { notificationsChanged {
    unread notifications { id kind isRead people { name } post { text } } } }";

/// A socket that has subscribed, and was told how it stands.
async fn subscribed(app: &TestApp, person: &Person<'_>) -> (Socket, Value) {
    let mut socket = Socket::open(listen(app).await).await;
    socket.introduce(person).await;
    let payload = json!({ "query": SUBSCRIPTION });
    socket
        .say(json!({ "id": "1", "type": "subscribe", "payload": payload }))
        .await;
    let first = next(&mut socket).await;
    (socket, first)
}

/// What the subscription says next.
async fn next(socket: &mut Socket) -> Value {
    let heard = tokio::time::timeout(Duration::from_secs(30), socket.hear()).await;
    let heard = heard.expect("told within half a minute").unwrap();
    assert_eq!(heard["type"], "next", "{heard}");
    let changed = &heard["payload"]["data"]["notificationsChanged"];
    assert!(changed.is_object(), "{heard}");
    changed.clone()
}

async fn a_socket_is_told_at_once(app: TestApp) {
    let other = app.second_node().await;
    let (ada, bob) = (app.person("ada").await, app.person("bob").await);
    like(&bob, &written(&ada, "before").await).await;
    tell(&app).await;
    let (mut socket, first) = subscribed(&other, &ada).await;
    assert_eq!(first["unread"], 1);
    assert_eq!(first["notifications"][0]["post"]["text"], "before");
    // What others are told of wakes nobody else.
    like(&ada, &written(&bob, "other").await).await;
    tell(&app).await;
    like(&bob, &written(&ada, "now").await).await;
    tell(&app).await;
    let told = next(&mut socket).await;
    assert_eq!(told["unread"], 2);
    let new = told["notifications"].as_array().unwrap();
    assert_eq!(new.len(), 1);
    assert_eq!(
        (&new[0]["kind"], &new[0]["post"]["text"]),
        (&json!("LIKE"), &json!("now"))
    );
    assert_eq!(new[0]["people"][0]["name"], "bob");
    // What is read elsewhere is told too.
    let body = json!({ "up_to": new[0]["id"] });
    ada.put("/api/v1/notifications/read", &body).await.ok(200);
    let told = next(&mut socket).await;
    assert_eq!(told["unread"], 0);
    let read = told["notifications"].as_array().unwrap();
    assert!(read.len() == 2 && read.iter().all(|one| one["isRead"] == true));
}

/// An event that nobody can read says that something was missed.
async fn a_socket_that_missed_something_is_told_all_the_same(app: TestApp) {
    let silent = app
        .node_on(std::sync::Arc::new(storage::events::LocalBus::new()))
        .await;
    let (ada, bob) = (app.person("ada").await, app.person("bob").await);
    let (mut socket, first) = subscribed(&silent, &ada).await;
    assert_eq!(first, json!({ "unread": 0, "notifications": [] }));
    like(&bob, &written(&ada, "a").await).await;
    tell(&app).await;
    let event = Event::new(NEWS.parse().unwrap(), "{");
    silent.bus.publish(event).await.unwrap();
    assert_eq!(next(&mut socket).await["unread"], 1);
}

async fn s05_a_socket_is_told_nothing_after_a_logout(app: TestApp) {
    let other = app.second_node().await;
    let (ada, bob) = (app.person("ada").await, app.person("bob").await);
    let post = written(&ada, "a").await;
    let (mut socket, _) = subscribed(&other, &ada).await;
    ada.delete("/api/v1/me/sessions").await.ok(204);
    like(&bob, &post).await;
    tell(&app).await;
    let complete = socket.hear().await.unwrap();
    assert_eq!(complete, json!({ "type": "complete", "id": "1" }));
    assert_eq!(socket.hear().await.unwrap_err().0, 4401);
}

/// What `/ws` says of notifications next.
async fn told(chat: &mut Chat) -> Value {
    let heard = chat.hear().await.unwrap();
    assert_eq!(heard["type"], "notifications", "{heard}");
    heard
}

async fn the_socket_of_chats_tells_of_them_when_it_is_asked(app: TestApp) {
    let other = app.second_node().await;
    let (ada, bob) = (app.person("ada").await, app.person("bob").await);
    like(&bob, &written(&ada, "before").await).await;
    tell(&app).await;
    let address = listen(&other).await;
    let ask = json!({ "type": "notifications", "id": "n" });
    let mut nobody = Chat::hello(address, &app.anybody()).await;
    let refused = nobody.ask(ask.clone()).await;
    assert_eq!(
        (&refused["id"], &refused["code"]),
        (&json!("n"), &json!("unauthenticated"))
    );
    let narrow = with_scopes(&ada, &["chat:read"]).await;
    let refused = Chat::hello(address, &narrow).await.ask(ask.clone()).await;
    assert_eq!(refused["code"], "forbidden", "{refused}");
    let mut chat = Chat::hello(address, &ada).await;
    let done = chat.ask(ask).await;
    assert_eq!(done, json!({ "type": "done", "id": "n" }));
    // Each as the list gives it.
    let listed = ada.get("/api/v1/notifications").await.ok(200);
    let first = told(&mut chat).await;
    assert_eq!(
        (&first["unread"], &first["notifications"]),
        (&json!(1), &listed["items"])
    );
    like(&bob, &written(&ada, "now").await).await;
    tell(&app).await;
    let new = told(&mut chat).await;
    assert_eq!(new["unread"], 2);
    let new = new["notifications"].as_array().unwrap();
    assert_eq!((new.len(), &new[0]["post"]["text"]), (1, &json!("now")));
    // It goes on with another token, and is told how it stands.
    let authorization = format!("Bearer {}", ada.access_token);
    let again = json!({ "type": "authenticate", "id": "a", "authorization": authorization });
    assert_eq!(chat.ask(again).await["id"], "a");
    assert_eq!(
        told(&mut chat).await["notifications"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let post = written(&ada, "unheard").await;
    ada.delete("/api/v1/me/sessions").await.ok(204);
    like(&bob, &post).await;
    tell(&app).await;
    assert_eq!(chat.hear().await.unwrap()["code"], "unauthenticated");
    assert_eq!(chat.end().await.0, 4401);
}

async fn notifications_are_exported(app: TestApp) {
    let (ada, bob) = (app.person("ada").await, app.person("bob").await);
    let post = written(&ada, "a").await;
    like(&bob, &post).await;
    tell(&app).await;
    let export = ada.get("/api/v1/me/export").await.ok(200);
    let told = export["notifications"].as_array().unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0]["kind"], &told[0]["about"]),
        (&json!("like"), &json!(post))
    );
    assert!(!export.to_string().contains("bob"));
}
