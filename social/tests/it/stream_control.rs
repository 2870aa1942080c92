//! Streams: made, changed, stopped and deleted, on both faces.

use media::{Clock, Micros, StreamName};
use serde_json::{Value, json};
use storage::rows::{sessions, sql, streams, videos};

use crate::app::{Person, TestApp};

on_both_engines! {
    a_stream_is_made_with_its_key_and_shown,
    the_same_by_graphql,
    what_is_said_of_a_stream_is_checked,
    a_stream_is_made_once_under_a_key,
    a_private_account_makes_streams_for_its_followers,
    an_account_has_so_many_streams,
    a_stream_is_changed_by_its_owner_alone,
    recordings_are_not_lost_by_mistake,
    a_stream_is_stopped_and_started,
    a_deleted_stream_is_gone_at_once_and_its_name_afterwards,
    a_stream_is_found_by_its_title,
    a_stream_says_whether_going_live_makes_a_post,
    tokens_need_scopes,
}

/// Makes a stream of this name, as `body` says.
pub(crate) async fn make(person: &Person<'_>, name: &str, mut body: Value) -> Value {
    body["name"] = name.into();
    person.post("/api/v1/streams", &body).await.ok(201)
}

async fn go_live(app: &TestApp, name: &str) -> media::SessionId {
    let name: StreamName = name.parse().unwrap();
    let stream = streams::by_name(&app.database, &name).await.unwrap();
    let stream = stream.unwrap().id;
    let opened = sessions::open_session(&app.database, stream, app.clock.now());
    opened.await.unwrap().session.id
}

async fn a_stream_is_made_with_its_key_and_shown(app: TestApp) {
    let ada = app.person("ada").await;
    let body = json!({
        "title": " Engines, at night ", "description": "Steam.\nAnd brass.", "recording": true,
        "takeover": "reject", "ladder": "small", "post_when_live": "no",
    });
    let made = make(&ada, "engines", body).await;
    let key = made["key"].as_str().unwrap();
    assert_eq!(key.len(), 64);
    let stream = &made["stream"];
    assert_eq!(
        stream["settings"],
        json!({
            "title": "Engines, at night", "takeover": "reject", "recording": true,
            "ladder": "small", "post_when_live": "no", "is_stopped": false,
        })
    );
    let found = ada.get("/api/v1/streams/engines").await.ok(200);
    assert_eq!(&found, stream);
    let seen = app.anybody().get("/api/v1/streams/engines").await.ok(200);
    assert_eq!(
        seen,
        json!({
            "id": stream["id"], "name": "engines", "title": "Engines, at night",
            "description": "Steam.\nAnd brass.", "visibility": "public", "owner": "ada",
            "is_live": false, "live_since": null, "viewers": 0,
            "created_at": stream["created_at"],
            "settings": null,
        })
    );
    go_live(&app, "engines").await;
    let seen = app.anybody().get("/api/v1/streams/engines").await.ok(200);
    assert_eq!(
        (&seen["is_live"], &seen["live_since"]),
        (&json!(true), &seen["created_at"])
    );
    let plain = make(&ada, "plain", json!({})).await;
    assert_eq!(plain["stream"]["title"], "plain");
    let listed = app.anybody().get("/api/v1/users/ada/streams?first=1").await;
    let listed = listed.ok(200);
    assert_eq!(listed["items"][0]["name"], "plain");
    let next = listed["next"].as_str().unwrap();
    let next = format!("/api/v1/users/ada/streams?first=1&after={next}");
    let listed = app.anybody().get(&next).await.ok(200);
    assert_eq!(listed["items"][0]["name"], "engines");
    assert_eq!(listed["next"], Value::Null);
    for nothing in ["none", "NONE", "a%2Fb", "%00"] {
        let path = format!("/api/v1/streams/{nothing}");
        app.anybody().get(&path).await.problem(404, "not-found");
    }
}

