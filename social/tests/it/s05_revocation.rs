//! S05: what ends a session ends it on every node, and at once.

use media::Micros;

use crate::app::TestApp;

on_both_engines! {
    s05_logging_out_everywhere_reaches_a_second_node,
    s05_a_node_that_starts_knows_what_has_ended,
    s05_an_access_token_ends_by_itself,
    s05_nodes_take_each_others_tokens,
}

async fn s05_logging_out_everywhere_reaches_a_second_node(app: TestApp) {
    let other = app.second_node().await;
    let ada = app.person("ada").await;
    let at_other = ada.at_node(&other);
    at_other.get("/api/v1/me").await.ok(200);
    ada.delete("/api/v1/me/sessions").await.ok(204);
    ada.get("/api/v1/me").await.problem(401, "unauthenticated");
    // The event is on its way.
    while at_other.get("/api/v1/me").await.status == 200 {
        tokio::task::yield_now().await;
    }
}

async fn s05_a_node_that_starts_knows_what_has_ended(app: TestApp) {
    let ada = app.person("ada").await;
    ada.delete("/api/v1/session").await.ok(204);
    app.later(Micros::from_secs(60));
    let other = app.second_node().await;
    let answer = ada.at_node(&other).get("/api/v1/me").await;
    answer.problem(401, "unauthenticated");
}

async fn s05_an_access_token_ends_by_itself(app: TestApp) {
    let ada = app.person("ada").await;
    app.later(Micros::from_secs(599));
    ada.get("/api/v1/me").await.ok(200);
    app.later(Micros::from_secs(1));
    let answer = ada.get("/api/v1/me").await;
    answer.problem(401, "unauthenticated");
    let challenge = answer.headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.starts_with("Bearer"), "{challenge}");
    ada.refresh().await.ok(200);
}

/// The key that signs is made anew every 30 days; another node hears of it when it sees it.
async fn s05_nodes_take_each_others_tokens(app: TestApp) {
    let old = app.person("ada").await;
    app.later(Micros::from_secs(31 * 24 * 3_600));
    let other = app.second_node().await;
    let body = serde_json::json!({ "login": "ada", "password": crate::app::PASSWORD });
    let answer = other.anybody().post("/api/v1/session", &body).await.ok(200);
    let new = app.anybody().with_tokens(&answer);
    new.get("/api/v1/me").await.ok(200);
    assert_ne!(kid(&old.access_token), kid(&new.access_token));
    let tampered = new.access_token.replace('.', ".A");
    for wrong in ["", "x", "a.b.c", &tampered, &"x".repeat(10_000)] {
        let mut stranger = app.anybody();
        wrong.clone_into(&mut stranger.access_token);
        if !wrong.is_empty() {
            let answer = stranger.get("/api/v1/me").await;
            answer.problem(401, "unauthenticated");
        }
    }
}

fn kid(token: &str) -> &str {
    token.split('.').next().unwrap()
}
