//! Sessions of viewers: who has how many, and what many say at once.

use std::collections::HashSet;

use media::{StreamId, Timestamp, ViewerId};
use storage::Database;
use storage::rows::viewers::{self, SILENT, Saying, Turn, Watcher};

use crate::fixtures::{NOW, TestDatabase};
use crate::measured::{SECOND, join, live, say, seconds, somebody};

on_both_engines! {
    what_many_say_is_written_at_once,
    an_account_is_one_viewer_however_often_it_joins,
    a_network_has_so_many_viewers_at_most,
    a_session_that_is_over_does_not_come_back,
    many_who_join_at_once_are_counted_against_the_same_bounds,
    whoever_joins_on_two_nodes_at_once_is_counted_once,
    what_is_said_of_the_same_sessions_on_two_nodes_takes_turns,
}

/// The session that a watcher has then.
async fn join_as(
    db: &Database,
    stream: StreamId,
    watcher: Watcher,
    at: Timestamp,
) -> Option<ViewerId> {
    let saying = Saying {
        stream,
        viewer: ViewerId::new(),
        turn: Turn::Join(watcher),
    };
    let found = viewers::note(db, &[saying], at).await.unwrap();
    found.get(&saying.viewer).copied()
}

async fn open_sessions(test: &TestDatabase, stream: StreamId, at: Timestamp) -> u64 {
    let counts = viewers::count(&test.db, &[stream], at).await.unwrap();
    counts.get(&stream).map_or(0, |count| count.sessions)
}

async fn what_many_say_is_written_at_once(test: TestDatabase) {
    let (demo, other) = (live(&test, "demo").await, live(&test, "other").await);
    let (stays, leaves) = (join(&test, demo.0).await, join(&test, demo.0).await);
    let (elsewhere, fresh) = (join(&test, other.0).await, ViewerId::new());
    let unknown = ViewerId::new();
    let said = [
        (demo.0, stays, Turn::Beat),
        (demo.0, unknown, Turn::Beat),
        (demo.0, elsewhere, Turn::Beat),
        (demo.0, leaves, Turn::Beat),
        (demo.0, leaves, Turn::Leave),
        (demo.0, elsewhere, Turn::Leave),
        (other.0, fresh, somebody(fresh)),
    ]
    .map(|(stream, viewer, turn)| Saying {
        stream,
        viewer,
        turn,
    });
    let at = NOW + SILENT - SECOND;
    let found = viewers::note(&test.db, &said, at).await.unwrap();
    let found: HashSet<_> = found.into_iter().collect();
    let themselves = [stays, leaves, fresh].map(|viewer| (viewer, viewer));
    assert_eq!(found, HashSet::from(themselves));
    // Who has not beaten is over.
    let counts = viewers::count(&test.db, &[demo.0, other.0], NOW + SILENT).await;
    let counts = counts.unwrap();
    assert_eq!(
        (counts[&demo.0].sessions, counts[&other.0].sessions),
        (1, 1)
    );
    let nothing = viewers::note(&test.db, &[], at).await.unwrap();
    assert!(nothing.is_empty());
}

async fn an_account_is_one_viewer_however_often_it_joins(test: TestDatabase) {
    let demo = live(&test, "demo").await.0;
    let (ada, bob) = (Watcher::Account(7), Watcher::Account(-7));
    let first = join_as(&test.db, demo, ada, NOW).await.unwrap();
    assert_eq!(join_as(&test.db, demo, ada, NOW).await, Some(first));
    let said = [ada, bob, ada, bob].map(|watcher| Saying {
        stream: demo,
        viewer: ViewerId::new(),
        turn: Turn::Join(watcher),
    });
    let later = NOW + SILENT - SECOND;
    let found = viewers::note(&test.db, &said, later).await.unwrap();
    let sessions_of: Vec<_> = said.iter().map(|one| found[&one.viewer]).collect();
    assert_eq!([sessions_of[0], sessions_of[2]], [first; 2]);
    assert_eq!(sessions_of[1], sessions_of[3]);
    assert_ne!(sessions_of[1], first);
    assert_eq!(open_sessions(&test, demo, later).await, 2);
    // To join is to beat.
    assert_eq!(open_sessions(&test, demo, NOW + SILENT).await, 2);
    // Who has left, or was silent, begins anew.
    assert!(say(&test, demo, first, Turn::Leave, later).await);
    let second = join_as(&test.db, demo, ada, later).await.unwrap();
    assert_ne!(second, first);
    let third = join_as(&test.db, demo, ada, later + SILENT).await;
    assert_ne!(third, Some(second));
    assert_eq!(open_sessions(&test, demo, later + SILENT).await, 1);
}

async fn a_network_has_so_many_viewers_at_most(test: TestDatabase) {
    let demo = live(&test, "demo").await.0;
    let (home, office) = (Watcher::Network(1, 3), Watcher::Network(2, 3));
    let mut there = HashSet::new();
    for _ in 0..3 {
        there.insert(join_as(&test.db, demo, home, NOW).await.unwrap());
    }
    assert_eq!(there.len(), 3);
    assert_eq!(join_as(&test.db, demo, home, NOW).await, None);
    assert!(join_as(&test.db, demo, office, NOW).await.is_some());
    let gone = *there.iter().next().unwrap();
    assert!(say(&test, demo, gone, Turn::Leave, NOW).await);
    assert!(join_as(&test.db, demo, home, NOW).await.is_some());
    assert_eq!(join_as(&test.db, demo, home, NOW).await, None);
    // Those who are silent leave room.
    let over = NOW + SILENT;
    assert!(join_as(&test.db, demo, home, over).await.is_some());
    assert_eq!(open_sessions(&test, demo, over).await, 1);
}

