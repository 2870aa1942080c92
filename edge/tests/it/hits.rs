//! Hits of the fast path: the same as the service gives, and as it counts them.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use edge::access::{AccessConfig, Algorithm, Gate, KeyRing, Policy, Rule, generate_key};
use edge::server::{FastAnswer, FastPath, Peer, PlainRequest, Server, ServerConfig};
use edge::usage::{AccessLogTarget, Usage, UsageConfig};
use edge::{DiskConfig, EdgeConfig, PrewarmEnd};
use http_body_util::BodyExt;
use media::Timestamp;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::disk::disk;
use crate::listening::read_until;
use crate::origin::{House, Origin, OriginBody, bytes, response, text};
use crate::prewarm::urls;
use crate::purging::rule;

const PATH: &str = "/live/demo/0/v/7.m4s";
const SERVED: &[&str] = &["/live/", "/vod/"];
const FIELDS: &[(&str, &str)] = &[
    ("cache-control", "public, max-age=60"),
    ("content-type", "video/iso.segment"),
    ("etag", "\"7\""),
    ("cache-status", "shield; hit"),
    ("x-twice", "1"),
    ("x-twice", "2"),
];

fn request(path: &str) -> PlainRequest<'_> {
    PlainRequest {
        path,
        user_agent: Some(b"player"),
        peer: Peer {
            address: SocketAddr::from(([192, 0, 2, 1], 1_000)),
            is_tls: false,
        },
    }
}

fn open() -> Gate {
    Gate::new(AccessConfig::default(), KeyRing::default())
}

fn usage() -> Usage {
    Usage::new(&UsageConfig::default()).unwrap().0
}

fn hits(house: &House) -> Arc<dyn FastPath> {
    house.edge.hits(open(), usage(), SERVED)
}

fn body(answer: &FastAnswer) -> Vec<u8> {
    answer.body.concat()
}

/// The lines of a head.
fn lines(answer: &FastAnswer) -> Vec<String> {
    let head = String::from_utf8(answer.head.to_vec()).unwrap();
    let head = head.strip_suffix("\r\n\r\n").expect("an empty line");
    head.split("\r\n").map(str::to_owned).collect()
}

#[tokio::test]
async fn a_hit_is_what_the_service_gives_at_every_age() {
    let house = House::new(Origin::fixed("media", FIELDS));
    let hits = hits(&house);
    assert!(hits.answer(&request(PATH)).is_none(), "nothing is stored");
    house.text(PATH).await;
    for millis in [0, 400, 700, 0, 3_000, 55_000] {
        house.pass(millis);
        let (parts, content) = house.get(PATH).await.into_parts();
        let mut expected = vec![format!("HTTP/1.1 {}", parts.status)];
        for (name, value) in &parts.headers {
            expected.push(format!("{name}: {}", value.to_str().unwrap()));
        }
        let answer = hits.answer(&request(PATH)).expect("a hit");
        assert_eq!(lines(&answer), expected);
        assert_eq!(body(&answer), content.collect().await.unwrap().to_bytes());
    }
    assert_eq!(house.origin.calls(), 1);
    house.pass(1_000);
    assert!(hits.answer(&request(PATH)).is_none(), "it is stale");
}

#[tokio::test]
async fn only_what_is_whole_good_and_of_that_very_name_is_a_hit() {
    let house = House::new(Origin::told(|_, request| {
        let status = match request.uri().path() {
            "/live/missing/1.m4s" => 404,
            _ => 200,
        };
        async move { Ok(response(status, FIELDS, OriginBody::whole("media"))) }
    }));
    let hits = hits(&house);
    for target in [PATH, "/live/missing/1.m4s", "/live/demo/v.m3u8?_HLS_msn=3"] {
        house.text(target).await;
    }
    assert!(hits.answer(&request(PATH)).is_some());
    for path in [
        "/live/missing/1.m4s",
        "/live/demo/v.m3u8",
        "/live/%64emo/0/v/7.m4s",
        "/live/demo/0/v/7.m4s/",
        "/~token/live/demo/0/v/7.m4s",
        "/",
        "*",
    ] {
        assert!(hits.answer(&request(path)).is_none(), "{path}");
    }
}

#[tokio::test]
async fn what_the_service_is_not_given_is_no_hit() {
    let house = House::new(Origin::fixed("media", FIELDS));
    let paths = ["/films/a.mp4", "/lives/a", "/live"];
    let stored = house.prewarm(&urls(&[&paths[..], &[PATH]].concat())).await;
    assert_eq!(stored.0, PrewarmEnd::Done);
    let hits = hits(&house);
    for path in paths {
        assert!(hits.answer(&request(path)).is_none(), "{path}");
    }
    assert!(hits.answer(&request(PATH)).is_some());
}

#[tokio::test]
async fn e08_what_was_purged_is_no_hit() {
    for soft in [false, true] {
        let house = House::new(Origin::fixed("media", FIELDS));
        let hits = hits(&house);
        house.text(PATH).await;
        assert!(hits.answer(&request(PATH)).is_some());
        house.edge.control().purge(&rule("stream", "demo", soft));
        assert!(hits.answer(&request(PATH)).is_none(), "soft: {soft}");
    }
}

