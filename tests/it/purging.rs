//! Purges on several edges, and what an operator sees of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Http, Listener, Nova, Signal, Site, VersionedOrigin, wait_for, wait_until};

/// How long an edge may take to be live in the registry.
const SOON: Duration = Duration::from_secs(30);
const PURGES: &str = "/api/v1/cdn/purges";

/// Edges in front of one origin, each on a data directory of its own.
struct Edges {
    origin: VersionedOrigin,
    nodes: Vec<Nova>,
}

impl Edges {
    fn start(settings: &[(&str, &str)], count: usize) -> Self {
        let origin = VersionedOrigin::start();
        let start = |_| {
            let site = Site::with_settings(settings);
            let edge = site
                .serve()
                .roles("edge", &[Listener::Http, Listener::Admin]);
            edge.variable("NOVA__EDGE__ORIGIN", &origin.url())
                .variable("NOVA__EDGE__REGION", "test")
                .start()
        };
        let nodes = (0..count).map(start).collect();
        Self { origin, nodes }
    }

    /// What each edge answers with.
    fn versions(&self, path: &str) -> Vec<u64> {
        let version = |node: &Nova| version(&node.http(), path);
        self.nodes.iter().map(version).collect()
    }

    fn each_has(&self, path: &str, expected: u64) {
        assert_eq!(
            self.versions(path),
            vec![expected; self.nodes.len()],
            "{path}"
        );
    }
}

fn version(http: &Http, path: &str) -> u64 {
    let answer = http.fetch(path).unwrap();
    answer.text().parse().unwrap()
}

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap()
}

/// Purges through `admin`, which must answer with this status.
#[track_caller]
fn purge(admin: &Http, body: &Value, status: u16) -> Value {
    let answer = admin.post_json(PURGES, &body.to_string()).unwrap();
    assert_eq!(answer.status, status, "{}", answer.text());
    json(&answer.body)
}

/// What selects `/live/a/1.m4s`.
fn ways() -> [Value; 6] {
    [
        json!({"kind": "url", "subject": "http://any.example/live/a/1.m4s?token=secret"}),
        json!({"kind": "prefix", "subject": "/live/a/"}),
        json!({"kind": "pattern", "subject": "/live/*/1.m4s"}),
        json!({"kind": "tag", "subject": "stream:a"}),
        json!({"kind": "stream", "subject": "a"}),
        json!({"kind": "everything"}),
    ]
}

fn a_purge_that_returns_has_left_every_node(settings: &[(&str, &str)]) {
    let edges = Edges::start(settings, 3);
    // Somebody asks all the time, and never gets what was purged before they asked.
    let floor = Arc::new(AtomicU64::new(0));
    let ended = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = edges
        .nodes
        .iter()
        .map(|node| {
            let (http, floor, ended) = (node.http(), floor.clone(), ended.clone());
            thread::spawn(move || {
                let mut asked = 0;
                while !ended.load(Ordering::SeqCst) {
                    let least = floor.load(Ordering::SeqCst);
                    let given = version(&http, "/live/a/1.m4s");
                    assert!(
                        given >= least,
                        "{given} was purged before, {least} came after"
                    );
                    asked += 1;
                }
                asked
            })
        })
        .collect();
    for round in 0..3 {
        for (index, way) in ways().iter().enumerate() {
            let stale = edges.origin.change();
            for node in &edges.nodes {
                version(&node.http(), "/live/b/1.m4s");
            }
            let newer = edges.origin.change();
            let admin = edges.nodes[(index + round) % 3].admin();
            let purged = purge(&admin, way, 200);
            floor.store(newer, Ordering::SeqCst);
            edges.each_has("/live/a/1.m4s", newer);
            assert_eq!(purged["state"], "complete");
            let nodes = purged["nodes"].as_array().unwrap();
            assert_eq!(nodes.len(), 3, "{purged}");
            for node in nodes {
                assert_eq!(node["state"], "acknowledged", "{purged}");
                assert!(node["acknowledged_at"].is_string());
            }
            assert!(!purged.to_string().contains("secret"), "{purged}");
            // It can be looked up, on any node.
            let id = purged["id"].as_str().unwrap();
            let other = edges.nodes[round].admin();
            let again = other.fetch(&format!("{PURGES}/{id}")).unwrap();
            assert_eq!(json(&again.body), purged);
            let others = edges.versions("/live/b/1.m4s");
            match way["kind"].as_str() {
                Some("pattern" | "everything") => assert_eq!(others, [newer; 3]),
                _ => assert!(others.iter().all(|version| *version <= stale), "{others:?}"),
            }
        }
    }
    ended.store(true, Ordering::SeqCst);
    for client in clients {
        assert!(client.join().expect("it was never given what was purged") > 0);
    }
}

