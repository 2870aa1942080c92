//! Prewarms: nodes find their work, and tell how far they are.

use media::{Micros, NodeId, PrewarmId, UserId};
use storage::Database;
use storage::rows::audit_log::{self, AuditFilter, Audited};
use storage::rows::edge_nodes::{self, NewNode, Registration};
use storage::rows::prewarms::{
    self, MAX_ERRORS_BYTES, MAX_OPEN, MAX_SUBJECT_BYTES, OPEN_FOR, PrewarmKind, PrewarmOrder,
    PrewarmProgress, PrewarmRow, PrewarmState, Requester,
};
use storage::rows::{Entity, RowError};

use crate::fixtures::{NOW, TestDatabase};

const TTL: Micros = Micros::from_secs(15);

on_both_engines! {
    a_prewarm_is_the_work_of_the_nodes_that_live,
    a_prewarm_is_for_the_nodes_that_are_named,
    what_is_cancelled_is_no_work_any_more,
    who_registers_as_a_node_has_its_prewarms,
    a_node_that_is_away_is_not_waited_for,
    what_is_too_large_is_refused_or_cut,
    what_failed_may_have_any_characters,
    what_a_node_has_not_done_stays_undone_without_it,
    what_is_not_done_within_a_day_has_failed,
    no_more_are_open_than_may_be,
    whoever_asks_has_so_many_open_however_many_come_at_once,
    what_is_done_is_noted_with_it,
    who_is_gone_keeps_nothing_open,
    old_prewarms_go,
}

