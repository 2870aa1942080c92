//! Whom a stream is for, wherever streams are listed and played.

use media::{Clock, StreamName};
use serde_json::{Value, json};
use storage::rows::{playback_bars, sessions, streams, users};

use crate::app::{NOW, Person, TestApp};
use crate::stream_control::make;

on_both_engines! {
    a_stream_is_seen_by_whom_it_is_for,
    whom_one_mutes_is_not_listed_as_live,
    who_may_play_gets_a_token_where_one_is_needed,
    what_ends_a_follow_bars_from_playback,
}

/// Streams for everybody, for followers and for nobody else, all live, of `owner`.
async fn three(app: &TestApp, owner: &Person<'_>) {
    for (name, visibility) in [
        ("open", "public"),
        ("ours", "followers"),
        ("mine", "private"),
    ] {
        make(owner, name, json!({ "visibility": visibility })).await;
        let name: StreamName = name.parse().unwrap();
        let stream = streams::by_name(&app.database, &name).await.unwrap();
        let id = stream.unwrap().id;
        sessions::open_session(&app.database, id, app.clock.now())
            .await
            .unwrap();
    }
}

fn names(listed: &Value) -> Vec<&str> {
    let mut names: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    names
}

/// What `person` sees, wherever it is listed; and all else is not there.
async fn sees(person: &Person<'_>, expected: &[&str]) {
    let live = person.get("/api/v1/live").await.ok(200);
    assert_eq!(names(&live["streams"]), expected);
    let listed = person.get("/api/v1/users/ada/streams").await;
    match listed.status.as_u16() {
        // Whoever is blocked does not see the owner.
        404 => assert!(expected.is_empty()),
        _ => assert_eq!(names(&listed.ok(200)["items"]), expected),
    }
    let live = person.data("{ live { nodes { name } } }").await;
    assert_eq!(names(&live["live"]["nodes"]), expected);
    for name in ["open", "ours", "mine"] {
        let is_seen = expected.contains(&name);
        for path in [
            format!("/api/v1/streams/{name}"),
            format!("/api/v1/streams/{name}/playback"),
        ] {
            let shown = person.get(&path).await;
            match is_seen {
                true => drop(shown.ok(200)),
                false => drop(shown.problem(404, "not-found")),
            }
        }
        let document = format!(r#"{{ stream(name: "{name}") {{ id }} }}"#);
        let answer = person.graphql(&document).await;
        assert_eq!(answer["errors"].is_null(), is_seen, "{name}: {answer}");
    }
}

async fn a_stream_is_seen_by_whom_it_is_for(app: TestApp) {
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let carl = app.person("carl").await;
    three(&app, &ada).await;
    sees(&ada, &["mine", "open", "ours"]).await;
    sees(&app.anybody(), &["open"]).await;
    sees(&bob, &["open"]).await;
    bob.put("/api/v1/users/ada/follow", &json!({}))
        .await
        .ok(200);
    sees(&bob, &["open", "ours"]).await;
    // A post shows the stream to whom it is for.
    let shows = async |stream: &str| {
        let body = json!({ "text": "look", "stream": stream });
        ada.post("/api/v1/posts", &body).await.ok(201)["id"].clone()
    };
    let posts = [
        shows("open").await,
        shows("ours").await,
        shows("mine").await,
    ];
    let shown = async |person: &Person<'_>| {
        let mut shown = Vec::new();
        for id in &posts {
            let path = format!("/api/v1/posts/{}", id.as_str().unwrap());
            let post = person.get(&path).await.ok(200);
            shown.push(post["stream"]["name"].as_str().map(str::to_owned));
        }
        shown
    };
    let some = |name: &str| Some(name.to_owned());
    assert_eq!(
        shown(&ada).await,
        [some("open"), some("ours"), some("mine")]
    );
    assert_eq!(shown(&bob).await, [some("open"), some("ours"), None]);
    assert_eq!(shown(&carl).await, [some("open"), None, None]);
    // Nobody writes about what they may not see.
    for (person, stream, status) in [
        (&bob, "ours", 201),
        (&bob, "mine", 404),
        (&carl, "ours", 404),
    ] {
        let body = json!({ "text": "look", "stream": stream });
        let answer = person.post("/api/v1/posts", &body).await;
        assert_eq!(answer.status.as_u16(), status, "{stream}");
    }
    // Nor is it told by what else is wrong that there is one.
    for stream in ["mine", "none"] {
        let body = json!({ "text": "\0", "stream": stream });
        let answer = carl.post("/api/v1/posts", &body).await;
        answer.problem(404, "not-found");
    }
    // A request to follow is no follow.
    ada.patch("/api/v1/me", &json!({ "is_private": true }))
        .await
        .ok(200);
    carl.put("/api/v1/users/ada/follow", &json!({}))
        .await
        .ok(200);
    sees(&carl, &["open"]).await;
    ada.put("/api/v1/users/carl/block", &json!({}))
        .await
        .ok(204);
    sees(&carl, &[]).await;
    bob.put("/api/v1/users/ada/block", &json!({})).await.ok(204);
    let live = bob.get("/api/v1/live").await.ok(200);
    assert_eq!(names(&live["streams"]), [""; 0]);
    let row = users::find_by_name(&app.database, "ada").await.unwrap();
    let mut transaction = app.database.write().await.unwrap();
    let suspended = users::suspend(&app.database, &mut transaction, row.unwrap().id, NOW);
    let _told = suspended.await.unwrap();
    transaction.commit().await.unwrap();
    let live = app.anybody().get("/api/v1/live").await.ok(200);
    assert_eq!(names(&live["streams"]), [""; 0]);
    let gone = app.anybody().get("/api/v1/streams/open").await;
    gone.problem(404, "not-found");
}