#[test]
fn e08_a_purge_that_returns_has_left_every_node_by_events() {
    let database = peers::postgres::database();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let nats = runtime.block_on(peers::nats::NatsServer::start());
    a_purge_that_returns_has_left_every_node(&[
        ("NOVA__DATABASE__URL", &database.url()),
        ("NOVA__EVENTS__URL", &nats.url()),
    ]);
}

#[test]
fn e08_a_purge_that_returns_has_left_every_node_on_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("nova.db").display());
    a_purge_that_returns_has_left_every_node(&[("NOVA__DATABASE__URL", &url)]);
}

#[test]
fn e08_a_purge_that_returns_has_left_an_edge_behind_a_shield() {
    let database = peers::postgres::database();
    let settings = [("NOVA__DATABASE__URL", &*database.url())];
    let mut edges = Edges::start(&settings, 1);
    let shield = edges.nodes[0].address(Listener::Http);
    let outer = Site::with_settings(&settings)
        .serve()
        .roles("edge", &[Listener::Http, Listener::Admin])
        .variable("NOVA__EDGE__SHIELDS", &format!("http://{shield}"))
        .start();
    edges.nodes.push(outer);
    let path = "/live/a/1.m4s";
    // Who asks all the time has the edge ask its shield before that has obeyed.
    let ended = Arc::new(AtomicBool::new(false));
    let (http, over) = (edges.nodes[1].http(), ended.clone());
    let client = thread::spawn(move || {
        while !over.load(Ordering::SeqCst) {
            version(&http, path);
        }
    });
    for _ in 0..10 {
        let newer = edges.origin.change();
        let way = json!({"kind": "url", "subject": path});
        assert_eq!(
            purge(&edges.nodes[0].admin(), &way, 200)["state"],
            "complete"
        );
        edges.each_has(path, newer);
    }
    ended.store(true, Ordering::SeqCst);
    client.join().expect("it was always answered");
}

#[test]
fn e08_a_node_that_was_stopped_is_given_up_and_does_not_serve_what_was_purged() {
    let database = peers::postgres::database();
    let edges = Edges::start(&[("NOVA__DATABASE__URL", &database.url())], 2);
    let path = "/live/a/1.m4s";
    edges.each_has(path, 1);
    let newer = edges.origin.change();
    let [well, stopped] = &edges.nodes[..] else {
        panic!("there are two");
    };
    stopped.signal(Signal::Stop);
    let pending = purge(
        &well.admin(),
        &json!({"kind": "stream", "subject": "a", "wait_seconds": 1}),
        202,
    );
    assert_eq!(pending["state"], "pending");
    let id = pending["id"].as_str().unwrap().to_owned();
    assert_eq!(version(&well.http(), path), newer);
    // Its lease ends, and then nobody waits for it.
    let done = wait_for("the lease of the stopped node to end", SOON, || {
        let answer = well.admin().fetch(&format!("{PURGES}/{id}"))?;
        let status = json(&answer.body);
        match status["state"] == "complete" {
            true => Ok(status),
            false => Err(status.to_string()),
        }
    });
    assert!(done.to_string().contains("away"), "{done}");
    stopped.signal(Signal::Continue);
    assert_eq!(
        version(&stopped.http(), path),
        newer,
        "it served what was purged"
    );
    wait_until("the node to have obeyed", SOON, || {
        let answer = well.admin().fetch(&format!("{PURGES}/{id}")).unwrap();
        let status = json(&answer.body).to_string();
        !status.contains("away") && status.matches("acknowledged_at\":\"").count() == 2
    });
}

