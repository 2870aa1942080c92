//! Limits, and how both faces show them.

use serde_json::{Value, json};

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
    let live = json!({ "query": "{ live { nodes { name } } }" });
    let answer = anybody.post("/graphql", &live).await;
    assert_eq!(answer.ok(200)["errors"], Value::Null);
    assert_eq!(answer.headers["ratelimit-policy"], "\"requests\";q=3;w=60");
    assert_eq!(answer.headers["ratelimit"], "\"requests\";r=1;t=40");

    let login = json!({ "login": "ada", "password": PASSWORD });
    let answer = anybody.post("/api/v1/session", &login).await;
    answer.problem(401, "login-failed");
    let policy = answer.headers["ratelimit-policy"].to_str().unwrap();
    assert!(policy.contains("\"writes\";q=1;w=60"), "{policy}");
    let answer = anybody.get("/api/v1/live").await;
    answer.problem(429, "rate-limited");
    assert_eq!(answer.headers["retry-after"], "20");
    let answer = anybody.post("/graphql", &live).await;
    let error = &answer.ok(200)["errors"][0];
    assert_eq!(error["extensions"]["code"], "rate-limited");
    assert_eq!(answer.headers["ratelimit"], "\"requests\";r=0;t=20");
    let elsewhere = anybody.at("198.51.100.7");
    elsewhere.get("/api/v1/live").await.ok(200);
}

#[tokio::test]
async fn every_answer_of_graphql_shows_the_limits_it_was_counted_by() {
    let app = TestApp::new().await;
    let anybody = app.anybody();
    let login =
        r#"mutation { login(input: {login: "ada", password: "wrong horse"}) { accessToken } }"#;
    let (read, typename) = ("{ live { nodes { name } } }", "{ __typename }");
    for (body, limits) in [
        (
            json!({ "query": login }),
            &["requests", "writes", "logins"][..],
        ),
        (json!({ "query": typename }), &["requests"]),
        (json!({ "query": "{ nothing }" }), &["requests"]),
        (
            json!([{ "query": read }, { "query": login }]),
            &["requests", "writes"],
        ),
    ] {
        let answer = anybody.post("/graphql", &body).await;
        answer.ok(200);
        for header in ["ratelimit-policy", "ratelimit"] {
            let shown = answer.headers[header].to_str().unwrap();
            for limit in limits {
                let item = format!("\"{limit}\";");
                assert!(shown.contains(&item), "{body}: {header}: {shown}");
            }
        }
    }
}
