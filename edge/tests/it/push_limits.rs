//! What a feed may cost, and when one is given up.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use edge::access::{AccessConfig, Gate, KeyRing};
use edge::server::{Peer, PlainRequest};
use edge::usage::{Usage, UsageConfig};
use edge::{
    Edge, EdgeConfig, Member, MemberKind, Pool, PoolConfig, PrewarmEnd, PushConfig, Selector,
};
use media::feed::{ALIVE, KEEP_ALIVE, SILENCE};
use media::{ManualClock, Timestamp};
use tokio::time::{Instant, pause, sleep};
use tower_service::Service;

use crate::origin::*;
use crate::prewarm::urls;
use crate::purging::rule;
use crate::push::*;

#[tokio::test]
async fn a_feed_is_never_filled_however_it_is_spelled() {
    let spelled = [
        "/live/garden/720p.fee%64",
        "/live/garden/720p%2Efeed",
        "/%6cive/garden/720p.feed",
    ];
    let house = House::new(Origin::fixed("x", &[("cache-control", "max-age=60")]));
    for path in spelled {
        for request in [get(path), as_edge(path)] {
            let answer = house.ask(request).await;
            assert_eq!(status(&answer), "nova; detail=no-feed", "{path}");
            assert_eq!(answer.status(), 404, "{path}");
        }
    }
    assert_eq!(house.origin.calls(), 0);
    let publisher = Publisher::new();
    let house = House::of(publisher.origin.clone(), pushing(patient()));
    for path in spelled {
        assert_eq!(house.get(path).await.status(), 404, "{path}");
        assert_eq!(publisher.origin.calls(), 0);
    }
    // It is the same feed.
    for path in spelled {
        assert_eq!(house.ask(as_edge(path)).await.status(), 200, "{path}");
    }
    assert_eq!(publisher.origin.targets(), [FEED]);
}

/// Purges, and waits until nobody knows the rule any more.
async fn purge_and_sweep(house: &House, selectors: &[Selector]) {
    let control = house.edge.control();
    let purges = selectors.iter().map(|selector| {
        control.purge(&edge::PurgeRule {
            selector: selector.clone(),
            soft: false,
        })
    });
    // All are done, not the last only.
    let last = purges.reduce(|_, later| later).unwrap();
    eventually(|| control.has_swept(last)).await;
}

#[tokio::test]
async fn e08_a_purge_of_something_else_leaves_a_feed_as_it_is() {
    let (publisher, house, mut follower) = watched(patient()).await;
    let others = [
        ("url", part(7, 1)),
        ("url", "/live/garden/720p.m3u8".to_owned()),
        ("url", "/live/garden/1/audio/7.2.m4s".to_owned()),
        ("prefix", "/live/garden/1/audio/".to_owned()),
        ("pattern", "/live/orchard/**".to_owned()),
        ("tag", "stream:orchard".to_owned()),
        ("stream", "orchard".to_owned()),
    ];
    let selectors: Vec<_> = others
        .iter()
        .map(|(kind, text)| rule(kind, text, false).selector)
        .collect();
    purge_and_sweep(&house, &selectors).await;
    publisher.push(&part(7, 2), "pushed 7.2");
    follower.until(&part(7, 2)).await;
    let response = house.get(&part(7, 2)).await;
    assert_eq!(status(&response), "nova; hit; ttl=60");
    assert_eq!(publisher.feeds(), 1);
    // What it may be about is not stored, whoever knows the rule.
    for (feeds, (kind, text)) in [
        ("tag", "rendition:720p"),
        ("url", "/live/garden/1/720p/7.3.m4s"),
        ("pattern", "/live/garden/*/720p/*.m4s"),
        ("stream", "garden"),
    ]
    .into_iter()
    .enumerate()
    {
        purge_and_sweep(&house, &[rule(kind, text, false).selector]).await;
        publisher.push(&part(7, 3), "old");
        assert_eq!(follower.next().await, None, "{kind} {text}");
        until(|| publisher.feeds() == feeds + 2).await;
        follower = Follower::of(&house).await;
        publisher.push(&part(7, 2), "pushed 7.2");
        follower.until(&part(7, 2)).await;
    }
}

