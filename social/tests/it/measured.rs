//! What is measured of streams, their recordings, who watches, and who watched.

use std::collections::HashSet;

use media::{Clock, EpochNumber, Micros, NodeId, SegmentNumber, SessionId, StreamId, StreamName};
use serde_json::{Value, json};
use storage::rows::segments::{self, EpochRow};
use storage::rows::stream_status::{
    self, Gop, Ingest, Measured, MeasuredRendition, RenditionKind, RenditionState, STALE, Sample,
    VideoIngest, Worker, WorkerState,
};
use storage::rows::{sessions, streams};

use crate::app::{Person, TestApp, generous};
use crate::stream_control::make;

on_both_engines! {
    a_status_is_what_was_measured_while_it_is_fresh,
    a_status_is_for_the_owner_and_for_moderators,
    a_viewer_joins_stays_and_leaves,
    a_viewer_sees_the_stream_and_it_is_live,
    viewers_who_come_at_once_are_all_counted,
    whoever_has_logged_in_is_one_viewer_in_all_tabs,
    recordings_come_in_pages_for_whom_the_stream_is_for,
    analytics_have_the_minutes_of_a_period,
    analytics_are_for_the_owner_and_of_a_day_at_most,
}

async fn id_of(app: &TestApp, name: &str) -> StreamId {
    let name: StreamName = name.parse().unwrap();
    let found = streams::by_name(&app.database, &name).await.unwrap();
    found.unwrap().id
}

async fn go_live(app: &TestApp, name: &str) -> SessionId {
    let stream = id_of(app, name).await;
    let opened = sessions::open_session(&app.database, stream, app.clock.now()).await;
    opened.unwrap().session.id
}

fn measured(app: &TestApp) -> Measured {
    let since = app.clock.now();
    Measured {
        ingest: Some(Ingest {
            since,
            bit_rate: 2_500_000,
            delay: 0.5,
            video: Some(VideoIngest {
                codec: "avc1.64001f".to_owned(),
                width: 1_280,
                height: 720,
                bit_rate: 2_500_000,
                frame_rate: Some(30.0),
                gop: Some(Gop {
                    seconds: 2.0,
                    frames: 60,
                }),
            }),
            audio: None,
        }),
        worker: Some(Worker {
            state: WorkerState::Running,
            engine: "ffmpeg".to_owned(),
            encoder: "software".to_owned(),
            restarts: 2,
        }),
        renditions: vec![MeasuredRendition {
            name: "360p".to_owned(),
            kind: RenditionKind::Video,
            state: RenditionState::Shed,
            since,
            reason: Some("the machine is fully used".to_owned()),
            codec: Some("avc1.64001e".to_owned()),
            width: Some(640),
            height: Some(360),
            sample_rate: None,
            channels: None,
            target_bit_rate: Some(800_000),
            bit_rate: 0,
        }],
    }
}

/// What the process does every so often that has the stream; who watches did so for `seconds`.
async fn sample(app: &TestApp, name: &str, session: SessionId, seconds: i64) {
    let sample = Sample {
        stream: id_of(app, name).await,
        session,
        node: NodeId::new(),
        measured: measured(app),
        elapsed: Micros::from_secs(seconds),
    };
    stream_status::keep(&app.database, &[sample], app.clock.now())
        .await
        .unwrap();
}

async fn status(person: &Person<'_>) -> Value {
    person.get("/api/v1/streams/garden/status").await.ok(200)
}

