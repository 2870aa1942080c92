//! Keys of streams: several, shown once, replaced and revoked.

use media::{Clock, Micros};
use serde_json::{Value, json};
use storage::rows::{sql, stream_keys};

use crate::app::TestApp;
use crate::stream_control::make;

on_both_engines! {
    a_stream_has_several_keys_and_none_is_shown_twice,
    a_key_is_replaced_at_once_or_after_a_while,
    a_revoked_key_opens_nothing,
    a_stream_has_so_many_keys,
    the_same_by_graphql,
}

async fn opens(app: &TestApp, key: &Value) -> bool {
    let (key, now) = (key.as_str().unwrap(), app.clock.now());
    let found = stream_keys::find_stream_by_key(&app.database, key, now);
    found.await.unwrap().is_some()
}

async fn a_stream_has_several_keys_and_none_is_shown_twice(app: TestApp) {
    let ada = app.person("ada").await;
    let made = make(&ada, "a", json!({})).await;
    let studio = json!({ "name": " Studio " });
    let other = ada.post("/api/v1/streams/a/keys", &studio).await.ok(201);
    let unnamed = ada.request("POST", "/api/v1/streams/a/keys");
    let unnamed = app.send(unnamed.body(axum::body::Body::empty()).unwrap());
    let unnamed = unnamed.await.ok(201);
    for key in [&made["key"], &other["key"], &unnamed["key"]] {
        assert!(opens(&app, key).await);
    }
    let listed = ada.get("/api/v1/streams/a/keys").await.ok(200);
    let keys = [
        &unnamed["stream_key"],
        &other["stream_key"],
        &made["stream_key"],
    ];
    assert_eq!(listed, json!({ "keys": keys }));
    assert_eq!(other["stream_key"]["name"], "Studio");
    assert!(!listed.to_string().contains(other["key"].as_str().unwrap()));
    let rows = sql::query("SELECT key_hash FROM stream_keys");
    let rows: Vec<(Vec<u8>,)> = rows.all(&app.database).await.unwrap();
    assert!(rows.iter().all(|(hash,)| hash.len() == 32));
    for bad in [
        json!({ "name": "x".repeat(101) }),
        json!({ "name": "a\nb" }),
    ] {
        let told = ada.post("/api/v1/streams/a/keys", &bad).await;
        told.problem(400, "validation");
    }
}

async fn a_key_is_replaced_at_once_or_after_a_while(app: TestApp) {
    let ada = app.person("ada").await;
    let first = make(&ada, "a", json!({})).await;
    let rotate = async |of: &Value, grace: u32| {
        let id = of["stream_key"]["id"].as_str().unwrap();
        let path = format!("/api/v1/streams/a/keys/{id}/rotate");
        ada.post(&path, &json!({ "grace_seconds": grace })).await
    };
    let second = rotate(&first, 60).await.ok(201);
    assert!(opens(&app, &first["key"]).await && opens(&app, &second["key"]).await);
    let listed = ada.get("/api/v1/streams/a/keys").await.ok(200);
    assert_eq!(listed["keys"][0]["expires_at"], Value::Null);
    assert_eq!(
        listed["keys"][1]["expires_at"],
        "2027-01-15T08:01:00.000000Z"
    );
    app.later(Micros::from_secs(60));
    assert!(!opens(&app, &first["key"]).await && opens(&app, &second["key"]).await);
    let listed = ada.get("/api/v1/streams/a/keys").await.ok(200);
    assert_eq!(listed["keys"].as_array().unwrap().len(), 1);
    let third = rotate(&second, 0).await.ok(201);
    assert!(!opens(&app, &second["key"]).await && opens(&app, &third["key"]).await);
    for gone in [&first, &second] {
        rotate(gone, 0).await.problem(404, "not-found");
    }
    let told = rotate(&third, 7 * 24 * 3_600 + 1).await;
    told.problem(400, "validation");
    // Replaced twice, it does not live longer.
    let fourth = rotate(&third, 60).await.ok(201);
    rotate(&third, 3_600).await.ok(201);
    app.later(Micros::from_secs(60));
    assert!(!opens(&app, &third["key"]).await && opens(&app, &fourth["key"]).await);
}

async fn a_revoked_key_opens_nothing(app: TestApp) {
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let made = make(&ada, "a", json!({})).await;
    make(&bob, "b", json!({})).await;
    let id = made["stream_key"]["id"].as_str().unwrap();
    let told = bob.delete(&format!("/api/v1/streams/a/keys/{id}")).await;
    told.problem(403, "forbidden");
    // A key of another stream is none of this.
    let told = bob.delete(&format!("/api/v1/streams/b/keys/{id}")).await;
    told.problem(404, "not-found");
    assert!(opens(&app, &made["key"]).await);
    ada.delete(&format!("/api/v1/streams/a/keys/{id}"))
        .await
        .ok(204);
    assert!(!opens(&app, &made["key"]).await);
    for gone in [id, "x"] {
        let told = ada.delete(&format!("/api/v1/streams/a/keys/{gone}")).await;
        told.problem(404, "not-found");
    }
}

async fn a_stream_has_so_many_keys(app: TestApp) {
    let ada = app.person("ada").await;
    let made = make(&ada, "a", json!({})).await;
    for _ in 1..stream_keys::KEYS_AT_MOST {
        ada.post("/api/v1/streams/a/keys", &json!({})).await.ok(201);
    }
    let told = ada.post("/api/v1/streams/a/keys", &json!({})).await;
    let told = told.problem(409, "conflict");
    assert!(told.contains("20 stream keys are the most"), "{told}");
    let id = made["stream_key"]["id"].as_str().unwrap();
    // One in the place of another is not one more.
    let path = format!("/api/v1/streams/a/keys/{id}/rotate");
    ada.post(&path, &json!({})).await.ok(201);
}

async fn the_same_by_graphql(app: TestApp) {
    let ada = app.person("ada").await;
    make(&ada, "a", json!({})).await;
    let made = r#"mutation { createStreamKey(stream: "a", input: {name: "x"}) {
                      key streamKey { id name } } }"#;
    let made = ada.data(made).await["createStreamKey"].clone();
    assert!(opens(&app, &made["key"]).await);
    let id = made["streamKey"]["id"].as_str().unwrap();
    let rotate = format!(
        r#"mutation {{ rotateStreamKey(stream: "a", id: "{id}", input: {{graceSeconds: 0}}) {{
               key streamKey {{ id name }} }} }}"#
    );
    let rotated = ada.data(&rotate).await["rotateStreamKey"].clone();
    assert_eq!(rotated["streamKey"]["name"], "x");
    assert!(!opens(&app, &made["key"]).await && opens(&app, &rotated["key"]).await);
    let id = rotated["streamKey"]["id"].as_str().unwrap();
    let revoke = format!(r#"mutation {{ revokeStreamKey(stream: "a", id: "{id}") }}"#);
    assert_eq!(ada.data(&revoke).await["revokeStreamKey"], true);
    assert!(!opens(&app, &rotated["key"]).await);
    assert_eq!(ada.graphql_code(&revoke).await, "not-found");
}
