//! Videos: recordings of broadcasts, and imported files.

use std::collections::HashMap;

use bytes::Bytes;
use media::{EpochNumber, Micros, RenditionName, Segment, SegmentNumber, Timestamp, VideoId};
use storage::RowError;
use storage::rows::jobs::{self, NewJob};
use storage::rows::retention;
use storage::rows::settling::{self, UnsettledSession};
use storage::rows::videos::imports::{
    self, Added, ChunkRow, NewImport, NewPlan, QUEUE, VideoCancellation,
};
use storage::rows::videos::playback::{self, MediaPlace, Playback, StoredVideo};
use storage::rows::videos::{self, VideoState, recordings};
use storage::rows::{sessions, streams};

use crate::fixtures::{NOW, TestDatabase};
use crate::windows::{Live, audio, start_of, video};

on_both_engines! {
    a_recorded_broadcast_is_a_video_when_it_ends,
    a_broadcast_that_is_not_recorded_is_none,
    a_recording_plays_what_is_kept_of_it,
    a_recording_of_which_nothing_is_left_is_gone,
    a_recording_has_its_own_epochs_only,
    a_streams_recordings_come_in_pages_with_what_is_kept,
    an_import_is_planned_once,
    an_import_plays_when_it_is_finished,
    a_video_that_is_ready_says_so_to_a_late_attempt,
    a_video_whose_job_died_has_failed,
    nothing_is_added_to_a_cancelled_import,
    a_cancelled_import_goes_when_its_worker_has_stopped,
    a_failed_import_says_why,
    videos_come_in_pages,
}

const LATER: Timestamp = Timestamp::from_micros(NOW.as_micros() + 60_000_000);

fn n(number: u64) -> SegmentNumber {
    SegmentNumber(number)
}

async fn recorded(test: TestDatabase) -> Live {
    let live = Live::new(test).await;
    retention::change_rules(&live.test.db, live.stream, |rules| rules.recording = true)
        .await
        .unwrap();
    live
}

async fn end(live: &Live) {
    sessions::end_session(&live.test.db, live.session, LATER)
        .await
        .unwrap();
}

async fn settle(live: &Live) {
    let session = UnsettledSession {
        session: live.session,
        stream: live.stream,
    };
    let db = &live.test.db;
    let rows = settling::row_count(db, &session).await.unwrap();
    let mut transaction = db.write().await.unwrap();
    let settled = settling::settle(&mut transaction, &session, rows, LATER).await;
    assert!(settled.unwrap());
    transaction.commit().await.unwrap();
}

async fn only_video(test: &TestDatabase) -> VideoId {
    let listed = videos::list(&test.db, None, 10).await.unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    listed[0].id
}

async fn playing(test: &TestDatabase, id: VideoId) -> StoredVideo {
    match playback::load(&test.db, id, 1_000).await.unwrap() {
        Playback::Ready(stored) => stored,
        other => panic!("{other:?}"),
    }
}

async fn a_recorded_broadcast_is_a_video_when_it_ends(test: TestDatabase) {
    let live = recorded(test).await;
    live.epoch(0, 0..3).await;
    let (db, session) = (&live.test.db, live.session);
    assert_eq!(videos::list(db, None, 10).await.unwrap(), []);
    end(&live).await;
    let id = only_video(&live.test).await;
    let row = videos::get(db, id).await.unwrap().unwrap();
    let stream = streams::by_name(db, &"demo".parse().unwrap()).await;
    assert_eq!(row.owner, stream.unwrap().unwrap().owner);
    assert_eq!(row.session, Some(session));
    assert_eq!((row.state, &row.title[..]), (VideoState::Ready, "demo"));
    assert_eq!((row.created_at, row.ready_at), (LATER, Some(LATER)));
    assert_eq!((row.original_size, row.error), (None, None));

    let stored = playing(&live.test, id).await;
    assert!(stored.is_dated && !stored.is_final && !stored.is_cut);
    assert_eq!(stored.segments.len(), 6);
    assert_eq!(stored.epochs.len(), 1);
    assert_eq!(stored.epochs[0].renditions, [audio(), video()]);
    settle(&live).await;
    assert!(playing(&live.test, id).await.is_final);
    // A session ends once, and is one video.
    let again = sessions::end_session(db, session, LATER).await;
    assert!(matches!(again, Err(RowError::SessionNotOpen(_))));
    only_video(&live.test).await;
}