#[test]
fn e08_a_node_that_comes_back_has_obeyed_before_it_serves() {
    let database = peers::postgres::database();
    let mut edges = Edges::start(&[("NOVA__DATABASE__URL", &database.url())], 2);
    edges.each_has("/live/a/1.m4s", 1);
    let mut gone = edges.nodes.pop().unwrap();
    let again = gone.again();
    gone.signal(Signal::Term);
    assert!(gone.wait_exit().success());
    drop(gone);
    // It has given its lease up, so that nobody waits.
    let newer = edges.origin.change();
    let status = purge(&edges.nodes[0].admin(), &json!({"kind": "everything"}), 200);
    edges.nodes.push(again.start());
    edges.each_has("/live/a/1.m4s", newer);
    let id = status["id"].as_str().unwrap();
    let answer = edges.nodes[1].admin().fetch(&format!("{PURGES}/{id}"));
    let nodes = json(&answer.unwrap().body)["nodes"].clone();
    let acknowledged = |node: &&Value| node["state"] == "acknowledged";
    assert_eq!(
        nodes
            .as_array()
            .unwrap()
            .iter()
            .filter(acknowledged)
            .count(),
        2,
        "{nodes}"
    );
}

#[test]
fn an_edge_without_a_database_purges_itself() {
    let edges = Edges::start(&[], 1);
    let node = &edges.nodes[0];
    edges.each_has("/live/a/1.m4s", 1);
    let newer = edges.origin.change();
    edges.each_has("/live/a/1.m4s", 1);
    let done = purge(
        &node.admin(),
        &json!({"kind": "url", "subject": "/live/a/1.m4s"}),
        200,
    );
    assert_eq!(done["state"], "complete");
    edges.each_has("/live/a/1.m4s", newer);
    let problem = node.admin().get("/api/v1/cdn/nodes").unwrap();
    assert_eq!(
        (problem.status, &*problem.content_type),
        (501, "application/problem+json")
    );
    assert_eq!(json(&problem.body)["code"], "no-database");
    assert!(!node.site().data_dir().join("nova.db").exists());
}