async fn a_status_is_what_was_measured_while_it_is_fresh(app: TestApp) {
    let ada = app.person("ada").await;
    let made = make(&ada, "garden", json!({})).await;
    let nothing = json!({
        "name": "garden", "state": "offline", "since": null, "measured_at": null, "node": null,
        "viewers": 0, "ingest": null, "worker": null, "renditions": [],
    });
    assert_eq!(status(&ada).await, nothing);
    let session = go_live(&app, "garden").await;
    let began = &made["stream"]["created_at"];
    let live = status(&ada).await;
    assert_eq!((&live["state"], &live["since"]), (&json!("live"), began));
    assert_eq!(live["measured_at"], Value::Null);

    sample(&app, "garden", session, 0).await;
    let live = status(&ada).await;
    assert_eq!(&live["measured_at"], began);
    assert!(live["node"].is_string());
    assert_eq!(
        live["ingest"],
        json!({
            "since": began, "bit_rate": 2_500_000, "delay": 0.5, "audio": null,
            "video": {
                "codec": "avc1.64001f", "width": 1_280, "height": 720, "bit_rate": 2_500_000,
                "frame_rate": 30.0, "gop_seconds": 2.0, "gop_frames": 60,
            },
        })
    );
    assert_eq!(
        live["worker"],
        json!({ "state": "running", "engine": "ffmpeg", "encoder": "software", "restarts": 2 })
    );
    assert_eq!(
        live["renditions"],
        json!([{
            "name": "360p", "kind": "video", "state": "shed", "since": began,
            "reason": "the machine is fully used", "codec": "avc1.64001e", "width": 640,
            "height": 360, "sample_rate": null, "channels": null, "target_bit_rate": 800_000,
            "bit_rate": 0,
        }])
    );
    let document = r#"{ streamStatus(name: "garden") {
        state measuredAt viewers ingest { video { frameRate gopFrames } audio { codec } }
        worker { state restarts } renditions { name kind state targetBitRate } } }"#;
    let by_graphql = &ada.data(document).await["streamStatus"];
    assert_eq!(by_graphql["state"], "LIVE");
    assert_eq!(&by_graphql["measuredAt"], began);
    assert_eq!(by_graphql["ingest"]["video"]["frameRate"], 30.0);
    assert_eq!(by_graphql["renditions"][0]["state"], "SHED");

    app.later(Micros::from_secs(5));
    let left = app.clock.now();
    sessions::publisher_left(&app.database, session, left)
        .await
        .unwrap();
    let waiting = status(&ada).await;
    assert_eq!(waiting["state"], "waiting");
    assert_ne!(&waiting["since"], began);
    assert!(waiting["ingest"].is_object(), "as it was last measured");
    app.later(STALE);
    let stale = status(&ada).await;
    assert_eq!(stale["state"], "waiting");
    assert_eq!(stale["measured_at"], Value::Null);
    assert_eq!(
        (&stale["ingest"], &stale["node"]),
        (&Value::Null, &Value::Null)
    );
    sessions::end_session(&app.database, session, app.clock.now())
        .await
        .unwrap();
    let ended = status(&ada).await;
    assert_eq!(ended["state"], "offline");
    assert!(ended["since"].is_string());
}

async fn a_status_is_for_the_owner_and_for_moderators(app: TestApp) {
    app.administrator("root").await;
    let (ada, bob) = (app.person("ada").await, app.person("bob").await);
    let root = app.logged_in("root").await;
    make(&ada, "garden", json!({ "visibility": "private" })).await;
    make(&ada, "open", json!({})).await;
    let answer = async |person: &Person<'_>, name: &str| {
        let path = format!("/api/v1/streams/{name}/status");
        person.get(&path).await
    };
    for name in ["garden", "open"] {
        answer(&ada, name).await.ok(200);
        // Whoever it is for.
        answer(&root, name).await.ok(200);
        let anybody = answer(&app.anybody(), name).await;
        anybody.problem(401, "unauthenticated");
    }
    answer(&bob, "open").await.problem(403, "forbidden");
    answer(&bob, "garden").await.problem(404, "not-found");
    answer(&root, "nothing").await.problem(404, "not-found");
    let document = r#"{ streamStatus(name: "open") { state } }"#;
    assert_eq!(bob.graphql_code(document).await, "forbidden");
    root.data(document).await;
}

/// Who watches, as the stream, the live list, the status and GraphQL say it.
async fn watching(ada: &Person<'_>) -> Value {
    let viewers = status(ada).await["viewers"].clone();
    let stream = ada.get("/api/v1/streams/garden").await.ok(200);
    assert_eq!(stream["viewers"], viewers);
    let live = ada.get("/api/v1/live").await.ok(200);
    assert_eq!(live["streams"][0]["viewers"], viewers);
    let document = r#"{ stream(name: "garden") { viewers } live { nodes { viewers } } }"#;
    let by_graphql = ada.data(document).await;
    assert_eq!(by_graphql["stream"]["viewers"], viewers);
    assert_eq!(by_graphql["live"]["nodes"][0]["viewers"], viewers);
    viewers
}

