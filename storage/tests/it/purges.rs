//! Purges reach every node, whatever else happens.

use media::{Micros, NodeId, PurgeId};
use storage::rows::edge_nodes::{self, NewNode, NodeState, Registration};
use storage::rows::purges::{self, NewPurge, News, PurgeRow, Seen};
use storage::{Database, RowError};

use crate::fixtures::{NOW, TestDatabase};

const TTL: Micros = Micros::from_secs(15);

on_both_engines! {
    positions_are_seen_in_their_order_by_whoever_reads_while_others_write,
    e08_a_purge_awaits_the_nodes_whose_leases_live,
    e08_who_has_shields_is_not_waited_for_by_who_has_shields,
    who_registers_as_a_node_takes_its_place,
    a_node_that_was_away_for_long_is_told_that_it_has_missed_some,
    a_node_is_told_that_the_database_is_not_the_one_it_was,
    old_purges_and_silent_nodes_go_in_steps,
}

async fn request(db: &Database, subject: &str) -> PurgeRow {
    let purge = NewPurge {
        kind: "prefix",
        subject,
        soft: false,
        requested_by: "test",
    };
    purges::request(db, &purge, None, None, NOW).await.unwrap()
}

pub(crate) fn node() -> NewNode {
    NewNode {
        id: NodeId::new(),
        instance: storage::rows::leases::this_process(),
        roles: "edge".to_owned(),
        url: "http://edge.example".to_owned(),
        region: "here".to_owned(),
        version: "1".to_owned(),
        has_shields: false,
        shield_url: String::new(),
    }
}

async fn register(db: &Database) -> Registration {
    edge_nodes::register(db, &node(), 0, TTL, NOW)
        .await
        .unwrap()
}

async fn since(db: &Database, seen: Seen) -> Vec<PurgeRow> {
    match purges::since(db, seen, 1_000).await.unwrap() {
        News::Purges(purges, _) => purges,
        lost @ News::Lost(_) => panic!("{lost:?}"),
    }
}

/// The last position, when all before is lost.
async fn lost(db: &Database, seen: Seen) -> Seen {
    match purges::since(db, seen, 1_000).await.unwrap() {
        News::Lost(seen) => seen,
        news @ News::Purges(..) => panic!("{news:?}"),
    }
}

async fn positions_are_seen_in_their_order_by_whoever_reads_while_others_write(test: TestDatabase) {
    const WRITERS: u64 = 6;
    const EACH: u64 = 20;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let db = test.another_handle().await;
        writers.spawn(async move {
            for n in 0..EACH {
                request(&db, &format!("/{writer}/{n}")).await;
            }
        });
    }
    let mut seen = Seen::default();
    let mut read = Vec::new();
    while (read.len() as u64) < WRITERS * EACH {
        for purge in since(&test.db, seen).await {
            assert_eq!(purge.position, seen.position + 1, "one was passed over");
            seen = Seen::from(&purge);
            read.push(purge.subject);
        }
    }
    writers.join_all().await;
    read.sort_unstable();
    read.dedup();
    assert_eq!(read.len() as u64, WRITERS * EACH);
}

async fn e08_who_has_shields_is_not_waited_for_by_who_has_shields(test: TestDatabase) {
    let db = &test.db;
    let outer = NewNode {
        has_shields: true,
        ..node()
    };
    edge_nodes::register(db, &outer, 0, TTL, NOW).await.unwrap();
    let purge = request(db, "/a").await;
    let awaits = async |now| {
        purges::awaits_shields(db, purge.position, now)
            .await
            .unwrap()
    };
    assert!(!awaits(NOW).await);
    let shield = register(db).await;
    assert!(awaits(NOW).await);
    assert!(!awaits(NOW + TTL).await);
    purges::acknowledge(db, &shield, purge.position, NOW)
        .await
        .unwrap();
    assert!(!awaits(NOW).await);
    let awaited = purges::awaited(db, purge.position, NOW).await.unwrap();
    assert_eq!(awaited, [outer.id]);
}

async fn e08_a_purge_awaits_the_nodes_whose_leases_live(test: TestDatabase) {
    let db = &test.db;
    let (one, other) = (register(db).await, register(db).await);
    let (first, second) = (request(db, "/a").await, request(db, "/b").await);
    let awaited = |position, now| async move {
        let awaited = purges::awaited(db, position, now).await.unwrap();
        awaited.len()
    };
    assert_eq!(awaited(second.position, NOW).await, 2);
    purges::acknowledge(db, &one, first.position, NOW)
        .await
        .unwrap();
    assert_eq!(awaited(first.position, NOW).await, 1);
    assert_eq!(awaited(second.position, NOW).await, 2);
    // Both at once, and the first a second time.
    purges::acknowledge(db, &one, second.position, NOW + TTL)
        .await
        .unwrap();
    let told = purges::acknowledgements(db, first.id).await.unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].node, told[0].at), (one.id(), NOW));
    let told = purges::acknowledgements(db, second.id).await.unwrap();
    assert_eq!(told[0].at, NOW + TTL);
    // The other one has no lease any more, unless it renews it.
    assert_eq!(awaited(second.position, NOW + TTL).await, 0);
    let state = NodeState::default();
    other.renew(db, &state, TTL, NOW + TTL).await.unwrap();
    assert_eq!(awaited(second.position, NOW + TTL).await, 1);
    other.leave(db).await.unwrap();
    assert_eq!(awaited(second.position, NOW + TTL).await, 0);
    assert_eq!(second.completed_at, None);
    purges::complete(db, second.id, NOW + TTL).await.unwrap();
    purges::complete(db, second.id, NOW).await.unwrap();
    let row = purges::get(db, second.id).await.unwrap().unwrap();
    assert_eq!(row.completed_at, Some(NOW + TTL));
    let newest_first = purges::list(db, None, 10).await.unwrap();
    assert_eq!(newest_first[0].id, second.id);
    let older = purges::list(db, Some(second.id), 10).await.unwrap();
    assert_eq!(older, [first]);
}

