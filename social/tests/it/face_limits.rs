//! Limits, and how both faces show them.

use serde_json::json;

use crate::app::{PASSWORD, TestApp, generous};

#[tokio::test]
async fn limits_are_shown_on_every_answer_and_hold_on_every_face() {
    let mut settings = generous();
    settings.limits.requests_per_minute = 3;
    settings.limits.writes_per_minute = 1;
    let app = TestApp::with(settings).await;
    let anybody = app.anybody();
    let answer = anybody.get("/api/v1/live").await;
    answer.ok(200);
    assert_eq!(answer.headers["ratelimit-policy"], "\"requests\";q=3;w=60");
    assert_eq!(answer.headers["ratelimit"], "\"requests\";r=2;t=20");
    anybody.data("{ live { nodes { name } } }").await;

    let login = json!({ "login": "ada", "password": PASSWORD });
    let answer = anybody.post("/api/v1/session", &login).await;
    answer.problem(401, "login-failed");
    let policy = answer.headers["ratelimit-policy"].to_str().unwrap();
    assert!(policy.contains("\"writes\";q=1;w=60"), "{policy}");
    let answer = anybody.get("/api/v1/live").await;
    answer.problem(429, "rate-limited");
    assert_eq!(answer.headers["retry-after"], "20");
    assert_eq!(
        anybody.graphql_code("{ live { nodes { name } } }").await,
        "rate-limited"
    );
    let elsewhere = anybody.at("198.51.100.7");
    elsewhere.get("/api/v1/live").await.ok(200);
}
