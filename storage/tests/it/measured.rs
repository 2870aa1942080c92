//! What is measured of live streams, and who watches them.

use media::{Micros, NodeId, SessionId, StreamId, Timestamp, ViewerId};
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
    who_measures_the_same_streams_and_who_sweeps_take_turns,
    viewers_are_sessions_or_what_the_edges_served_whichever_are_more,
    minutes_have_the_most_at_once_and_the_time_watched,
    broadcasts_are_counted_within_a_period,
    what_is_over_is_swept,
}

pub(crate) const SECOND: Micros = Micros::from_secs(1);

pub(crate) fn seconds(count: i64) -> Timestamp {
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

pub(crate) async fn live(test: &TestDatabase, name: &str) -> (StreamId, SessionId) {
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

pub(crate) async fn say(
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
pub(crate) fn somebody(viewer: ViewerId) -> Turn {
    Turn::Join(Watcher::Account(viewer.as_uuid().as_u128() as i64))
}

pub(crate) async fn join(test: &TestDatabase, stream: StreamId) -> ViewerId {
    let viewer = ViewerId::new();
    assert!(say(test, stream, viewer, somebody(viewer), NOW).await);
    viewer
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
