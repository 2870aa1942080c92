//! What is measured of live streams, and who watches them.

use std::collections::HashSet;

use media::{Micros, NodeId, SessionId, StreamId, Timestamp, ViewerId};
use storage::Database;
use storage::rows::leases::this_process;
use storage::rows::origins::{self, Claim, NewOrigin};
use storage::rows::sessions;
use storage::rows::stream_status::{
    self, AudioIngest, Gop, Ingest, Measured, MeasuredRendition, RenditionKind, RenditionState,
    STALE, Sample, VideoIngest, Worker, WorkerState,
};
use storage::rows::streams;
use storage::rows::usage::{self, Addition, Counts, Period, Served};
use storage::rows::viewers::{self, SILENT, Saying, Turn, Watcher};

use crate::fixtures::{NOW, TestDatabase};

on_both_engines! {
    what_was_measured_is_read_until_it_is_stale,
    what_is_measured_goes_with_its_broadcast,
    an_older_sample_does_not_replace_a_newer_one,
    what_another_origin_has_taken_is_measured_by_that_one_alone,
    a_viewer_is_counted_from_the_first_beat_to_the_last,
    what_many_say_is_written_at_once,
    an_account_is_one_viewer_however_often_it_joins,
    a_network_has_so_many_viewers_at_most,
    a_session_that_is_over_does_not_come_back,
    whoever_joins_on_two_nodes_at_once_is_counted_once,
    many_who_join_at_once_are_counted_against_the_same_bounds,
    what_is_said_of_the_same_sessions_on_two_nodes_takes_turns,
    who_measures_the_same_streams_and_who_sweeps_take_turns,
    viewers_are_sessions_or_what_the_edges_served_whichever_are_more,
    minutes_have_the_most_at_once_and_the_time_watched,
    broadcasts_are_counted_within_a_period,
    what_is_over_is_swept,
}

const SECOND: Micros = Micros::from_secs(1);

fn seconds(count: i64) -> Timestamp {
    NOW + Micros::from_secs(count)
}

fn measured() -> Measured {
    Measured {
        ingest: Some(Ingest {
            since: NOW,
            bit_rate: 2_628_000,
            delay: 0.25,
            video: Some(VideoIngest {
                codec: "avc1.64001f".to_owned(),
                width: 1_280,
                height: 720,
                bit_rate: 2_500_000,
                frame_rate: Some(29.97),
                gop: Some(Gop {
                    seconds: 2.0,
                    frames: 60,
                }),
            }),
            audio: Some(AudioIngest {
                codec: "mp4a.40.2".to_owned(),
                sample_rate: 48_000,
                channels: 2,
                bit_rate: 128_000,
            }),
        }),
        worker: Some(Worker {
            state: WorkerState::Running,
            engine: "ffmpeg".to_owned(),
            encoder: "software".to_owned(),
            restarts: 1,
        }),
        renditions: vec![MeasuredRendition {
            name: "360p".to_owned(),
            kind: RenditionKind::Video,
            state: RenditionState::Shed,
            since: NOW,
            reason: Some("the machine is busy: \"quoted\", ä".to_owned()),
            codec: None,
            width: None,
            height: None,
            sample_rate: None,
            channels: None,
            target_bit_rate: None,
            bit_rate: 0,
        }],
    }
}

async fn live(test: &TestDatabase, name: &str) -> (StreamId, SessionId) {
    let stream = test.stream(name).await;
    let opened = sessions::open_session(&test.db, stream, NOW).await.unwrap();
    (stream, opened.session.id)
}

fn sample((stream, session): (StreamId, SessionId), elapsed: Micros) -> Sample {
    Sample {
        stream,
        session,
        node: NodeId::new(),
        measured: measured(),
        elapsed,
    }
}

async fn keep(test: &TestDatabase, sample: Sample, at: Timestamp) {
    stream_status::keep(&test.db, &[sample], at).await.unwrap();
}

async fn say(
    test: &TestDatabase,
    stream: StreamId,
    viewer: ViewerId,
    turn: Turn,
    at: Timestamp,
) -> bool {
    let said = [Saying {
        stream,
        viewer,
        turn,
    }];
    let found = viewers::note(&test.db, &said, at).await.unwrap();
    found.contains_key(&viewer)
}

/// Nobody else.
fn somebody(viewer: ViewerId) -> Turn {
    Turn::Join(Watcher::Account(viewer.as_uuid().as_u128() as i64))
}