async fn the_same_by_graphql(app: TestApp) {
    let ada = app.person("ada").await;
    let made = ada
        .data(
            r#"mutation { createStream(input: {name: "engines", title: "Engines",
                visibility: FOLLOWERS, postWhenLive: YES}) {
                 key streamKey { id } stream { id name settings { postWhenLive } } } }"#,
        )
        .await;
    let made = &made["createStream"];
    assert_eq!(made["key"].as_str().unwrap().len(), 64);
    assert_eq!(made["stream"]["settings"]["postWhenLive"], "YES");
    let changed = ada
        .data(
            r#"mutation { updateStream(name: "engines", input: {title: "", visibility: PUBLIC}) {
                 title visibility } }"#,
        )
        .await;
    let expected = json!({ "title": "engines", "visibility": "PUBLIC" });
    assert_eq!(changed["updateStream"], expected);
    let seen = app
        .anybody()
        .data(
            r#"{ stream(name: "engines") { id owner settings { title }
                   playback { playlist manifest expiresAt } }
                 user(name: "ada") { streams { nodes { name } } } }"#,
        )
        .await;
    assert_eq!(seen["stream"]["id"], made["stream"]["id"]);
    assert_eq!(seen["stream"]["settings"], Value::Null);
    let playback = json!({
        "playlist": "/live/engines/index.m3u8", "manifest": "/live/engines/manifest.mpd",
        "expiresAt": null,
    });
    assert_eq!(seen["stream"]["playback"], playback);
    assert_eq!(
        seen["user"]["streams"]["nodes"],
        json!([{ "name": "engines" }])
    );
    for (mutation, stopped) in [("stopStream", true), ("startStream", false)] {
        let document =
            format!(r#"mutation {{ {mutation}(name: "engines") {{ settings {{ isStopped }} }} }}"#);
        let done = ada.data(&document).await;
        assert_eq!(done[mutation]["settings"]["isStopped"], stopped);
    }
    let keys = r#"{ stream(name: "engines") { keys { id } } }"#;
    assert_eq!(
        ada.data(keys).await["stream"]["keys"][0]["id"],
        made["streamKey"]["id"]
    );
    let bob = app.person("bob").await;
    assert_eq!(bob.graphql_code(keys).await, "forbidden");
    assert_eq!(app.anybody().graphql_code(keys).await, "unauthenticated");
    let delete = r#"mutation { deleteStream(name: "engines") }"#;
    assert_eq!(bob.graphql_code(delete).await, "forbidden");
    assert_eq!(ada.data(delete).await["deleteStream"], true);
    assert_eq!(ada.graphql_code(delete).await, "not-found");
}

async fn what_is_said_of_a_stream_is_checked(app: TestApp) {
    let ada = app.person("ada").await;
    let long = "x".repeat(141);
    for (body, field) in [
        (json!({ "name": "Engines" }), "name"),
        (json!({ "name": "" }), "name"),
        (json!({ "name": "-a" }), "name"),
        (json!({ "name": "a", "title": long }), "title"),
        (json!({ "name": "a", "title": "a\nb" }), "title"),
        (json!({ "name": "a", "title": "a\u{202e}b" }), "title"),
        (
            json!({ "name": "a", "description": "x".repeat(5_001) }),
            "description",
        ),
        (
            json!({ "name": "a", "description": "a\u{0}b" }),
            "description",
        ),
        (json!({ "name": "a", "ladder": "huge" }), "ladder"),
        (json!({ "name": "a", "visibility": "secret" }), "visibility"),
    ] {
        let told = ada.post("/api/v1/streams", &body).await;
        told.problem(400, "validation");
        assert_eq!(told.json()["errors"][0]["field"], field, "{body}");
    }
    make(&ada, "a", json!({ "ladder": "large" })).await;
    let taken = ada.post("/api/v1/streams", &json!({ "name": "a" })).await;
    taken.problem(409, "taken");
    let told = ada
        .patch("/api/v1/streams/a", &json!({ "ladder": "huge" }))
        .await;
    told.problem(400, "validation");
    let told = json!({ "ladder": "default" });
    let stream = ada.patch("/api/v1/streams/a", &told).await.ok(200);
    assert_eq!(stream["settings"]["ladder"], Value::Null);
    let told = json!({ "delete_recordings": true });
    let told = ada.patch("/api/v1/streams/a", &told).await;
    told.problem(400, "validation");
    let anybody = app.anybody();
    let told = anybody
        .post("/api/v1/streams", &json!({ "name": "b" }))
        .await;
    told.problem(401, "unauthenticated");
}