async fn a_broadcast_that_is_not_recorded_is_none(test: TestDatabase) {
    let live = Live::new(test).await;
    live.epoch(0, 0..3).await;
    end(&live).await;
    assert_eq!(videos::list(&live.test.db, None, 10).await.unwrap(), []);
}

async fn a_recording_plays_what_is_kept_of_it(test: TestDatabase) {
    let live = recorded(test).await;
    live.epoch(0, 0..4).await;
    end(&live).await;
    let id = only_video(&live.test).await;
    let mut transaction = live.test.db.write().await.unwrap();
    retention::raise_floor(&mut transaction, live.stream, n(2))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let stored = playing(&live.test, id).await;
    let numbers = stored.segments.iter().map(|row| row.segment.number.0);
    assert_eq!(numbers.collect::<Vec<_>>(), [2, 2, 3, 3]);
    // What is asked for is the beginning, and it says so.
    match playback::load(&live.test.db, id, 3).await.unwrap() {
        Playback::Ready(cut) => assert_eq!((cut.is_cut, cut.segments.len()), (true, 3)),
        other => panic!("{other:?}"),
    }
}

async fn a_recording_of_which_nothing_is_left_is_gone(test: TestDatabase) {
    let live = recorded(test).await;
    live.epoch(0, 0..2).await;
    end(&live).await;
    let (db, stream) = (&live.test.db, live.stream);
    assert_eq!(videos::delete_gone_recordings(db, 10).await.unwrap(), 0);
    settle(&live).await;
    assert_eq!(videos::delete_gone_recordings(db, 10).await.unwrap(), 0);
    let mut transaction = db.write().await.unwrap();
    retention::raise_floor(&mut transaction, stream, n(2))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let old = retention::below_floor(db, stream, 10).await.unwrap();
    let mut transaction = db.write().await.unwrap();
    retention::delete_segments(&mut transaction, stream, &old)
        .await
        .unwrap();
    retention::delete_epoch(&mut transaction, stream, EpochNumber(0))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(videos::delete_gone_recordings(db, 10).await.unwrap(), 1);
    assert_eq!(videos::list(db, None, 10).await.unwrap(), []);
    assert_eq!(db.check().await.unwrap(), []);
}

async fn a_streams_recordings_come_in_pages_with_what_is_kept(test: TestDatabase) {
    let mut live = recorded(test).await;
    live.epoch(0, 0..4).await;
    end(&live).await;
    let first = live.session;
    let db = live.test.db.clone();
    let opened = sessions::open_session(&db, live.stream, LATER)
        .await
        .unwrap();
    live.session = opened.session.id;
    live.epoch(1, 4..5).await;
    sessions::end_session(&db, live.session, LATER)
        .await
        .unwrap();

    let of_stream = async |before, limit| {
        let listed = recordings::of_stream(&db, live.stream, before, limit).await;
        listed.unwrap()
    };
    let all = of_stream(None, 10).await;
    let sessions: Vec<_> = all.iter().map(|row| row.session).collect();
    assert_eq!(sessions, [live.session, first]);
    assert_eq!(of_stream(None, 1).await, all[..1]);
    assert_eq!(of_stream(Some(all[0].id), 10).await, all[1..]);
    assert_eq!((all[1].started_at, all[1].ended_at), (NOW, LATER));
    assert_eq!(
        (all[0].kept_from, all[1].kept_from),
        (Some(n(4)), Some(n(0)))
    );
    assert!(!all[0].is_settled);

    let kept = recordings::kept(&db, &sessions).await.unwrap();
    let kept: HashMap<_, _> = kept.into_iter().collect();
    let (long, short) = (kept[&first], kept[&live.session]);
    assert_eq!(long.size, 4 * short.size);
    assert_eq!(long.duration.as_micros(), 4 * short.duration.as_micros());

    let mut transaction = db.write().await.unwrap();
    retention::raise_floor(&mut transaction, live.stream, n(3))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let less = recordings::kept(&db, &[first]).await.unwrap();
    assert_eq!(less, [(first, short)]);
    assert_eq!(of_stream(None, 10).await[1].kept_from, Some(n(3)));
    assert_eq!(recordings::kept(&db, &[]).await.unwrap(), []);
}