#[test]
fn the_operations_of_a_cdn() {
    let database = peers::postgres::database();
    let edges = Edges::start(&[("NOVA__DATABASE__URL", &database.url())], 2);
    let node = &edges.nodes[0];
    let admin = node.admin();
    let get = |path: &str| json(&admin.fetch(path).unwrap().body);

    // Locations.
    let nodes = get("/api/v1/cdn/nodes?limit=1");
    assert_eq!(nodes["items"].as_array().unwrap().len(), 1);
    let first = &nodes["items"][0];
    assert_eq!(
        (
            &first["live"],
            &first["region"],
            &first["roles"],
            &first["health"]
        ),
        (&json!(true), &json!("test"), &json!("edge"), &json!(""))
    );
    let next = nodes["next"].as_str().unwrap();
    let rest = get(&format!("/api/v1/cdn/nodes?after={next}"));
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    assert_eq!(rest["next"], Value::Null);

    // Assets: registered, got, changed, taken, refused, removed.
    let asset = json!({
        "name": "films", "path_prefix": "/vod/a/", "kind": "vod", "access": "public", "tags": ["film"],
    });
    let assets = "/api/v1/cdn/assets";
    let made = admin.post_json(assets, &asset.to_string()).unwrap();
    assert_eq!(made.status, 201, "{}", made.text());
    let made = json(&made.body);
    let one = format!("{assets}/{}", made["id"].as_str().unwrap());
    assert_eq!(get(&one), made);
    assert_eq!(get(assets)["items"], json!([made]));
    assert_eq!(
        admin.post_json(assets, &asset.to_string()).unwrap().status,
        409
    );
    for (field, value) in [
        ("kind", "film"),
        ("path_prefix", "vod"),
        ("origin", "ftp://a"),
    ] {
        let mut wrong = asset.clone();
        wrong[field] = json!(value);
        let refused = admin.post_json(assets, &wrong.to_string()).unwrap();
        assert_eq!(refused.status, 400, "{}", refused.text());
        assert!(refused.text().contains("expected"), "{}", refused.text());
    }
    let changed = admin
        .patch_json(&one, r#"{"tags": ["film", "old"]}"#)
        .unwrap();
    assert_eq!(json(&changed.body)["tags"], json!(["film", "old"]));

    // Each node tells which configuration it has.
    let deployed = wait_for("the configuration to be everywhere", SOON, || {
        let deployment = get("/api/v1/cdn/deployment");
        match deployment["state"] == "complete" {
            true => Ok(deployment),
            false => Err(deployment.to_string()),
        }
    });
    assert_eq!(deployed["configuration"], 2);

    // A tag of an asset is one of all its paths.
    edges.each_has("/vod/a/1.m4s", 1);
    edges.each_has("/vod/b/1.m4s", 1);
    let newer = edges.origin.change();
    purge(&admin, &json!({"kind": "tag", "subject": "old"}), 200);
    edges.each_has("/vod/a/1.m4s", newer);
    edges.each_has("/vod/b/1.m4s", 1);

    // URLs.
    let url = |path: &str| {
        let body = json!({ "path": path }).to_string();
        admin.post_json("/api/v1/cdn/urls", &body).unwrap()
    };
    assert_eq!(
        json(&url("/vod/a/index.m3u8").body)["url"],
        "/vod/a/index.m3u8"
    );
    // No key is configured: all nodes share one.
    let signed = admin.patch_json(&one, r#"{"access": "signed"}"#).unwrap();
    assert_eq!(signed.status, 200, "{}", signed.text());
    let signed = json(&url("/vod/a/index.m3u8").body);
    let signed = signed["url"].as_str().unwrap();
    assert!(signed.starts_with("/vod/~"), "{signed}");
    assert_eq!(url("/vod/b/index.m3u8").status, 200);
    assert_eq!(url("vod").status, 400);
    assert_eq!(admin.delete(&one).unwrap().status, 204);
    assert_eq!(admin.delete(&one).unwrap().status, 404);

    // Purges: listed, and refused in one sentence.
    let purges = get(PURGES);
    assert_eq!(purges["items"][0]["subject"], "old");
    for wrong in [
        json!({"kind": "prefix", "subject": "live"}),
        json!({"kind": "films", "subject": "/"}),
        json!({"kind": "url"}),
        json!({"kind": "everything", "wait_seconds": 31}),
        json!({"kind": "everything", "hard": true}),
    ] {
        let problem = purge(&admin, &wrong, 400);
        assert_eq!(problem["code"], "validation", "{problem}");
    }
    assert_eq!(admin.get(&format!("{PURGES}/x")).unwrap().status, 400);
    let unknown = "01890000-0000-7000-8000-000000000000";
    assert_eq!(
        admin.get(&format!("{PURGES}/{unknown}")).unwrap().status,
        404
    );

    // The same by the command line.
    edges.each_has("/live/a/1.m4s", newer);
    let newest = edges.origin.change();
    let site = node.site();
    let told = site.nova(&["purge", "--stream", "a", "--wait"]).succeeded();
    assert_eq!(told.matches("\tacknowledged").count(), 2, "{told}");
    edges.each_has("/live/a/1.m4s", newest);
    let listed = site.nova(&["node", "list"]).succeeded();
    assert_eq!(listed.matches("\ttest\t").count(), 2, "{listed}");
    let sentence = site.nova(&["purge", "live/a"]).failed_with_one_sentence();
    assert!(
        sentence.contains("expected http(s)") || sentence.contains("Expected"),
        "{sentence}"
    );

    // What all of them do.
    let metrics = get("/api/v1/cdn/metrics");
    assert_eq!(metrics["nodes"], 2);
    assert_eq!(metrics["unwell"], 0);
    assert!(edges.origin.requests() > 0);
}
