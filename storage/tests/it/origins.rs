//! Each live stream is at one origin, whoever asks.

use media::{Micros, NodeId, StreamId, StreamName};
use storage::rows::origins::{self, Claim, NewOrigin, OpenStream, OriginPlace, Route, TakenStream};
use storage::rows::{edge_nodes, sessions};
use storage::{Database, RowError};

use crate::fixtures::{NOW, TestDatabase};

const TTL: Micros = Micros::from_secs(15);

on_both_engines! {
    a_stream_is_routed_to_the_origin_that_took_it_last,
    who_may_not_take_a_stream_over_waits_for_its_encoder_to_leave,
    an_heir_takes_what_is_left_and_nothing_else,
    who_lost_a_stream_writes_nothing_of_it,
    who_is_alone_has_nobody_beside_it,
    who_has_left_is_not_listed,
    of_many_who_take_a_stream_at_once_one_has_it,
}

fn origin(name: &str, is_alone: bool) -> NewOrigin {
    NewOrigin {
        id: NodeId::new(),
        instance: storage::rows::leases::this_process(),
        url: format!("http://{name}:8081"),
        is_alone,
        version: "1".to_owned(),
    }
}

async fn register(db: &Database, name: &str) -> OriginPlace {
    let registered = origins::register(db, &origin(name, false), TTL, NOW).await;
    registered.unwrap().expect("nobody is alone")
}

async fn take(
    db: &Database,
    stream: StreamId,
    place: &OriginPlace,
    claim: Claim,
) -> Option<TakenStream> {
    let taken = origins::take_stream(db, stream, place.id(), claim, NOW).await;
    taken.unwrap()
}

fn route(name: &str, origin: &str) -> Route {
    Route {
        stream: name.parse().unwrap(),
        url: format!("http://{origin}:8081"),
    }
}

async fn a_stream_is_routed_to_the_origin_that_took_it_last(test: TestDatabase) {
    let db = &test.db;
    let stream = test.stream("garden").await;
    let (a, b) = (register(db, "a").await, register(db, "b").await);
    assert!(
        !take(db, stream, &a, Claim::Takeover)
            .await
            .unwrap()
            .was_ours
    );
    assert_eq!(origins::routes(db, 10).await.unwrap(), []);
    let opened = sessions::open_session(db, stream, NOW).await.unwrap();
    let routes = origins::routes(db, 10).await.unwrap();
    assert_eq!(routes, [route("garden", "a")]);
    assert!(take(db, stream, &a, Claim::Encoder).await.unwrap().was_ours);

    assert!(
        !take(db, stream, &b, Claim::Takeover)
            .await
            .unwrap()
            .was_ours
    );
    let routes = origins::routes(db, 10).await.unwrap();
    assert_eq!(routes, [route("garden", "b")]);
    let name: StreamName = "garden".parse().unwrap();
    let open = |origin| OpenStream {
        stream,
        name: name.clone(),
        origin,
    };
    let streams = origins::open_streams(db, NOW).await.unwrap();
    assert_eq!(streams, [open(Some(b.id()))]);
    // Its place has run out. Nobody else has the stream, so that its route stays.
    let streams = origins::open_streams(db, NOW + TTL).await.unwrap();
    assert_eq!(streams, [open(None)]);
    assert_eq!(origins::routes(db, 10).await.unwrap().len(), 1);

    sessions::end_session(db, opened.session.id, NOW)
        .await
        .unwrap();
    assert_eq!(origins::routes(db, 10).await.unwrap(), []);
    assert_eq!(origins::open_streams(db, NOW).await.unwrap(), []);
}

async fn who_may_not_take_a_stream_over_waits_for_its_encoder_to_leave(test: TestDatabase) {
    let db = &test.db;
    let stream = test.stream("garden").await;
    let (a, b) = (register(db, "a").await, register(db, "b").await);
    take(db, stream, &a, Claim::Takeover).await.unwrap();
    let opened = sessions::open_session(db, stream, NOW).await.unwrap();
    assert_eq!(take(db, stream, &b, Claim::Encoder).await, None);
    let gone = origins::take_stream(db, stream, b.id(), Claim::Encoder, NOW + TTL).await;
    assert!(gone.unwrap().is_some(), "the other's place has run out");

    take(db, stream, &a, Claim::Takeover).await.unwrap();
    sessions::publisher_left(db, opened.session.id, NOW)
        .await
        .unwrap();
    assert!(take(db, stream, &b, Claim::Encoder).await.is_some());
}

