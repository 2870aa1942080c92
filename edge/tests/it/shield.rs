//! Edges behind a shield: one request per key reaches the origin, ages add up, loops end.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use edge::{Edge, EdgeBody, EdgeConfig, Member, MemberKind, NodeId, Pool, PoolConfig, PushConfig};
use http::{Method, Request, Response};
use http_body_util::Empty;
use media::{ManualClock, Micros, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower_service::Service;

use crate::origin::*;
use crate::push::{Publisher, pushing};

type Shield = Edge<Origin>;
type Outer = Edge<Pool<Shield>>;

/// Viewers ask `edges`, these ask `shields`, these the origin.
struct Tiers {
    edges: Vec<Outer>,
    clock: Arc<ManualClock>,
}

impl Tiers {
    fn new(origin: &Origin, edges: usize, shields: usize) -> Self {
        Self::with(origin, edges, shields, EdgeConfig::default)
    }

    fn with(
        origin: &Origin,
        edges: usize,
        shields: usize,
        config: impl Fn() -> EdgeConfig,
    ) -> Self {
        let start = Timestamp::from_micros(1_700_000_000_000_000);
        let clock = Arc::new(ManualClock::new(start));
        let shields: Vec<_> = (0..shields)
            .map(|_| Edge::new(config(), origin.clone(), clock.clone()))
            .collect();
        let members = || {
            shields.iter().enumerate().map(|(n, shield)| {
                let member = Member {
                    name: format!("http://shield-{n}"),
                    kind: MemberKind::Shield,
                    group: 0,
                    weight: 1,
                };
                (member, shield.clone())
            })
        };
        let edges = (0..edges)
            .map(|_| {
                let pool = Pool::new(PoolConfig::default());
                pool.set_members(members());
                Edge::new(config(), pool, clock.clone())
            })
            .collect();
        Self { edges, clock }
    }

    fn ask(
        &self,
        edge: usize,
        target: &str,
    ) -> impl Future<Output = Response<EdgeBody>> + Send + use<> {
        ask(&self.edges[edge], get(target))
    }
}

fn ask<E>(
    edge: &E,
    request: Request<Empty<Bytes>>,
) -> impl Future<Output = Response<EdgeBody>> + Send + use<E>
where
    E: Service<Request<Empty<Bytes>>, Response = Response<EdgeBody>, Error = Infallible> + Clone,
    E::Future: Send,
{
    let pending = edge.clone().call(request);
    async move { within(pending).await.unwrap_or_else(|never| match never {}) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e01_two_edges_and_many_viewers_make_one_origin_request_each() {
    const VIEWERS: usize = 200;
    let (open, opened) = watch::channel(false);
    let origin = Origin::new(move |_| {
        let mut opened = opened.clone();
        async move {
            opened.wait_for(|open| *open).await.unwrap();
            let fields = [("cache-control", "max-age=60")];
            Ok(response(200, &fields, OriginBody::whole("media")))
        }
    });
    let tiers = Tiers::new(&origin, 2, 3);
    let targets = [
        "/live/garden/720p.m3u8?_HLS_msn=7&_HLS_part=1",
        "/live/garden/1/720p/7.1.m4s",
        "/live/garden/1/720p/6.m4s",
    ];
    let mut answers = JoinSet::new();
    for target in targets {
        for viewer in 0..VIEWERS {
            let pending = tiers.ask(viewer % 2, target);
            answers.spawn(async move { text(pending.await).await });
        }
    }
    until(|| origin.calls() == targets.len()).await;
    open.send(true).unwrap();
    while let Some(answer) = answers.join_next().await {
        assert_eq!(answer.unwrap(), "media");
    }
    let mut asked = origin.targets();
    asked.sort();
    let mut expected = targets;
    expected.sort();
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn an_answer_tells_of_both_tiers_and_keeps_its_age() {
    let origin = Origin::fixed("x", &[("cache-control", "max-age=60")]);
    let tiers = Tiers::new(&origin, 2, 1);
    assert_eq!(text(tiers.ask(0, "/vod/a/b").await).await, "x");
    tiers.clock.advance(Micros::from_millis(10_700));
    let response = tiers.ask(1, "/vod/a/b").await;
    let members: Vec<_> = response.headers().get_all("cache-status").iter().collect();
    assert_eq!(
        members,
        ["nova; hit; ttl=49", "nova; fwd=miss; stored; ttl=49"]
    );
    assert_eq!(field(&response, "age"), Some("10"));
    // It is between edges.
    assert_eq!(field(&response, "nova-age"), None);
    assert_eq!(origin.calls(), 1);
}

#[tokio::test]
async fn e09_a_shield_adds_nothing_to_the_age_of_a_playlist() {
    let origin = Origin::fixed("x", &[("cache-control", "max-age=0, s-maxage=1")]);
    let tiers = Tiers::new(&origin, 2, 1);
    let playlist = "/live/garden/720p.m3u8";
    tiers.ask(0, playlist).await;
    tiers.clock.advance(Micros::from_millis(900));
    tiers.ask(1, playlist).await;
    assert_eq!(origin.calls(), 1);
    tiers.clock.advance(Micros::from_millis(200));
    // Both tiers know that it is 1.1 s old.
    tiers.ask(1, playlist).await;
    assert_eq!(origin.calls(), 2);
}

#[tokio::test]
async fn an_edge_that_is_its_own_upstream_refuses_itself() {
    let edge = Arc::<OnceLock<Shield>>::default();
    let itself = Arc::clone(&edge);
    let origin = Origin::told(move |_, request| {
        let fields: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().to_owned()))
            .collect();
        let target = request.uri().to_string();
        let edge = itself.get().unwrap().clone();
        async move {
            let fields: Vec<_> = fields
                .iter()
                .map(|(a, b)| (a.as_str(), b.as_str()))
                .collect();
            let answer = ask(&edge, get_with(&target, &fields)).await;
            let status = status(&answer).to_owned();
            let fields = [("cache-status", status.as_str())];
            Ok(response(
                answer.status().as_u16(),
                &fields,
                OriginBody::whole("-"),
            ))
        }
    });
    let config = EdgeConfig {
        node: "edge-1".parse::<NodeId>().unwrap(),
        ..EdgeConfig::default()
    };
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(
        1_700_000_000_000_000,
    )));
    edge.set(Edge::new(config, origin.clone(), clock)).unwrap();
    let answer = ask(edge.get().unwrap(), get("/live/a/b.m3u8")).await;
    assert_eq!(answer.status(), 508);
    let members: Vec<_> = answer.headers().get_all("cache-status").iter().collect();
    assert_eq!(members[0], "nova; detail=loop");
    assert_eq!(origin.calls(), 1);
    assert_eq!(origin.headers(0)["cdn-loop"], "nova; id=edge-1");
}