async fn a_stream_is_made_once_under_a_key(app: TestApp) {
    let ada = app.person("ada").await;
    let ask = async |body: Value| {
        let request = ada
            .request("POST", "/api/v1/streams")
            .header("content-type", "application/json")
            .header("idempotency-key", "one");
        app.send(request.body(body.to_string().into()).unwrap())
            .await
    };
    let made = ask(json!({ "name": "a" })).await.ok(201);
    assert!(made["key"].is_string());
    let again = ask(json!({ "name": "a" })).await.ok(201);
    assert_eq!(again["key"], Value::Null);
    assert_eq!(again["stream_key"], made["stream_key"]);
    assert_eq!(again["stream"], made["stream"]);
    let other = ask(json!({ "name": "b" })).await;
    other.problem(422, "idempotency-key-reused");
    let kept = sql::query("SELECT response FROM idempotency_keys");
    let kept: Vec<(Vec<u8>,)> = kept.all(&app.database).await.unwrap();
    let key = made["key"].as_str().unwrap();
    assert!(
        kept.iter()
            .all(|(kept,)| !String::from_utf8_lossy(kept).contains(key))
    );
}

async fn a_private_account_makes_streams_for_its_followers(app: TestApp) {
    let ada = app.person("ada").await;
    ada.patch("/api/v1/me", &json!({ "is_private": true }))
        .await
        .ok(200);
    let made = make(&ada, "a", json!({})).await;
    assert_eq!(made["stream"]["visibility"], "followers");
    let made = make(&ada, "b", json!({ "visibility": "public" })).await;
    assert_eq!(made["stream"]["visibility"], "public");
}

async fn an_account_has_so_many_streams(app: TestApp) {
    let ada = app.person("ada").await;
    for number in 0..streams::STREAMS_AT_MOST {
        make(&ada, &format!("s{number}"), json!({})).await;
    }
    let told = ada
        .post("/api/v1/streams", &json!({ "name": "more" }))
        .await;
    let told = told.problem(409, "conflict");
    assert!(told.contains("100 streams are the most"), "{told}");
    ada.delete("/api/v1/streams/s0").await.ok(204);
    make(&ada, "more", json!({})).await;
}

async fn a_stream_is_changed_by_its_owner_alone(app: TestApp) {
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    make(&ada, "a", json!({ "title": "one", "description": "two" })).await;
    let body = json!({ "title": "three", "takeover": "reject" });
    let told = bob.patch("/api/v1/streams/a", &body).await;
    told.problem(403, "forbidden");
    let stream = ada.patch("/api/v1/streams/a", &body).await.ok(200);
    assert_eq!(
        (&stream["title"], &stream["description"]),
        (&json!("three"), &json!("two"))
    );
    assert_eq!(stream["settings"]["takeover"], "reject");
    assert_eq!(ada.get("/api/v1/streams/a").await.ok(200), stream);
    for (method, path) in [
        ("DELETE", "/api/v1/streams/a"),
        ("PUT", "/api/v1/streams/a/stop"),
        ("PUT", "/api/v1/streams/a/start"),
        ("GET", "/api/v1/streams/a/keys"),
        ("POST", "/api/v1/streams/a/keys"),
    ] {
        let request = bob.request(method, path).body(axum::body::Body::empty());
        let told = app.send(request.unwrap()).await;
        told.problem(403, "forbidden");
    }
    // What one may not see is not there.
    let body = json!({ "visibility": "private" });
    ada.patch("/api/v1/streams/a", &body).await.ok(200);
    let told = bob.patch("/api/v1/streams/a", &body).await;
    told.problem(404, "not-found");
    bob.delete("/api/v1/streams/a")
        .await
        .problem(404, "not-found");
}

