//! What is prewarmed is in the edges before anybody asks.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Http, Listener, Nova, Signal, Site, VersionedOrigin, resolve, wait_for};
use crate::vod::{import, media_file, wait_until_ready};

const SOON: Duration = Duration::from_secs(60);
const PREWARMS: &str = "/api/v1/cdn/prewarms";

/// An edge in front of `origin`, on a data directory of its own.
fn edge(origin: &str, settings: &[(&str, &str)]) -> Nova {
    let serve = Site::with_settings(settings)
        .serve()
        .roles("edge", &[Listener::Http, Listener::Admin]);
    serve.variable("NOVA__EDGE__ORIGIN", origin).start()
}

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap()
}

#[track_caller]
fn post(admin: &Http, body: &Value, status: u16) -> Value {
    let answer = admin.post_json(PREWARMS, &body.to_string()).unwrap();
    assert_eq!(answer.status, status, "{}", answer.text());
    json(&answer.body)
}

fn get(admin: &Http, id: &str) -> Value {
    json(&admin.fetch(&format!("{PREWARMS}/{id}")).unwrap().body)
}

/// The prewarm `id`, once it has ended.
fn ended(admin: &Http, id: &str) -> Value {
    wait_for("the end of the prewarm", SOON, || {
        let status = get(admin, id);
        match status["state"].as_str() {
            Some("waiting" | "running") => Err(status.to_string()),
            _ => Ok(status),
        }
    })
}

/// Paths of all that the playlists of a video name, and of its manifests.
fn named(http: &Http, id: &str) -> Vec<String> {
    let index = format!("/vod/{id}/index.m3u8");
    let mut left = vec![index, format!("/vod/{id}/manifest.mpd")];
    let mut all = Vec::new();
    while let Some(path) = left.pop() {
        if path.ends_with(".m3u8") {
            let text = http.fetch(&path).unwrap().text();
            let uris = text
                .lines()
                .filter_map(|line| match line.split_once("URI=\"") {
                    Some((_, uri)) => uri.split('"').next(),
                    None => Some(line).filter(|line| !line.is_empty() && !line.starts_with('#')),
                });
            left.extend(uris.map(|uri| resolve(&path, uri)));
        }
        if !all.contains(&path) {
            all.push(path);
        }
    }
    all
}

fn is_hit(http: &Http, path: &str) -> bool {
    let answer = http.fetch(path).unwrap();
    answer.cache_status.starts_with("nova; hit")
}

/// What the edge has stored that the origin gave.
fn stored(edge: &Nova) -> f64 {
    edge.metric("nova_edge_fills_total{outcome=\"stored\",reason=\"\"}")
        .unwrap_or(0.0)
}

