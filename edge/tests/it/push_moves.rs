//! A feed of a stream that moves, and one that is lost or late.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use edge::{Edge, Member, MemberKind, Pool, PoolConfig, PushConfig};
use media::feed::{Content, encode};
use media::{ManualClock, Timestamp};
use tokio::time::{pause, sleep};
use tower_service::Service;

use crate::origin::*;
use crate::push::*;

/// Two origins, and an edge that follows a feed of the first.
struct Two {
    a: Publisher,
    b: Publisher,
    pool: Pool<Origin>,
    _edge: Edge<Pool<Origin>>,
}

fn route(name: &str) -> HashMap<String, String> {
    HashMap::from([("garden".to_owned(), name.to_owned())])
}

impl Two {
    async fn new() -> Self {
        let (a, b) = (Publisher::new(), Publisher::new());
        let pool = Pool::new(PoolConfig {
            checks: None,
            ..PoolConfig::default()
        });
        let member = |(name, publisher): (&str, &Publisher)| {
            let member = Member {
                name: name.to_owned(),
                kind: MemberKind::Origin,
                group: 0,
                weight: 1,
            };
            (member, publisher.origin.clone())
        };
        pool.set_members([("a", &a), ("b", &b)].map(member));
        pool.set_routes(route("a"));
        let clock = ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000));
        let edge = Edge::new(pushing(patient()), pool.clone(), Arc::new(clock));
        let Ok(answer) = within(edge.clone().call(get(&part(7, 0)))).await;
        assert_eq!(answer.status(), 200);
        until(|| a.feeds() == 1).await;
        Self {
            a,
            b,
            pool,
            _edge: edge,
        }
    }
}

#[tokio::test]
async fn a_feed_moves_with_its_stream() {
    let two = Two::new().await;
    // It takes no place: it is no request that could end.
    until(|| {
        let mut members = two.pool.members().into_iter();
        members.all(|state| state.under_way == 0)
    })
    .await;
    two.pool.set_routes(route("b"));
    within(two.a.feed().closed()).await;
    until(|| two.b.feeds() == 1).await;
}

#[tokio::test]
async fn a_feed_moves_in_the_middle_of_an_object() {
    let two = Two::new().await;
    two.a.push(&part(7, 1), "pushed 7.1");
    let half = encode(&head(&part(7, 2), &[]), Content::Bytes(9)).unwrap();
    two.a.send(half);
    pause();
    two.pool.set_routes(route("b"));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(two.b.feeds(), 1);
}

#[tokio::test]
async fn a_feed_moves_to_an_origin_that_does_not_know_its_stream_yet() {
    let two = Two::new().await;
    two.a.push(&part(7, 1), "pushed 7.1");
    for publisher in [&two.a, &two.b] {
        publisher.lacks(|target| target.ends_with(".feed"));
    }
    pause();
    two.pool.set_routes(route("b"));
    sleep(Duration::from_secs(2)).await;
    assert!(two.b.origin.targets().iter().any(|target| target == FEED));
    assert_eq!(two.b.feeds(), 0);
    two.b.lacks(|_| false);
    sleep(Duration::from_secs(4)).await;
    assert_eq!(two.b.feeds(), 1);
}

#[tokio::test]
async fn a_feed_whose_task_is_lost_is_begun_anew() {
    let origin = Origin::told(|_, request| {
        let is_feed = request.uri().path() == FEED;
        async move {
            assert!(
                !is_feed,
                "whoever asks for a feed is lost, as the test wants it"
            );
            let fields = [("cache-control", "max-age=60")];
            Ok(response(200, &fields, OriginBody::whole("asked")))
        }
    });
    let house = House::of(origin.clone(), pushing(patient()));
    let feeds = || {
        let targets = origin.targets();
        targets.iter().filter(|target| *target == FEED).count()
    };
    house.text(&part(7, 0)).await;
    until(|| feeds() == 1).await;
    house.text(&part(7, 1)).await;
    until(|| feeds() == 2).await;
}

#[tokio::test]
async fn no_client_lets_a_feed_fall_behind() {
    let (publisher, house, mut follower) = watched(PushConfig::default()).await;
    pause();
    // Where segments are longer than anybody waits.
    for ahead in [part(8, 0).as_str(), "/live/garden/1/720p/7.m4s"] {
        assert_eq!(house.text(ahead).await.1, format!("asked {ahead}"));
    }
    // Where parts are long, and there are others before it.
    let far = house.ask(get(&part(7, 4)));
    sleep(Duration::from_secs(1)).await;
    publisher.push(&part(7, 2), "pushed 7.2");
    follower.until(&part(7, 2)).await;
    assert_eq!(text(far.await).await, format!("asked {}", part(7, 4)));
    let held = house.ask(get(&part(7, 3)));
    publisher.push(&part(7, 3), "pushed 7.3");
    assert_eq!(text(held.await).await, "pushed 7.3");
}

#[tokio::test]
async fn a_feed_is_not_late_with_what_is_nowhere() {
    let (publisher, house, _follower) = watched(PushConfig::default()).await;
    publisher.lacks(|target| target.ends_with("/7.2.m4s"));
    pause();
    assert_eq!(house.text(&part(7, 2)).await.0, 404);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(publisher.feeds(), 1);
}