fn node() -> NewNode {
    NewNode {
        id: NodeId::new(),
        instance: storage::rows::leases::this_process(),
        roles: "edge".to_owned(),
        url: String::new(),
        region: String::new(),
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

fn paths(paths: &[&str]) -> PrewarmOrder {
    PrewarmOrder {
        kind: PrewarmKind::Urls,
        subject: paths.join("\n"),
        depth: None,
        renditions: Vec::new(),
    }
}

async fn request(db: &Database, order: &PrewarmOrder) -> PrewarmId {
    prewarms::request(db, order, &[], Requester::named("test"), NOW)
        .await
        .unwrap()
}

async fn get(db: &Database, id: PrewarmId) -> PrewarmRow {
    prewarms::get(db, id, NOW).await.unwrap().unwrap()
}

async fn open(db: &Database, node: &Registration) -> Vec<PrewarmId> {
    prewarms::open(db, node.id(), 10).await.unwrap()
}

async fn report(
    db: &Database,
    node: &Registration,
    id: PrewarmId,
    state: PrewarmState,
    progress: PrewarmProgress,
) -> bool {
    let errors = match progress.failed {
        0 => Vec::new(),
        _ => vec!["/b: 404".to_owned(), "two\nlines".to_owned()],
    };
    prewarms::report(db, node, id, state, &progress, &errors, NOW)
        .await
        .unwrap()
}

async fn a_prewarm_is_the_work_of_the_nodes_that_live(test: TestDatabase) {
    let db = &test.db;
    let nobody = prewarms::request(db, &paths(&["/a"]), &[], Requester::named("test"), NOW).await;
    assert!(matches!(nobody, Err(RowError::NotFound(Entity::Node))));
    assert_eq!(prewarms::list(db, None, 10, NOW).await.unwrap(), []);
    let (one, other) = (register(db).await, register(db).await);
    let gone = register(db).await;
    gone.leave(db).await.unwrap();
    let first = request(db, &paths(&["/a", "/b"])).await;
    let second = PrewarmOrder {
        kind: PrewarmKind::Playlist,
        subject: "/live/a/index.m3u8".to_owned(),
        depth: Some(3),
        renditions: vec!["source".to_owned(), "audio".to_owned()],
    };
    let second_id = request(db, &second).await;
    assert_eq!(open(db, &one).await, [first, second_id]);
    assert_eq!(open(db, &gone).await, []);
    let (order, at) = prewarms::order(db, first).await.unwrap().unwrap();
    assert_eq!((order, at), (paths(&["/a", "/b"]), NOW));
    let (order, _) = prewarms::order(db, second_id).await.unwrap().unwrap();
    assert_eq!(order, second);

    let row = get(db, first).await;
    assert_eq!((row.state, row.urls), (PrewarmState::Waiting, 2));
    assert_eq!(row.order.subject, "", "paths are not listed");
    assert!(prewarms::begin(db, &one, first, NOW).await.unwrap());
    assert_eq!(get(db, first).await.state, PrewarmState::Running);
    let two = PrewarmProgress {
        total: 2,
        done: 2,
        failed: 0,
        bytes: 7,
    };
    assert!(report(db, &one, first, PrewarmState::Done, two).await);
    assert!(
        !report(db, &one, first, PrewarmState::Running, two).await,
        "it has ended"
    );
    assert_eq!(open(db, &one).await, [second_id]);
    // Some have it, and another has not begun.
    assert_eq!(get(db, first).await.state, PrewarmState::Running);
    let half = PrewarmProgress {
        total: 2,
        done: 1,
        failed: 1,
        bytes: 3,
    };
    assert!(prewarms::begin(db, &other, first, NOW).await.unwrap());
    assert!(report(db, &other, first, PrewarmState::Failed, half).await);
    let row = get(db, first).await;
    assert_eq!(row.state, PrewarmState::Failed);
    let sum = PrewarmProgress {
        total: 4,
        done: 3,
        failed: 1,
        bytes: 10,
    };
    assert_eq!(row.progress, sum);
    let nodes = prewarms::nodes(db, first, NOW).await.unwrap();
    assert_eq!(nodes.len(), 2);
    let failed = nodes.iter().find(|told| told.node == other.id()).unwrap();
    assert_eq!((failed.progress, failed.is_live), (half, true));
    assert_eq!(failed.errors, ["/b: 404", "two lines"]);

    let listed = prewarms::list(db, None, 10, NOW).await.unwrap();
    let ids: Vec<_> = listed.iter().map(|row| row.id).collect();
    assert_eq!(ids, [second_id, first], "the newest first");
    assert_eq!(listed[0].order, second);
    let older = prewarms::list(db, Some(second_id), 10, NOW).await.unwrap();
    assert_eq!(older, [row]);
}

async fn a_prewarm_is_for_the_nodes_that_are_named(test: TestDatabase) {
    let db = &test.db;
    let (one, other) = (register(db).await, register(db).await);
    let order = paths(&["/a"]);
    let id = prewarms::request(db, &order, &[one.id()], Requester::named("test"), NOW)
        .await
        .unwrap();
    assert_eq!(open(db, &one).await, [id]);
    assert_eq!(open(db, &other).await, []);
    let twice = prewarms::request(
        db,
        &order,
        &[other.id(), other.id()],
        Requester::named("test"),
        NOW,
    )
    .await
    .unwrap();
    assert_eq!(prewarms::nodes(db, twice, NOW).await.unwrap().len(), 1);
    let unknown = prewarms::request(
        db,
        &order,
        &[one.id(), NodeId::new()],
        Requester::named("test"),
        NOW,
    )
    .await;
    assert!(matches!(unknown, Err(RowError::NotFound(Entity::Node))));
    assert_eq!(open(db, &one).await, [id], "all of it or nothing");
}

async fn what_is_cancelled_is_no_work_any_more(test: TestDatabase) {
    let db = &test.db;
    let (one, other) = (register(db).await, register(db).await);
    let id = request(db, &paths(&["/a"])).await;
    assert!(prewarms::begin(db, &one, id, NOW).await.unwrap());
    let done = PrewarmProgress {
        total: 1,
        done: 1,
        ..PrewarmProgress::default()
    };
    assert!(report(db, &one, id, PrewarmState::Done, done).await);
    assert!(prewarms::begin(db, &other, id, NOW).await.unwrap());
    prewarms::cancel(db, id, None, NOW).await.unwrap();
    assert!(!report(db, &other, id, PrewarmState::Running, done).await);
    assert!(!prewarms::begin(db, &other, id, NOW).await.unwrap());
    assert_eq!(open(db, &other).await, []);
    assert_eq!(get(db, id).await.state, PrewarmState::Cancelled);
    let states: Vec<_> = prewarms::nodes(db, id, NOW).await.unwrap();
    let done = states
        .iter()
        .filter(|told| told.state == PrewarmState::Done);
    assert_eq!(done.count(), 1, "what has ended stays as it ended");
    prewarms::cancel(db, id, None, NOW).await.unwrap();
    let unknown = prewarms::cancel(db, PrewarmId::new(), None, NOW).await;
    assert!(matches!(unknown, Err(RowError::NotFound(Entity::Prewarm))));
    assert_eq!(
        prewarms::get(db, PrewarmId::new(), NOW).await.unwrap(),
        None
    );
    assert_eq!(prewarms::order(db, PrewarmId::new()).await.unwrap(), None);
}

async fn who_registers_as_a_node_has_its_prewarms(test: TestDatabase) {
    let db = &test.db;
    let new = node();
    let before = edge_nodes::register(db, &new, 0, TTL, NOW).await.unwrap();
    let id = request(db, &paths(&["/a"])).await;
    assert!(prewarms::begin(db, &before, id, NOW).await.unwrap());
    let again = NewNode {
        instance: "another process".to_owned(),
        ..new
    };
    let after = edge_nodes::register(db, &again, 0, TTL, NOW).await.unwrap();
    let progress = PrewarmProgress::default();
    assert!(!report(db, &before, id, PrewarmState::Failed, progress).await);
    assert_eq!(open(db, &after).await, [id]);
    assert!(prewarms::begin(db, &after, id, NOW).await.unwrap());
    assert!(report(db, &after, id, PrewarmState::Done, progress).await);
}

async fn a_node_that_is_away_is_not_waited_for(test: TestDatabase) {
    let db = &test.db;
    let node = register(db).await;
    let id = request(db, &paths(&["/a"])).await;
    let later = NOW + TTL;
    let row = prewarms::get(db, id, later).await.unwrap().unwrap();
    assert_eq!(row.state, PrewarmState::Failed);
    let told = prewarms::nodes(db, id, later).await.unwrap();
    assert_eq!(
        (told[0].state, told[0].is_live),
        (PrewarmState::Waiting, false)
    );
    assert_eq!(open(db, &node).await, [id], "it does it when it is back");
}

async fn what_is_too_large_is_refused_or_cut(test: TestDatabase) {
    let db = &test.db;
    let node = register(db).await;
    let is_too_large = |result| matches!(result, Err(RowError::TooLarge { .. }));
    let long = "x".repeat(MAX_SUBJECT_BYTES + 1);
    assert!(is_too_large(
        prewarms::request(db, &paths(&[&long]), &[], Requester::named("test"), NOW).await
    ));
    let id = request(db, &paths(&["/a"])).await;
    let errors = vec!["x".repeat(1_000); 100];
    let progress = PrewarmProgress::default();
    let state = PrewarmState::Running;
    assert!(
        prewarms::report(db, &node, id, state, &progress, &errors, NOW)
            .await
            .unwrap()
    );
    let told = prewarms::nodes(db, id, NOW).await.unwrap();
    assert_eq!(told[0].errors.len(), MAX_ERRORS_BYTES / 1_001);
}

async fn what_failed_may_have_any_characters(test: TestDatabase) {
    let db = &test.db;
    let node = register(db).await;
    let id = request(db, &paths(&["/a"])).await;
    let errors = ["/a\0b: 404\u{7f}\u{9b}".to_owned(), "c\td".to_owned()];
    let (state, progress) = (PrewarmState::Failed, PrewarmProgress::default());
    let reported = prewarms::report(db, &node, id, state, &progress, &errors, NOW).await;
    assert!(reported.unwrap());
    let told = prewarms::nodes(db, id, NOW).await.unwrap();
    assert_eq!(told[0].errors, ["/a b: 404  ", "c d"]);
}

async fn what_a_node_has_not_done_stays_undone_without_it(test: TestDatabase) {
    let db = &test.db;
    let (done, undone) = (register(db).await, register(db).await);
    let id = request(db, &paths(&["/a"])).await;
    let both = request(db, &paths(&["/b"])).await;
    let progress = PrewarmProgress {
        total: 1,
        done: 1,
        ..PrewarmProgress::default()
    };
    for (node, id) in [(&done, id), (&done, both), (&undone, both)] {
        assert!(report(db, node, id, PrewarmState::Done, progress).await);
    }
    let later = NOW + TTL + TTL;
    let silent = edge_nodes::delete_silent(db, later, 10).await.unwrap();
    assert_eq!(silent, 2);
    let row = prewarms::get(db, id, later).await.unwrap().unwrap();
    assert_eq!((row.state, row.progress), (PrewarmState::Failed, progress));
    let row = prewarms::get(db, both, later).await.unwrap().unwrap();
    assert_eq!(row.state, PrewarmState::Done, "it is not undone by that");
    let told = prewarms::nodes(db, id, later).await.unwrap();
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|node| !node.is_live));
}

