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
    anybody.data("{ live { name } }").await;

    let login = json!({ "login": "ada", "password": PASSWORD });
    let answer = anybody.post("/api/v1/session", &login).await;
    answer.problem(401, "login-failed");
    let policy = answer.headers["ratelimit-policy"].to_str().unwrap();
    assert!(policy.contains("\"writes\";q=1;w=60"), "{policy}");
    let answer = anybody.get("/api/v1/live").await;
    answer.problem(429, "rate-limited");
    assert_eq!(answer.headers["retry-after"], "20");
    assert_eq!(
        anybody.graphql_code("{ live { name } }").await,
        "rate-limited"
    );
    let elsewhere = anybody.at("198.51.100.7");
    elsewhere.get("/api/v1/live").await.ok(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_logins_than_there_is_memory_for_are_refused_and_none_fails() {
    let mut settings = generous();
    settings.password_memory_mib = 19;
    settings.password_wait = std::time::Duration::from_millis(200);
    let app = TestApp::with(settings).await;
    let login = json!({ "login": "ada", "password": PASSWORD });
    let anybody = app.anybody();
    let all = (0..300).map(|_| anybody.post("/api/v1/session", &login));
    let (mut answered, mut refused) = (0, 0);
    for answer in futures_util::future::join_all(all).await {
        match answer.status.as_u16() {
            401 => {
                answer.problem(401, "login-failed");
                answered += 1;
            }
            _ => {
                answer.problem(429, "too-many-logins");
                assert_eq!(answer.headers["retry-after"], "1");
                refused += 1;
            }
        }
    }
    assert!(answered > 0 && refused > 0, "{answered} {refused}");
    assert_eq!(app.services.passwords().computed(), answered);
}