async fn a_recording_has_its_own_epochs_only(test: TestDatabase) {
    let mut live = recorded(test).await;
    live.epoch(0, 0..2).await;
    end(&live).await;
    let first = only_video(&live.test).await;
    let opened = sessions::open_session(&live.test.db, live.stream, LATER).await;
    live.session = opened.unwrap().session.id;
    live.epoch(1, 2..5).await;
    end(&live).await;
    let second = videos::list(&live.test.db, Some(first), 10).await.unwrap()[0].id;
    let db = &live.test.db;
    assert_eq!(playing(&live.test, first).await.segments.len(), 4);
    assert_eq!(playing(&live.test, second).await.segments.len(), 6);
    let place = async |id, epoch| {
        playback::media_place(db, id, EpochNumber(epoch))
            .await
            .unwrap()
    };
    let ours = Some(MediaPlace::Stream(live.stream));
    assert_eq!(place(first, 0).await, ours);
    assert_eq!(place(first, 1).await, None, "another broadcast's");
    assert_eq!(place(second, 1).await, ours);
    assert_eq!(place(VideoId::new(), 0).await, None);
    let unknown = playback::load(db, VideoId::new(), 10).await.unwrap();
    assert_eq!(unknown, Playback::Unknown);
}

async fn import(test: &TestDatabase) -> VideoId {
    let id = VideoId::new();
    let new = NewImport {
        id,
        owner: test.user(&format!("owner-{}", &id.to_string()[24..])).await,
        title: "garden.mp4",
        original_size: 1_000,
    };
    let mut transaction = test.db.write().await.unwrap();
    imports::create(&mut transaction, new, NOW).await.unwrap();
    transaction.commit().await.unwrap();
    id
}

const CHUNKS: [ChunkRow; 2] = [
    ChunkRow {
        number: 0,
        first_segment: SegmentNumber(0),
        segments: 2,
    },
    ChunkRow {
        number: 1,
        first_segment: SegmentNumber(2),
        segments: 1,
    },
];

async fn plan(test: &TestDatabase, id: VideoId, document: &'static [u8]) -> Added {
    let plan = NewPlan {
        document: Bytes::from_static(document),
        duration: Micros::from_secs(6),
        segments: 6,
        chunks: &CHUNKS,
    };
    imports::set_plan(&test.db, id, plan).await.unwrap()
}

fn segment(number: u64) -> Segment {
    Segment {
        number: n(number),
        start: start_of(number),
        duration: Micros::from_secs(2),
        size: 100 + number,
    }
}

async fn an_import_is_planned_once(test: TestDatabase) {
    let id = import(&test).await;
    let db = &test.db;
    assert_eq!(imports::plan(db, id).await.unwrap(), None);
    assert_eq!(plan(&test, id, b"{}").await, Added::New);
    assert_eq!(plan(&test, id, b"other").await, Added::Already);
    let kept = imports::plan(db, id).await.unwrap();
    assert_eq!(kept, Some(Bytes::from_static(b"{}")));
    assert_eq!(imports::unfinished_chunks(db, id).await.unwrap(), CHUNKS);
    imports::finish_chunk(db, id, 0, LATER).await.unwrap();
    let left = imports::unfinished_chunks(db, id).await.unwrap();
    assert_eq!(left, CHUNKS[1..]);
    let row = videos::get(db, id).await.unwrap().unwrap();
    assert_eq!(row.duration, Some(Micros::from_secs(6)));
    assert_eq!(row.segments_planned, Some(6));
    assert_eq!(row.state, VideoState::Transcoding);
}