async fn who_registers_as_a_node_takes_its_place(test: TestDatabase) {
    let db = &test.db;
    let first = node();
    let before = edge_nodes::register(db, &first, 0, TTL, NOW).await.unwrap();
    let purge = request(db, "/a").await;
    let again = NewNode {
        instance: "another process".to_owned(),
        ..first.clone()
    };
    let after = edge_nodes::register(db, &again, 0, TTL, NOW).await.unwrap();
    let state = NodeState {
        requests: 7,
        health: "well".to_owned(),
        ..NodeState::default()
    };
    after.renew(db, &state, TTL, NOW).await.unwrap();
    let is_lost = |result| matches!(result, Err(RowError::LeaseLost { .. }));
    assert!(is_lost(
        before.renew(db, &NodeState::default(), TTL, NOW).await
    ));
    let late = purges::acknowledge(db, &before, purge.position, NOW).await;
    assert!(
        is_lost(late),
        "what the other has stored may have been purged"
    );
    before.leave(db).await.unwrap();
    let nodes = edge_nodes::list(db, None, 10).await.unwrap();
    assert_eq!(nodes.len(), 1);
    assert_eq!(nodes[0].state, state);
    assert!(nodes[0].is_live(NOW) && !nodes[0].is_live(NOW + TTL));
    assert_eq!(edge_nodes::list(db, Some(first.id), 10).await.unwrap(), []);
}

async fn a_node_that_was_away_for_long_is_told_that_it_has_missed_some(test: TestDatabase) {
    let db = &test.db;
    let mut all = Vec::new();
    for n in 0..10 {
        all.push(request(db, &format!("/{n}")).await);
    }
    assert_eq!(since(db, Seen::default()).await, all);
    assert_eq!(since(db, Seen::from(&all[8])).await, all[9..]);
    assert_eq!(purges::delete_old(db, NOW, 4, 100).await.unwrap(), 6);
    assert_eq!(purges::delete_old(db, NOW, 4, 100).await.unwrap(), 0);
    let newest = Seen::from(&all[9]);
    assert_eq!(lost(db, Seen::default()).await, newest);
    assert_eq!(lost(db, Seen::from(&all[4])).await, newest);
    // The last one whose row is gone was seen.
    assert_eq!(since(db, Seen::from(&all[5])).await, all[6..]);
    assert_eq!(since(db, Seen::from(&all[6])).await, all[7..]);
    // All go, and positions go on.
    let later = NOW + Micros::from_secs(1);
    assert_eq!(purges::delete_old(db, later, 100, 100).await.unwrap(), 4);
    assert_eq!(since(db, newest).await, []);
    let next = request(db, "/next").await;
    assert_eq!(next.position, 11);
    assert_eq!(since(db, newest).await, [next]);
}

async fn a_node_is_told_that_the_database_is_not_the_one_it_was(test: TestDatabase) {
    let db = &test.db;
    let here = request(db, "/a").await;
    for foreign in [
        // Its number was given again after a commit was lost.
        Seen {
            position: 1,
            id: Some(PurgeId::new()),
        },
        Seen {
            position: 7,
            id: None,
        },
    ] {
        assert_eq!(lost(db, foreign).await, Seen::from(&here));
    }
    assert_eq!(since(db, Seen::from(&here)).await, []);
    let unnamed = Seen {
        position: 1,
        id: None,
    };
    assert_eq!(since(db, unnamed).await, []);
}

async fn old_purges_and_silent_nodes_go_in_steps(test: TestDatabase) {
    let db = &test.db;
    let node = register(db).await;
    for n in 0..5 {
        request(db, &format!("/{n}")).await;
    }
    purges::acknowledge(db, &node, 5, NOW).await.unwrap();
    let later = NOW + Micros::from_secs(1);
    assert_eq!(purges::delete_old(db, NOW, 100, 100).await.unwrap(), 0);
    assert_eq!(purges::delete_old(db, later, 100, 2).await.unwrap(), 2);
    assert_eq!(purges::list(db, None, 10).await.unwrap().len(), 3);
    assert_eq!(
        edge_nodes::delete_silent(db, later, 10).await.unwrap(),
        0,
        "its lease lives"
    );
    assert_eq!(
        edge_nodes::delete_silent(db, NOW + TTL, 10).await.unwrap(),
        0
    );
    let long = NOW + TTL + TTL;
    assert_eq!(edge_nodes::delete_silent(db, long, 10).await.unwrap(), 1);
    assert_eq!(purges::delete_old(db, long, 0, 100).await.unwrap(), 3);
    let too_long = "x".repeat(purges::MAX_SUBJECT_BYTES + 1);
    let purge = NewPurge {
        kind: "url",
        subject: &too_long,
        soft: false,
        requested_by: "test",
    };
    let refused = purges::request(db, &purge, None, None, NOW).await;
    assert!(matches!(refused, Err(RowError::TooLarge { .. })));
}
