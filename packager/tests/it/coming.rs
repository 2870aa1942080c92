//! Requests for streams that are coming.

use http::{Method, StatusCode};
use packager::live::LiveConfig;
use packager::origin::OriginLimits;

use crate::fixture::*;
use crate::origin::{World, released};

#[tokio::test]
async fn a_stream_that_is_coming_is_waited_for_until_it_is_here_or_is_not() {
    let world = World::playing();
    let path = "/live/demo/source.m3u8";
    world.streams.remove(&world.live);
    assert_eq!(world.get(path).await.status, StatusCode::NOT_FOUND);

    let coming = world.streams.expect(world.live.name());
    let held = world.held(path).await;
    assert_eq!(
        world.get("/live/nobody/index.m3u8").await.status,
        StatusCode::NOT_FOUND
    );
    drop(coming);
    assert_eq!(released(held).await.status, StatusCode::NOT_FOUND);

    let coming = world.streams.expect(world.live.name());
    let held = world.held(path).await;
    let live = world.streams.insert(stream(LiveConfig::default()));
    live.begin_epoch(plan(3, 40, vec![video(source(), 3_000_000)]))
        .unwrap();
    push_segments(&live, &[source()], 40..43);
    // Whoever comes now need not wait.
    assert_eq!(world.get(path).await.status, StatusCode::OK);
    drop(coming);
    assert_eq!(released(held).await.status, StatusCode::OK);
}

#[tokio::test]
async fn who_waits_for_a_stream_that_is_coming_is_among_those_held() {
    let world = World::with_limits(OriginLimits {
        held_requests: 1,
        ..OriginLimits::default()
    });
    push_parts(&world.live, &source(), 40, 1);
    let reload = "/live/demo/source.m3u8?_HLS_msn=40&_HLS_part=1";
    let manifest = "/live/soon/index.m3u8";
    let coming = world.streams.expect(&"soon".parse().unwrap());

    let first = world.held(reload).await;
    let refused = world.get(manifest).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.text(), "too many requests are waiting\n");
    first.abort();
    assert!(first.await.is_err_and(|error| error.is_cancelled()));

    let second = world.held(manifest).await;
    let refused = world.get(reload).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    // Who waits for nothing needs no room, and who may not ask waits for nothing.
    let post = world.ask(Method::POST, manifest).await;
    assert_eq!(post.status, StatusCode::METHOD_NOT_ALLOWED);
    for (path, status) in [
        ("/live/demo/source.m3u8", StatusCode::OK),
        ("/live/nobody/index.m3u8", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(world.get(path).await.status, status, "{path}");
    }
    drop(coming);
    assert_eq!(released(second).await.status, StatusCode::NOT_FOUND);
    world.held(reload).await.abort();
}