#[test]
fn a_video_is_in_all_edges_before_it_is_played() {
    let database = peers::postgres::database();
    let settings = [("NOVA__DATABASE__URL", &*database.url())];
    let site = Site::with_settings(&settings);
    site.create_stream("garden");
    let file = media_file(site.data_dir(), "in.mp4", "320x180", 6);
    let id = import(&site, &file);
    let media = site.serve().media_roles().start();
    wait_until_ready(&site, &id, SOON);
    let origin = media.origin_url();
    let edges = [edge(&origin, &settings), edge(&origin, &settings)];

    let told = site
        .nova(&["prewarm", "--video", &id, "--wait"])
        .succeeded();
    assert_eq!(told.matches("\tdone\t").count(), 2, "{told}");
    let expected = named(&Http::new(media.address(Listener::Origin)), &id);
    assert!(expected.len() > 8, "{expected:?}");
    for edge in &edges {
        let fetched = stored(edge);
        assert_eq!(fetched as usize, expected.len(), "each once");
        for path in &expected {
            assert!(is_hit(&edge.http(), path), "{path}");
        }
        assert_eq!(stored(edge), fetched);
    }

    // Again by the API: nothing is asked for, and the sum is that of both.
    let before = edges.each_ref().map(stored);
    let admin = edges[0].admin();
    let begun = post(&admin, &json!({"kind": "video", "subject": id}), 202);
    let done = ended(&admin, begun["id"].as_str().unwrap());
    assert_eq!(done["state"], "done", "{done}");
    assert_eq!(done["failed"], 0);
    assert_eq!(done["done"].as_u64().unwrap() as usize, 2 * expected.len());
    assert!(done["bytes"].as_u64().unwrap() > 100_000, "{done}");
    let nodes = done["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 2);
    for node in nodes {
        assert_eq!(
            (&node["state"], &node["live"]),
            (&json!("done"), &json!(true))
        );
    }
    assert_eq!(edges.each_ref().map(stored), before);
    let listed = json(&admin.fetch(&format!("{PREWARMS}?limit=1")).unwrap().body);
    assert_eq!(listed["items"][0]["id"], begun["id"]);
    let next = listed["next"].as_str().unwrap();
    let rest = admin.fetch(&format!("{PREWARMS}?after={next}")).unwrap();
    assert_eq!(json(&rest.body)["items"].as_array().unwrap().len(), 1);

    // One node, the first segment of one rendition.
    let node = nodes[0]["node"].as_str().unwrap();
    let path = format!("/vod/{id}/index.m3u8");
    let told = site
        .nova(&[
            "prewarm",
            "--playlist",
            &path,
            "--depth",
            "1",
            "--rendition",
            "source",
            "--node",
            node,
            "--wait",
        ])
        .succeeded();
    assert!(told.contains("\tdone\t4 of 4 objects\t0 failed"), "{told}");
}

#[test]
fn what_cannot_be_stored_is_told_and_fails_the_command() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("nova.db").display());
    let settings = [("NOVA__DATABASE__URL", &*url)];
    let site = Site::with_settings(&settings);
    let nobody = site.nova(&["prewarm", "/a"]).failed_with_one_sentence();
    assert!(nobody.contains("no edge is live"), "{nobody}");
    let media = site.serve().media_roles().start();
    let origin = media.origin_url();
    let edge = edge(&origin, &settings);
    let list = site.data_dir().join("urls");
    std::fs::write(&list, "/vod/a/none.m4s\n\n/live/nobody/index.m3u8\n").unwrap();
    let list = list.to_str().unwrap();
    let told = site.nova(&["prewarm", "--urls-from", list, "--wait"]);
    assert!(
        told.stdout
            .contains("/live/nobody/index.m3u8: the answer is 404")
    );
    let id = told.stdout.lines().next().unwrap();
    let id = id.strip_prefix("prewarm ").unwrap().to_owned();
    let sentence = told.failed_with_one_sentence();
    assert!(sentence.contains("0 of 2 objects are stored"), "{sentence}");
    let status = site.nova(&["prewarm", "status", &id]).succeeded();
    assert!(
        status.contains("\tfailed\t0 of 2 objects\t2 failed"),
        "{status}"
    );

    let list = site.data_dir().join("bad");
    std::fs::write(&list, "/a\nftp://a/b\n").unwrap();
    let sentence = site
        .nova(&["prewarm", "--urls-from", list.to_str().unwrap()])
        .failed_with_one_sentence();
    assert!(
        sentence.contains("URL 2 to prewarm is not valid"),
        "{sentence}"
    );
    let admin = edge.admin();
    let unknown = "01890000-0000-7000-8000-000000000000";
    for wrong in [
        json!({"kind": "urls"}),
        json!({"kind": "urls", "urls": []}),
        json!({"kind": "urls", "urls": ["/a", ""]}),
        json!({"kind": "urls", "urls": ["/a\n/b"]}),
        json!({"kind": "urls", "urls": ["/a"], "subject": "/a"}),
        json!({"kind": "urls", "urls": ["/a"], "depth": 1}),
        json!({"kind": "films", "subject": "a"}),
        json!({"kind": "video", "subject": "a"}),
        json!({"kind": "playlist", "subject": "/a.m3u8", "depth": 0}),
        json!({"kind": "playlist", "subject": "/a.m3u8", "renditions": ["No/Name"]}),
        json!({"kind": "urls", "urls": ["/a"], "nodes": ["x"]}),
        json!({"kind": "urls", "urls": vec!["/a"; 10_001]}),
    ] {
        let problem = post(&admin, &wrong, 400);
        assert_eq!(problem["code"], "validation", "{problem}");
    }
    post(
        &admin,
        &json!({"kind": "urls", "urls": ["/a"], "nodes": [unknown]}),
        404,
    );
    let answer = admin.get(&format!("{PREWARMS}/{unknown}")).unwrap();
    assert_eq!(answer.status, 404);
    let answer = admin.delete(&format!("{PREWARMS}/{unknown}")).unwrap();
    assert_eq!(answer.status, 404);
}

