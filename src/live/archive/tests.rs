//! What is stored of a stream while stores fail, and after.

use std::sync::Arc;
use std::time::Duration;

use storage::objects::faulty::Fault;
use storage::objects::{FaultyStore, Layer, MemoryStore, Operation, Timeout};
use storage::rows::segments::{StoredWindow, latest_segments};

use crate::live::restore;
use crate::live::simulation::{Simulated, World, renditions};

/// Longer than what may wait of one rendition.
const OUTAGE: u64 = 100;

async fn rows(world: &World, live: &Simulated) -> StoredWindow {
    let session = &live.session;
    latest_segments(world.database(), session.stream, session.id, u32::MAX)
        .await
        .unwrap()
}

/// Live while `fault` lasts, and after.
async fn outlives(fault: Fault) {
    let directory = tempfile::tempdir().unwrap();
    let store = FaultyStore::new(Arc::new(MemoryStore::default()));
    let timeout = Timeout {
        body: Duration::from_millis(200),
        ..Timeout::default()
    };
    let world = World::on_sqlite(directory.path(), timeout.around(store.clone())).await;
    let stream = world.stream("garden").await;
    let health = &world.context.archives.health;
    let mut live = world.go_live(stream, "garden").await;
    for _ in 0..10 {
        live.segment().await.unwrap();
    }
    live.stored().await;
    assert_eq!(health.degraded(), 0);

    store.fail(fault);
    for _ in 0..OUTAGE {
        live.segment().await.unwrap();
    }
    let alarmed = async {
        while health.degraded() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), alarmed)
        .await
        .unwrap();
    // What players see does not know of it.
    for rendition in renditions() {
        let playlist = live.window.media_playlist(&rendition.name).unwrap();
        assert_eq!(playlist.segments.len(), 10);
        assert!(playlist.segments.iter().all(|segment| !segment.gap));
    }
    let puts = store.calls(Operation::Put);
    assert!(
        puts < 60,
        "it is tried again, but not without a pause: {puts}"
    );

    store.recover();
    live.stored().await;
    for _ in 0..10 {
        live.segment().await.unwrap();
    }
    live.stored().await;
    assert_eq!(health.degraded(), 0);
    let rows = rows(&world, &live).await;
    for rendition in renditions() {
        let of = rows
            .segments
            .iter()
            .filter(|row| row.rendition == rendition.name);
        let numbers: Vec<_> = of.clone().map(|row| row.segment.number.0).collect();
        // The last one is open.
        assert_eq!(numbers, (0..OUTAGE + 20 - 1).collect::<Vec<_>>());
        let gaps: Vec<_> = of
            .filter(|row| row.segment.is_gap())
            .map(|row| row.segment.number.0)
            .collect();
        // The oldest of the outage, and no more than had to be.
        assert!(gaps.first() >= Some(&9), "{gaps:?}");
        assert!(gaps.last() < Some(&(OUTAGE + 10 - 31)), "{gaps:?}");
        // What is being put when its turn comes is not left out.
        let span = gaps
            .last()
            .zip(gaps.first())
            .map(|(last, first)| last - first + 1);
        let kept = span.unwrap_or_default() - gaps.len() as u64;
        assert!(kept <= puts, "{kept} of {puts}: {gaps:?}");
    }
    // A restart finds what was listed.
    let window = restore::window(&world.context, &live.name, &live.session).await;
    for rendition in renditions() {
        let before = live.window.media_playlist(&rendition.name).unwrap();
        let after = window.media_playlist(&rendition.name).unwrap();
        let numbers = |segments: &[packager::playlist::ListedSegment]| -> Vec<_> {
            segments.iter().map(|s| (s.number, s.gap)).collect()
        };
        assert_eq!(numbers(&after.segments), numbers(&before.segments));
    }
}

#[tokio::test]
async fn a_full_store_costs_the_oldest_and_leaves_gaps() {
    outlives(Fault::DiskFull).await;
}

#[tokio::test]
async fn a_store_that_refuses_costs_the_oldest_and_leaves_gaps() {
    outlives(Fault::Denied).await;
}

#[tokio::test]
async fn a_store_that_does_not_answer_costs_the_oldest_and_leaves_gaps() {
    outlives(Fault::Hang).await;
}

#[tokio::test]
async fn objects_do_not_wait_for_a_database_that_is_locked() {
    let directory = tempfile::tempdir().unwrap();
    let store = FaultyStore::new(Arc::new(MemoryStore::default()));
    let world = World::on_sqlite(directory.path(), store.clone()).await;
    let stream = world.stream("garden").await;
    let mut live = world.go_live(stream, "garden").await;
    live.segment().await.unwrap();
    live.stored().await;
    let before = store.calls(Operation::Put);
    let lock = world.database().write().await.unwrap();
    // As when numbers are reserved ahead.
    live.segments_without_rows(5);
    let put = async {
        while store.calls(Operation::Put) < before + 2 * 5 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), put)
        .await
        .unwrap();
    assert!(live.archive.is_behind(), "the rows");
    drop(lock);
    live.stored().await;
    assert_eq!(rows(&world, &live).await.segments.len(), 2 * 5);
}

#[tokio::test]
async fn a_session_that_ends_while_the_store_is_away_is_given_up_in_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let store = FaultyStore::new(Arc::new(MemoryStore::default()));
    let world = World::on_sqlite(directory.path(), store.clone()).await;
    let stream = world.stream("garden").await;
    let mut live = world.go_live(stream, "garden").await;
    live.segment().await.unwrap();
    live.stored().await;
    store.fail(Fault::DiskFull);
    live.segment().await.unwrap();
    live.segment().await.unwrap();
    // The process stops.
    let session = live.session.clone();
    drop(live);
    let archives = &world.context.archives;
    archives.shutdown.cancel();
    archives.clerks.close();
    archives.clerks.wait().await;
    assert_eq!(archives.health.degraded(), 0, "nobody waits any more");
    let rows = latest_segments(world.database(), session.stream, session.id, 10)
        .await
        .unwrap();
    let facts = rows.segments.iter().map(|row| row.segment.is_gap());
    assert_eq!(
        facts.collect::<Vec<_>>(),
        [true; 4],
        "two in each rendition"
    );
}
