//! Segment 10,000 and hour 25.

use std::sync::Arc;

use media::{Micros, RenditionName, SegmentNumber, StreamId};
use packager::live::{LiveConfig, SegmentState};
use storage::objects::MemoryStore;
use storage::rows::retention;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::live::restore;
use crate::live::simulation::{LISTED, LIVE_WINDOW, SEGMENT, Simulated, World, all_keys};

/// Segments from one round of the sweeper to the next.
const ROUND: u64 = 15;
const NAMES: [RenditionName; 2] = [RenditionName::SOURCE, RenditionName::AUDIO];

/// Where the database flushes to memory: tens of thousands of commits are not about what
/// survives, and a disk that others use makes each of them slow.
fn in_memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// What is in the window, its names and what lies behind them, when `live` has just begun
/// a segment.
fn check_window(live: &Simulated) {
    let open = live.next.0 - 1;
    for name in NAMES {
        let playlist = live.window.media_playlist(&name).unwrap();
        let numbers: Vec<_> = playlist.segments.iter().map(|s| s.number.0).collect();
        let expected: Vec<_> = (open.saturating_sub(LISTED as u64)..open).collect();
        assert_eq!(numbers, expected, "{name}");
        let epoch = playlist.segments.first().map(|first| first.epoch);
        let Some(epoch) = epoch else { continue };
        let text = playlist.render();
        for number in numbers {
            assert!(
                text.contains(&format!("{epoch}/{name}/{number}.m4s\n")),
                "{text}"
            );
            let state = live.window.segment(epoch, &name, SegmentNumber(number));
            assert!(
                matches!(state, SegmentState::Ready(_)),
                "{number}: {state:?}"
            );
        }
        let sequence = format!("#EXT-X-MEDIA-SEQUENCE:{}\n", expected[0]);
        assert!(text.contains(&sequence), "{text}");
        // What has left the window has left the memory.
        let kept = LISTED as u64 + LiveConfig::default().spare_segments as u64;
        if let Some(old) = open.checked_sub(kept + 1) {
            let state = live.window.segment(epoch, &name, SegmentNumber(old));
            assert_eq!(state, SegmentState::Stored, "{old}");
        }
    }
}

/// Rows and objects are those of the live window, and of what came since the last round.
async fn check_shelves(world: &World, stream: StreamId, open: u64) {
    let stored = retention::stored(world.database(), stream).await.unwrap();
    let in_window = (LIVE_WINDOW.as_micros() / SEGMENT.as_micros()) as u64;
    let most = (in_window + 1) * NAMES.len() as u64;
    assert!(stored.segments <= most, "at {open}: {stored:?}");
    assert!(stored.segments >= (in_window - 2).min(open) * NAMES.len() as u64);
    assert_eq!(stored.gaps, 0);
    let objects = all_keys(world.shelves().objects.as_ref()).await.len() as u64;
    assert_eq!(objects, stored.segments + NAMES.len() as u64, "at {open}");
}

async fn lives_for(segments: u64) {
    let directory = in_memory();
    let world = World::on_sqlite(directory.path(), Arc::new(MemoryStore::default())).await;
    let stream = world.stream("garden").await;
    let mut live = world.go_live(stream, "garden").await;
    let (sweeper, lease) = (world.sweeper(), world.lease().await);
    for number in 0..segments {
        assert_eq!(live.next.0, number);
        live.segment().await.unwrap();
        if number % ROUND == 0 || (9_995..10_015).contains(&number) {
            check_window(&live);
        }
        if number % ROUND == 0 {
            live.stored().await;
            sweeper.round(&lease, &CancellationToken::new()).await;
            check_shelves(&world, stream, number).await;
        }
    }
    live.stored().await;
    let before = NAMES.map(|name| live.window.media_playlist(&name).unwrap());

    // The server is killed and comes back.
    let window = restore::window(&world.context, &live.name, &live.session).await;
    for (name, before) in NAMES.into_iter().zip(before) {
        let after = window.media_playlist(&name).unwrap();
        let facts = |playlist: &packager::playlist::MediaPlaylist| -> Vec<_> {
            let segments = playlist.segments.iter();
            segments
                .map(|s| (s.epoch, s.number, s.start, s.duration, s.gap))
                .collect()
        };
        assert_eq!(facts(&after), facts(&before), "{name}");
        assert_eq!(after.segments.last().unwrap().number.0, segments - 2);
    }
    // It ends, and all goes.
    live.end().await;
    world.clock.advance(LIVE_WINDOW + Micros::from_secs(3_600));
    while sweeper.round(&lease, &CancellationToken::new()).await.more {}
    assert_eq!(all_keys(world.shelves().objects.as_ref()).await, [""; 0]);
    assert_eq!(world.database().check().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p13_segment_10_000_is_like_any_other() {
    lives_for(10_050).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_p13_a_stream_of_25_hours() {
    lives_for(25 * 3_600 / 2).await;
}
