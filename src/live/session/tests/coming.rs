//! Who asks for a stream between the row that says it is here and its window.

use futures_util::FutureExt;
use http::{Request, StatusCode};
use packager::Origin;
use packager::origin::{OriginLimits, OriginParts};
use storage::rows::SQLITE_READERS;
use tower_service::Service;

use super::*;
use crate::live::simulation::START;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

const TAKEN: &str = "SELECT 1 FROM leases WHERE name LIKE 'live/%' AND expires_at > 0";
const LIVE: &str = "SELECT 1 FROM live_sessions WHERE ended_at IS NULL";

type Asked = <Origin as Service<Request<()>>>::Future;

/// A request for the manifest that has to wait.
fn waiting(world: &World) -> Asked {
    let mut origin = Origin::new(OriginParts {
        streams: world.context.streams.clone(),
        objects: world.shelves().objects.clone(),
        clock: world.clock.clone(),
        database: None,
        pictures: None,
        limits: OriginLimits::default(),
    });
    let request = Request::builder().uri("/live/garden/index.m3u8");
    let mut asked = origin.call(request.body(()).unwrap());
    assert!(waits(&mut asked), "it is answered at once");
    asked
}

fn waits(asked: &mut Asked) -> bool {
    asked.now_or_never().is_none()
}

/// What who has waited is told, now that it is decided.
fn told(asked: Asked) -> StatusCode {
    let Some(Ok(response)) = asked.now_or_never() else {
        panic!("it waits on");
    };
    response.status()
}

/// What `work` comes to, and a request that came when `row` stood and `work` had yet to read.
async fn asked_during<T>(
    world: &World,
    row: &'static str,
    work: impl Future<Output = T>,
) -> (T, Asked) {
    let mut readers = Vec::new();
    for _ in 0..SQLITE_READERS {
        readers.push(world.database().snapshot().await.unwrap());
    }
    let mut asked = None;
    let asking = async {
        // Nobody can read, but who writes can see.
        let stands = async || {
            let mut writer = world.database().write().await.unwrap();
            query(row).exists(&mut writer).await.unwrap()
        };
        while !stands().await {}
        asked = Some(waiting(world));
        drop(readers);
    };
    let both = async { tokio::join!(work, asking).0 };
    let done = timeout(PATIENCE, both).await.unwrap();
    (done, asked.unwrap())
}

#[tokio::test]
async fn who_asks_for_a_stream_that_was_just_taken_up_waits_for_its_window() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::on_sqlite(directory.path(), Arc::new(MemoryStore::default())).await;
    let stream = world.stream("garden").await;
    let mut live = world.go_live(stream, "garden").await;
    for _ in 0..3 {
        live.segment().await.unwrap();
    }
    live.stored().await;
    // As after a restart.
    world.context.streams.remove(&live.window);
    let mut session = Session::new(world.context.clone(), stream, live.name.clone());
    let claim = Box::pin(session.claim(Claim::Heir));
    let (claimed, asked) = asked_during(&world, TAKEN, claim).await;
    assert!(claimed.unwrap());
    assert_eq!(told(asked), StatusCode::OK);
}

#[tokio::test]
async fn who_asks_for_a_stream_that_is_just_going_live_waits_for_its_window() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::on_sqlite(directory.path(), Arc::new(MemoryStore::default())).await;
    let stream = world.stream("garden").await;
    let mut session = Session::new(world.context.clone(), stream, "garden".parse().unwrap());
    assert!(session.claim(Claim::Encoder).await.unwrap());
    let (open, mut asked) = asked_during(&world, LIVE, Box::pin(session.go_live())).await;
    assert!(open.is_ok());
    assert!(
        waits(&mut asked),
        "there is a window, and nothing in it yet"
    );
}

#[tokio::test]
async fn who_waits_for_a_stream_that_cannot_be_taken_up_is_told_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::on_sqlite(directory.path(), Arc::new(MemoryStore::default())).await;
    let stream = world.stream("garden").await;
    sessions::open_session(world.database(), stream, START)
        .await
        .unwrap();
    let mut session = Session::new(world.context.clone(), stream, "garden".parse().unwrap());
    // What the row says cannot be.
    run(&world, "UPDATE live_sessions SET started_at = 'never'").await;
    let claim = Box::pin(session.claim(Claim::Encoder));
    let (claimed, asked) = asked_during(&world, TAKEN, claim).await;
    assert!(claimed.is_err());
    assert_eq!(told(asked), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_waits_for_a_stream_that_another_origin_keeps_is_told_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::on_sqlite(directory.path(), Arc::new(MemoryStore::default())).await;
    let objects = world.shelves().objects.clone();
    let other = World::new(world.database().clone(), objects, START).await;
    let stream = world.stream("garden").await;
    let name: StreamName = "garden".parse().unwrap();
    let mut there = Session::new(other.context.clone(), stream, name.clone());
    assert!(there.claim(Claim::Encoder).await.unwrap());
    let _open = there.go_live().await.unwrap();

    let mut here = Session::new(world.context.clone(), stream, name);
    let writer = world.database().write().await.unwrap();
    let mut claim = Box::pin(here.claim(Claim::Encoder));
    assert!(claim.as_mut().now_or_never().is_none());
    let asked = waiting(&world);
    drop(writer);
    assert!(!claim.await.unwrap(), "there is an encoder there");
    assert_eq!(told(asked), StatusCode::NOT_FOUND);
}