#[test]
fn a_prewarm_outlives_its_edge_and_ends_when_somebody_says_so() {
    let database = peers::postgres::database();
    let settings = [("NOVA__DATABASE__URL", &*database.url())];
    // It takes connections, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let hangs = format!("http://{}", silent.local_addr().unwrap());
    let stuck = edge(&hangs, &settings);
    let admin = stuck.admin();
    let body = json!({"kind": "urls", "urls": ["/live/a/1.m4s", "/live/a/2.m4s"]});
    let first = post(&admin, &body, 202);
    let second = post(&admin, &body, 202);
    let (first, second) = (
        first["id"].as_str().unwrap(),
        second["id"].as_str().unwrap(),
    );
    for id in [first, second] {
        wait_for("the prewarm to run", SOON, || {
            let status = get(&admin, id);
            match (&status["state"], &status["total"]) {
                (Value::String(state), total) if state == "running" && total == 2 => Ok(()),
                _ => Err(status.to_string()),
            }
        });
    }
    let cancelled = admin.delete(&format!("{PREWARMS}/{first}")).unwrap();
    assert_eq!(cancelled.status, 200);
    assert_eq!(json(&cancelled.body)["state"], "cancelled");
    let gauge = "nova_edge_prewarms_running";
    wait_for("the edge to end it", SOON, || match stuck.metric(gauge) {
        Ok(1.0) => Ok(()),
        other => Err(format!("{other:?}")),
    });

    let origin = VersionedOrigin::start();
    let again = stuck.again();
    stuck.signal(Signal::Kill);
    drop(stuck);
    let edge = again.variable("NOVA__EDGE__ORIGIN", &origin.url()).start();
    let done = ended(&edge.admin(), second);
    assert_eq!((&done["state"], &done["done"]), (&json!("done"), &json!(2)));
    assert!(is_hit(&edge.http(), "/live/a/2.m4s"));
    assert_eq!(get(&edge.admin(), first)["state"], "cancelled");
}

#[test]
fn as_many_urls_as_may_be_are_taken() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("nova.db").display());
    let settings = [("NOVA__DATABASE__URL", &*url)];
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let hangs = format!("http://{}", silent.local_addr().unwrap());
    let edge = edge(&hangs, &settings);
    let folder = "https://edge.example.org/vod/0193c0de-0000-7000-8000-00000000000a";
    let urls: Vec<_> = (0..10_000)
        .map(|n| format!("{folder}/0193c0de-0000-7000-8000-00000000000b/1080p-h264/{n:05}.m4s"))
        .collect();
    let admin = edge.admin();
    let begun = post(&admin, &json!({"kind": "urls", "urls": urls}), 202);
    assert_eq!(begun["urls"], 10_000);
    let site = Site::with_settings(&settings);
    let list = site.data_dir().join("urls");
    std::fs::write(&list, urls.join("\n")).unwrap();
    let told = site
        .nova(&["prewarm", "--urls-from", list.to_str().unwrap()])
        .succeeded();
    assert!(told.starts_with("prewarm "), "{told}");
    for id in [
        begun["id"].as_str().unwrap(),
        told.trim().trim_start_matches("prewarm "),
    ] {
        assert_eq!(get(&admin, id)["urls"], 10_000);
        admin.delete(&format!("{PREWARMS}/{id}")).unwrap();
    }
}

#[test]
fn an_edge_without_a_database_prewarms_itself() {
    let origin = VersionedOrigin::start();
    let edge = edge(&origin.url(), &[]);
    let admin = edge.admin();
    let body = json!({"kind": "urls", "urls": ["https://any.example/live/a/1.m4s?token=secret"]});
    let begun = post(&admin, &body, 202);
    let id = begun["id"].as_str().unwrap();
    let done = ended(&admin, id);
    assert_eq!(done["state"], "done", "{done}");
    assert_eq!((&done["total"], &done["bytes"]), (&json!(1), &json!(1)));
    assert_eq!(done["nodes"][0]["node"], Value::Null);
    assert!(is_hit(&edge.http(), "/live/a/1.m4s"));
    let listed = json(&admin.fetch(PREWARMS).unwrap().body);
    assert_eq!(listed["items"][0]["id"], begun["id"]);
    assert!(!listed.to_string().contains("secret"), "{listed}");
    // It has ended: so it stays as it was.
    let cancelled = admin.delete(&format!("{PREWARMS}/{id}")).unwrap();
    assert_eq!(json(&cancelled.body)["state"], "done");
    let some = "01890000-0000-7000-8000-000000000000";
    let named = json!({"kind": "urls", "urls": ["/a"], "nodes": [some]});
    assert_eq!(post(&admin, &named, 501)["code"], "no-database");
    let answer = admin.get(&format!("{PREWARMS}/{some}")).unwrap();
    assert_eq!(answer.status, 404);
    // What is stored so is no viewer's.
    let requests = edge.metric("nova_edge_requests_total{result=\"miss\",status=\"2xx\"}");
    assert_eq!(requests.unwrap_or(0.0), 0.0);
    let objects = edge.metric("nova_edge_prewarm_objects_total{outcome=\"fetched\"}");
    assert_eq!(objects, Ok(1.0));
}
