//! What caches are told, and by whom, on both faces.

use std::time::Duration;

use futures_util::future::join_all;
use media::Micros;
use serde_json::{Value, json};
use storage::rows::usage::{self, Addition, Counts, Served};

use crate::app::{NOW, Person, TestApp};
use crate::attachments::video;
use crate::caches::{NEVER, live_edge};
use crate::stream_control::make;

on_both_engines! {
    an_owner_purges_what_is_theirs,
    the_same_by_graphql,
    nobody_purges_what_is_somebody_elses,
    an_administrator_purges_anything_and_it_is_noted,
    a_purge_is_noted_also_of_whoever_does_not_wait,
    a_url_is_made_by_the_owner,
    an_owner_prewarms_what_is_theirs,
    usage_is_ones_own,
    caches_are_the_administrators,
    assets_are_the_administrators,
    tokens_need_scopes,
    orders_are_counted,
}

pub(crate) const PURGES: &str = "/api/v1/cdn/purges";
pub(crate) const PATTERNS: &str = "/api/v1/cdn/purges/by-pattern";
pub(crate) const PREWARMS: &str = "/api/v1/cdn/prewarms";
const URLS: &str = "/api/v1/cdn/urls";
pub(crate) const ASSETS: &str = "/api/v1/cdn/assets";

pub(crate) async fn administrator(app: &TestApp) -> Person<'_> {
    app.administrator("root").await;
    app.logged_in("root").await
}

async fn an_owner_purges_what_is_theirs(app: TestApp) {
    let ada = app.person("ada").await;
    make(&ada, "engines", json!({})).await;
    let film = video(&app, "ada", "ready").await;
    for (kind, subject) in [
        ("url", "/live/engines/index.m3u8".to_owned()),
        ("url", format!("/vod/{film}/index.m3u8")),
        ("stream", "engines".to_owned()),
        ("video", film.to_string()),
    ] {
        let body = json!({ "kind": kind, "subject": subject });
        let purged = ada.post(PURGES, &body).await.ok(200);
        assert_eq!(purged["is_complete"], true);
        assert_eq!(purged["awaited_nodes"], Value::Null);
        let told = format!("purge {kind} {subject}");
        assert_eq!(app.caches.told().last(), Some(&told));
        let path = format!("{PURGES}/{}", purged["id"].as_str().unwrap());
        assert_eq!(ada.get(&path).await.ok(200), purged);
    }
    for (kind, pattern) in [
        ("prefix", "/live/engines/0/"),
        ("pattern", "/live/engines/**/*.m4s"),
    ] {
        let body = json!({ "kind": kind, "pattern": pattern, "soft": true });
        let purged = ada.post(PATTERNS, &body).await.ok(200);
        assert_eq!(
            (&purged["kind"], &purged["subject"], &purged["soft"]),
            (&json!(kind), &json!(pattern), &json!(true))
        );
    }
    let body = json!({ "kind": "stream", "subject": "engines", "wait_seconds": 11 });
    let told = ada.post(PURGES, &body).await;
    told.problem(400, "validation");
    assert_eq!(told.json()["errors"][0]["field"], "wait_seconds");
}

