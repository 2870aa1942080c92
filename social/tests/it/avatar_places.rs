//! Pictures of people that are sent at once: as many as there are places, few of one person, and
//! none of somebody who was logged out meanwhile.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{StatusCode, header};
use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tower::ServiceExt;

use crate::app::{Answer, Person, TestApp};
use crate::avatar_uploads::{BOUNDARY, DOCUMENT, MAP, body, operations, post};
use crate::avatars::{PATH, png, send};

const PLACES: usize = 16;
const PLACES_OF_ONE: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Face {
    Rest,
    GraphQl,
}

impl Face {
    fn body(self, picture: u8) -> Vec<u8> {
        let file = png(picture);
        match self {
            Self::Rest => file,
            Self::GraphQl => body(&[
                ("operations", &operations(DOCUMENT)),
                ("map", MAP),
                ("0", &file),
            ]),
        }
    }

    /// Sends a picture as a whole.
    async fn send(self, person: &Person<'_>, picture: u8) -> Answer {
        let body = self.body(picture);
        match self {
            Self::Rest => send(person, "image/png", body).await,
            Self::GraphQl => post(person, body).await,
        }
    }

    /// Begins to send a picture, and returns when its end is waited for.
    async fn begin(self, person: &Person<'_>, picture: u8) -> Sending {
        let mut start = self.body(picture);
        let end = start.split_off(start.len() - 60);
        let (ask, asked) = oneshot::channel();
        let (go_on, goes_on) = oneshot::channel::<()>();
        let end = async move {
            let _ = ask.send(());
            let _ = goes_on.await;
            end
        };
        let parts = stream::iter([start]).chain(stream::once(end));
        let (method, path, kind) = match self {
            Self::Rest => ("PUT", PATH, "image/png".to_owned()),
            Self::GraphQl => {
                let kind = format!("multipart/form-data; boundary={BOUNDARY}");
                ("POST", "/graphql", kind)
            }
        };
        let request = person
            .request(method, path)
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from_stream(parts.map(Ok::<_, Infallible>)));
        let router = person.app.router.clone();
        let answer = tokio::spawn(async move {
            let response = router.oneshot(request.unwrap()).await.unwrap();
            let (head, body) = response.into_parts();
            let body = to_bytes(body, 1 << 20).await.unwrap();
            (head.status, serde_json::from_slice(&body).unwrap())
        });
        timeout(Duration::from_secs(30), asked)
            .await
            .expect("read within half a minute")
            .expect("the picture is read");
        Sending { go_on, answer }
    }
}

/// A picture that is under way.
struct Sending {
    go_on: oneshot::Sender<()>,
    answer: JoinHandle<(StatusCode, Value)>,
}

impl Sending {
    async fn end(self) -> (StatusCode, Value) {
        self.go_on.send(()).unwrap();
        self.answer.await.unwrap()
    }
}

/// Refused for now, and it does not count as a picture.
fn assert_busy(answer: &Answer) {
    answer.problem(503, "busy");
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
    let policy = answer.headers["ratelimit-policy"].to_str().unwrap();
    assert!(!policy.contains("pictures"), "{policy}");
}

async fn as_many_are_sent_as_there_are_places(face: Face) {
    let app = TestApp::new().await;
    let last = app.person("last").await;
    let mut people = Vec::new();
    for number in 0..PLACES / PLACES_OF_ONE {
        people.push(app.person(&format!("ada{number}")).await);
    }
    let mut under_way = Vec::new();
    for person in &people {
        for _ in 0..PLACES_OF_ONE {
            let number = under_way.len() as u8;
            under_way.push(face.begin(person, number).await);
        }
        // Also while there are places for others.
        assert_busy(&face.send(person, 100).await);
    }
    for other in [Face::Rest, Face::GraphQl] {
        assert_busy(&other.send(&last, 100).await);
    }
    for sending in under_way {
        let (status, answer) = sending.end().await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer.get("errors"), None, "{answer}");
    }
    for person in people.iter().chain([&last]) {
        let answer = face.send(person, 101).await.ok(200);
        assert_eq!(answer.get("errors"), None, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_are_sent_by_rest_as_there_are_places() {
    as_many_are_sent_as_there_are_places(Face::Rest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_are_sent_by_graphql_as_there_are_places() {
    as_many_are_sent_as_there_are_places(Face::GraphQl).await;
}

#[tokio::test]
async fn s05_a_picture_is_not_shown_of_who_was_logged_out_meanwhile() {
    let app = TestApp::new().await;
    app.user("ada").await;
    for face in [Face::Rest, Face::GraphQl] {
        let ada = app.logged_in("ada").await;
        let sending = face.begin(&ada, 1).await;
        ada.delete("/api/v1/me/sessions").await.ok(204);
        let (status, answer) = sending.end().await;
        match face {
            Face::Rest => assert_eq!(status, 401, "{answer}"),
            Face::GraphQl => {
                let code = &answer["errors"][0]["extensions"]["code"];
                assert_eq!(code, "unauthenticated", "{answer}");
            }
        }
        let ada = app.logged_in("ada").await;
        let me = ada.get("/api/v1/me").await.ok(200);
        assert_eq!(me["avatar_url"], Value::Null);
    }
}

#[tokio::test]
async fn what_is_refused_counts_as_a_picture_and_one_that_is_taken_counts_once() {
    let app = TestApp::new().await;
    let ada = app.person("ada").await;
    for number in 0..10 {
        let refused = body(&[("0", b"x"), ("operations", &operations(DOCUMENT))]);
        post(&ada, refused).await.problem(400, "validation");
        let taken = Face::GraphQl.send(&ada, number).await.ok(200);
        assert_eq!(taken.get("errors"), None, "{taken}");
    }
    for face in [Face::Rest, Face::GraphQl] {
        face.send(&ada, 100).await.problem(429, "rate-limited");
    }
}
