//! What single rounds do.

use std::sync::Arc;

use bytes::Bytes;
use media::{EpochNumber, Micros, RenditionName, SegmentNumber, StreamId, Timestamp};
use packager::object_key;
use storage::objects::faulty::Fault;
use storage::objects::{FaultyStore, MemoryStore, ObjectStore};
use storage::rows::retention;
use tokio_util::sync::CancellationToken;

use crate::live::simulation::{SEGMENT, World, all_keys};
use crate::origin_node::{leave_mark, mark};

struct Swept {
    world: World,
    store: Arc<FaultyStore>,
    _directory: tempfile::TempDir,
}

impl Swept {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = FaultyStore::new(Arc::new(MemoryStore::default()));
        let world = World::on_sqlite(directory.path(), store.clone()).await;
        Self {
            world,
            store,
            _directory: directory,
        }
    }

    /// A stream that was live for `segments`.
    async fn was_live(&self, name: &str, segments: usize) -> StreamId {
        let stream = self.world.stream(name).await;
        let mut live = self.world.go_live(stream, name).await;
        for _ in 0..segments {
            live.segment().await.unwrap();
        }
        live.end().await;
        stream
    }

    /// Rounds until there is nothing more to do.
    async fn sweep(&self) {
        let (sweeper, lease) = (self.world.sweeper(), self.world.lease().await);
        while sweeper.round(&lease, &CancellationToken::new()).await.more {}
        lease.release(self.world.database()).await.unwrap();
    }

    async fn segments(&self, stream: StreamId) -> (u64, u64) {
        let stored = retention::stored(self.world.database(), stream).await;
        let stored = stored.unwrap();
        (stored.segments, stored.gaps)
    }

    async fn keys(&self) -> usize {
        all_keys(self.store.as_ref()).await.len()
    }
}

fn sound(stream: StreamId, number: u64) -> String {
    object_key::segment(
        stream,
        EpochNumber(0),
        &RenditionName::AUDIO,
        SegmentNumber(number),
    )
}

#[tokio::test]
async fn an_ended_stream_leaves_nothing() {
    let swept = Swept::new().await;
    let stream = swept.was_live("garden", 10).await;
    swept.sweep().await;
    assert_eq!(swept.segments(stream).await, (20, 0));
    assert_eq!(swept.keys().await, 22);
    // The session is settled, and the window passes, first of half of it.
    swept.world.clock.advance(Micros::from_secs(50));
    swept.sweep().await;
    assert_eq!(swept.segments(stream).await, (10, 0));
    swept.world.clock.advance(Micros::from_secs(60));
    swept.sweep().await;
    assert_eq!(swept.segments(stream).await, (0, 0));
    assert_eq!(swept.keys().await, 0);
    assert_eq!(swept.world.database().check().await.unwrap(), []);
}

#[tokio::test]
async fn a_recording_stays_until_its_rules_say_otherwise() {
    let swept = Swept::new().await;
    let stream = swept.world.stream("garden").await;
    let database = swept.world.database();
    retention::change_rules(database, stream, |rules| rules.recording = true)
        .await
        .unwrap();
    let mut live = swept.world.go_live(stream, "garden").await;
    for _ in 0..100 {
        live.segment().await.unwrap();
    }
    live.end().await;
    swept.world.clock.advance(Micros::from_secs(100_000));
    swept.sweep().await;
    assert_eq!(swept.segments(stream).await, (200, 0));

    let bytes = retention::stored(database, stream).await.unwrap().bytes;
    retention::change_rules(database, stream, |rules| rules.byte_quota = Some(bytes / 2))
        .await
        .unwrap();
    swept.sweep().await;
    assert_eq!(swept.segments(stream).await, (100, 0));
    assert!(swept.store.head(&sound(stream, 49)).await.is_err());
    assert!(swept.store.head(&sound(stream, 50)).await.is_ok());

    retention::change_rules(database, stream, |rules| rules.recording = false)
        .await
        .unwrap();
    swept.sweep().await;
    assert_eq!(swept.keys().await, 0);
}

#[tokio::test]
async fn what_a_player_may_ask_for_stays_however_long_the_publisher_is_away() {
    let swept = Swept::new().await;
    let stream = swept.world.stream("garden").await;
    let mut live = swept.world.go_live(stream, "garden").await;
    for _ in 0..100 {
        live.segment().await.unwrap();
    }
    live.stored().await;
    swept.world.clock.advance(Micros::from_secs(100_000));
    swept.sweep().await;
    for name in [RenditionName::SOURCE, RenditionName::AUDIO] {
        let playlist = live.window.media_playlist(&name).unwrap();
        assert_eq!(playlist.segments.len(), 10);
        for segment in playlist.segments {
            let key = object_key::segment(stream, segment.epoch, &name, segment.number);
            assert!(swept.store.head(&key).await.is_ok(), "{key}");
        }
    }
    assert_eq!(swept.segments(stream).await, (20, 0));
}