async fn an_import_plays_when_it_is_finished(test: TestDatabase) {
    let id = import(&test).await;
    let db = &test.db;
    plan(&test, id, b"{}").await;
    let source = RenditionName::SOURCE;
    let without = imports::insert_segment(db, id, &source, &segment(0)).await;
    assert!(matches!(without, Err(RowError::NotFound(_))), "{without:?}");
    for rendition in [video(), audio()] {
        let added = imports::insert_rendition(db, id, &rendition).await;
        assert_eq!(added.unwrap(), Added::New);
        let added = imports::insert_rendition(db, id, &rendition).await;
        assert_eq!(added.unwrap(), Added::Already);
    }
    assert_eq!(
        imports::renditions(db, id).await.unwrap(),
        [audio(), video()]
    );
    for number in 0..3 {
        let added = imports::insert_segment(db, id, &source, &segment(number)).await;
        assert_eq!(added.unwrap(), Added::New);
    }
    let again = imports::insert_segment(db, id, &source, &segment(1)).await;
    assert_eq!(again.unwrap(), Added::Already);
    assert_eq!(imports::segment_count(db, id).await.unwrap(), 3);
    let finished = imports::finished_segments(db, id, n(1), 2).await.unwrap();
    assert_eq!(finished, [(n(1), source.clone()), (n(2), source.clone())]);
    let before = playback::load(db, id, 10).await.unwrap();
    assert_eq!(before, Playback::NotReady(VideoState::Transcoding));
    let hidden = playback::media_place(db, id, EpochNumber(0)).await;
    assert_eq!(hidden.unwrap(), None);

    let mut transaction = db.write().await.unwrap();
    assert!(imports::finish(&mut transaction, id, LATER).await.unwrap());
    transaction.commit().await.unwrap();
    let stored = playing(&test, id).await;
    assert!(stored.is_final && !stored.is_dated);
    let numbers = stored.segments.iter().map(|row| row.segment.clone());
    assert_eq!(
        numbers.collect::<Vec<_>>(),
        (0..3).map(segment).collect::<Vec<_>>()
    );
    let place = playback::media_place(db, id, EpochNumber(0)).await;
    assert_eq!(place.unwrap(), Some(MediaPlace::Own));
    assert_eq!(imports::unfinished_chunks(db, id).await.unwrap(), []);
    assert_eq!(imports::plan(db, id).await.unwrap(), None);
    let mut transaction = db.write().await.unwrap();
    let late = imports::cancel(&mut transaction, id).await.unwrap();
    assert_eq!(late, VideoCancellation::TooLate);
}

async fn cancel(test: &TestDatabase, id: VideoId) {
    let mut transaction = test.db.write().await.unwrap();
    let cancelled = imports::cancel(&mut transaction, id).await.unwrap();
    assert_eq!(cancelled, VideoCancellation::Cancelled);
    transaction.commit().await.unwrap();
}

/// Whoever adds to it was taken for dead, and must not delete what another has made.
async fn a_video_that_is_ready_says_so_to_a_late_attempt(test: TestDatabase) {
    let id = import(&test).await;
    let db = &test.db;
    plan(&test, id, b"{}").await;
    imports::insert_rendition(db, id, &video()).await.unwrap();
    let mut transaction = db.write().await.unwrap();
    assert!(imports::finish(&mut transaction, id, LATER).await.unwrap());
    transaction.commit().await.unwrap();
    let added = imports::insert_segment(db, id, &RenditionName::SOURCE, &segment(0)).await;
    assert_eq!(added.unwrap(), Added::Ended);
    let added = imports::insert_rendition(db, id, &audio()).await;
    assert_eq!(added.unwrap(), Added::Ended);
    assert_eq!(imports::fail_abandoned(db, 10).await.unwrap(), 0);
}