async fn the_same_by_graphql(app: TestApp) {
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    make(&ada, "engines", json!({})).await;
    let purge = r#"mutation { purge(input: {kind: STREAM, subject: "engines"}) {
        id kind subject isComplete awaitedNodes } }"#;
    let purged = ada.data(purge).await["purge"].clone();
    assert_eq!(purged["isComplete"], true);
    assert_eq!(bob.graphql_code(purge).await, "forbidden");
    assert_eq!(app.anybody().graphql_code(purge).await, "unauthenticated");
    let id = purged["id"].as_str().unwrap();
    let status =
        format!(r#"{{ purge(id: "{id}") {{ id kind subject isComplete awaitedNodes }} }}"#);
    assert_eq!(ada.data(&status).await["purge"], purged);
    assert_eq!(bob.graphql_code(&status).await, "not-found");
    let pattern = r#"mutation { purgeByPattern(
        input: {kind: PATTERN, pattern: "/live/engines/*"}) { subject } }"#;
    let purged = ada.data(pattern).await;
    assert_eq!(purged["purgeByPattern"]["subject"], "/live/engines/*");
    let url = r#"mutation { generateUrl(input: {path: "/live/engines/index.m3u8"}) {
        url expiresAt } }"#;
    let made = ada.data(url).await["generateUrl"].clone();
    assert_eq!(made["url"], "/live/engines/index.m3u8");
    live_edge(&app.database, &app.clock).await;
    let prewarm = r#"mutation { prewarm(input: {playlist: "/live/engines/index.m3u8", depth: 3}) {
        id kind state depth nodes { node } } }"#;
    let ordered = ada.data(prewarm).await["prewarm"].clone();
    assert_eq!(ordered["state"], "WAITING");
    assert_eq!(bob.graphql_code(prewarm).await, "forbidden");
    let id = ordered["id"].as_str().unwrap();
    let status = format!(r#"{{ prewarm(id: "{id}") {{ state }} }}"#);
    assert_eq!(ada.data(&status).await["prewarm"]["state"], "WAITING");
    let cancel = format!(r#"mutation {{ cancelPrewarm(id: "{id}") {{ state }} }}"#);
    assert_eq!(bob.graphql_code(&cancel).await, "not-found");
    let cancelled = ada.data(&cancel).await;
    assert_eq!(cancelled["cancelPrewarm"]["state"], "CANCELLED");
    let usage = r#"{ usage(input: {by: SUBJECT}) { nodes { name requests } } }"#;
    assert_eq!(ada.data(usage).await["usage"]["nodes"], json!([]));
    assert_eq!(
        ada.data("{ usage { nodes { start } } }").await["usage"]["nodes"],
        json!([])
    );
}

async fn nobody_purges_what_is_somebody_elses(app: TestApp) {
    let ada = app.person("ada").await;
    make(&ada, "engines", json!({})).await;
    make(&ada, "diary", json!({ "visibility": "private" })).await;
    let film = video(&app, "ada", "ready").await;
    let bob = app.person("bob").await;
    make(&bob, "garden", json!({})).await;
    for (kind, subject, code) in [
        ("stream", "engines".to_owned(), "forbidden"),
        ("stream", "diary".to_owned(), "not-found"),
        ("stream", "none".to_owned(), "not-found"),
        ("stream", "../engines".to_owned(), "not-found"),
        ("video", film.to_string(), "not-found"),
        ("video", "none".to_owned(), "not-found"),
        ("url", "/live/engines/index.m3u8".to_owned(), "forbidden"),
        ("url", "/live/diary/index.m3u8".to_owned(), "not-found"),
        ("url", format!("/vod/{film}/index.m3u8"), "not-found"),
        ("url", "/live/garden/../engines/a".to_owned(), "forbidden"),
        (
            "url",
            "/live/garden/%2e%2e/engines/a".to_owned(),
            "forbidden",
        ),
        ("url", "/live/garden".to_owned(), "forbidden"),
        ("url", "/files/a".to_owned(), "forbidden"),
        ("tag", "stream:garden".to_owned(), "forbidden"),
        ("everything", String::new(), "forbidden"),
    ] {
        let body = json!({ "kind": kind, "subject": subject });
        let told = bob.post(PURGES, &body).await;
        assert_eq!(told.json()["code"], code, "{kind} {subject}");
    }
    let body = json!({ "kind": "url", "subject": "https://edge.example.org/live/garden/a" });
    bob.post(PURGES, &body).await.problem(400, "validation");
    for pattern in [
        "/live/*/index.m3u8",
        "/live/**",
        "/live/g*/a",
        "/live/engines/*",
        "/**",
    ] {
        let body = json!({ "kind": "pattern", "pattern": pattern });
        let told = bob.post(PATTERNS, &body).await;
        told.problem(403, "forbidden");
        let body = json!({ "kind": "prefix", "pattern": "/live/garden" });
        bob.post(PATTERNS, &body).await.problem(403, "forbidden");
    }
    assert_eq!(app.caches.told(), Vec::<String>::new());
    let body = json!({ "kind": "stream", "subject": "engines" });
    let purged = ada.post(PURGES, &body).await.ok(200);
    let path = format!("{PURGES}/{}", purged["id"].as_str().unwrap());
    bob.get(&path).await.problem(404, "not-found");
    bob.get(&format!("{PURGES}/none"))
        .await
        .problem(404, "not-found");
    app.anybody()
        .get(&path)
        .await
        .problem(401, "unauthenticated");
}

async fn an_administrator_purges_anything_and_it_is_noted(app: TestApp) {
    let root = administrator(&app).await;
    let ada = app.person("ada").await;
    make(&ada, "diary", json!({ "visibility": "private" })).await;
    let body = json!({ "kind": "stream", "subject": "diary" });
    let purged = ada.post(PURGES, &body).await.ok(200);
    let path = format!("{PURGES}/{}", purged["id"].as_str().unwrap());
    assert_eq!(root.get(&path).await.ok(200)["awaited_nodes"], json!([]));
    for body in [
        json!({ "kind": "stream", "subject": "diary" }),
        json!({ "kind": "tag", "subject": "stream:diary" }),
        json!({ "kind": "everything" }),
    ] {
        root.post(PURGES, &body).await.ok(200);
    }
    let body = json!({ "kind": "pattern", "pattern": "/live/**" });
    root.post(PATTERNS, &body).await.ok(200);
    let log = root.get("/api/v1/audit-log").await.ok(200);
    let items = log["items"].as_array().unwrap();
    // What ada has done to what is hers is nobody's business.
    assert_eq!(items.len(), 4, "{log}");
    let first = &items[0];
    assert_eq!(
        (&first["actor"], &first["action"], &first["subject_kind"]),
        (&json!("root"), &json!("purge"), &json!("purge"))
    );
    assert!(first["detail"].as_str().unwrap().contains("/live/**"));
}

async fn a_purge_is_noted_also_of_whoever_does_not_wait(app: TestApp) {
    let root = administrator(&app).await;
    let noted = async || {
        let log = root.get("/api/v1/audit-log").await.ok(200);
        log["items"].as_array().unwrap().len()
    };
    let body = json!({ "kind": "tag", "subject": "stream:diary", "wait_seconds": 0 });
    let purged = root.post(PURGES, &body).await.ok(202);
    assert_eq!(purged["is_complete"], false);
    assert_eq!(noted().await, 1);
    let body = json!({ "kind": "tag", "subject": NEVER, "wait_seconds": 10 });
    let is_noted = async {
        while noted().await < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        answer = root.post(PURGES, &body) => panic!("nobody has obeyed: {}", answer.json()),
        // Whoever has asked is gone from here on.
        () = is_noted => {}
    }
    assert_eq!(noted().await, 2);
}

async fn a_url_is_made_by_the_owner(app: TestApp) {
    let ada = app.person("ada").await;
    let me = ada.get("/api/v1/me").await.ok(200)["id"].clone();
    make(&ada, "engines", json!({})).await;
    make(&ada, "diary", json!({ "visibility": "private" })).await;
    let body = json!({ "path": "/live/engines/index.m3u8?x=1" });
    let made = ada.post(URLS, &body).await.ok(200);
    assert_eq!(made["url"], "/live/engines/index.m3u8?x=1");
    assert_eq!(made["expires_at"], Value::Null);
    let body = json!({ "path": "/live/diary/index.m3u8", "ttl_seconds": 86_400 });
    let made = ada.post(URLS, &body).await.ok(200);
    // It is theirs: so it is taken back with their streams.
    let signed = format!("/live/diary/index.m3u8?signed-by={}", me.as_str().unwrap());
    assert_eq!(made["url"], signed);
    assert_eq!(made["expires_at"], "2027-01-16T08:00:00.000000Z");
    for ttl in [0, 86_401] {
        let body = json!({ "path": "/live/diary/index.m3u8", "ttl_seconds": ttl });
        let told = ada.post(URLS, &body).await;
        told.problem(400, "validation");
        assert_eq!(told.json()["errors"][0]["field"], "ttl_seconds");
    }
    let bob = app.person("bob").await;
    let body = json!({ "path": "/live/diary/index.m3u8" });
    bob.post(URLS, &body).await.problem(404, "not-found");
    let body = json!({ "path": "/files/a" });
    bob.post(URLS, &body).await.problem(403, "forbidden");
    let root = administrator(&app).await;
    root.post(URLS, &body).await.ok(200);
    let body = json!({ "path": "/live/diary/index.m3u8", "ttl_seconds": 2_678_400 });
    let made = root.post(URLS, &body).await.ok(200);
    assert_eq!(made["url"], "/live/diary/index.m3u8?signed-by=nobody");
    let log = root.get("/api/v1/audit-log").await.ok(200);
    assert_eq!(log["items"].as_array().unwrap().len(), 1, "{log}");
    assert_eq!(log["items"][0]["action"], "generate-url");
}

async fn an_owner_prewarms_what_is_theirs(app: TestApp) {
    let ada = app.person("ada").await;
    make(&ada, "engines", json!({})).await;
    let film = video(&app, "ada", "ready").await;
    let playlist = json!({ "playlist": "/live/engines/index.m3u8" });
    ada.post(PREWARMS, &playlist).await.problem(501, "no-edge");
    let edge = live_edge(&app.database, &app.clock).await;
    let ordered = ada.post(PREWARMS, &playlist).await.ok(202);
    assert_eq!(
        (&ordered["kind"], &ordered["state"], &ordered["nodes"]),
        (&json!("playlist"), &json!("waiting"), &Value::Null)
    );
    let path = format!("{PREWARMS}/{}", ordered["id"].as_str().unwrap());
    assert_eq!(ada.get(&path).await.ok(200), ordered);
    let urls = json!({ "urls": ["/live/engines/index.m3u8", format!("/vod/{film}/index.m3u8")] });
    let urls = ada.post(PREWARMS, &urls).await.ok(202);
    assert_eq!(urls["urls"], 2);
    let bob = app.person("bob").await;
    bob.get(&path).await.problem(404, "not-found");
    bob.delete(&path).await.problem(404, "not-found");
    bob.post(PREWARMS, &playlist)
        .await
        .problem(403, "forbidden");
    let body = json!({ "video": film.to_string() });
    bob.post(PREWARMS, &body).await.problem(404, "not-found");
    for body in [
        json!({}),
        json!({ "urls": [] }),
        json!({ "urls": ["/live/engines/a\n/live/other/b"] }),
        json!({ "video": film.to_string(), "playlist": "/live/engines/index.m3u8" }),
    ] {
        ada.post(PREWARMS, &body).await.problem(400, "validation");
    }
    let body = json!({ "video": film.to_string(), "nodes": [edge.to_string()] });
    ada.post(PREWARMS, &body).await.problem(403, "forbidden");
    let body = json!({ "video": film.to_string() });
    // However many are asked for at once.
    let asked = join_all((0..10).map(|_| ada.post(PREWARMS, &body))).await;
    let made = asked.iter().filter(|answer| answer.status == 202);
    assert_eq!(made.count(), 6);
    let told = ada.post(PREWARMS, &body).await;
    told.problem(429, "too-many-prewarms");
    assert_eq!(ada.delete(&path).await.ok(200)["state"], "cancelled");
    ada.post(PREWARMS, &body).await.ok(202);
    let root = administrator(&app).await;
    let body = json!({ "urls": ["/files/a"], "nodes": [edge.to_string()] });
    root.post(PREWARMS, &body).await.ok(202);
    let path = format!("{PREWARMS}/{}", urls["id"].as_str().unwrap());
    root.delete(&path).await.ok(200);
    let log = root.get("/api/v1/audit-log").await.ok(200);
    let actions: Vec<_> = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["action"])
        .collect();
    assert_eq!(actions, ["cancel-prewarm", "prewarm"]);
}

