//! Streams, and what every path has.

use axum::body::Body;
use axum::http::{Request, header};
use media::{Clock, Micros, StreamName};
use serde_json::{Value, json};
use social::ServiceError;
use social::accounts::{NewUser, create_user};
use social::rest::MAX_BODY_BYTES;
use social::streams::{create_stream, list_streams};
use storage::rows::{Unique, sessions, stream_keys, streams};

use crate::app::{PASSWORD, TestApp, generous};

on_both_engines! {
    live_streams_are_listed_newest_first,
    live_streams_are_listed_in_pages_on_both_faces,
    head_is_get_without_the_body,
    unknown_paths_are_problems,
    wrong_methods_are_told_the_right_ones,
    a_large_body_is_refused_by_its_announcement,
    a_failing_database_is_a_problem_without_details,
    a_made_stream_can_be_published_to_with_its_key,
    what_is_taken_or_missing_has_a_name,
}

impl TestApp {
    async fn with_live_stream(self, name: &str) -> Self {
        let user = new_user(&format!("owner-of-{name}"));
        let (db, clock) = (&self.database, &*self.clock);
        let owner = create_user(db, clock, user).await.unwrap().id;
        let name = name.parse().unwrap();
        let (stream, _) = create_stream(db, clock, owner, &name).await.unwrap();
        sessions::open_session(db, stream.id, clock.now())
            .await
            .unwrap();
        self.clock.advance(Micros::from_secs(1));
        self
    }
}

fn new_user(name: &str) -> NewUser {
    NewUser {
        name: name.parse().unwrap(),
        email: format!("{name}@example.org").parse().unwrap(),
        password: PASSWORD.parse().unwrap(),
        is_admin: false,
    }
}

async fn live_streams_are_listed_newest_first(app: TestApp) {
    let empty = app.request("GET", "/api/v1/live").await;
    assert_eq!(empty.status, 200);
    assert_eq!(empty.json(), json!({ "streams": [], "next": null }));

    let app = app.with_live_stream("one").await;
    let app = app.with_live_stream("two").await;
    let answer = app.request("GET", "/api/v1/live").await;
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(
        answer.json(),
        json!({ "streams": [
            {
                "name": "two",
                "title": "two",
                "owner": "owner-of-two",
                "started_at": "2027-01-15T08:00:01.000000Z",
                "viewers": 0,
                "playlist": "/live/two/index.m3u8",
                "manifest": "/live/two/manifest.mpd",
            },
            {
                "name": "one",
                "title": "one",
                "owner": "owner-of-one",
                "started_at": "2027-01-15T08:00:00.000000Z",
                "viewers": 0,
                "playlist": "/live/one/index.m3u8",
                "manifest": "/live/one/manifest.mpd",
            },
        ], "next": null })
    );
}

async fn live_streams_are_listed_in_pages_on_both_faces(app: TestApp) {
    let mut app = app;
    for name in ["one", "two", "three"] {
        app = app.with_live_stream(name).await;
    }
    let anybody = app.anybody();
    let names = |streams: &Value| -> Vec<String> {
        let streams = streams.as_array().unwrap().iter();
        let name = |stream: &Value| stream["name"].as_str().unwrap().to_owned();
        streams.map(name).collect()
    };
    let first = anybody.get("/api/v1/live?first=2").await.ok(200);
    assert_eq!(names(&first["streams"]), ["three", "two"]);
    let next = first["next"].as_str().unwrap();
    let rest = format!("/api/v1/live?first=2&after={next}");
    let last = anybody.get(&rest).await.ok(200);
    assert_eq!(names(&last["streams"]), ["one"]);
    assert_eq!(last["next"], Value::Null);
    let refused = anybody.get("/api/v1/live?first=0").await;
    refused.problem(400, "validation");

    let fields = "nodes { name } pageInfo { hasNextPage endCursor }";
    let page = async |arguments: &str| {
        let document = format!("{{ live({arguments}) {{ {fields} }} }}");
        anybody.data(&document).await["live"].take()
    };
    let first = page("first: 2").await;
    assert_eq!(names(&first["nodes"]), ["three", "two"]);
    let info = json!({ "hasNextPage": true, "endCursor": next });
    assert_eq!(first["pageInfo"], info);
    let last = page(&format!("first: 2, after: \"{next}\"")).await;
    assert_eq!(names(&last["nodes"]), ["one"]);
    assert_eq!(last["pageInfo"]["hasNextPage"], false);
}

