//! What is counted of requests, and what is recorded of them.

use std::convert::Infallible;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use edge::access::{AccessConfig, Gate, KeyRing, SessionName, Viewer};
use edge::server::{Peer, PlainRequest};
use edge::usage::{
    AccessLogTarget, Counted, CountedUpstream, Usage, UsageConfig, UsageMinute, UsageSink,
};
use edge::{Edge, EdgeBody, EdgeConfig, OriginKind};
use http::{Request, Response};
use http_body_util::Empty;
use media::{ManualClock, Timestamp};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use crate::origin::{
    Origin, OriginBody, bytes, get, get_with, piece, response, send, send_with, text, until, within,
};

/// Takes what is reported, unless it is told to fail.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<UsageMinute>>>);

impl UsageSink for Kept {
    type Error = Infallible;

    async fn add(&self, minutes: &[UsageMinute]) -> Result<(), Infallible> {
        self.0.lock().unwrap().extend_from_slice(minutes);
        Ok(())
    }
}

/// A counted edge in front of a counted origin.
struct House {
    edge: Counted<Edge<CountedUpstream<Origin>>>,
    uncounted: Edge<CountedUpstream<Origin>>,
    usage: Usage,
    kept: Kept,
    clock: Arc<ManualClock>,
    shutdown: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl House {
    fn new(origin: Origin, config: EdgeConfig, log: Option<&Path>) -> Self {
        let target = log.map(|path| AccessLogTarget::File(path.to_owned()));
        let settings = UsageConfig {
            access_log: target,
            ..UsageConfig::default()
        };
        let (usage, log) = Usage::new(&settings).unwrap();
        let start = Timestamp::from_micros(1_800_000_000_000_000);
        let clock = Arc::new(ManualClock::new(start));
        let kind = config.origin;
        let edge = Edge::new(config, usage.count_upstream(origin), clock.clone());
        let mut house = Self {
            edge: usage.count(edge.clone()),
            uncounted: edge,
            usage,
            kept: Kept::default(),
            clock: clock.clone(),
            shutdown: CancellationToken::new(),
            tasks: Vec::new(),
        };
        if let Some(log) = log {
            let shutdown = house.shutdown.clone();
            house.tasks.push(tokio::spawn(async move {
                log.run(kind, clock, shutdown).await.unwrap();
            }));
        }
        house
    }

    fn of_media(origin: Origin) -> Self {
        Self::new(origin, EdgeConfig::default(), None)
    }

    async fn ask(&self, request: Request<Empty<bytes::Bytes>>) -> Response<EdgeBody> {
        let Ok(response) = within(self.edge.clone().call(request)).await;
        response
    }

    /// Ends it; what was reported, by subject.
    async fn end(self) -> Vec<UsageMinute> {
        self.shutdown.cancel();
        let report =
            self.usage
                .report(Some(self.kept.clone()), &*self.clock, self.shutdown.clone());
        within(report).await;
        for task in self.tasks {
            within(task).await.unwrap();
        }
        let mut kept = self.kept.0.lock().unwrap().clone();
        kept.sort_by(|a, b| a.subject.cmp(&b.subject));
        kept
    }
}

fn media() -> Origin {
    Origin::told(|_, request| {
        let status = match request.uri().path() {
            path if path.contains("missing") => 404,
            path if path.contains("broken") => 500,
            _ => 200,
        };
        async move {
            let fresh = [("cache-control", "max-age=60"), ("content-length", "4")];
            Ok(response(status, &fresh, OriginBody::whole("0123")))
        }
    })
}

fn told(kept: &[UsageMinute]) -> Vec<(String, [u64; 6], u64)> {
    let of = |one: &UsageMinute| {
        let counts = one.counts;
        let counts = [
            counts.requests,
            counts.hits,
            counts.errors,
            counts.bytes,
            counts.origin_requests,
            counts.origin_bytes,
        ];
        (one.subject.to_string(), counts, one.viewers)
    };
    kept.iter().map(of).collect()
}

#[tokio::test]
async fn requests_count_for_their_stream() {
    let house = House::of_media(media());
    for target in [
        "/live/a/1.m4s",
        "/live/a/1.m4s",
        "/live/%61/1.m4s?sig=1",
        "/live/b/1.m4s",
        "/live/missing/1.m4s",
        "/live/broken/1.m4s",
        "/elsewhere/1.m4s",
    ] {
        bytes(house.ask(get(target)).await).await.unwrap();
    }
    let options = house.ask(send_with("OPTIONS", "/live/a/1.m4s", &[])).await;
    assert_eq!(options.status(), 204);
    let kept = house.end().await;
    assert_eq!(
        told(&kept),
        [
            ("live/a".to_owned(), [4, 2, 0, 12, 1, 4], 1),
            ("live/b".to_owned(), [1, 0, 0, 4, 1, 4], 1),
            ("other".to_owned(), [3, 0, 1, 12, 3, 12], 1),
        ]
    );
}

#[tokio::test]
async fn hits_of_the_fast_path_count_as_those_of_the_service() {
    let mut told_of = Vec::new();
    for is_fast in [false, true] {
        let house = House::of_media(media());
        let edge = house.uncounted.clone();
        let hits = edge.hits(
            Gate::new(AccessConfig::default(), KeyRing::default()),
            house.usage.clone(),
            &["/"],
        );
        let peer = Peer {
            address: "192.0.2.1:1000".parse().unwrap(),
            is_tls: false,
        };
        let mut hit = 0;
        for (path, agent) in [
            ("/live/a/1.m4s", "one"),
            ("/live/a/1.m4s", "one"),
            ("/live/a/1.m4s", "two"),
            ("/elsewhere/1.m4s", "one"),
            ("/elsewhere/1.m4s", "one"),
        ] {
            let plain = PlainRequest {
                path,
                user_agent: Some(agent.as_bytes()),
                peer,
            };
            if is_fast && let Some(answer) = hits.answer(&plain) {
                answer.receipt.taken(4);
                hit += 1;
                continue;
            }
            let mut request = get_with(path, &[("user-agent", agent)]);
            request.extensions_mut().insert(peer);
            bytes(house.ask(request).await).await.unwrap();
        }
        assert_eq!(hit, if is_fast { 3 } else { 0 });
        told_of.push((told(&house.end().await), edge.control().load().requests));
    }
    assert_eq!(told_of[0], told_of[1]);
    let ([stream, other], 5) = (&told_of[1].0[..], told_of[1].1) else {
        panic!("{told_of:?}");
    };
    assert_eq!(*stream, ("live/a".to_owned(), [3, 2, 0, 12, 1, 4], 2));
    assert_eq!(*other, ("other".to_owned(), [2, 1, 0, 8, 1, 4], 1));
}

#[tokio::test]
async fn bytes_are_those_that_were_taken() {
    let (pieces, body) = OriginBody::open();
    let body = Mutex::new(Some(body));
    let origin = Origin::new(move |_| {
        let body = body.lock().unwrap().take().unwrap();
        let fields = &[("content-length", "12"), ("cache-control", "max-age=60")];
        async move { Ok(response(200, fields, body)) }
    });
    let house = House::of_media(origin);
    send(&pieces, "0123");
    let mut left = house.ask(get("/live/a/1.m4s")).await;
    let mut broken = house.ask(get("/live/a/1.m4s")).await;
    assert_eq!(piece(&mut left).await.unwrap().unwrap().len(), 4);
    drop(left);
    assert_eq!(piece(&mut broken).await.unwrap().unwrap().len(), 4);
    send(&pieces, "4567");
    assert_eq!(piece(&mut broken).await.unwrap().unwrap().len(), 4);
    drop(pieces);
    assert!(piece(&mut broken).await.unwrap().is_err());
    drop(broken);
    // The origin's own count does not depend on who reads.
    let kept = house.end().await;
    let expected = [("live/a".to_owned(), [2, 0, 1, 12, 1, 8], 1)];
    assert_eq!(told(&kept), expected);
}

#[tokio::test]
async fn who_leaves_before_there_is_an_answer_is_counted() {
    let house = House::of_media(Origin::new(|_| std::future::pending()));
    let mut edge = house.edge.clone();
    let asked = edge.call(get("/live/a/1.m4s"));
    drop(asked);
    let kept = house.end().await;
    assert_eq!(told(&kept)[0].1[..3], [1, 0, 1]);
}

#[tokio::test]
async fn a_session_is_a_tokens_then_a_players_then_a_clients() {
    let house = House::of_media(media());
    let from = |address: &str, token: Option<&str>, sid: Option<&str>| {
        let mut request = match sid {
            Some(sid) => get_with("/live/a/1.m4s", &[("cmcd-session", sid)]),
            None => get_with("/live/a/1.m4s", &[("user-agent", "player")]),
        };
        let extensions = request.extensions_mut();
        let address: IpAddr = address.parse().unwrap();
        extensions.insert(Peer {
            address: (address, 50_000).into(),
            is_tls: false,
        });
        if let Some(token) = token {
            let session: SessionName = token.parse().unwrap();
            extensions.insert(Viewer {
                session: Some(session),
                expires: Timestamp::from_micros(i64::MAX),
            });
        }
        request
    };
    for request in [
        from("192.0.2.1", None, None),
        from("192.0.2.1", None, None),
        from("192.0.2.2", None, None),
        from("192.0.2.1", None, Some("sid=\"x\"")),
        from("192.0.2.9", None, Some("sid=\"x\"")),
        from("192.0.2.1", Some("t"), Some("sid=\"y\"")),
        from("192.0.2.2", Some("t"), None),
    ] {
        bytes(house.ask(request).await).await.unwrap();
    }
    let kept = house.end().await;
    assert_eq!((kept[0].counts.requests, kept[0].viewers), (7, 4));
}

#[tokio::test]
async fn each_request_leaves_one_record_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let house = House::new(media(), EdgeConfig::default(), Some(&path));
    let told =
        "/live/a/v.m3u8?CMCD=bl%3D1200%2Cot%3Dm%2Csid%3D%22session-secret%22&sig=query-secret";
    let fields = [
        ("referer", "https://site.example/?secret"),
        ("authorization", "Bearer secret"),
        ("cookie", "token=secret"),
    ];
    for request in [
        get_with(told, &fields),
        get("/live/a/1.m4s"),
        get("/live/a/1.m4s"),
        get("/live/a//secret"),
        get("/live/missing/1.m4s"),
        send_with("HEAD", "/live/a/1.m4s", &[]),
    ] {
        let _ = bytes(house.ask(request).await).await;
    }
    house.end().await;
    let lines = fs::read_to_string(&path).unwrap();
    assert!(!lines.contains("secret"), "{lines}");
    let records: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |record: &Value| {
        let text = |name: &str| record[name].as_str().unwrap_or("none").to_owned();
        let status = record["status"].as_u64().unwrap();
        let bytes = record["bytes"].as_u64().unwrap();
        (text("path"), text("result"), status, bytes, text("subject"))
    };
    let expected = [
        ("/live/a/v.m3u8", "miss", 200, 4, "live/a"),
        ("/live/a/1.m4s", "miss", 200, 4, "live/a"),
        ("/live/a/1.m4s", "hit", 200, 4, "live/a"),
        ("none", "rejected", 400, 33, "live/a"),
        ("/live/missing/1.m4s", "miss", 404, 4, "other"),
        ("/live/a/1.m4s", "hit", 200, 0, "live/a"),
    ]
    .map(|(path, result, status, bytes, subject)| {
        (
            path.to_owned(),
            result.to_owned(),
            status,
            bytes,
            subject.to_owned(),
        )
    });
    assert_eq!(records.iter().map(of).collect::<Vec<_>>(), expected);
    assert_eq!(records[0]["cmcd"]["bl"], 1_200);
    assert_eq!(records[0]["referrer"], "site.example");
    assert_eq!(records[3]["detail"], "empty-segment");
}