async fn what_is_not_done_within_a_day_has_failed(test: TestDatabase) {
    let db = &test.db;
    let long = Micros::from_secs(7 * 24 * 3_600);
    let node = edge_nodes::register(db, &node(), 0, long, NOW)
        .await
        .unwrap();
    let (waits, runs) = (
        request(db, &paths(&["/a"])).await,
        request(db, &paths(&["/b"])).await,
    );
    assert!(prewarms::begin(db, &node, runs, NOW).await.unwrap());
    let states = async |at| {
        let rows = prewarms::list(db, None, 10, at).await.unwrap();
        let states = [waits, runs].map(|id| rows.iter().find(|row| row.id == id).unwrap().state);
        let one = prewarms::get(db, runs, at).await.unwrap().unwrap();
        assert_eq!(one.state, states[1]);
        states
    };
    let second = Micros::from_secs(1);
    let in_time = states(NOW + OPEN_FOR - second).await;
    assert_eq!(in_time, [PrewarmState::Waiting, PrewarmState::Running]);
    assert_eq!(states(NOW + OPEN_FOR).await, [PrewarmState::Failed; 2]);
}

async fn no_more_are_open_than_may_be(test: TestDatabase) {
    let db = &test.db;
    let node = register(db).await;
    let order = paths(&["/a"]);
    let mut first = None;
    for _ in 0..MAX_OPEN {
        first.get_or_insert(request(db, &order).await);
    }
    let refused = prewarms::request(db, &order, &[], Requester::named("test"), NOW).await;
    assert!(matches!(refused, Err(RowError::TooManyPrewarms(MAX_OPEN))));
    let done = PrewarmProgress::default();
    assert!(report(db, &node, first.unwrap(), PrewarmState::Done, done).await);
    request(db, &order).await;
}