#[tokio::test]
async fn settling_mends_both_sides() {
    let swept = Swept::new().await;
    let stream = swept.was_live("garden", 4).await;
    let store = &swept.store;
    // Left by a crash between object and row: a segment, and all of a rendition.
    let late: RenditionName = "360p".parse().unwrap();
    for key in [
        sound(stream, 17),
        object_key::init(stream, EpochNumber(0), &late),
        object_key::segment(stream, EpochNumber(0), &late, SegmentNumber(0)),
    ] {
        store.put(&key, Bytes::from_static(b"x")).await.unwrap();
    }
    // Lost by a disk: a segment, and an init segment.
    let init = object_key::init(stream, EpochNumber(0), &RenditionName::SOURCE);
    let lost_init = store.get(&init).await.unwrap();
    store.delete(&init).await.unwrap();
    store.delete(&sound(stream, 2)).await.unwrap();

    swept.world.clock.advance(Micros::from_secs(10));
    swept.sweep().await;
    assert_eq!(swept.segments(stream).await, (8, 0), "not yet");
    let keep = |rules: &mut storage::retention::Rules| rules.recording = true;
    retention::change_rules(swept.world.database(), stream, keep)
        .await
        .unwrap();
    swept.world.clock.advance(Micros::from_secs(90));
    swept.sweep().await;
    assert_eq!(swept.segments(stream).await, (7, 1));
    assert_eq!(swept.keys().await, 7 + 2);
    assert_eq!(store.get(&init).await.unwrap(), lost_init);
}

#[tokio::test]
async fn a_store_that_refuses_costs_a_round_and_no_more() {
    let swept = Swept::new().await;
    let stream = swept.was_live("garden", 10).await;
    let other = swept.was_live("kitchen", 10).await;
    swept.world.clock.advance(Micros::from_secs(200));
    for fault in [Fault::Denied, Fault::Unavailable] {
        swept.store.fail(fault);
        swept.sweep().await;
    }
    // The floor went first; nobody is told of what is below it.
    assert_eq!(swept.segments(stream).await, (0, 0));
    swept.store.recover();
    assert_eq!(swept.keys().await, 44);
    assert_eq!(swept.world.database().check().await.unwrap(), []);
    swept.sweep().await;
    assert_eq!(swept.segments(other).await, (0, 0));
    assert_eq!(swept.keys().await, 0);
}

#[tokio::test]
async fn who_lost_the_lease_deletes_no_row() {
    let swept = Swept::new().await;
    let stream = swept.was_live("garden", 10).await;
    let (sweeper, old) = (swept.world.sweeper(), swept.world.lease().await);
    old.release(swept.world.database()).await.unwrap();
    let new = swept.world.lease().await;
    swept.world.clock.advance(Micros::from_secs(1_000));
    sweeper.round(&old, &CancellationToken::new()).await;
    assert_eq!(swept.segments(stream).await, (20, 0));
    assert_eq!(swept.keys().await, 22);
    sweeper.round(&new, &CancellationToken::new()).await;
    assert_eq!(swept.segments(stream).await, (0, 0));
}

#[tokio::test]
async fn epochs_of_a_long_session_go_with_their_segments() {
    let swept = Swept::new().await;
    let stream = swept.world.stream("garden").await;
    for _ in 0..5 {
        let mut live = swept.world.go_live(stream, "garden").await;
        for _ in 0..10 {
            live.segment().await.unwrap();
        }
        live.stored().await;
        swept.world.clock.advance(SEGMENT);
    }
    swept.world.clock.advance(Micros::from_secs(500));
    swept.sweep().await;
    // Of the last epoch, what playlists list; and the last segment was never closed.
    let keys = all_keys(swept.store.as_ref()).await;
    let inits = keys.iter().filter(|key| key.ends_with("init.mp4"));
    assert!(inits.count() <= 2 * 2, "{keys:?}");
    assert!(keys.len() <= 2 * (10 + 2), "{keys:?}");
    assert_eq!(swept.world.database().check().await.unwrap(), []);
}

#[tokio::test]
async fn the_mark_of_a_silent_origin_goes_with_its_row() {
    let swept = Swept::new().await;
    let mark = mark(swept.world.context.place.id());
    let text = Bytes::from_static(b"here");
    swept.store.put(&mark, text).await.unwrap();
    swept.sweep().await;
    assert_eq!(swept.keys().await, 1);
    swept.world.clock.advance(Micros::from_secs(600_000));
    // While the store refuses, the row tells that there is a mark.
    swept.store.fail(Fault::Denied);
    swept.sweep().await;
    swept.store.recover();
    assert_eq!(swept.keys().await, 1);
    swept.sweep().await;
    assert_eq!(swept.keys().await, 0);
}

#[tokio::test]
async fn an_origin_that_is_back_meanwhile_keeps_its_mark() {
    let swept = Swept::new().await;
    let origin = swept.world.context.place.id();
    leave_mark(swept.store.as_ref(), origin).await.unwrap();
    let sweeper = swept.world.sweeper();
    // It was silent until then when it was looked for, and has been heard of since.
    let before = Timestamp::from_micros(0);
    sweeper.delete_silent_origin(origin, before).await.unwrap();
    assert_eq!(swept.keys().await, 1);
}