async fn an_heir_takes_what_is_left_and_nothing_else(test: TestDatabase) {
    let db = &test.db;
    let stream = test.stream("garden").await;
    let (a, b) = (register(db, "a").await, register(db, "b").await);
    let first = take(db, stream, &a, Claim::Takeover).await.unwrap();
    let opened = sessions::open_session(db, stream, NOW).await.unwrap();
    sessions::publisher_left(db, opened.session.id, NOW)
        .await
        .unwrap();
    assert_eq!(take(db, stream, &b, Claim::Heir).await, None);
    assert!(take(db, stream, &a, Claim::Heir).await.unwrap().was_ours);
    a.leave(db).await.unwrap();
    assert!(!take(db, stream, &b, Claim::Heir).await.unwrap().was_ours);
    assert!(!first.lease.is_ours(db).await.unwrap());
    // A stream that was released is anybody's.
    let last = take(db, stream, &b, Claim::Heir).await.unwrap();
    last.lease.release(db).await.unwrap();
    let last = take(db, stream, &b, Claim::Heir).await.unwrap();
    assert!(last.was_ours, "nobody has come in between");
    last.lease.release(db).await.unwrap();
    let c = register(db, "c").await;
    assert!(!take(db, stream, &c, Claim::Heir).await.unwrap().was_ours);
}

async fn who_lost_a_stream_writes_nothing_of_it(test: TestDatabase) {
    let db = &test.db;
    let stream = test.stream("garden").await;
    let (a, b) = (register(db, "a").await, register(db, "b").await);
    let taken = take(db, stream, &a, Claim::Takeover).await.unwrap();
    let rows = db.fenced(taken.lease);
    sessions::open_session(&rows, stream, NOW).await.unwrap();
    take(db, stream, &b, Claim::Takeover).await.unwrap();
    let refused = sessions::open_session(&rows, stream, NOW).await;
    assert!(
        matches!(refused, Err(RowError::LeaseLost { .. })),
        "{refused:?}"
    );
}

async fn who_is_alone_has_nobody_beside_it(test: TestDatabase) {
    let db = &test.db;
    let (alone, other) = (origin("a", true), origin("b", false));
    let place = origins::register(db, &alone, TTL, NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(origins::register(db, &other, TTL, NOW).await.unwrap(), None);
    // Its own successor does not wait.
    let again = origins::register(db, &alone, TTL, NOW).await.unwrap();
    assert_eq!(again, Some(place.clone()));
    let later = NOW + TTL;
    place.renew(db, TTL, later).await.unwrap();
    assert_eq!(
        origins::register(db, &other, TTL, later).await.unwrap(),
        None
    );
    let gone = later + TTL;
    let beside = origins::register(db, &other, TTL, gone)
        .await
        .unwrap()
        .unwrap();
    let lost = place.renew(db, TTL, gone).await;
    assert!(matches!(lost, Err(RowError::LeaseLost { .. })), "{lost:?}");
    assert_eq!(
        origins::register(db, &alone, TTL, gone).await.unwrap(),
        None
    );
    beside.leave(db).await.unwrap();
    assert!(
        origins::register(db, &alone, TTL, gone)
            .await
            .unwrap()
            .is_some()
    );
}

async fn who_has_left_is_not_listed(test: TestDatabase) {
    let db = &test.db;
    let (a, b) = (register(db, "a").await, register(db, "b").await);
    let listed = async || {
        let listed = origins::reachable(db, 10).await.unwrap();
        let urls = listed.into_iter().map(|one| one.url);
        urls.collect::<Vec<_>>()
    };
    assert_eq!(listed().await, ["http://a:8081", "http://b:8081"]);
    let others = async || origins::others(db, b.id(), NOW, 10).await.unwrap();
    assert_eq!(others().await, [a.id()]);
    a.leave(db).await.unwrap();
    assert_eq!(others().await, []);
    assert_eq!(listed().await, ["http://b:8081"]);
    assert_eq!(
        origins::delete_silent(db, NOW + TTL + TTL, 10)
            .await
            .unwrap(),
        2
    );
    assert_eq!(listed().await, [""; 0]);

    let shield = edge_nodes::NewNode {
        shield_url: "http://s:8080".to_owned(),
        ..crate::purges::node()
    };
    let edge = crate::purges::node();
    edge_nodes::register(db, &edge, 0, TTL, NOW).await.unwrap();
    let place = edge_nodes::register(db, &shield, 0, TTL, NOW)
        .await
        .unwrap();
    let shields = edge_nodes::shields(db, 10).await.unwrap();
    assert_eq!(shields.len(), 1);
    assert_eq!(shields[0].url, "http://s:8080");
    assert_eq!(shields[0].lease_until, NOW + TTL);
    place.leave(db).await.unwrap();
    assert_eq!(edge_nodes::shields(db, 10).await.unwrap(), []);
}

async fn of_many_who_take_a_stream_at_once_one_has_it(test: TestDatabase) {
    const ORIGINS: usize = 6;
    let stream = test.stream("garden").await;
    let mut takers = tokio::task::JoinSet::new();
    for n in 0..ORIGINS {
        let db = test.another_handle().await;
        takers.spawn(async move {
            let place = register(&db, &format!("o{n}")).await;
            take(&db, stream, &place, Claim::Heir).await
        });
    }
    let taken = takers.join_all().await;
    assert_eq!(taken.iter().flatten().count(), 1, "{taken:?}");
}