async fn whoever_asks_has_so_many_open_however_many_come_at_once(test: TestDatabase) {
    let node = register(&test.db).await;
    let other = test.another_handle().await;
    let order = paths(&["/a"]);
    let ask = async |db: &Database, name| {
        let requester = Requester {
            at_most: Some(3),
            ..Requester::named(name)
        };
        match prewarms::request(db, &order, &[], requester, NOW).await {
            Ok(id) => Some(id),
            Err(RowError::TooManyPrewarms(open)) => {
                assert_eq!(open, 3);
                None
            }
            Err(error) => panic!("{error}"),
        }
    };
    let asked = (0..20).map(|n| ask(if n % 2 == 0 { &test.db } else { &other }, "ada"));
    let asked = futures_util::future::join_all(asked).await;
    let open: Vec<_> = asked.into_iter().flatten().collect();
    assert_eq!(open.len(), 3);
    // Others have theirs, and there is room for what has ended.
    assert!(ask(&other, "bob").await.is_some());
    let done = PrewarmProgress::default();
    assert!(report(&test.db, &node, open[0], PrewarmState::Done, done).await);
    assert!(ask(&other, "ada").await.is_some());
    assert_eq!(ask(&other, "ada").await, None);
}

async fn what_is_done_is_noted_with_it(test: TestDatabase) {
    let db = &test.db;
    register(db).await;
    let actor = UserId::new();
    let audited = |action| Some(Audited { actor, action });
    let by = Requester {
        at_most: Some(1),
        audited: audited("prewarm"),
        ..Requester::named("test")
    };
    let order = paths(&["/a", "/b"]);
    let id = prewarms::request(db, &order, &[], by, NOW).await.unwrap();
    // What is not done is not noted.
    assert!(prewarms::request(db, &order, &[], by, NOW).await.is_err());
    let unknown = prewarms::cancel(db, PrewarmId::new(), audited("cancel"), NOW).await;
    assert!(unknown.is_err());
    prewarms::cancel(db, id, audited("cancel"), NOW)
        .await
        .unwrap();
    // Nor is what had ended before.
    prewarms::cancel(db, id, audited("again"), NOW)
        .await
        .unwrap();
    let noted = audit_log::list(db, AuditFilter::default(), None, 10).await;
    let noted = noted.unwrap();
    let actions: Vec<_> = noted.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["cancel", "prewarm"]);
    for entry in noted {
        assert_eq!((entry.actor, entry.subject), (Some(actor), id.as_uuid()));
        assert_eq!(entry.subject_kind, "prewarm");
        let detail: serde_json::Value = serde_json::from_str(&entry.detail).unwrap();
        let expected = serde_json::json!({ "kind": "urls", "subject": "", "urls": 2 });
        assert_eq!(detail, expected);
    }
}