async fn recordings_are_not_lost_by_mistake(app: TestApp) {
    let ada = app.person("ada").await;
    make(&ada, "a", json!({ "recording": true })).await;
    let off = json!({ "recording": false });
    ada.patch("/api/v1/streams/a", &off).await.ok(200);
    let on = json!({ "recording": true });
    ada.patch("/api/v1/streams/a", &on).await.ok(200);
    let session = go_live(&app, "a").await;
    let told = ada.patch("/api/v1/streams/a", &off).await;
    told.problem(409, "conflict");
    sessions::end_session(&app.database, session, app.clock.now())
        .await
        .unwrap();
    let videos = videos::list(&app.database, None, 10).await.unwrap();
    assert_eq!(videos.len(), 1);
    let told = ada.patch("/api/v1/streams/a", &off).await;
    assert!(told.problem(409, "conflict").contains("delete_recordings"));
    let off = json!({ "recording": false, "delete_recordings": true });
    let stream = ada.patch("/api/v1/streams/a", &off).await.ok(200);
    assert_eq!(stream["settings"]["recording"], false);
}

async fn a_stream_is_stopped_and_started(app: TestApp) {
    let ada = app.person("ada").await;
    make(&ada, "a", json!({})).await;
    for (what, is_stopped) in [
        ("stop", true),
        ("stop", true),
        ("start", false),
        ("start", false),
    ] {
        let path = format!("/api/v1/streams/a/{what}");
        let stream = ada.put(&path, &json!({})).await.ok(200);
        assert_eq!(stream["settings"]["is_stopped"], is_stopped);
    }
}