async fn usage_is_ones_own(app: TestApp) {
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    make(&ada, "engines", json!({})).await;
    make(&bob, "garden", json!({})).await;
    let addition = |name: &str, requests| Addition {
        minute: NOW,
        served: match name {
            "" => Served::Other,
            name => Served::Stream(name.parse().unwrap()),
        },
        counts: Counts {
            requests,
            ..Counts::default()
        },
        viewers: 2,
    };
    let added = [
        addition("engines", 10),
        addition("garden", 200),
        addition("", 3_000),
    ];
    usage::add(&app.database, "one", &added).await.unwrap();
    app.later(Micros::from_secs(60));
    let requests = async |person: &Person<'_>, query: &str| {
        let found = person
            .get(&format!("/api/v1/cdn/usage?{query}"))
            .await
            .ok(200);
        let items = found["items"].as_array().unwrap().clone();
        let requests = items.iter().map(|item| item["requests"].as_u64().unwrap());
        requests.collect::<Vec<_>>()
    };
    let root = administrator(&app).await;
    for (person, query, expected) in [
        (&ada, "", &[10][..]),
        (&ada, "by=subject", &[10]),
        (&ada, "stream=engines", &[10]),
        (&ada, "owner=ada&by=subject", &[10]),
        (&ada, "to=1800000000", &[]),
        (&root, "", &[3_210]),
        (&root, "stream=garden", &[200]),
        (&root, "owner=bob", &[200]),
        (&root, "by=subject", &[3_000, 10, 200]),
        (&root, "by=owner", &[10, 200]),
    ] {
        assert_eq!(requests(person, query).await, expected, "{query}");
    }
    let found = ada.get("/api/v1/cdn/usage?by=subject").await.ok(200);
    let item = &found["items"][0];
    assert_eq!(
        (
            &item["subject"],
            &item["name"],
            &item["owner"],
            &item["start"]
        ),
        (
            &json!("stream"),
            &json!("engines"),
            &json!("ada"),
            &Value::Null
        )
    );
    // A page at a time.
    let mut query = "by=subject&first=1".to_owned();
    let mut seen = Vec::new();
    loop {
        let found = root
            .get(&format!("/api/v1/cdn/usage?{query}"))
            .await
            .ok(200);
        seen.push(found["items"][0]["requests"].as_u64().unwrap());
        match found["next"].as_str() {
            Some(next) => query = format!("by=subject&first=1&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, [3_000, 10, 200]);
    for (query, status, code) in [
        ("stream=garden", 403, "forbidden"),
        ("stream=none", 404, "not-found"),
        ("owner=bob", 403, "forbidden"),
        ("owner=nobody", 404, "not-found"),
        ("by=owner", 403, "forbidden"),
        (
            "video=0193c0de-0000-7000-8000-00000000000a",
            404,
            "not-found",
        ),
        ("stream=engines&owner=ada", 400, "validation"),
        ("seconds=61", 400, "validation"),
        ("from=2&to=1", 400, "validation"),
        ("by=nothing", 400, "validation"),
    ] {
        let told = ada.get(&format!("/api/v1/cdn/usage?{query}")).await;
        told.problem(status, code);
    }
    let anybody = app.anybody().get("/api/v1/cdn/usage").await;
    anybody.problem(401, "unauthenticated");
}

async fn caches_are_the_administrators(app: TestApp) {
    let ada = app.person("ada").await;
    let root = administrator(&app).await;
    let edge = live_edge(&app.database, &app.clock).await;
    for path in ["nodes", "deployment", "metrics", "assets"] {
        let told = ada.get(&format!("/api/v1/cdn/{path}")).await;
        assert!(told.problem(403, "forbidden").contains("the role admin"));
    }
    let nodes = root.get("/api/v1/cdn/nodes").await.ok(200);
    let node = &nodes["items"][0];
    assert_eq!(
        (
            &node["id"],
            &node["region"],
            &node["is_live"],
            &node["roles"]
        ),
        (
            &json!(edge.to_string()),
            &json!("north"),
            &json!(true),
            &json!(["edge"])
        )
    );
    let deployment = root.get("/api/v1/cdn/deployment").await.ok(200);
    assert_eq!(deployment["nodes"], 1);
    let metrics = root.get("/api/v1/cdn/metrics").await.ok(200);
    assert_eq!(metrics["nodes"], 1);
    let document = "{ edgeNodes { nodes { id region } } edgeDeployment { isComplete nodes }
                     edgeMetrics { nodes } edgeAssets { nodes { id } } }";
    let data = root.data(document).await;
    assert_eq!(data["edgeNodes"]["nodes"][0]["region"], "north");
    assert_eq!(data["edgeMetrics"]["nodes"], 1);
    for field in [
        "edgeNodes { nodes { id } }",
        "edgeDeployment { nodes }",
        "edgeMetrics { nodes }",
        "edgeAssets { nodes { id } }",
    ] {
        let code = ada.graphql_code(&format!("{{ {field} }}")).await;
        assert_eq!(code, "forbidden", "{field}");
    }
}

async fn assets_are_the_administrators(app: TestApp) {
    let root = administrator(&app).await;
    let ada = app.person("ada").await;
    let films = json!({
        "name": "films", "path_prefix": "/vod/films/", "kind": "vod", "access": "signed",
        "tags": ["a"],
    });
    let assets = ASSETS;
    ada.post(assets, &films).await.problem(403, "forbidden");
    let asset = root.post(assets, &films).await.ok(201);
    assert_eq!(
        (&asset["kind"], &asset["access"], &asset["tags"]),
        (&json!("vod"), &json!("signed"), &json!(["a"]))
    );
    root.post(assets, &films).await.problem(409, "taken");
    let id = asset["id"].as_str().unwrap();
    let path = format!("{assets}/{id}");
    assert_eq!(root.get(&path).await.ok(200), asset);
    let deployment = root.get("/api/v1/cdn/deployment").await.ok(200);
    assert_eq!(deployment["is_complete"], true);
    let edge = live_edge(&app.database, &app.clock).await;
    let deployment = root.get("/api/v1/cdn/deployment").await.ok(200);
    assert_eq!(deployment["is_complete"], false);
    assert_eq!(deployment["behind"][0]["node"], edge.to_string());
    let changed = root.patch(&path, &json!({ "tags": ["b"] })).await.ok(200);
    assert_eq!(changed["tags"], json!(["b"]));
    let document = format!(r#"{{ edgeAsset(id: "{id}") {{ name tags kind access }} }}"#);
    let expected = json!({ "name": "films", "tags": ["b"], "kind": "VOD", "access": "SIGNED" });
    assert_eq!(root.data(&document).await["edgeAsset"], expected);
    let change = format!(
        r#"mutation {{ updateEdgeAsset(id: "{id}", input: {{name: "movies"}}) {{ name }} }}"#
    );
    assert_eq!(ada.graphql_code(&change).await, "forbidden");
    let changed = root.data(&change).await;
    assert_eq!(changed["updateEdgeAsset"]["name"], "movies");
    let remove = format!(r#"mutation {{ removeEdgeAsset(id: "{id}") }}"#);
    assert_eq!(ada.graphql_code(&remove).await, "forbidden");
    assert_eq!(root.data(&remove).await["removeEdgeAsset"], true);
    root.get(&path).await.problem(404, "not-found");
    root.delete(&path).await.problem(404, "not-found");
    let register = r#"mutation { registerEdgeAsset(input: {name: "files", pathPrefix: "/files/",
        kind: OTHER, access: PUBLIC}) { id origin } }"#;
    let made = root.data(register).await["registerEdgeAsset"].clone();
    assert_eq!(made["origin"], "");
    let path = format!("{assets}/{}", made["id"].as_str().unwrap());
    root.delete(&path).await.ok(204);
    let log = root.get("/api/v1/audit-log?first=100").await.ok(200);
    let items = log["items"].as_array().unwrap();
    let actions: Vec<_> = items
        .iter()
        .map(|one| one["action"].as_str().unwrap())
        .collect();
    let expected = [
        "remove-asset",
        "register-asset",
        "remove-asset",
        "update-asset",
        "update-asset",
        "register-asset",
    ];
    assert_eq!(actions, expected);
}

