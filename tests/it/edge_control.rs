//! Owners and administrators tell the caches of a real server what to do, by REST and by GraphQL.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Encoder, Engine, Http, Site, WARM_UP, wait_for};

const PASSWORD: &str = "correct horse";
/// Longer than usage stays in memory, and than an edge takes to be in the registry.
const REPORTED: Duration = Duration::from_secs(60);

on_both_engines! {
    caches_are_told_by_rest_and_by_graphql,
}

fn value(http: &Http, path: &str) -> Value {
    let answer = http.fetch(path).unwrap();
    serde_json::from_slice(&answer.body).unwrap()
}

fn status(http: &Http, path: &str) -> u16 {
    http.get(path).unwrap().status
}

/// What a document of GraphQL is answered with, errors and all.
fn graphql(http: &Http, document: &str) -> Value {
    http.post_value("/graphql", &json!({ "query": document }), 200)
}

fn data(http: &Http, document: &str) -> Value {
    let answer = graphql(http, document);
    assert_eq!(answer["errors"], Value::Null, "{answer}");
    answer["data"].clone()
}

fn code(http: &Http, document: &str) -> Value {
    graphql(http, document)["errors"][0]["extensions"]["code"].clone()
}

fn caches_are_told_by_rest_and_by_graphql(engine: Engine) {
    let settings = [
        ("NOVA__API__LIMITS__REQUESTS_PER_MINUTE", "100000"),
        ("NOVA__API__LIMITS__WRITES_PER_MINUTE", "100000"),
    ];
    let site = Site::on_with(engine, &settings);
    site.create_administrator("root", PASSWORD);
    site.create_user("ada", PASSWORD);
    site.create_user("bob", PASSWORD);
    let nova = site.serve().start();
    let anybody = nova.http();
    let person = |name: &str| anybody.bearing(&anybody.log_in(name, PASSWORD));
    let (root, ada, bob) = (person("root"), person("ada"), person("bob"));
    let made = ada.post_value("/api/v1/streams", &json!({ "name": "garden" }), 201);
    let key = made["key"].as_str().unwrap();
    site.keep_secret(key);
    let clip = Encoder::small().recorded(4);
    let _publisher = clip.publish(&nova.rtmp_url(key));
    let playlist = "/live/garden/index.m3u8";
    wait_for("the stream plays", WARM_UP, || anybody.fetch(playlist));

    // The caches, for who runs them.
    let node = wait_for("the edge is in the registry", REPORTED, || {
        let nodes = value(&root, "/api/v1/cdn/nodes");
        let node = nodes["items"].get(0).cloned();
        let live = node.filter(|node| node["is_live"] == true);
        live.ok_or_else(|| nodes.to_string())
    });
    let found = data(
        &root,
        "{ edgeNodes { nodes { id isLive } } edgeMetrics { nodes } }",
    );
    assert_eq!(found["edgeNodes"]["nodes"][0]["id"], node["id"]);
    assert_eq!(found["edgeMetrics"]["nodes"], 1);
    assert_eq!(value(&root, "/api/v1/cdn/deployment")["is_complete"], true);
    for path in ["nodes", "deployment", "metrics", "assets"] {
        assert_eq!(status(&ada, &format!("/api/v1/cdn/{path}")), 403, "{path}");
    }
    assert_eq!(code(&ada, "{ edgeNodes { nodes { id } } }"), "forbidden");

    // A purge, by its stream's owner.
    let body = json!({ "kind": "stream", "subject": "garden", "wait_seconds": 10 });
    let purged = ada.post_value("/api/v1/cdn/purges", &body, 200);
    assert_eq!(purged["is_complete"], true, "{purged}");
    let path = format!("/api/v1/cdn/purges/{}", purged["id"].as_str().unwrap());
    let shown = value(&ada, &path);
    assert_eq!(
        (&shown["obeyed"], &shown["awaited"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(status(&bob, &path), 404);
    bob.post_value("/api/v1/cdn/purges", &body, 403);
    let purge = r#"mutation { purgeByPattern(input: {kind: PATTERN, pattern: "/live/garden/**",
        waitSeconds: 10}) { id isComplete } }"#;
    assert_eq!(code(&bob, purge), "forbidden");
    let purged = data(&ada, purge)["purgeByPattern"].clone();
    assert_eq!(purged["isComplete"], true, "{purged}");
    let id = purged["id"].as_str().unwrap();
    let shown = data(&ada, &format!(r#"{{ purge(id: "{id}") {{ obeyed }} }}"#));
    assert_eq!(shown["purge"]["obeyed"], 1);
    // Viewers do not notice.
    anybody.fetch(playlist).unwrap();

    // A prewarm, which ends.
    let body = json!({ "playlist": playlist, "depth": 1 });
    let ordered = ada.post_value("/api/v1/cdn/prewarms", &body, 202);
    let path = format!("/api/v1/cdn/prewarms/{}", ordered["id"].as_str().unwrap());
    wait_for("the end of the prewarm", REPORTED, || {
        let shown = value(&ada, &path);
        match shown["state"].as_str() {
            Some("waiting" | "running") => Err(shown.to_string()),
            _ => Ok(()),
        }
    });
    bob.post_value("/api/v1/cdn/prewarms", &body, 403);

    // A URL that plays, of a stream that is not for everybody.
    let changed = ada.patch_json("/api/v1/streams/garden", r#"{"visibility":"private"}"#);
    assert_eq!(changed.unwrap().status, 200);
    let body = json!({ "path": playlist, "ttl_seconds": 600 });
    let url = wait_for("a URL that plays", REPORTED, || {
        let made = ada.post_value("/api/v1/cdn/urls", &body, 200);
        assert_ne!(made["expires_at"], Value::Null);
        let url = made["url"].as_str().unwrap().to_owned();
        anybody.fetch(&url).map(|_| url)
    });
    let token = url.split('/').nth(2).unwrap();
    site.keep_secret(token.rsplit('.').next().unwrap());
    bob.post_value("/api/v1/cdn/urls", &body, 404);
    let make = r#"mutation { generateUrl(input: {path: "/live/garden/index.m3u8"}) { url } }"#;
    assert_eq!(code(&bob, make), "not-found");

    // What was served, to whom it belongs.
    wait_for("usage", REPORTED, || {
        let usage = value(&ada, "/api/v1/cdn/usage?by=subject");
        let requests = usage["items"][0]["requests"].as_u64();
        match requests.is_some_and(|requests| requests > 0) {
            true => Ok(()),
            false => Err(usage.to_string()),
        }
    });
    let usage = r#"{ usage(input: {by: SUBJECT}) { nodes { name owner requests } } }"#;
    let found = data(&ada, usage)["usage"]["nodes"][0].clone();
    assert_eq!(
        (&found["name"], &found["owner"]),
        (&json!("garden"), &json!("ada"))
    );
    assert_eq!(data(&bob, usage)["usage"]["nodes"], json!([]));
    assert_eq!(status(&bob, "/api/v1/cdn/usage?stream=garden"), 404);
    let of_all = data(&root, usage)["usage"]["nodes"].clone();
    assert!(!of_all.as_array().unwrap().is_empty());
}