#[tokio::test]
async fn e08_what_may_have_been_purged_unheard_is_no_hit() {
    let house = House::new(Origin::fixed("media", FIELDS));
    let hits = hits(&house);
    house.text(PATH).await;
    house.pass(2_000);
    assert!(hits.answer(&request(PATH)).is_some());
    let control = house.edge.control();
    control.hears_of_purges_until(Some(Timestamp::from_micros(0)));
    assert!(hits.answer(&request(PATH)).is_none());
    control.hears_of_purges_until(None);
    assert!(hits.answer(&request(PATH)).is_some());
}

#[tokio::test]
async fn what_is_stored_in_slices_is_no_hit() {
    let directory = tempfile::tempdir().unwrap();
    let config = DiskConfig {
        slice_threshold: 2 << 20,
        ..disk(&directory)
    };
    let large = Origin::told(|_, request| {
        let response = crate::slices::Library::default().answer(request);
        async move { Ok(response) }
    });
    let house = House::on_disk(large, EdgeConfig::default(), &config);
    bytes(house.get(PATH).await).await.unwrap();
    assert!(hits(&house).answer(&request(PATH)).is_none());
}

/// An edge on a socket; with its hits in front of it or without.
async fn listening(house: &House, is_fast: bool) -> (SocketAddr, JoinSet<()>) {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::bind("test", any, ServerConfig::default());
    let mut server = server.await.unwrap();
    if is_fast {
        server = server.with_fast_path(hits(house));
    }
    let address = server.address();
    let mut tasks = JoinSet::new();
    tasks.spawn(server.serve(house.edge.clone(), CancellationToken::new()));
    (address, tasks)
}

#[tokio::test]
async fn on_the_wire_it_is_the_same_byte_for_byte() {
    let house = House::new(Origin::fixed("media", FIELDS));
    house.text(PATH).await;
    house.pass(1_500);
    let mut answers = Vec::new();
    for is_fast in [false, true] {
        let (address, _tasks) = listening(&house, is_fast).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {PATH} HTTP/1.1\r\nHost: edge\r\nAccept: */*\r\n\r\n");
        let mut all = String::new();
        for _ in 0..3 {
            stream.write_all(request.as_bytes()).await.unwrap();
            all += &read_until(&mut stream, "\r\n\r\nmedia").await;
        }
        answers.push(all);
    }
    assert_eq!(answers[0], answers[1]);
    assert!(
        answers[0].contains("x-twice: 1\r\nx-twice: 2\r\n"),
        "{}",
        answers[0]
    );
}

#[tokio::test]
async fn where_more_has_to_be_done_than_to_give_it_there_are_no_hits() {
    let house = House::new(Origin::fixed("media", FIELDS));
    house.text(PATH).await;
    let (key, _) = generate_key("k", Algorithm::HmacSha256).unwrap();
    let gate = Gate::new(AccessConfig::default(), key.parse().unwrap());
    let hits = house.edge.hits(gate.clone(), usage(), SERVED);
    assert!(hits.answer(&request(PATH)).is_some());
    gate.set_policy(Policy::open().with(&"/live/other/".parse().unwrap(), Rule::Signed));
    assert!(
        hits.answer(&request(PATH)).is_none(),
        "something is protected"
    );

    let folder = tempfile::tempdir().unwrap();
    let recorded = UsageConfig {
        access_log: Some(AccessLogTarget::File(folder.path().join("log"))),
        ..UsageConfig::default()
    };
    let (usage_with_records, _log) = Usage::new(&recorded).unwrap();
    let hits = house.edge.hits(open(), usage_with_records, SERVED);
    assert!(hits.answer(&request(PATH)).is_none(), "records are written");

    let general = House::general(Origin::fixed("media", FIELDS));
    general.text(PATH).await;
    let hits = general.edge.hits(open(), usage(), SERVED);
    assert!(hits.answer(&request(PATH)).is_none(), "fields may matter");
}

#[tokio::test]
async fn a_hit_costs_no_copy_of_its_bytes() {
    let house = House::new(Origin::fixed("media", FIELDS));
    house.text(PATH).await;
    let hits = hits(&house);
    let [first, second] = [(), ()].map(|()| hits.answer(&request(PATH)).unwrap());
    let at = |bytes: &Bytes| bytes.as_ptr();
    assert_eq!(at(&first.body[0]), at(&second.body[0]));
    assert_eq!(at(&first.head), at(&second.head));
    assert_eq!(text(house.get(PATH).await).await, "media");
}

#[tokio::test]
async fn what_needs_a_token_is_no_hit() {
    const SIGNED: &[(&str, &str)] = &[
        ("cache-control", "public, max-age=60"),
        ("nova-access", "signed"),
    ];
    let house = House::new(Origin::fixed("media", SIGNED));
    house.text(PATH).await;
    assert!(hits(&house).answer(&request(PATH)).is_none());
}