async fn a_session_that_is_over_does_not_come_back(test: TestDatabase) {
    let demo = live(&test, "demo").await.0;
    for watcher in [Watcher::Account(1), Watcher::Network(2, 1)] {
        let silent = join_as(&test.db, demo, watcher, NOW).await.unwrap();
        let over = NOW + SILENT;
        assert!(!say(&test, demo, silent, Turn::Beat, over).await);
        // Nor when nobody has swept it, and there is another.
        let next = join_as(&test.db, demo, watcher, over).await.unwrap();
        assert_ne!(next, silent);
        assert!(!say(&test, demo, silent, Turn::Beat, over).await);
        assert!(say(&test, demo, next, Turn::Beat, over).await);
    }
    assert_eq!(open_sessions(&test, demo, NOW + SILENT).await, 2);
}

async fn many_who_join_at_once_are_counted_against_the_same_bounds(test: TestDatabase) {
    let (demo, talk) = (live(&test, "demo").await.0, live(&test, "talk").await.0);
    let home = Watcher::Network(1, 3);
    let there = join_as(&test.db, demo, home, NOW).await.unwrap();
    let say = |stream, turn| Saying {
        stream,
        viewer: ViewerId::new(),
        turn,
    };
    let leaves = Saying {
        viewer: there,
        ..say(demo, Turn::Leave)
    };
    let mut said = vec![say(demo, Turn::Join(home)); 3];
    said.push(leaves);
    said.extend(vec![say(demo, Turn::Join(home)); 2]);
    // Each has a stream of its own.
    said.extend((0..300).map(|n| say(StreamId::new(), Turn::Join(Watcher::Account(1_000 + n)))));
    said.push(say(talk, Turn::Join(Watcher::Network(2, 1))));
    for saying in said.iter_mut().filter(|one| one.viewer != there) {
        saying.viewer = ViewerId::new();
    }
    let found = viewers::note(&test.db, &said, NOW).await.unwrap();
    let is_found: Vec<_> = said[..6]
        .iter()
        .map(|one| found.contains_key(&one.viewer))
        .collect();
    // Two until the network has three, and one more for the one that has left.
    assert_eq!(is_found, [true, true, false, true, true, false]);
    assert_eq!(found.len(), 4 + 300 + 1);
    assert_eq!(open_sessions(&test, demo, NOW).await, 3);
    assert_eq!(open_sessions(&test, talk, NOW).await, 1);
    // They are theirs.
    let again = join_as(&test.db, said[6].stream, Watcher::Account(1_000), NOW).await;
    assert_eq!(again, Some(said[6].viewer));
    assert_eq!(join_as(&test.db, demo, home, NOW).await, None);
}

async fn whoever_joins_on_two_nodes_at_once_is_counted_once(test: TestDatabase) {
    let (demo, talk) = (live(&test, "demo").await.0, live(&test, "talk").await.0);
    let other = test.another_handle().await;
    let mut joining = Vec::new();
    for n in 0..40 {
        let mut joins = [
            (demo, Watcher::Account(5)),
            (talk, Watcher::Account(8)),
            (demo, Watcher::Network(6, 3)),
            (demo, Watcher::Account(4)),
        ];
        let is_even = n % 2 == 0;
        if !is_even {
            joins.reverse();
        }
        let db = if is_even { &test.db } else { &other };
        let joins = joins.map(|(stream, watcher)| Saying {
            stream,
            viewer: ViewerId::new(),
            turn: Turn::Join(watcher),
        });
        joining.push(async move { viewers::note(db, &joins, NOW).await.unwrap() });
    }
    let found = futures_util::future::join_all(joining).await;
    let different: HashSet<_> = found.iter().flat_map(|one| one.values()).collect();
    assert_eq!(different.len(), 1 + 1 + 3 + 1);
    assert_eq!(open_sessions(&test, demo, NOW).await, 5);
    assert_eq!(open_sessions(&test, talk, NOW).await, 1);
}

/// A session of an account is that of all its tabs, on whichever node each of them is.
async fn what_is_said_of_the_same_sessions_on_two_nodes_takes_turns(test: TestDatabase) {
    let demo = live(&test, "demo").await.0;
    let other = test.another_handle().await;
    for round in 0..10 {
        let mut said = Vec::new();
        for account in 0..20 {
            let watcher = Watcher::Account(account);
            let viewer = join_as(&test.db, demo, watcher, NOW).await.unwrap();
            let turns = [Turn::Beat, Turn::Leave, Turn::Join(watcher)];
            said.push(Saying {
                stream: demo,
                viewer,
                turn: turns[(account + round) as usize % 3],
            });
        }
        let mut reversed = said.clone();
        reversed.reverse();
        for saying in reversed.iter_mut().chain(&mut said) {
            if let Turn::Join(_) = saying.turn {
                saying.viewer = ViewerId::new();
            }
        }
        for saying in &mut reversed {
            saying.turn = match saying.turn {
                Turn::Beat => Turn::Leave,
                Turn::Leave => Turn::Beat,
                join => join,
            };
        }
        let at = seconds(round);
        let (one, two, three) = tokio::join!(
            viewers::note(&test.db, &said, at),
            viewers::note(&other, &reversed, at),
            viewers::delete_silent(&other, at, 10),
        );
        one.unwrap();
        two.unwrap();
        assert_eq!(three.unwrap(), 0);
    }
}