const VIEWERS: &str = "/api/v1/streams/garden/viewers";

async fn join(person: &Person<'_>) -> String {
    let joined = person.post(VIEWERS, &Value::Null).await.ok(201);
    assert_eq!(joined["beat_seconds"], 30);
    let id = joined["id"].as_str().unwrap();
    format!("{VIEWERS}/{id}")
}

async fn a_viewer_joins_stays_and_leaves(app: TestApp) {
    let ada = app.person("ada").await;
    make(&ada, "garden", json!({})).await;
    let session = go_live(&app, "garden").await;
    let anybody = app.anybody();
    let one = join(&anybody).await;
    let two = join(&ada).await;
    assert_eq!(watching(&ada).await, 0, "nobody has counted yet");
    sample(&app, "garden", session, 0).await;
    assert_eq!(watching(&ada).await, 2);

    anybody.delete(&two).await.ok(204);
    anybody.delete(&two).await.ok(204);
    let nowhere = two.replace("/garden/", "/X/");
    anybody.delete(&nowhere).await.ok(204);
    let nobody = anybody.delete(&format!("{VIEWERS}/x")).await;
    nobody.problem(404, "not-found");
    app.later(Micros::from_secs(5));
    sample(&app, "garden", session, 5).await;
    assert_eq!(watching(&ada).await, 1);
    let gone = ada.put(&two, &Value::Null).await;
    gone.problem(404, "not-found");

    // It goes on for as long as it beats.
    for _ in 0..4 {
        app.later(Micros::from_secs(30));
        let stays = anybody.put(&one, &Value::Null).await.ok(200);
        assert!(one.ends_with(stays["id"].as_str().unwrap()));
    }
    sample(&app, "garden", session, 5).await;
    assert_eq!(watching(&ada).await, 1);
    app.later(Micros::from_secs(75));
    sample(&app, "garden", session, 5).await;
    assert_eq!(watching(&ada).await, 0);

    let joined = anybody
        .data(r#"mutation { joinStream(name: "garden") { id beatSeconds viewers } }"#)
        .await;
    let id = joined["joinStream"]["id"].as_str().unwrap();
    let document = |mutation: &str, rest: &str| {
        format!(r#"mutation {{ {mutation}(name: "garden", viewer: "{id}") {rest} }}"#)
    };
    let stays = anybody.data(&document("stayInStream", "{ id }")).await;
    assert_eq!(stays["stayInStream"]["id"], id);
    anybody.data(&document("leaveStream", "")).await;
    let stays = document("stayInStream", "{ id }");
    assert_eq!(anybody.graphql_code(&stays).await, "not-found");
}

async fn a_viewer_sees_the_stream_and_it_is_live(app: TestApp) {
    let (ada, bob) = (app.person("ada").await, app.person("bob").await);
    make(&ada, "garden", json!({ "visibility": "followers" })).await;
    let offline = ada.post(VIEWERS, &Value::Null).await;
    offline.problem(409, "conflict");
    let session = go_live(&app, "garden").await;
    bob.post(VIEWERS, &Value::Null)
        .await
        .problem(404, "not-found");
    bob.put("/api/v1/users/ada/follow", &json!({}))
        .await
        .ok(200);
    let viewer = join(&bob).await;
    bob.put(&viewer, &Value::Null).await.ok(200);
    // Who may not see it any more does not watch it either.
    bob.delete("/api/v1/users/ada/follow").await.ok(200);
    let beat = bob.put(&viewer, &Value::Null).await;
    beat.problem(404, "not-found");
    let viewer = join(&ada).await;
    sessions::end_session(&app.database, session, app.clock.now())
        .await
        .unwrap();
    let ended = ada.put(&viewer, &Value::Null).await;
    ended.problem(409, "conflict");
}

async fn viewers_who_come_at_once_are_all_counted(app: TestApp) {
    let ada = app.person("ada").await;
    make(&ada, "garden", json!({})).await;
    let session = go_live(&app, "garden").await;
    let anybody = app.anybody();
    let joined = futures_util::future::join_all((0..200).map(|_| join(&anybody))).await;
    let ids: HashSet<_> = joined.iter().collect();
    assert_eq!(ids.len(), 200);
    app.later(Micros::from_secs(60));
    // The first half leaves, and the others go on.
    let (leave, stay) = joined.split_at(100);
    let left = futures_util::future::join_all(leave.iter().map(|one| anybody.delete(one)));
    let nothing = Value::Null;
    let beats = futures_util::future::join_all(stay.iter().map(|one| ada.put(one, &nothing)));
    let (left, beats) = tokio::join!(left, beats);
    for answer in left {
        answer.ok(204);
    }
    for answer in beats {
        answer.ok(200);
    }
    app.later(Micros::from_secs(60));
    sample(&app, "garden", session, 5).await;
    assert_eq!(watching(&ada).await, 100);
}

async fn whoever_has_logged_in_is_one_viewer_in_all_tabs(app: TestApp) {
    let (ada, bob) = (app.person("ada").await, app.person("bob").await);
    make(&ada, "garden", json!({})).await;
    let session = go_live(&app, "garden").await;
    let tab = join(&ada).await;
    assert_eq!(join(&ada).await, tab);
    let phone = app.logged_in("ada").await.at("198.51.100.7");
    assert_eq!(join(&phone).await, tab);
    let of_bob = join(&bob).await;
    assert_ne!(of_bob, tab);
    // Before somebody has logged in they are another.
    let (one, other) = (join(&app.anybody()).await, join(&app.anybody()).await);
    assert_ne!(one, other);
    sample(&app, "garden", session, 0).await;
    assert_eq!(watching(&ada).await, 4);
    // Another stream is another's.
    make(&bob, "attic", json!({})).await;
    go_live(&app, "attic").await;
    let elsewhere = "/api/v1/streams/attic/viewers";
    let elsewhere = ada.post(elsewhere, &Value::Null).await.ok(201);
    assert!(!tab.ends_with(elsewhere["id"].as_str().unwrap()));
    ada.delete(&tab).await.ok(204);
    ada.put(&tab, &Value::Null).await.problem(404, "not-found");
    assert_ne!(join(&ada).await, tab);
}

#[tokio::test]
async fn one_network_joins_so_often() {
    let mut settings = generous();
    settings.limits.viewers_per_minute = 2;
    let app = TestApp::with(settings).await;
    let ada = app.person("ada").await;
    make(&ada, "garden", json!({})).await;
    go_live(&app, "garden").await;
    let anybody = app.anybody();
    let viewer = join(&anybody).await;
    join(&anybody).await;
    let refused = anybody.post(VIEWERS, &Value::Null).await;
    assert!(refused.problem(429, "rate-limited").contains("viewers"));
    // Others join, and whoever has joined goes on.
    join(&app.anybody().at("198.51.100.7")).await;
    anybody.put(&viewer, &Value::Null).await.ok(200);
    // Nor has it more at once, however slowly they come.
    app.later(Micros::from_secs(60));
    let refused = anybody.post(VIEWERS, &Value::Null).await;
    assert!(refused.problem(409, "conflict").contains("one network"));
    join(&ada).await;
    anybody.delete(&viewer).await.ok(204);
    join(&anybody).await;
}

/// A broadcast of `seconds` that is recorded, in as many segments of 1,000 bytes.
pub(crate) async fn record(app: &TestApp, name: &str, first: u64, seconds: u64) {
    let (db, stream) = (&app.database, id_of(app, name).await);
    let session = go_live(app, name).await;
    let epoch = EpochRow {
        number: EpochNumber(first as u32),
        session,
        first_segment: SegmentNumber(first),
        started_at: app.clock.now(),
        target_duration: 1,
    };
    segments::insert_epoch(db, stream, &epoch).await.unwrap();
    segments_of(app, stream, &epoch, seconds).await;
    app.later(Micros::from_secs(seconds as i64));
    sessions::end_session(db, session, app.clock.now())
        .await
        .unwrap();
}

/// Rows as the archive writes them, of one made-up rendition.
async fn segments_of(app: &TestApp, stream: StreamId, epoch: &EpochRow, count: u64) {
    let mut transaction = app.database.write().await.unwrap();
    storage::rows::sql::query(
        "INSERT INTO renditions (stream_id, epoch, name, kind, codecs, codec_config, bit_rate,
                                 frame_duration_us)
         VALUES ($1, $2, 'source', 'video', 'avc1', $3, 1, 1)",
    )
    .bind(stream)
    .bind(epoch.number)
    .bind(vec![0_u8])
    .execute(&mut transaction)
    .await
    .unwrap();
    for n in 0..count {
        let start = epoch.started_at + Micros::from_secs(n as i64);
        storage::rows::sql::query(
            "INSERT INTO segments (stream_id, number, rendition, epoch, start, duration, size)
             VALUES ($1, $2, 'source', $3, $4, 1000000, 1000)",
        )
        .bind(stream)
        .bind(epoch.first_segment.0 + n)
        .bind(epoch.number)
        .bind(start)
        .execute(&mut transaction)
        .await
        .unwrap();
    }
    transaction.commit().await.unwrap();
}

async fn recordings_come_in_pages_for_whom_the_stream_is_for(app: TestApp) {
    let (ada, bob) = (app.person("ada").await, app.person("bob").await);
    make(&ada, "garden", json!({ "recording": true })).await;
    for (first, seconds) in [(0, 4), (10, 2)] {
        record(&app, "garden", first, seconds).await;
    }
    let path = "/api/v1/streams/garden/recordings";
    let all = app.anybody().get(path).await.ok(200);
    assert_eq!(all["next"], Value::Null);
    let items = all["items"].as_array().unwrap();
    let told: Vec<_> = items
        .iter()
        .map(|item| {
            (
                item["duration"].as_f64().unwrap(),
                item["size"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [(2.0, 2_000), (4.0, 4_000)], "the newest first");
    let id = items[0]["id"].as_str().unwrap();
    let expected = json!({
        "id": id, "title": "garden", "state": "finishing", "started_at": items[0]["started_at"],
        "ended_at": items[0]["ended_at"], "duration": 2.0, "size": 2_000,
        "playlist": format!("/vod/{id}/index.m3u8"), "manifest": format!("/vod/{id}/manifest.mpd"),
        "poster": format!("/vod/{id}/poster.jpg"), "expires_at": null,
    });
    assert_eq!(items[0], expected);
    assert!(items[0]["started_at"].as_str() < items[0]["ended_at"].as_str());

    let first = app.anybody().get(&format!("{path}?first=1")).await.ok(200);
    assert_eq!(first["items"], json!([items[0]]));
    let next = first["next"].as_str().unwrap();
    let rest = app.anybody().get(&format!("{path}?after={next}")).await;
    assert_eq!(rest.ok(200)["items"], json!([items[1]]));
    let document = r#"{ stream(name: "garden") {
        recordings(first: 1) { nodes { id state duration size playlist } } } }"#;
    let by_graphql = app.anybody().data(document).await;
    assert_eq!(
        by_graphql["stream"]["recordings"]["nodes"],
        json!([{
            "id": id, "state": "FINISHING", "duration": 2.0, "size": 2_000,
            "playlist": format!("/vod/{id}/index.m3u8"),
        }])
    );

    // With a token of whoever asks, and for nobody else.
    let mine = json!({ "visibility": "private" });
    ada.patch("/api/v1/streams/garden", &mine).await.ok(200);
    let me = ada.get("/api/v1/me").await.ok(200)["id"].clone();
    let shown = ada.get(path).await.ok(200)["items"][0].clone();
    let signed = format!("/vod/{id}/index.m3u8?signed-for={}", me.as_str().unwrap());
    assert_eq!(shown["playlist"], signed);
    assert!(shown["expires_at"].is_string());
    for other in [&bob, &app.anybody()] {
        other.get(path).await.problem(404, "not-found");
    }
}

/// A day has 1,441 minutes: a document does not ask for many of them.
#[tokio::test]
async fn analytics_count_as_the_list_that_they_are() {
    let app = TestApp::new().await;
    let ada = app.person("ada").await;
    make(&ada, "garden", json!({})).await;
    let one = r#"streamAnalytics(name: "garden") {
        from to minutes { at viewers } peak { at viewers } watchSeconds broadcasts liveSeconds }"#;
    ada.data(&format!("{{ {one} }}")).await;
    let refused = ada.graphql(&format!("{{ a: {one} b: {one} }}")).await;
    assert_eq!(refused["data"], Value::Null, "{refused}");
    let message = refused["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("complex"), "{message}");
}

const ANALYTICS: &str = "/api/v1/streams/garden/analytics";

async fn analytics_have_the_minutes_of_a_period(app: TestApp) {
    let ada = app.person("ada").await;
    make(&ada, "garden", json!({})).await;
    let session = go_live(&app, "garden").await;
    sample(&app, "garden", session, 0).await;
    let (one, _) = (join(&app.anybody()).await, join(&app.anybody()).await);
    app.later(Micros::from_secs(5));
    sample(&app, "garden", session, 5).await;
    app.anybody().delete(&one).await.ok(204);
    app.later(Micros::from_secs(55));
    sample(&app, "garden", session, 5).await;
    app.later(Micros::from_secs(60));
    sessions::end_session(&app.database, session, app.clock.now())
        .await
        .unwrap();

    let minutes = json!([
        { "at": "2027-01-15T08:00:00.000000Z", "viewers": 2 },
        { "at": "2027-01-15T08:01:00.000000Z", "viewers": 1 },
    ]);
    let told = ada.get(ANALYTICS).await.ok(200);
    assert_eq!(
        told,
        json!({
            "from": "2027-01-15T07:02:00.000000Z", "to": "2027-01-15T08:02:00.000000Z",
            "minutes": minutes, "peak": minutes[0], "watch_seconds": 15,
            "broadcasts": 1, "live_seconds": 120,
        })
    );
    let period = "?from=2027-01-15T09:01:00%2B01:00&to=2027-01-15T08:01:30Z";
    let told = ada.get(&format!("{ANALYTICS}{period}")).await.ok(200);
    assert_eq!(told["from"], "2027-01-15T08:01:00.000000Z");
    assert_eq!(told["minutes"], json!([minutes[1]]));
    assert_eq!(
        (&told["broadcasts"], &told["live_seconds"]),
        (&json!(1), &json!(30))
    );
    let period = "?from=2027-01-14T08:00:00Z&to=2027-01-15T08:00:00Z";
    let nothing = ada.get(&format!("{ANALYTICS}{period}")).await.ok(200);
    assert_eq!(
        (&nothing["minutes"], &nothing["peak"]),
        (&json!([]), &Value::Null)
    );
    assert_eq!(nothing["broadcasts"], 0);
    let document = r#"{ streamAnalytics(name: "garden", to: "2027-01-15T08:02:00Z") {
        from minutes { at viewers } peak { viewers } watchSeconds broadcasts liveSeconds } }"#;
    let by_graphql = ada.data(document).await;
    assert_eq!(
        by_graphql["streamAnalytics"],
        json!({
            "from": "2027-01-15T07:02:00.000000Z", "minutes": minutes, "peak": { "viewers": 2 },
            "watchSeconds": 15, "broadcasts": 1, "liveSeconds": 120,
        })
    );
}

async fn analytics_are_for_the_owner_and_of_a_day_at_most(app: TestApp) {
    app.administrator("root").await;
    let (ada, bob) = (app.person("ada").await, app.person("bob").await);
    make(&ada, "garden", json!({})).await;
    for other in [&bob, &app.logged_in("root").await] {
        other.get(ANALYTICS).await.problem(403, "forbidden");
    }
    let anybody = app.anybody().get(ANALYTICS).await;
    anybody.problem(401, "unauthenticated");
    for (period, part) in [
        (
            "from=2027-01-13T08:00:00Z&to=2027-01-14T08:00:01Z",
            "a day at most",
        ),
        (
            "from=2027-01-14T08:00:00Z&to=2027-01-14T08:00:00Z",
            "before `to`",
        ),
        ("from=2027-01-14", "RFC 3339"),
        ("to=1", "RFC 3339"),
    ] {
        let refused = ada.get(&format!("{ANALYTICS}?{period}")).await;
        let told = refused.problem(400, "validation");
        assert!(told.contains(part), "{period}: {told}");
    }
}