async fn a_deleted_stream_is_gone_at_once_and_its_name_afterwards(app: TestApp) {
    let ada = app.person("ada").await;
    make(&ada, "a", json!({ "recording": true })).await;
    let body = json!({ "text": "see", "stream": "a" });
    let post = ada.post("/api/v1/posts", &body).await.ok(201);
    let session = go_live(&app, "a").await;
    ada.delete("/api/v1/streams/a").await.ok(204);
    ada.get("/api/v1/streams/a").await.problem(404, "not-found");
    ada.delete("/api/v1/streams/a")
        .await
        .problem(404, "not-found");
    let live = app.request("GET", "/api/v1/live").await.ok(200);
    assert_eq!(live["streams"], json!([]));
    let listed = ada.get("/api/v1/users/ada/streams").await.ok(200);
    assert_eq!(listed["items"], json!([]));
    let path = format!("/api/v1/posts/{}", post["id"].as_str().unwrap());
    assert_eq!(ada.get(&path).await.ok(200)["stream"], Value::Null);
    // The broadcast ends and is settled: then nothing holds the name.
    let taken = ada.post("/api/v1/streams", &json!({ "name": "a" })).await;
    taken.problem(409, "taken");
    sessions::end_session(&app.database, session, app.clock.now())
        .await
        .unwrap();
    let mut transaction = app.database.write().await.unwrap();
    let settled = sql::query("UPDATE live_sessions SET settled_at = 1");
    settled.execute(&mut transaction).await.unwrap();
    transaction.commit().await.unwrap();
    let free = async {
        loop {
            app.later(Micros::from_secs(60));
            // A token is good for a quarter of an hour.
            let ada = app.logged_in("ada").await;
            let made = ada.post("/api/v1/streams", &json!({ "name": "a" })).await;
            if made.status == 201 {
                return made.json();
            }
            made.problem(409, "taken");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let made = tokio::time::timeout(std::time::Duration::from_secs(60), free).await;
    assert!(made.expect("the name is free")["key"].is_string());
}

async fn a_stream_is_found_by_its_title(app: TestApp) {
    let ada = app.person("ada").await;
    make(&ada, "a", json!({ "title": "Steam engines" })).await;
    let shutdown = tokio_util::sync::CancellationToken::new();
    let (db, clock) = (app.database.clone(), app.clock.clone());
    tokio::spawn(storage::rows::search::run(db, clock, shutdown.clone()));
    let _ends = shutdown.drop_guard();
    let found = async |words: &str, expected: &[&str]| {
        let path = format!("/api/v1/search/streams?q={words}");
        let searched = async {
            loop {
                let found = app.request("GET", &path).await.ok(200);
                let items = found["items"].as_array().unwrap();
                let titles: Vec<_> = items
                    .iter()
                    .map(|one| one["title"].as_str().unwrap())
                    .collect();
                if titles == expected {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), searched)
            .await
            .unwrap_or_else(|_| panic!("{words}: {expected:?}"));
    };
    found("engines", &["Steam engines"]).await;
    ada.patch("/api/v1/streams/a", &json!({ "title": "Looms" }))
        .await
        .ok(200);
    found("looms", &["Looms"]).await;
    found("engines", &[]).await;
    ada.patch("/api/v1/streams/a", &json!({ "visibility": "private" }))
        .await
        .ok(200);
    found("looms", &[]).await;
}

async fn a_stream_says_whether_going_live_makes_a_post(app: TestApp) {
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    bob.put("/api/v1/users/ada/follow", &json!({}))
        .await
        .ok(200);
    make(&ada, "first", json!({ "post_when_live": "yes" })).await;
    // The consumer begins with what comes after its making: it is there with the first post.
    let posts = async |person: &Person<'_>| {
        let posts = person.get("/api/v1/users/ada/posts").await.ok(200);
        let posts = posts["items"].as_array().unwrap().clone();
        let shown = posts.iter().map(|post| post["stream"]["name"].to_string());
        shown.collect::<Vec<_>>()
    };
    let until = async |name: &str| {
        let waited = async {
            loop {
                let session = go_live(&app, name).await;
                for _ in 0..50 {
                    if posts(&bob).await.contains(&format!("{name:?}")) {
                        return;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
                let ended = sessions::end_session(&app.database, session, app.clock.now());
                ended.await.unwrap();
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), waited)
            .await
            .unwrap_or_else(|_| panic!("a post of {name}"));
    };
    until("first").await;
    let preference = json!({ "post_when_live": "yes" });
    ada.patch("/api/v1/me/preferences", &preference)
        .await
        .ok(200);
    make(&ada, "quiet", json!({ "post_when_live": "no" })).await;
    make(
        &ada,
        "mine",
        json!({ "visibility": "private", "post_when_live": "yes" }),
    )
    .await;
    make(&ada, "ours", json!({ "visibility": "followers" })).await;
    go_live(&app, "quiet").await;
    go_live(&app, "mine").await;
    until("ours").await;
    assert_eq!(posts(&bob).await, ["\"ours\"", "\"first\""]);
    assert_eq!(posts(&app.anybody()).await, ["\"first\""]);
    assert_eq!(posts(&ada).await, ["\"ours\"", "\"first\""]);
}

async fn tokens_need_scopes(app: TestApp) {
    let ada = app.person("ada").await;
    make(&ada, "a", json!({})).await;
    let token = async |scopes: Value| {
        let body = json!({ "name": "t", "scopes": scopes });
        let made = ada.post("/api/v1/me/tokens", &body).await.ok(201);
        ada.clone()
            .with_tokens(&json!({ "access_token": made["token"] }))
    };
    let reads = token(json!(["streams:read"])).await;
    reads.get("/api/v1/streams/a").await.ok(200);
    reads.get("/api/v1/live").await.ok(200);
    reads.get("/api/v1/streams/a/keys").await.ok(200);
    let lists = ["/api/v1/trends/streams", "/api/v1/search/streams?q=a"];
    for path in lists {
        reads.get(path).await.ok(200);
    }
    let told = reads.patch("/api/v1/streams/a", &json!({})).await;
    assert!(told.problem(403, "forbidden").contains("streams:write"));
    let both = token(json!(["streams:read", "streams:write"])).await;
    both.patch("/api/v1/streams/a", &json!({})).await.ok(200);
    both.delete("/api/v1/streams/a").await.ok(204);
    let other = token(json!(["posts:read"])).await;
    for path in ["/api/v1/live"].into_iter().chain(lists) {
        let told = other.get(path).await;
        assert!(told.problem(403, "forbidden").contains("streams:read"));
    }
}