#[tokio::test]
async fn a_moved_file_is_begun_anew_while_requests_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("a.log"), folder.path().join("a.log.1"));
    let house = House::new(media(), EdgeConfig::default(), Some(&path));
    let lines = |path: &Path| fs::read_to_string(path).unwrap_or_default().lines().count();
    text(house.ask(get("/live/a/1.m4s")).await).await;
    until(|| lines(&path) == 1).await;
    fs::rename(&path, &moved).unwrap();
    text(house.ask(get("/live/a/1.m4s")).await).await;
    until(|| lines(&path) == 1).await;
    house.end().await;
    assert_eq!((lines(&moved), lines(&path)), (1, 1));
}

#[tokio::test]
async fn e07_what_a_player_tells_reaches_no_origin_and_splits_nothing() {
    for kind in [OriginKind::Media, OriginKind::General] {
        let fields: &[_] = &[
            ("cache-control", "max-age=60"),
            ("vary", "cmcd-request, cmcd-session"),
        ];
        let origin = Origin::fixed("0123", fields);
        let config = match kind {
            OriginKind::Media => EdgeConfig::default(),
            OriginKind::General => EdgeConfig::general(),
        };
        let house = House::new(origin.clone(), config, None);
        let told = [
            ("cmcd-request", "bl=1"),
            ("cmcd-session", "sid=\"a\""),
            ("cmcd-object", "d=4"),
            ("cmcd-status", "bs"),
        ];
        for request in [
            get_with("/live/a/1.m4s?CMCD=bl%3D1", &told),
            get_with("/live/a/1.m4s?CMCD=bl%3D2%2Cot%3Dv", &told[..1]),
            get_with("/live/a/1.m4s", &[("cmcd-session", "sid=\"b\"")]),
        ] {
            assert_eq!(text(house.ask(request).await).await, "0123");
        }
        assert_eq!(origin.targets(), ["/live/a/1.m4s"], "{kind:?}");
        let headers = origin.headers(0);
        assert!(
            headers
                .keys()
                .all(|name| !name.as_str().starts_with("cmcd")),
            "{headers:?}"
        );
        let kept = house.end().await;
        assert_eq!(kept[0].counts.hits, 2);
    }
    // What else is in a query is the general origin's business.
    let origin = Origin::fixed("0123", &[("cache-control", "max-age=60")]);
    let house = House::new(origin.clone(), EdgeConfig::general(), None);
    for target in [
        "/a?x=1&CMCD=bl%3D1",
        "/a?CMCD=d%3D1&x=1",
        "/a?x=1",
        "/a?x=2&CMCD=",
    ] {
        text(house.ask(get(target)).await).await;
    }
    assert_eq!(origin.targets(), ["/a?x=1", "/a?x=2"]);
}
