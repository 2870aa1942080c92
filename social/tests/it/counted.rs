//! What calls no operation is counted all the same.

use serde_json::{Value, json};

use crate::app::{TestApp, generous};
use crate::sockets::{Socket, listen};

const NOTHING: &str = "{ __typename }";

async fn app() -> TestApp {
    let mut settings = generous();
    settings.limits.requests_per_minute = 3;
    TestApp::with(settings).await
}

#[tokio::test]
async fn who_shows_what_is_not_good_is_counted_by_network() {
    let app = app().await;
    let mut stranger = app.anybody();
    stranger.access_token = "nova_pat_x".to_owned();
    for _ in 0..3 {
        let answer = stranger.get("/api/v1/me").await;
        answer.problem(401, "unauthenticated");
    }
    let answer = stranger.get("/api/v1/me").await;
    answer.problem(429, "rate-limited");
    let elsewhere = stranger.at("198.51.100.7");
    let answer = elsewhere.get("/api/v1/me").await;
    answer.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_document_that_calls_nothing_is_counted() {
    let app = app().await;
    let anybody = app.anybody();
    let document = json!({ "query": NOTHING });
    for _ in 0..3 {
        anybody.post("/graphql", &document).await.ok(200);
    }
    let answer = anybody.post("/graphql", &document).await;
    answer.problem(429, "rate-limited");
    // Each of a batch.
    let elsewhere = anybody.at("198.51.100.7");
    let batch = |count: usize| Value::from(vec![document.clone(); count]);
    let answer = elsewhere.post("/graphql", &batch(5)).await;
    answer.problem(429, "rate-limited");
}

#[tokio::test]
async fn an_operation_of_a_socket_that_calls_nothing_is_counted() {
    let app = app().await;
    let mut socket = Socket::open(listen(&app).await).await;
    socket.say(json!({ "type": "connection_init" })).await;
    assert_eq!(socket.hear().await.unwrap()["type"], "connection_ack");
    let payload = json!({ "query": NOTHING });
    let ask = json!({ "id": "1", "type": "subscribe", "payload": payload });
    for _ in 0..3 {
        socket.say(ask.clone()).await;
        assert_eq!(socket.hear().await.unwrap()["type"], "next");
        assert_eq!(socket.hear().await.unwrap()["type"], "complete");
    }
    socket.say(ask).await;
    assert_eq!(socket.hear().await.unwrap_err().0, 4429);
}
