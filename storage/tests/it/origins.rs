//! Each live stream is at one origin, whoever asks.

use media::{Micros, NodeId, StreamId, StreamName};
use storage::rows::origins::{self, Claim, NewOrigin, OpenStream, OriginPlace, Route, TakenStream};
use storage::rows::sql::query;
use storage::rows::{edge_nodes, leases, sessions};
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
    who_has_lost_its_place_takes_nothing,
    rows_of_the_dead_hide_nobody,
    who_had_all_streams_before_the_migration_has_lost_them,
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
    let taken = origins::take_stream(db, stream, place, claim, NOW).await;
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
    let gone = origins::take_stream(db, stream, &b, Claim::Encoder, NOW + TTL).await;
    assert!(gone.unwrap().is_some(), "the other's place has run out");

    // Whoever takes the session up has no encoder, though the one before it could not say that
    // its own had left.
    let heir = take(db, stream, &a, Claim::Takeover).await.unwrap();
    assert_eq!(take(db, stream, &b, Claim::Encoder).await, None);
    let rows = db.fenced(heir.lease);
    sessions::publisher_left(&rows, opened.session.id, NOW)
        .await
        .unwrap();
    assert!(take(db, stream, &b, Claim::Encoder).await.is_some());
}

async fn who_has_lost_its_place_takes_nothing(test: TestDatabase) {
    let db = &test.db;
    let stream = test.stream("garden").await;
    let before = origin("a", false);
    let successor = NewOrigin {
        instance: "another".to_owned(),
        ..before.clone()
    };
    let register = async |origin: &NewOrigin| origins::register(db, origin, TTL, NOW).await;
    let lost = register(&before).await.unwrap().unwrap();
    let place = register(&successor).await.unwrap().unwrap();
    for claim in [Claim::Takeover, Claim::Encoder, Claim::Heir] {
        let refused = origins::take_stream(db, stream, &lost, claim, NOW).await;
        assert!(
            matches!(refused, Err(RowError::LeaseLost { .. })),
            "{refused:?}"
        );
    }
    let renewed = lost.renew(db, "http://stale:8081", TTL, NOW).await;
    assert!(
        matches!(renewed, Err(RowError::LeaseLost { .. })),
        "{renewed:?}"
    );
    assert!(take(db, stream, &place, Claim::Heir).await.is_some());
}

async fn rows_of_the_dead_hide_nobody(test: TestDatabase) {
    let db = &test.db;
    let dead = register(db, "dead").await;
    let later = NOW + TTL + TTL;
    let mut alive = Vec::new();
    for name in ["x", "y"] {
        let registered = origins::register(db, &origin(name, false), TTL, later).await;
        alive.push(registered.unwrap().unwrap());
    }
    let urls = async |since, limit| {
        let listed = origins::reachable(db, since, limit).await.unwrap();
        let urls = listed.into_iter().map(|one| one.url);
        urls.collect::<Vec<_>>()
    };
    // By their ids, which grow with time, and the dead one's is the first.
    let all = ["http://dead:8081", "http://x:8081", "http://y:8081"];
    assert_eq!(urls(NOW, 10).await, all);
    assert_eq!(urls(NOW, 2).await, all[1..]);
    assert_eq!(
        urls(later, 10).await,
        all[1..],
        "it was silent for too long"
    );
    let others = origins::others(db, alive[1].id(), NOW, 1).await.unwrap();
    assert_eq!(others, [alive[0].id()]);

    let silent = async |limit| origins::silent(db, later, limit).await.unwrap();
    assert_eq!(silent(10).await, [dead.id()]);
    let delete = async |origin| origins::delete_silent(db, origin, later).await.unwrap();
    assert!(!delete(alive[0].id()).await, "it was heard of");
    assert!(delete(dead.id()).await);
    assert!(delete(dead.id()).await, "it is gone already");
    assert_eq!(silent(10).await, []);
    assert_eq!(urls(NOW, 10).await, all[1..]);
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
    place.renew(db, &alone.url, TTL, later).await.unwrap();
    assert_eq!(
        origins::register(db, &other, TTL, later).await.unwrap(),
        None
    );
    let gone = later + TTL;
    let beside = origins::register(db, &other, TTL, gone)
        .await
        .unwrap()
        .unwrap();
    let lost = place.renew(db, &alone.url, TTL, gone).await;
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
        let listed = origins::reachable(db, NOW, 10).await.unwrap();
        let urls = listed.into_iter().map(|one| one.url);
        urls.collect::<Vec<_>>()
    };
    assert_eq!(listed().await, ["http://a:8081", "http://b:8081"]);
    let others = async || origins::others(db, b.id(), NOW, 10).await.unwrap();
    assert_eq!(others().await, [a.id()]);
    a.leave(db).await.unwrap();
    assert_eq!(others().await, []);
    assert_eq!(listed().await, ["http://b:8081"]);
    let later = NOW + TTL + TTL;
    for origin in origins::silent(db, later, 10).await.unwrap() {
        assert!(origins::delete_silent(db, origin, later).await.unwrap());
    }
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
    let shields = edge_nodes::shields(db, NOW, 10).await.unwrap();
    assert_eq!(shields.len(), 1);
    assert_eq!(shields[0].url, "http://s:8080");
    assert_eq!(shields[0].lease_until, NOW + TTL);
    let after = edge_nodes::shields(db, NOW + TTL, 10).await.unwrap();
    assert_eq!(after, [], "its lease has run out");
    // It says where it is once it answers there.
    let state = edge_nodes::NodeState {
        shield_url: "http://t:8080".to_owned(),
        ..edge_nodes::NodeState::default()
    };
    place.renew(db, &state, TTL, NOW).await.unwrap();
    let shields = edge_nodes::shields(db, NOW, 10).await.unwrap();
    assert_eq!(shields[0].url, "http://t:8080");
    place.leave(db).await.unwrap();
    assert_eq!(edge_nodes::shields(db, NOW, 10).await.unwrap(), []);
}

/// Of a version in which one process had all live streams.
async fn who_had_all_streams_before_the_migration_has_lost_them(test: TestDatabase) {
    let db = &test.db;
    let mut transaction = db.write().await.unwrap();
    for undo in [
        "DROP TABLE origins",
        "ALTER TABLE edge_nodes DROP COLUMN shield_url",
        "DELETE FROM _sqlx_migrations WHERE version = 10",
    ] {
        query(undo).execute(&mut transaction).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let before = leases::acquire(db, "live", "before", TTL, NOW).await;
    let before = before.unwrap().expect("nobody has it");
    assert!(before.is_ours(db).await.unwrap());
    assert!(!db.migrate().await.unwrap().is_empty());
    assert!(!before.is_ours(db).await.unwrap());
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