async fn a_video_whose_job_died_has_failed(test: TestDatabase) {
    let (abandoned, working) = (import(&test).await, import(&test).await);
    let db = &test.db;
    for (id, attempts) in [(abandoned, 1), (working, 20)] {
        let key = id.to_string();
        let mut transaction = db.write().await.unwrap();
        let job = NewJob {
            queue: QUEUE,
            unique_key: Some(&key),
            payload: Default::default(),
            run_at: NOW,
            max_attempts: attempts.try_into().unwrap(),
        };
        jobs::enqueue(db, &mut transaction, &job, NOW)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    }
    let ttl = Micros::from_secs(10);
    for _ in 0..2 {
        assert!(
            jobs::dequeue(db, QUEUE, "w", ttl, NOW)
                .await
                .unwrap()
                .is_some()
        );
    }
    assert_eq!(imports::fail_abandoned(db, 10).await.unwrap(), 0);
    // Nobody has heard of their worker: one may be tried again.
    let later = NOW + ttl + ttl;
    assert!(
        jobs::dequeue(db, QUEUE, "w", ttl, later)
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        jobs::dequeue(db, QUEUE, "w", ttl, later)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(imports::fail_abandoned(db, 10).await.unwrap(), 1);
    let row = videos::get(db, abandoned).await.unwrap().unwrap();
    assert_eq!(row.state, VideoState::Failed);
    assert!(row.error.unwrap().contains("silent"), "the job's reason");
    let row = videos::get(db, working).await.unwrap().unwrap();
    assert_eq!(row.state, VideoState::Transcoding);
}

async fn nothing_is_added_to_a_cancelled_import(test: TestDatabase) {
    let id = import(&test).await;
    let db = &test.db;
    plan(&test, id, b"{}").await;
    imports::insert_rendition(db, id, &video()).await.unwrap();
    cancel(&test, id).await;
    let added = imports::insert_rendition(db, id, &audio()).await;
    assert_eq!(added.unwrap(), Added::Unwanted);
    let added = imports::insert_segment(db, id, &RenditionName::SOURCE, &segment(0)).await;
    assert_eq!(added.unwrap(), Added::Unwanted);
    assert_eq!(plan(&test, id, b"{}").await, Added::Unwanted);
    let mut transaction = db.write().await.unwrap();
    assert!(!imports::finish(&mut transaction, id, LATER).await.unwrap());
    assert!(!imports::fail(&mut transaction, id, "no").await.unwrap());
    let nobody = imports::cancel(&mut transaction, VideoId::new()).await;
    assert_eq!(nobody.unwrap_err().to_string(), "no such video");
}

async fn a_cancelled_import_goes_when_its_worker_has_stopped(test: TestDatabase) {
    let id = import(&test).await;
    let db = &test.db;
    plan(&test, id, b"{}").await;
    imports::insert_rendition(db, id, &video()).await.unwrap();
    imports::insert_segment(db, id, &RenditionName::SOURCE, &segment(0))
        .await
        .unwrap();
    let key = id.to_string();
    let job = NewJob {
        queue: QUEUE,
        unique_key: Some(&key),
        payload: Bytes::new(),
        run_at: NOW,
        max_attempts: std::num::NonZeroU32::MIN,
    };
    let mut transaction = db.write().await.unwrap();
    jobs::enqueue(db, &mut transaction, &job, NOW)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let ttl = Micros::from_secs(10);
    let taken = jobs::dequeue(db, QUEUE, "w", ttl, NOW).await.unwrap();
    cancel(&test, id).await;
    assert_eq!(imports::cancelled(db, 10).await.unwrap(), [], "it runs");
    jobs::cancelled(db, &taken.unwrap(), NOW).await.unwrap();
    assert_eq!(imports::cancelled(db, 10).await.unwrap(), [id]);
    let mut transaction = db.write().await.unwrap();
    imports::delete(&mut transaction, id).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(videos::get(db, id).await.unwrap(), None);
    assert_eq!(db.check().await.unwrap(), []);
}

async fn a_failed_import_says_why(test: TestDatabase) {
    let id = import(&test).await;
    let mut transaction = test.db.write().await.unwrap();
    let failed = imports::fail(&mut transaction, id, "not a video\0file").await;
    assert!(failed.unwrap());
    transaction.commit().await.unwrap();
    let row = videos::get(&test.db, id).await.unwrap().unwrap();
    assert_eq!(row.state, VideoState::Failed);
    assert_eq!(row.error.as_deref(), Some("not a video file"));
    cancel(&test, id).await;
}

async fn videos_come_in_pages(test: TestDatabase) {
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(import(&test).await);
    }
    made.sort();
    let ids = |rows: Vec<videos::VideoRow>| rows.iter().map(|row| row.id).collect::<Vec<_>>();
    let first = videos::list(&test.db, None, 2).await.unwrap();
    assert_eq!(ids(first), made[..2]);
    let rest = videos::list(&test.db, Some(made[1]), 2).await.unwrap();
    assert_eq!(ids(rest), made[2..]);
}