#[tokio::test]
async fn a_feed_of_which_nothing_comes_is_asked_for_anew() {
    let (publisher, _house, mut follower) = watched(patient()).await;
    pause();
    for _ in 0..5 {
        sleep(KEEP_ALIVE).await;
        publisher.send(Bytes::from_static(&ALIVE));
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(publisher.feeds(), 1, "it lives");
    sleep(SILENCE).await;
    assert_eq!(publisher.feeds(), 2);
    assert_eq!(follower.next().await, None);
}

#[tokio::test]
async fn a_follower_is_told_that_its_feed_lives() {
    let (_publisher, _house, mut follower) = watched(patient()).await;
    pause();
    for _ in 0..2 {
        let sign = piece(&mut follower.response).await.unwrap().unwrap();
        assert_eq!(sign, ALIVE[..]);
    }
}

#[tokio::test]
async fn a_feed_that_died_holds_up_one_part() {
    let push = PushConfig::default();
    let patience = push.patience;
    let (publisher, house, mut follower) = watched(push).await;
    pause();
    for number in 2..5 {
        let asked = Instant::now();
        let answer = house.text(&part(7, number)).await;
        assert_eq!(answer.1, format!("asked {}", part(7, number)));
        // Nobody's time but the test's.
        assert_eq!(asked.elapsed() >= patience, number == 2, "{number}");
    }
    // What is asked for meanwhile does not hide that it stays behind.
    for number in 5..8 {
        sleep(Duration::from_secs(1)).await;
        house.text(&part(7, number)).await;
    }
    assert_eq!(publisher.feeds(), 2);
    assert_eq!(follower.next().await, None);
}

#[tokio::test]
async fn a_feed_that_is_on_time_again_is_waited_for() {
    let (publisher, house, mut follower) = watched(PushConfig::default()).await;
    pause();
    house.text(&part(7, 2)).await;
    publisher.push(&part(7, 2), "pushed 7.2");
    follower.until(&part(7, 2)).await;
    let held = house.ask(get(&part(7, 3)));
    publisher.push(&part(7, 3), "pushed 7.3");
    assert_eq!(text(held.await).await, "pushed 7.3");
}

#[tokio::test]
async fn what_has_come_takes_no_memory_of_fills() {
    let publisher = Publisher::new();
    let config = EdgeConfig {
        fill_memory_bytes: 2_000,
        ..pushing(patient())
    };
    let house = House::of(publisher.origin.clone(), config);
    house.text(&part(7, 0)).await;
    until(|| publisher.feeds() == 1).await;
    let mut follower = Follower::of(&house).await;
    for number in 1..5 {
        publisher.push(&part(7, number), &"x".repeat(900));
        follower.until(&part(7, number)).await;
    }
    publisher.join("/live/garden/1/720p/7.m4s", 4);
    follower.until("/live/garden/1/720p/7.m4s").await;
    let segment = house.text("/live/garden/1/720p/7.m4s").await;
    assert_eq!(segment.1, "x".repeat(3_600));
}

#[tokio::test]
async fn edges_take_no_feeds_from_viewers() {
    let publisher = Publisher::new();
    let push = PushConfig {
        max_feeds: 1,
        max_feeds_for_edges: 1,
        ..patient()
    };
    let house = House::of(publisher.origin.clone(), pushing(push));
    let first = house.ask(as_edge("/live/garden/360p.feed")).await;
    assert_eq!(first.status(), 200);
    let second = house.ask(as_edge("/live/garden/480p.feed")).await;
    assert_eq!(second.status(), 503);
    assert_eq!(field(&second, "retry-after"), Some("30"));
    house.text(&part(7, 0)).await;
    until(|| publisher.feeds() == 2).await;
    assert_eq!(publisher.origin.targets().last().unwrap(), FEED);
    // A feed of viewers' is for edges too.
    Follower::of(&house).await;
}

#[tokio::test]
async fn who_is_no_shield_gives_no_feed() {
    let publisher = Publisher::new();
    let push = PushConfig {
        for_edges: false,
        ..patient()
    };
    let house = House::of(publisher.origin.clone(), pushing(push));
    assert_eq!(house.ask(as_edge(FEED)).await.status(), 404);
    assert_eq!(publisher.origin.calls(), 0);
}

#[tokio::test]
async fn one_object_may_wait_whatever_its_size() {
    let push = PushConfig {
        max_queued_bytes: 4,
        max_queued_bytes_of_all: 4,
        ..patient()
    };
    let (publisher, house, mut fast) = watched(push).await;
    let mut slow = Follower::of(&house).await;
    for number in 2..4 {
        publisher.push(&part(7, number), "more than four bytes");
        fast.until(&part(7, number)).await;
    }
    assert_eq!(slow.next().await.unwrap().0, part(7, 2));
    assert_eq!(slow.next().await, None, "and one at a time");
}

#[tokio::test]
async fn who_watches_the_past_or_nothing_begins_no_feed() {
    let publisher = Publisher::new();
    let house = House::of(publisher.origin.clone(), pushing(patient()));
    for path in [
        "/live/garden/1/720p/3.m4s",
        "/live/garden/720p.m3u8",
        "/live/garden/1/720p/init.mp4",
    ] {
        house.text(path).await;
    }
    let prewarmed = house.prewarm(&urls(&[&part(7, 0)])).await;
    assert_eq!(prewarmed.0, PrewarmEnd::Done);
    // What they would have begun comes before this.
    house.text("/live/orchard/1/720p/7.0.m4s").await;
    until(|| publisher.feeds() == 1).await;
    let targets = publisher.origin.targets();
    assert!(targets.contains(&"/live/orchard/720p.feed".to_owned()));
    house.text(&part(7, 1)).await;
    until(|| publisher.feeds() == 2).await;
}

#[tokio::test]
async fn a_feed_that_comes_through_its_follower_is_not_followed() {
    let named = || EdgeConfig {
        node: "edge-1".parse().unwrap(),
        ..pushing(patient())
    };
    let circle = Publisher::with(&[("cdn-loop", "nova; id=shield, nova; id=edge-1")]);
    let house = House::of(circle.origin.clone(), named());
    assert_eq!(house.ask(as_edge(FEED)).await.status(), 404);
    until(|| circle.feed().is_closed()).await;

    let line = Publisher::with(&[("cdn-loop", "nova; id=shield")]);
    let house = House::of(line.origin.clone(), named());
    let follower = Follower::of(&house).await;
    let chain: Vec<_> = follower
        .response
        .headers()
        .get_all("cdn-loop")
        .iter()
        .collect();
    assert_eq!(chain, ["nova; id=edge-1", "nova; id=shield"]);
}

#[tokio::test]
async fn nobody_else_is_asked_for_a_feed_that_a_shield_has_no_room_for() {
    let busy = Origin::told(|_, request| {
        let status = match request.uri().path().ends_with(".feed") {
            true => 503,
            false => 200,
        };
        let fields = [("cache-control", "max-age=60"), ("retry-after", "30")];
        async move { Ok(response(status, &fields, OriginBody::whole("x"))) }
    });
    let behind = Publisher::new();
    let pool = Pool::new(PoolConfig {
        checks: None,
        ..PoolConfig::default()
    });
    let member = |name: &str, kind, group, origin: &Origin| {
        let member = Member {
            name: name.to_owned(),
            kind,
            group,
            weight: 1,
        };
        (member, origin.clone())
    };
    pool.set_members([
        member("shield", MemberKind::Shield, 0, &busy),
        member("origin", MemberKind::Origin, 1, &behind.origin),
    ]);
    let clock = ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000));
    let edge = Edge::new(pushing(patient()), pool, Arc::new(clock));
    pause();
    let ask = || async {
        let Ok(answer) = within(edge.clone().call(get(&part(7, 0)))).await;
        assert_eq!(answer.status(), 200);
    };
    ask().await;
    let feeds = || busy.targets().iter().filter(|path| *path == FEED).count();
    sleep(Duration::from_secs(29)).await;
    assert_eq!(feeds(), 1);
    ask().await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(feeds(), 2);
    assert_eq!(behind.feeds(), 0);
}

#[tokio::test]
async fn a_hit_of_the_fast_path_keeps_a_feed() {
    let (publisher, house, follower) = watched(patient()).await;
    drop(follower);
    let gate = Gate::new(AccessConfig::default(), KeyRing::default());
    let usage = Usage::new(&UsageConfig::default()).unwrap().0;
    let hits = house.edge.hits(gate, usage, &["/live/"]);
    let path = part(7, 1);
    let request = PlainRequest {
        path: &path,
        user_agent: None,
        peer: Peer {
            address: ([192, 0, 2, 1], 1_000).into(),
            is_tls: false,
        },
    };
    pause();
    house.pass(9_000);
    assert!(hits.answer(&request).is_some());
    house.pass(9_000);
    sleep(Duration::from_secs(3)).await;
    assert!(!publisher.feed().is_closed());
    house.pass(2_000);
    within(publisher.feed().closed()).await;
}
