//! What an edge counts and records of real players.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use peers::postgres::Database;
use serde_json::Value;

use crate::harness::{Encoder, Http, Signal, Site, Stream, wait_for};

/// Longer than usage stays in memory.
const REPORTED: Duration = Duration::from_secs(60);
const SECRET: &str = "not-for-any-log";

/// What the rows have of a stream.
#[derive(Debug)]
struct Rows {
    requests: i64,
    hits: i64,
    bytes: i64,
    origin_bytes: i64,
    viewers: i64,
}

fn rows(database: &Database, name: &str) -> Rows {
    let found = database.sql(&format!(
        "SELECT COALESCE(SUM(requests), 0), COALESCE(SUM(hits), 0), COALESCE(SUM(bytes), 0),
                COALESCE(SUM(origin_bytes), 0), COALESCE(MAX(viewers), 0)
         FROM usage_minutes u JOIN streams s ON s.id = u.subject_id
         WHERE u.kind = 'stream' AND s.name = '{name}'"
    ));
    let numbers: Vec<i64> = found
        .trim()
        .split('|')
        .map(|number| number.parse().expect("a number"))
        .collect();
    let [requests, hits, bytes, origin_bytes, viewers] = numbers[..] else {
        panic!("{found}");
    };
    Rows {
        requests,
        hits,
        bytes,
        origin_bytes,
        viewers,
    }
}

/// A player that tells of itself asks for `path`.
fn play(http: &Http, path: &str, player: &str, buffer: u32) {
    let told = format!("bl%3D{buffer}%2Cbs%2Cmtp%3D9000%2Cot%3Dv%2Csid%3D%22{player}-{SECRET}%22");
    let answer = http.fetch(&format!("{path}?CMCD={told}&token={SECRET}"));
    assert!(!answer.unwrap().body.is_empty());
}

#[test]
fn players_are_counted_and_recorded() {
    let database = peers::postgres::database();
    let site = Site::on_database(&database.url());
    site.keep_secret(SECRET);
    let key = site.create_stream("garden");
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    let mut nova = site
        .serve()
        .variable("NOVA__EDGE__ACCESS_LOG", &log.display().to_string())
        .start();
    let _publisher = Encoder::small().publish(&nova.rtmp_url(&key));
    let stream = Stream::new(nova.http(), "garden");
    stream.wait_live(&["source", "audio"], 2);
    let segment = stream.media("source").unwrap().segments[0].uri.clone();
    for player in ["one", "two", "two"] {
        play(&nova.http(), &segment, player, 1_500);
    }
    let metrics = nova.admin().fetch("/metrics").unwrap().text();
    for wanted in [
        "nova_edge_requests_total{result=\"hit\",status=\"2xx\"} ",
        "nova_edge_time_to_head_seconds_bucket{result=\"hit\",le=\"0.001\"} ",
        "nova_edge_cmcd_buffer_starvations_total{object_type=\"video\"} 3\n",
        "nova_edge_cmcd_buffer_length_seconds_count{object_type=\"video\"} 3\n",
        "nova_edge_cmcd_throughput_bits_per_second_sum{object_type=\"video\"} 27000000\n",
    ] {
        assert!(metrics.contains(wanted), "{wanted}: {metrics}");
    }
    assert!(!metrics.contains(SECRET) && !metrics.contains("garden"));

    // Two players and who tells nothing, in one minute.
    let counted = wait_for("the rows of usage", REPORTED, || {
        stream.media("source")?;
        play(&nova.http(), &segment, "one", 100);
        play(&nova.http(), &segment, "two", 100);
        let counted = rows(&database, "garden");
        match counted.viewers {
            3 => Ok(counted),
            _ => Err(format!("{counted:?}")),
        }
    });
    assert!(counted.requests > counted.hits, "{counted:?}");
    assert!(counted.hits >= 2 && counted.origin_bytes > 0, "{counted:?}");
    assert!(counted.bytes > counted.origin_bytes, "{counted:?}");
    let told = |query: &str| -> Value {
        let path = format!("/api/v1/cdn/usage{query}");
        serde_json::from_slice(&nova.admin().fetch(&path).unwrap().body).unwrap()
    };
    let of_subjects = told("?by=subject");
    let items = of_subjects["items"].as_array().unwrap();
    let garden = items.iter().find(|item| item["name"] == "garden").unwrap();
    assert!(garden["hits"].as_u64() >= Some(2), "{garden}");
    assert_eq!(garden["most_viewers"], 3, "{garden}");
    let id = garden["subject"].as_str().unwrap();
    let id = id.strip_prefix("stream:").unwrap();
    let hours = told(&format!("?stream={id}"));
    assert!(hours["items"][0]["requests"].as_u64() > Some(2), "{hours}");
    let owners = told("?by=owner");
    assert_eq!(owners["items"][0]["owner"], garden["owner"], "{owners}");
    let wrong = nova.admin().get("/api/v1/cdn/usage?from=2&to=1").unwrap();
    assert_eq!(wrong.status, 400);
    let viewers = nova.metric("nova_edge_viewers").unwrap();
    assert!(viewers >= 3.0, "{viewers}");

    nova.signal(Signal::Term);
    assert!(nova.wait_exit().success());
    let lines = fs::read_to_string(&log).unwrap();
    assert!(!lines.contains(SECRET), "a secret is recorded");
    let records = lines.lines().map(|line| {
        let record: Value = serde_json::from_str(line).unwrap();
        record
    });
    let mut sessions = BTreeMap::new();
    let mut of_stream = 0;
    for record in records.filter(|record| record["subject"] == "live/garden") {
        of_stream += 1;
        assert_eq!(record["address"], "127.0.0.1", "{record}");
        if record["cmcd"]["bl"] == 1_500 {
            assert_eq!(record["path"], segment, "{record}");
            let session = record["session"].as_str().unwrap().to_owned();
            *sessions.entry(session).or_insert(0) += 1;
        }
    }
    let mut requests: Vec<_> = sessions.into_values().collect();
    requests.sort_unstable();
    assert_eq!(requests, [1, 2]);
    // What came after the last report is reported at the end.
    assert_eq!(rows(&database, "garden").requests, of_stream);
}

#[test]
fn a_log_that_cannot_be_written_ends_the_start() {
    let site = Site::new();
    let serve = site
        .serve()
        .variable("NOVA__EDGE__ACCESS_LOG", "/no/such/folder/access.log");
    let sentence = serve.refused();
    assert!(
        sentence.contains("/no/such/folder/access.log"),
        "{sentence}"
    );
}