async fn whom_one_mutes_is_not_listed_as_live(app: TestApp) {
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    three(&app, &ada).await;
    bob.put("/api/v1/users/ada/mute", &json!({})).await.ok(204);
    let live = bob.get("/api/v1/live").await.ok(200);
    assert_eq!(names(&live["streams"]), [""; 0]);
    let live = bob.data("{ live { nodes { name } } }").await;
    assert_eq!(names(&live["live"]["nodes"]), [""; 0]);
    // Asked for by its name or by its owner's, it is there.
    bob.get("/api/v1/streams/open").await.ok(200);
    let listed = bob.get("/api/v1/users/ada/streams").await.ok(200);
    assert_eq!(names(&listed["items"]), ["open"]);
    let live = app.anybody().get("/api/v1/live").await.ok(200);
    assert_eq!(names(&live["streams"]), ["open"]);
}

async fn who_may_play_gets_a_token_where_one_is_needed(app: TestApp) {
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    three(&app, &ada).await;
    bob.put("/api/v1/users/ada/follow", &json!({}))
        .await
        .ok(200);
    let me = bob.get("/api/v1/me").await.ok(200);
    let id = me["id"].as_str().unwrap();
    let open = bob.get("/api/v1/streams/open/playback").await.ok(200);
    assert_eq!(
        open,
        json!({
            "playlist": "/live/open/index.m3u8", "manifest": "/live/open/manifest.mpd",
            "expires_at": null,
        })
    );
    let ours = bob.get("/api/v1/streams/ours/playback").await.ok(200);
    assert_eq!(
        ours,
        json!({
            "playlist": format!("/live/ours/index.m3u8?signed-for={id}"),
            "manifest": format!("/live/ours/manifest.mpd?signed-for={id}"),
            "expires_at": "2027-01-15T09:00:00.000000Z",
        })
    );
    let document =
        r#"{ stream(name: "ours") { playback { playlist } } live { nodes { name playlist } } }"#;
    let data = bob.data(document).await;
    assert_eq!(data["stream"]["playback"]["playlist"], ours["playlist"]);
    let live = data["live"]["nodes"].as_array().unwrap();
    let live = live.iter().find(|one| one["name"] == "ours").unwrap();
    assert_eq!(live["playlist"], ours["playlist"]);
}

async fn what_ends_a_follow_bars_from_playback(app: TestApp) {
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let row = async |name: &str| {
        let row = users::find_by_name(&app.database, name).await.unwrap();
        row.unwrap().id
    };
    let (of_ada, of_bob) = (row("ada").await, row("bob").await);
    let bars = async || {
        let bars = playback_bars::since(&app.database, media::Timestamp::default(), None, 10);
        let bars = bars.await.unwrap();
        bars.iter()
            .map(|bar| (bar.owner, bar.viewer, bar.at))
            .collect::<Vec<_>>()
    };
    let follow = async || {
        bob.put("/api/v1/users/ada/follow", &json!({}))
            .await
            .ok(200)
    };
    make(&ada, "open", json!({})).await;
    follow().await;
    bob.delete("/api/v1/users/ada/follow").await.ok(200);
    assert_eq!(bars().await, [], "everybody may play what she has");
    make(&ada, "ours", json!({ "visibility": "followers" })).await;
    follow().await;
    bob.delete("/api/v1/users/ada/follow").await.ok(200);
    assert_eq!(bars().await, [(of_ada, Some(of_bob), NOW)]);
    for path in ["/api/v1/me/followers/bob", "/api/v1/users/bob/block"] {
        follow().await;
        app.later(media::Micros::from_secs(1));
        match path.ends_with("block") {
            true => ada.put(path, &json!({})).await.ok(204),
            false => ada.delete(path).await.ok(204),
        };
        assert_eq!(bars().await, [(of_ada, Some(of_bob), app.clock.now())]);
    }
    app.later(media::Micros::from_secs(1));
    ada.patch("/api/v1/streams/ours", &json!({ "visibility": "private" }))
        .await
        .ok(200);
    let all = (of_ada, None, app.clock.now());
    assert_eq!(bars().await.last(), Some(&all));
    app.later(media::Micros::from_secs(1));
    ada.patch("/api/v1/streams/ours", &json!({ "title": "x" }))
        .await
        .ok(200);
    assert_eq!(bars().await.last(), Some(&all));
}