#[tokio::test]
async fn a_loop_that_a_client_makes_up_harms_nobody_else() {
    let (open, opened) = watch::channel(false);
    let origin = Origin::told(move |_, request| {
        let hops = request.headers().get_all("cdn-loop").iter().count();
        let mut opened = opened.clone();
        async move {
            opened.wait_for(|open| *open).await.unwrap();
            let status = if hops > 1 { 508 } else { 200 };
            let fields = [("cache-control", "max-age=60")];
            Ok(response(status, &fields, OriginBody::whole("x")))
        }
    });
    let house = House::new(origin);
    let made_up = house.ask(get_with("/a", &[("cdn-loop", "a, b, c")]));
    let other = house.ask(get("/a"));
    open.send(true).unwrap();
    assert_eq!(made_up.await.status(), 508);
    assert_eq!(other.await.status(), 200);
    // `Connection` does not hide it.
    let hidden = [
        ("cdn-loop", "a, b, c, d, e, f, g, h"),
        ("connection", "cdn-loop"),
    ];
    let general = House::general(Origin::fixed("x", &[]));
    assert_eq!(general.ask(get_with("/a", &hidden)).await.status(), 508);
}

#[tokio::test]
async fn a_shield_without_upstreams_says_so_to_checks_only() {
    let is_up = Arc::new(AtomicBool::new(false));
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1)));
    let shield = Edge::new(EdgeConfig::default(), Origin::fixed("x", &[]), clock);
    shield.control().knows_upstreams_by({
        let is_up = Arc::clone(&is_up);
        move || is_up.load(Ordering::SeqCst)
    });
    let options = |fields: &[(&str, &str)]| {
        let mut request = get_with("/live/check/index.m3u8", fields);
        *request.method_mut() = Method::OPTIONS;
        ask(&shield, request)
    };
    let told = options(&[("max-forwards", "0")]).await;
    assert_eq!(told.status(), 503);
    assert_eq!(field(&told, "nova-upstreams"), Some("out"));
    assert_eq!(options(&[]).await.status(), 204);
    assert_eq!(ask(&shield, get("/vod/a/1")).await.status(), 200);
    is_up.store(true, Ordering::SeqCst);
    let told = options(&[("max-forwards", "0")]).await;
    assert_eq!(told.status(), 204);
    assert_eq!(field(&told, "nova-upstreams"), None);
}

#[tokio::test]
async fn a_shield_follows_one_feed_for_all_edges() {
    let publisher = Publisher::new();
    let push = || {
        pushing(PushConfig {
            patience: DEADLINE * 2,
            ..PushConfig::default()
        })
    };
    let tiers = Tiers::with(&publisher.origin, 3, 2, push);
    let part = |number| format!("/live/garden/1/720p/7.{number}.m4s");
    for edge in 0..3 {
        tiers.ask(edge, &part(0)).await;
    }
    until(|| publisher.feeds() == 1).await;
    // A part that is there when it is asked for says that the edge's feed is.
    let mut number = 0;
    for edge in 0..3 {
        loop {
            number += 1;
            publisher.push(&part(number), "pushed");
            let response = tiers.ask(edge, &part(number)).await;
            let members = response.headers().get_all("cache-status").iter();
            if members
                .map(|member| member.to_str().unwrap())
                .eq(["nova; hit; ttl=60"])
            {
                break;
            }
        }
    }
    let before = publisher.media().len();
    let next = part(number + 1);
    let held: Vec<_> = (0..3).map(|edge| tiers.ask(edge, &next)).collect();
    publisher.push(&next, "pushed to all");
    for pending in held {
        let response = pending.await;
        assert_eq!(status(&response), "nova; hit; ttl=60");
        assert_eq!(text(response).await, "pushed to all");
    }
    assert_eq!(publisher.feeds(), 1);
    assert_eq!(publisher.media().len(), before);
}