async fn tokens_need_scopes(app: TestApp) {
    let ada = app.person("ada").await;
    let root = administrator(&app).await;
    make(&ada, "engines", json!({})).await;
    make(&root, "own", json!({})).await;
    let token = async |person: &Person<'_>, scopes: Value| {
        let body = json!({ "name": "t", "scopes": scopes });
        let made = person.post("/api/v1/me/tokens", &body).await.ok(201);
        made["token"].clone()
    };
    let engines = json!({ "kind": "stream", "subject": "engines" });
    let reads = token(&ada, json!(["streams:read"])).await;
    let reads = ada.clone().with_tokens(&json!({ "access_token": reads }));
    let told = reads.post(PURGES, &engines).await;
    assert!(told.problem(403, "forbidden").contains("streams:write"));
    reads.get("/api/v1/cdn/usage").await.ok(200);
    let writes = token(&ada, json!(["streams:write"])).await;
    let writes = ada.clone().with_tokens(&json!({ "access_token": writes }));
    writes.post(PURGES, &engines).await.ok(200);
    writes
        .get("/api/v1/cdn/usage")
        .await
        .problem(403, "forbidden");
    // An administrator's token for streams is for their own.
    let scopes = json!(["streams:read", "streams:write"]);
    let streams = token(&root, scopes).await;
    let streams = root
        .clone()
        .with_tokens(&json!({ "access_token": streams }));
    let own = json!({ "kind": "stream", "subject": "own" });
    streams.post(PURGES, &own).await.ok(200);
    streams
        .post(PURGES, &engines)
        .await
        .problem(403, "forbidden");
    let told = streams.post(PURGES, &json!({ "kind": "everything" })).await;
    assert!(told.problem(403, "forbidden").contains("the scope admin"));
    streams
        .get("/api/v1/cdn/nodes")
        .await
        .problem(403, "forbidden");
    let scopes = json!(["streams:read", "streams:write", "admin"]);
    let all = token(&root, scopes).await;
    let all = root.clone().with_tokens(&json!({ "access_token": all }));
    all.post(PURGES, &engines).await.ok(200);
    all.get("/api/v1/cdn/nodes").await.ok(200);
}

async fn orders_are_counted(app: TestApp) {
    let ada = app.person("ada").await;
    make(&ada, "engines", json!({})).await;
    let body = json!({ "kind": "stream", "subject": "engines" });
    for _ in 0..60 {
        ada.post(PURGES, &body).await.ok(200);
    }
    let told = ada.post(PURGES, &body).await;
    assert!(told.problem(429, "rate-limited").contains("cache-orders"));
    app.later(Micros::from_secs(60));
    ada.post(PURGES, &body).await.ok(200);
    let root = administrator(&app).await;
    for _ in 0..61 {
        root.post(PURGES, &body).await.ok(200);
    }
}