async fn join(test: &TestDatabase, stream: StreamId) -> ViewerId {
    let viewer = ViewerId::new();
    assert!(say(test, stream, viewer, somebody(viewer), NOW).await);
    viewer
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

/// As everybody sees it.
async fn watching(test: &TestDatabase, name: &str, at: Timestamp) -> u64 {
    let name = name.parse().unwrap();
    let found = streams::find(&test.db, &name, None).await.unwrap().unwrap();
    let viewers = found.viewers(at);
    let live = streams::live(&test.db, None, None, 10).await.unwrap();
    let listed = live.rows.iter().map(|row| &row.stream);
    for listed in listed.filter(|row| row.stream.name == name) {
        assert_eq!(listed.viewers(at), viewers);
    }
    viewers
}

async fn what_was_measured_is_read_until_it_is_stale(test: TestDatabase) {
    let demo = live(&test, "demo").await;
    let nothing = stream_status::status(&test.db, demo.0, NOW).await.unwrap();
    assert_eq!(nothing.measured, None);
    assert_eq!(nothing.broadcast.unwrap().started_at, NOW);

    let kept = sample(demo, Micros::ZERO);
    keep(&test, kept.clone(), NOW).await;
    let status = stream_status::status(&test.db, demo.0, NOW + STALE)
        .await
        .unwrap();
    let row = status.measured.unwrap();
    assert_eq!(row.session, demo.1);
    assert_eq!(row.node, kept.node);
    assert_eq!(row.measured_at, NOW);
    assert_eq!(row.viewers, 0);
    assert_eq!(row.measured, Some(measured()));

    let later = NOW + STALE + SECOND;
    let stale = stream_status::status(&test.db, demo.0, later)
        .await
        .unwrap();
    assert_eq!(stale.measured, None);
    assert!(stale.broadcast.is_some());
}

async fn what_is_measured_goes_with_its_broadcast(test: TestDatabase) {
    let demo = live(&test, "demo").await;
    keep(&test, sample(demo, Micros::ZERO), NOW).await;
    let end = seconds(5);
    sessions::end_session(&test.db, demo.1, end).await.unwrap();
    let status = stream_status::status(&test.db, demo.0, end).await.unwrap();
    assert_eq!(status.measured, None);
    assert_eq!(status.broadcast.unwrap().ended_at, Some(end));

    // What was measured before the end and is written after it says nothing of the next.
    keep(&test, sample(demo, Micros::ZERO), end).await;
    let next = sessions::open_session(&test.db, demo.0, end).await.unwrap();
    let status = stream_status::status(&test.db, demo.0, end).await.unwrap();
    assert_eq!(status.measured, None);
    keep(
        &test,
        sample((demo.0, next.session.id), Micros::ZERO),
        seconds(6),
    )
    .await;
    let status = stream_status::status(&test.db, demo.0, seconds(6))
        .await
        .unwrap();
    assert_eq!(status.measured.unwrap().session, next.session.id);
}

async fn an_older_sample_does_not_replace_a_newer_one(test: TestDatabase) {
    let demo = live(&test, "demo").await;
    keep(&test, sample(demo, Micros::ZERO), seconds(10)).await;
    keep(&test, sample(demo, Micros::ZERO), seconds(5)).await;
    let status = stream_status::status(&test.db, demo.0, seconds(10))
        .await
        .unwrap();
    assert_eq!(status.measured.unwrap().measured_at, seconds(10));
}

/// Takes the stream for an origin, as if an encoder had come to it.
async fn take(test: &TestDatabase, stream: StreamId) -> NodeId {
    let origin = NewOrigin {
        id: NodeId::new(),
        instance: this_process(),
        url: "http://origin:8081".to_owned(),
        is_alone: false,
        version: "1".to_owned(),
    };
    let ttl = Micros::from_secs(60);
    let place = origins::register(&test.db, &origin, ttl, NOW).await;
    let place = place.unwrap().expect("nobody is alone");
    let taken = origins::take_stream(&test.db, stream, &place, Claim::Takeover, NOW).await;
    taken.unwrap().expect("it may");
    origin.id
}

async fn what_another_origin_has_taken_is_measured_by_that_one_alone(test: TestDatabase) {
    let demo = live(&test, "demo").await;
    join(&test, demo.0).await;
    let of = |node| Sample {
        node,
        ..sample(demo, Micros::from_secs(5))
    };
    let before = take(&test, demo.0).await;
    keep(&test, of(before), NOW).await;
    let after = take(&test, demo.0).await;
    keep(&test, of(after), seconds(5)).await;
    // It goes on after it was stopped, and knows nothing of the other yet.
    keep(&test, of(before), seconds(10)).await;
    let status = stream_status::status(&test.db, demo.0, seconds(10)).await;
    let row = status.unwrap().measured.unwrap();
    assert_eq!((row.node, row.measured_at), (after, seconds(5)));
    let period = Period {
        from: NOW,
        to: seconds(60),
    };
    let minutes = viewers::minutes(&test.db, demo.0, period, 10).await;
    assert_eq!(minutes.unwrap()[0].watched, Micros::from_secs(10));
    keep(&test, of(after), seconds(15)).await;
    let status = stream_status::status(&test.db, demo.0, seconds(15)).await;
    assert_eq!(status.unwrap().measured.unwrap().measured_at, seconds(15));
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

/// Over several nodes none waits for another that waits for it.
async fn who_measures_the_same_streams_and_who_sweeps_take_turns(test: TestDatabase) {
    let mut samples = Vec::new();
    for n in 0..10 {
        let stream = live(&test, &format!("s{n}")).await;
        samples.push(sample(stream, Micros::ZERO));
    }
    let mut reversed = samples.clone();
    reversed.reverse();
    let other = test.another_handle().await;
    for round in 1..=20 {
        // What is written is stale for whoever sweeps.
        let at = seconds(round);
        let (one, two, swept) = tokio::join!(
            stream_status::keep(&test.db, &samples, at),
            stream_status::keep(&other, &reversed, at),
            stream_status::delete_stale(&test.db, at + STALE + SECOND, 10),
        );
        one.unwrap();
        two.unwrap();
        assert!(swept.unwrap() <= 10);
    }
}

async fn a_viewer_is_counted_from_the_first_beat_to_the_last(test: TestDatabase) {
    let demo = live(&test, "demo").await;
    let other = live(&test, "other").await;
    let (first, second) = (join(&test, demo.0).await, join(&test, demo.0).await);
    join(&test, other.0).await;
    assert_eq!(watching(&test, "demo", NOW).await, 0, "nobody has counted");
    keep(&test, sample(demo, Micros::ZERO), NOW).await;
    assert_eq!(watching(&test, "demo", NOW).await, 2);

    let leave = async |stream, viewer| say(&test, stream, viewer, Turn::Leave, NOW).await;
    assert!(leave(demo.0, second).await);
    // Once more is no error, and neither is another's.
    assert!(!leave(demo.0, second).await);
    assert!(!leave(other.0, first).await);
    keep(&test, sample(demo, Micros::ZERO), seconds(5)).await;
    assert_eq!(watching(&test, "demo", seconds(5)).await, 1);

    let beat = async |stream, viewer, at| say(&test, stream, viewer, Turn::Beat, at).await;
    assert!(!beat(demo.0, second, seconds(30)).await);
    assert!(!beat(other.0, first, seconds(30)).await, "another stream");
    assert!(!beat(demo.0, ViewerId::new(), seconds(30)).await);
    assert!(beat(demo.0, first, seconds(30)).await);
    // A beat that comes late takes nothing back.
    assert!(beat(demo.0, first, seconds(10)).await);
    let last = seconds(30) + SILENT - SECOND;
    keep(&test, sample(demo, Micros::ZERO), last).await;
    assert_eq!(watching(&test, "demo", last).await, 1);
    let over = seconds(30) + SILENT;
    keep(&test, sample(demo, Micros::ZERO), over).await;
    assert_eq!(watching(&test, "demo", over).await, 0);
}

fn served(name: &str, minute: i64, viewers: u64) -> Addition {
    Addition {
        minute: seconds(minute * 60),
        served: Served::Stream(name.parse().unwrap()),
        counts: Counts::default(),
        viewers,
    }
}

async fn viewers_are_sessions_or_what_the_edges_served_whichever_are_more(test: TestDatabase) {
    let demo = live(&test, "demo").await;
    for _ in 0..3 {
        join(&test, demo.0).await;
    }
    let add = async |edge, minute, viewers| {
        let addition = served("demo", minute, viewers);
        usage::add(&test.db, edge, &[addition]).await.unwrap();
    };
    let watching = async |at| {
        keep(&test, sample(demo, Micros::ZERO), at).await;
        watching(&test, "demo", at).await
    };
    add("one", 0, 1).await;
    add("two", 0, 1).await;
    assert_eq!(
        watching(NOW).await,
        3,
        "two were served, three sessions beat"
    );
    add("one", 1, 4).await;
    add("two", 1, 1).await;
    assert_eq!(watching(seconds(61)).await, 5, "served in this minute");
    assert_eq!(watching(seconds(179)).await, 5, "served in the last minute");
    assert_eq!(
        watching(seconds(180)).await,
        0,
        "served before, and nobody beats"
    );
}

async fn minutes_have_the_most_at_once_and_the_time_watched(test: TestDatabase) {
    let demo = live(&test, "demo").await;
    let first = join(&test, demo.0).await;
    join(&test, demo.0).await;
    keep(&test, sample(demo, Micros::ZERO), NOW).await;
    keep(&test, sample(demo, Micros::from_secs(5)), seconds(5)).await;
    say(&test, demo.0, first, Turn::Leave, seconds(5)).await;
    keep(&test, sample(demo, Micros::from_secs(5)), seconds(10)).await;
    // Whoever was away for long does not know who watched.
    keep(&test, sample(demo, Micros::from_secs(1_000)), seconds(60)).await;

    let period = Period {
        from: NOW,
        to: seconds(120),
    };
    let minutes = viewers::minutes(&test.db, demo.0, period, 10)
        .await
        .unwrap();
    let minutes: Vec<_> = minutes
        .iter()
        .map(|one| (one.minute, one.viewers, one.watched))
        .collect();
    assert_eq!(
        minutes,
        [
            (NOW, 2, Micros::from_secs(2 * 5 + 5)),
            (seconds(60), 1, STALE)
        ]
    );
    let period = Period {
        from: NOW + SECOND,
        to: seconds(60),
    };
    let minutes = viewers::minutes(&test.db, demo.0, period, 10)
        .await
        .unwrap();
    assert_eq!(minutes, []);
}

async fn broadcasts_are_counted_within_a_period(test: TestDatabase) {
    let (stream, session) = live(&test, "demo").await;
    sessions::end_session(&test.db, session, seconds(100))
        .await
        .unwrap();
    sessions::open_session(&test.db, stream, seconds(200))
        .await
        .unwrap();
    for (from, to, now, count, live) in [
        (0, 1_000, 260, 2, 160),
        (50, 210, 260, 2, 60),
        (100, 200, 260, 0, 0),
        (-50, 10, 260, 1, 10),
        (210, 220, 260, 1, 10),
        (300, 400, 260, 0, 0),
    ] {
        let period = Period {
            from: seconds(from),
            to: seconds(to),
        };
        let told = viewers::broadcasts(&test.db, stream, period, seconds(now))
            .await
            .unwrap();
        assert_eq!(told.count, count, "{from} to {to}");
        assert_eq!(told.live, Micros::from_secs(live), "{from} to {to}");
    }
}

async fn what_is_over_is_swept(test: TestDatabase) {
    let demo = live(&test, "demo").await;
    let beats = join(&test, demo.0).await;
    for _ in 0..3 {
        join(&test, demo.0).await;
    }
    keep(&test, sample(demo, Micros::ZERO), NOW).await;
    let over = NOW + SILENT;
    assert!(say(&test, demo.0, beats, Turn::Beat, over - SECOND).await);
    for (limit, deleted) in [(2, 2), (2, 1), (2, 0)] {
        let swept = viewers::delete_silent(&test.db, over, limit).await.unwrap();
        assert_eq!(swept, deleted);
    }
    let fresh = stream_status::delete_stale(&test.db, NOW + STALE, 10).await;
    assert_eq!(fresh.unwrap(), 0);
    let stale = stream_status::delete_stale(&test.db, NOW + STALE + SECOND, 10).await;
    assert_eq!(stale.unwrap(), 1);
    for (before, deleted) in [(NOW, 0), (NOW + SECOND, 1), (NOW + SECOND, 0)] {
        let swept = viewers::delete_minutes_before(&test.db, before, 10).await;
        assert_eq!(swept.unwrap(), deleted);
    }
}