async fn who_is_gone_keeps_nothing_open(test: TestDatabase) {
    let db = &test.db;
    let gone = register(db).await;
    let order = paths(&["/a"]);
    for _ in 0..MAX_OPEN {
        request(db, &order).await;
    }
    gone.leave(db).await.unwrap();
    let here = register(db).await;
    let newest = request(db, &order).await;
    assert_eq!(open(db, &here).await, [newest]);
    // Nor is what nobody does kept for the newest to come.
    let deleted = prewarms::delete_old(db, NOW, 1, 1_000, NOW).await;
    assert_eq!(deleted.unwrap(), MAX_OPEN);
    assert_eq!(open(db, &here).await, [newest]);
}

async fn old_prewarms_go(test: TestDatabase) {
    let db = &test.db;
    let node = register(db).await;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(request(db, &paths(&["/a"])).await);
    }
    let later = NOW + Micros::from_secs(1);
    let delete_old = async |before, keep, limit, now| {
        let deleted = prewarms::delete_old(db, before, keep, limit, now).await;
        deleted.unwrap()
    };
    assert_eq!(delete_old(NOW, 5, 100, NOW).await, 0);
    assert_eq!(delete_old(NOW, 3, 100, NOW).await, 0, "they are being done");
    let done = PrewarmProgress::default();
    assert!(report(db, &node, all[1], PrewarmState::Done, done).await);
    assert_eq!(delete_old(NOW, 3, 100, NOW).await, 1);
    all.remove(1);
    assert_eq!(open(db, &node).await, all);
    assert_eq!(delete_old(NOW, 3, 100, NOW + OPEN_FOR).await, 1);
    assert_eq!(open(db, &node).await, all[1..]);
    assert_eq!(delete_old(later, 100, 2, NOW).await, 2);
    assert_eq!(delete_old(later, 100, 2, NOW).await, 1);
    assert_eq!(open(db, &node).await, []);
}