#[tokio::test]
async fn playback_is_where_the_edge_is() {
    let base = "http://edge.example.org:8081/".parse().unwrap();
    let app = TestApp::with_playback_base(generous(), base).await;
    let app = app.with_live_stream("demo").await;
    let answer = app.request("GET", "/api/v1/live").await.json();
    let entry = &answer["streams"][0];
    let edge = "http://edge.example.org:8081/live/demo";
    assert_eq!(entry["playlist"], format!("{edge}/index.m3u8"));
    assert_eq!(entry["manifest"], format!("{edge}/manifest.mpd"));
}

async fn head_is_get_without_the_body(app: TestApp) {
    let answer = app.request("HEAD", "/api/v1/live").await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""));
}

async fn unknown_paths_are_problems(app: TestApp) {
    for path in [
        "/",
        "/api",
        "/api/v2/live",
        "/api/v1",
        "/graphqlx",
        "/ws/",
        "/live/demo",
    ] {
        let answer = app.request("GET", path).await;
        let detail = answer.problem(404, "not-found");
        assert_eq!(detail, "Nothing is at this path.");
    }
}

async fn wrong_methods_are_told_the_right_ones(app: TestApp) {
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = app.request(method, "/api/v1/live").await;
        let detail = answer.problem(405, "method-not-allowed");
        let expected = "This path does not take this method; see the Allow header.";
        assert_eq!(detail, expected);
        assert_eq!(answer.headers[header::ALLOW], "GET,HEAD");
    }
}

async fn a_large_body_is_refused_by_its_announcement(app: TestApp) {
    for (bytes, status) in [(MAX_BODY_BYTES, 415), (MAX_BODY_BYTES + 1, 413)] {
        let request = Request::post("/api/v1/registrations").header(header::CONTENT_LENGTH, bytes);
        let answer = app.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status.as_u16(), status);
    }
}

async fn a_failing_database_is_a_problem_without_details(app: TestApp) {
    app.database.close().await;
    let answer = app.request("GET", "/api/v1/live").await;
    let detail = answer.problem(500, "internal");
    assert_eq!(detail, "The server failed; its log says why.");
}

async fn a_made_stream_can_be_published_to_with_its_key(app: TestApp) {
    let (db, clock) = (&app.database, &*app.clock);
    let owner = create_user(db, clock, new_user("ada")).await.unwrap();
    let name: StreamName = "demo".parse().unwrap();
    let (stream, key) = create_stream(db, clock, owner.id, &name).await.unwrap();
    let found = stream_keys::find_stream_by_key(db, key.reveal(), clock.now()).await;
    assert_eq!(found.unwrap().map(|found| found.stream), Some(stream));
    let listed = list_streams(db, None, 10).await.unwrap();
    assert_eq!((listed.len(), listed[0].is_live()), (1, false));
    let live = streams::live(db, None, None, 10).await.unwrap();
    assert_eq!(live.rows, []);
}

async fn what_is_taken_or_missing_has_a_name(app: TestApp) {
    let (db, clock) = (&app.database, &*app.clock);
    let owner = create_user(db, clock, new_user("ada")).await.unwrap();
    let error = create_user(db, clock, new_user("ADA")).await.unwrap_err();
    assert!(matches!(error, ServiceError::Taken(Unique::UserName)));
    let name: StreamName = "demo".parse().unwrap();
    create_stream(db, clock, owner.id, &name).await.unwrap();
    let error = create_stream(db, clock, owner.id, &name).await.unwrap_err();
    assert!(matches!(error, ServiceError::Taken(Unique::StreamName)));
    let nobody = media::UserId::new();
    let name = "other".parse().unwrap();
    let error = create_stream(db, clock, nobody, &name).await.unwrap_err();
    assert!(matches!(error, ServiceError::NotFound(what) if what == "user"));
}
