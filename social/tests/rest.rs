//! The REST face, request by request, on a real database file.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use media::{Clock, ManualClock, Micros, StreamName, Timestamp};
use serde_json::{Value, json};
use social::accounts::{NewUser, create_user};
use social::rest::{MAX_BODY_BYTES, PlaybackBase};
use social::streams::{create_stream, list_live, list_streams};
use social::{AppState, ServiceError, router};
use storage::Database;
use storage::rows::{Entity, IfMissing, Unique, sessions, stream_keys};
use tempfile::TempDir;
use tower::ServiceExt;

struct TestApp {
    database: Database,
    clock: Arc<ManualClock>,
    router: Router,
    _directory: TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl TestApp {
    async fn new() -> Self {
        Self::with_playback_base(PlaybackBase::same_origin()).await
    }

    async fn with_playback_base(playback_base: PlaybackBase) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("nova.db").display());
        let database = Database::open(&url, IfMissing::Create).await.unwrap();
        database.migrate().await.unwrap();
        let state = AppState {
            database: database.clone(),
            playback_base,
        };
        // 2027-01-15T08:00:00Z.
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        Self {
            database,
            clock: Arc::new(ManualClock::new(now)),
            router: router(state),
            _directory: directory,
        }
    }

    async fn request(&self, method: &str, path: &str) -> Answer {
        let request = Request::builder().method(method).uri(path);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        Answer {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

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
        password: "correct horse".parse().unwrap(),
        is_admin: false,
    }
}

/// What RFC 9457 asks of every problem, and one sentence of ours.
fn assert_problem(answer: &Answer, status: u16, detail: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
    assert_eq!(
        answer.headers[header::CONTENT_TYPE],
        "application/problem+json"
    );
    let problem = answer.json();
    assert_eq!(problem["type"], "about:blank");
    assert_eq!(problem["status"], status);
    assert_eq!(problem["title"], answer.status.canonical_reason().unwrap());
    assert!(problem["code"].is_string());
    assert_eq!(problem["detail"], detail);
}

#[tokio::test]
async fn live_streams_are_listed_newest_first() {
    let app = TestApp::new().await;
    let empty = app.request("GET", "/api/v1/live").await;
    assert_eq!(empty.status, 200);
    assert_eq!(empty.json(), json!({ "streams": [] }));

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
                "started_at": "2027-01-15T08:00:01.000Z",
                "playlist": "/live/two/index.m3u8",
                "manifest": "/live/two/manifest.mpd",
            },
            {
                "name": "one",
                "started_at": "2027-01-15T08:00:00.000Z",
                "playlist": "/live/one/index.m3u8",
                "manifest": "/live/one/manifest.mpd",
            },
        ] })
    );
}

#[tokio::test]
async fn playback_is_where_the_edge_is() {
    let base = "http://edge.example.org:8081/".parse().unwrap();
    let app = TestApp::with_playback_base(base).await;
    let app = app.with_live_stream("demo").await;
    let answer = app.request("GET", "/api/v1/live").await.json();
    let entry = &answer["streams"][0];
    let edge = "http://edge.example.org:8081/live/demo";
    assert_eq!(entry["playlist"], format!("{edge}/index.m3u8"));
    assert_eq!(entry["manifest"], format!("{edge}/manifest.mpd"));
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let app = TestApp::new().await;
    let answer = app.request("HEAD", "/api/v1/live").await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""));
}

#[tokio::test]
async fn what_comes_later_says_so_in_one_sentence() {
    let app = TestApp::new().await;
    for (path, what) in [
        ("/api/v1", "The REST API beyond GET /api/v1/live"),
        ("/api/v1/", "The REST API beyond GET /api/v1/live"),
        (
            "/api/v1/users/ada?x=y",
            "The REST API beyond GET /api/v1/live",
        ),
        ("/openapi.json", "The OpenAPI document"),
        ("/graphql", "The GraphQL API"),
        ("/graphql/ws", "The GraphQL API"),
        ("/ws", "The WebSocket for chat and events"),
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let detail = format!("{what} is not part of this version.");
            assert_problem(&app.request(method, path).await, 501, &detail);
        }
    }
}

#[tokio::test]
async fn unknown_paths_are_problems() {
    let app = TestApp::new().await;
    for path in [
        "/",
        "/api",
        "/api/v2/live",
        "/graphqlx",
        "/ws/",
        "/live/demo",
    ] {
        let answer = app.request("GET", path).await;
        assert_problem(&answer, 404, "Nothing is at this path.");
    }
}

#[tokio::test]
async fn wrong_methods_are_told_the_right_ones() {
    let app = TestApp::new().await;
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = app.request(method, "/api/v1/live").await;
        let detail = "This path does not take this method; see the Allow header.";
        assert_problem(&answer, 405, detail);
        assert_eq!(answer.headers[header::ALLOW], "GET,HEAD");
    }
}

#[tokio::test]
async fn a_large_body_is_refused_by_its_announcement() {
    let app = TestApp::new().await;
    for (bytes, status) in [(MAX_BODY_BYTES, 501), (MAX_BODY_BYTES + 1, 413)] {
        let request = Request::post("/api/v1/users").header(header::CONTENT_LENGTH, bytes);
        let answer = app.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status.as_u16(), status);
    }
}

#[tokio::test]
async fn a_failing_database_is_a_problem_without_details() {
    let app = TestApp::new().await;
    app.database.close().await;
    let answer = app.request("GET", "/api/v1/live").await;
    assert_problem(&answer, 500, "The server failed; its log says why.");
}

#[tokio::test]
async fn a_made_stream_can_be_published_to_with_its_key() {
    let app = TestApp::new().await;
    let (db, clock) = (&app.database, &*app.clock);
    let owner = create_user(db, clock, new_user("ada")).await.unwrap();
    let name: StreamName = "demo".parse().unwrap();
    let (stream, key) = create_stream(db, clock, owner.id, &name).await.unwrap();
    let found = stream_keys::find_stream_by_key(db, key.reveal()).await;
    assert_eq!(found.unwrap(), Some(stream));
    let listed = list_streams(db, None, 10).await.unwrap();
    assert_eq!((listed.len(), listed[0].live), (1, false));
    assert_eq!(list_live(db, 10).await.unwrap(), []);
}

#[tokio::test]
async fn what_is_taken_or_missing_has_a_name() {
    let app = TestApp::new().await;
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
    assert!(matches!(error, ServiceError::NotFound(Entity::User)));
}
