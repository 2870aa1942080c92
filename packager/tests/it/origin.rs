//! What the origin answers, and when.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use media::{EpochNumber, ManualClock, SegmentNumber};
use packager::live::LiveConfig;
use packager::origin::{OriginBody, OriginLimits, OriginParts};
use packager::{LiveStream, LiveStreams, Origin, object_key};
use storage::ObjectStore;
use storage::objects::FileStore;
use tokio::task::JoinHandle;
use tower_service::Service;

use crate::fixture::*;

/// Far longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) origin: Origin,
    pub(crate) streams: Arc<LiveStreams>,
    pub(crate) live: Arc<LiveStream>,
    objects: Arc<dyn ObjectStore>,
    _directory: tempfile::TempDir,
}

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    fn header(&self, name: http::HeaderName) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

async fn reply(response: Response<OriginBody>) -> Reply {
    let (parts, body) = response.into_parts();
    Reply {
        status: parts.status,
        headers: parts.headers,
        body: body.collect().await.unwrap().to_bytes(),
    }
}

impl World {
    pub(crate) fn with_limits(limits: OriginLimits) -> Self {
        let (streams, live) = live();
        let directory = tempfile::tempdir().unwrap();
        let objects: Arc<dyn ObjectStore> = Arc::new(FileStore::open(directory.path()).unwrap());
        let clock = Arc::new(ManualClock::new(START));
        Self {
            origin: Origin::new(OriginParts {
                streams: Arc::clone(&streams),
                objects: Arc::clone(&objects),
                clock,
                database: None,
                pictures: None,
                limits,
            }),
            streams,
            live,
            objects,
            _directory: directory,
        }
    }

    pub(crate) fn new() -> Self {
        Self::with_limits(OriginLimits::default())
    }

    /// Epoch 3, segments 40 to 42, and two parts of 43 of the source.
    pub(crate) fn playing() -> Self {
        let world = Self::new();
        push_segments(&world.live, &[source(), rung(), sound()], 40..43);
        push_parts(&world.live, &source(), 43, 2);
        world
    }

    pub(crate) async fn ask(&self, method: Method, path: &str) -> Reply {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(())
            .unwrap();
        let answer = self.origin.clone().call(request);
        let Ok(response) = tokio::time::timeout(PATIENCE, answer).await.expect(path);
        reply(response).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask(Method::GET, path).await
    }

    /// A request that is being held: polled until it waits.
    pub(crate) async fn held(&self, path: &str) -> JoinHandle<Reply> {
        let request = Request::builder().uri(path).body(()).unwrap();
        let mut answer = self.origin.clone().call(request);
        let first =
            std::future::poll_fn(|context| std::task::Poll::Ready(answer.as_mut().poll(context)));
        assert!(first.await.is_pending(), "{path} is answered at once");
        tokio::spawn(async move {
            let Ok(response) = answer.await;
            reply(response).await
        })
    }
}

pub(crate) async fn released(held: JoinHandle<Reply>) -> Reply {
    tokio::time::timeout(PATIENCE, held)
        .await
        .expect("still held")
        .unwrap()
}

#[tokio::test]
async fn answers_what_manifests_name() {
    let world = World::playing();
    let immutable = "public, max-age=31536000, immutable";
    // In shared caches only: a browser's would add a second of its own.
    let polled = "public, max-age=0, s-maxage=1, stale-if-error=6";
    for (path, content_type, cache) in [
        (
            "/live/demo/index.m3u8",
            "application/vnd.apple.mpegurl",
            polled,
        ),
        (
            "/live/demo/source.m3u8",
            "application/vnd.apple.mpegurl",
            polled,
        ),
        ("/live/demo/manifest.mpd", "application/dash+xml", polled),
        ("/live/demo/time", "text/plain; charset=utf-8", "no-store"),
        ("/live/demo/3/source/init.mp4", "video/mp4", immutable),
        ("/live/demo/3/audio/init.mp4", "audio/mp4", immutable),
        ("/live/demo/3/source/42.m4s", "video/iso.segment", immutable),
        (
            "/live/demo/3/source/43.1.m4s",
            "video/iso.segment",
            immutable,
        ),
    ] {
        let got = world.get(path).await;
        assert_eq!(got.status, StatusCode::OK, "{path}");
        assert_eq!(got.header(CONTENT_TYPE), content_type, "{path}");
        assert_eq!(got.header(CACHE_CONTROL), cache, "{path}");
        assert_eq!(
            got.header(CONTENT_LENGTH),
            got.body.len().to_string(),
            "{path}"
        );
        let head = world.ask(Method::HEAD, path).await;
        assert_eq!(
            (head.status, head.headers),
            (got.status, got.headers),
            "{path}"
        );
        assert!(head.body.is_empty());
    }
    assert_eq!(
        world.get("/live/demo/time").await.text(),
        "2027-01-15T08:00:00.250Z"
    );
    let part = world.get("/live/demo/3/source/43.1.m4s").await.body;
    assert_eq!(part, part_bytes(&source(), 43, 1));
}

#[tokio::test]
async fn e06_no_is_never_kept_for_long() {
    let world = World::playing();
    world.live.lose(&rung());
    world.live.close_segment(cut(43));
    for (path, status) in [
        ("/", StatusCode::NOT_FOUND),
        ("/live/demo/../x", StatusCode::NOT_FOUND),
        ("/live/nobody/index.m3u8", StatusCode::NOT_FOUND),
        ("/live/demo/8k.m3u8", StatusCode::NOT_FOUND),
        ("/vod/x/index.m3u8", StatusCode::NOT_FOUND),
        // A gap, the open segment, one to come, one of another epoch, one long gone.
        ("/live/demo/3/360p/43.m4s", StatusCode::NOT_FOUND),
        ("/live/demo/3/source/43.m4s", StatusCode::NOT_FOUND),
        ("/live/demo/3/source/50.m4s", StatusCode::NOT_FOUND),
        ("/live/demo/2/source/42.m4s", StatusCode::NOT_FOUND),
        ("/live/demo/3/source/7.m4s", StatusCode::NOT_FOUND),
        // Parts: not hinted, past the end of a closed segment, of a lost rendition.
        ("/live/demo/3/source/43.3.m4s", StatusCode::NOT_FOUND),
        ("/live/demo/3/source/42.7.m4s", StatusCode::NOT_FOUND),
        ("/live/demo/3/360p/44.0.m4s", StatusCode::NOT_FOUND),
        (
            "/live/demo/source.m3u8?_HLS_part=1",
            StatusCode::BAD_REQUEST,
        ),
        ("/live/demo/source.m3u8?_HLS_msn=x", StatusCode::BAD_REQUEST),
        (
            "/live/demo/source.m3u8?_HLS_msn=7&_HLS_part=512",
            StatusCode::BAD_REQUEST,
        ),
    ] {
        let got = world.get(path).await;
        assert_eq!(got.status, status, "{path}");
        let cache = got.header(CACHE_CONTROL);
        assert!(
            matches!(cache, "no-store" | "public, max-age=1"),
            "{path}: {cache}"
        );
        assert_eq!(got.text().lines().count(), 1, "{path}");
    }
    let post = world.ask(Method::POST, "/live/demo/index.m3u8").await;
    assert_eq!(post.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(post.header(ALLOW), "GET, HEAD");
}

#[tokio::test]
async fn p02_a_reload_is_held_until_its_part_is_there() {
    let world = World::playing();
    let held = world
        .held("/live/demo/source.m3u8?_HLS_msn=43&_HLS_part=2")
        .await;
    // Of others something happens.
    push_parts(&world.live, &rung(), 43, 1);
    world
        .live
        .push_part(&source(), part(&source(), 43, 2))
        .unwrap();
    let got = released(held).await;
    assert_eq!(got.status, StatusCode::OK);
    assert!(got.text().contains("3/source/43.2.m4s\""));
    assert_eq!(got.header(CACHE_CONTROL), "public, max-age=12");
}

#[tokio::test]
async fn p02_a_reload_without_a_part_waits_for_the_segment() {
    let world = World::playing();
    let held = world.held("/live/demo/source.m3u8?_HLS_msn=43").await;
    for index in 2..PARTS {
        world
            .live
            .push_part(&source(), part(&source(), 43, index))
            .unwrap();
    }
    assert!(!held.is_finished());
    world
        .live
        .push_segment(&source(), segment(&source(), 43, PARTS))
        .unwrap();
    assert!(released(held).await.text().contains("3/source/43.m4s\n"));
}

#[tokio::test]
async fn p02_what_is_there_or_gone_is_answered_at_once() {
    let world = World::playing();
    for query in [
        "_HLS_msn=42",
        "_HLS_msn=43&_HLS_part=1",
        "_HLS_msn=7",
        "_HLS_msn=41&_HLS_part=99",
    ] {
        let got = world.get(&format!("/live/demo/source.m3u8?{query}")).await;
        assert_eq!(got.status, StatusCode::OK, "{query}");
    }
}

#[tokio::test]
async fn e07_only_reloads_near_the_end_are_kept() {
    let world = World::playing();
    for (query, cache) in [
        ("_HLS_msn=43&_HLS_part=1", "public, max-age=12"),
        ("_HLS_msn=42", "public, max-age=12"),
        ("_HLS_msn=41&_HLS_part=511", "public, max-age=12"),
        ("_HLS_msn=40", "no-store"),
        ("_HLS_msn=7&_HLS_part=3&_HLS_skip=YES", "no-store"),
    ] {
        let got = world.get(&format!("/live/demo/source.m3u8?{query}")).await;
        assert_eq!(got.status, StatusCode::OK, "{query}");
        assert_eq!(got.header(CACHE_CONTROL), cache, "{query}");
    }
}

#[tokio::test]
async fn a_request_is_held_as_long_as_the_target_duration_turns_out() {
    let begin = |world: &World| {
        let mut short = plan(3, 40, vec![video(source(), 1_000_000)]);
        short.target_duration = 1;
        short.expected = vec![rung()];
        let live = world.streams.insert(stream(LiveConfig::default()));
        (live, short)
    };
    let (early, late) = (World::new(), World::new());
    // One is asked for before there is a target duration.
    let (unknown, plan) = begin(&early);
    let before = early.held("/live/demo/index.m3u8").await;
    unknown.begin_epoch(plan).unwrap();
    // Of the other's it turns out that it was too low.
    let (raised, plan) = begin(&late);
    raised.begin_epoch(plan).unwrap();
    push_parts(&raised, &source(), 40, PARTS);
    let after = late
        .held("/live/demo/source.m3u8?_HLS_msn=41&_HLS_part=0")
        .await;
    let two_seconds = segment(&source(), 40, PARTS);
    raised.push_segment(&source(), two_seconds).unwrap();

    tokio::time::sleep(Duration::from_millis(3_200)).await;
    assert!(!before.is_finished() && !after.is_finished());
    unknown.add_rendition(video(rung(), 800_000)).unwrap();
    push_parts(&raised, &source(), 41, 1);
    assert_eq!(released(before).await.status, StatusCode::OK);
    assert!(released(after).await.text().contains("3/source/41.0.m4s"));
}

#[tokio::test]
async fn p02_too_far_ahead_is_refused_at_once() {
    let world = World::playing();
    for query in [
        "_HLS_msn=45",
        "_HLS_msn=4000000",
        "_HLS_msn=43&_HLS_part=12",
    ] {
        let got = world.get(&format!("/live/demo/source.m3u8?{query}")).await;
        assert_eq!(got.status, StatusCode::BAD_REQUEST, "{query}");
    }
    for query in [
        "_HLS_msn=44",
        "_HLS_msn=44&_HLS_part=0",
        "_HLS_msn=43&_HLS_part=9",
    ] {
        world
            .held(&format!("/live/demo/source.m3u8?{query}"))
            .await
            .abort();
    }
}

#[tokio::test]
async fn p02_a_part_past_the_last_one_is_the_next_segments_first() {
    let world = World::playing();
    let held = world
        .held("/live/demo/source.m3u8?_HLS_msn=43&_HLS_part=3")
        .await;
    let first = segment(&source(), 43, 2);
    world.live.push_segment(&source(), first).unwrap();
    tokio::task::yield_now().await;
    assert!(!held.is_finished(), "segment 43 has two parts only");
    push_parts(&world.live, &source(), 44, 1);
    assert!(released(held).await.text().contains("3/source/44.0.m4s\""));
}

#[tokio::test]
async fn p02_a_gap_releases_those_who_wait_for_it() {
    let world = World::playing();
    world.live.lose(&rung());
    let held = world
        .held("/live/demo/360p.m3u8?_HLS_msn=43&_HLS_part=0")
        .await;
    world.live.close_segment(cut(43));
    assert!(released(held).await.text().contains("#EXT-X-GAP\n"));
}

#[tokio::test]
async fn p02_a_request_is_held_for_three_target_durations_at_most() {
    let world = World::new();
    let live = world.streams.insert(stream(LiveConfig::default()));
    let mut short = plan(3, 40, vec![video(source(), 1_000_000)]);
    short.target_duration = 1;
    live.begin_epoch(short).unwrap();
    push_parts(&live, &source(), 40, 1);
    let asked = Instant::now();
    let playlist = world.get("/live/demo/source.m3u8?_HLS_msn=40&_HLS_part=1");
    let part = world.get("/live/demo/3/source/40.1.m4s");
    let (playlist, part) = tokio::join!(playlist, part);
    assert!(asked.elapsed() >= Duration::from_secs(3));
    assert_eq!(playlist.status, StatusCode::OK);
    assert!(playlist.text().contains("40.0.m4s"));
    assert_eq!(playlist.header(CACHE_CONTROL), "no-store");
    assert_eq!(part.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(part.header(RETRY_AFTER), "1");
}

#[tokio::test]
async fn p04_a_hinted_part_is_held_until_it_exists() {
    let world = World::playing();
    let playlist = world.get("/live/demo/source.m3u8").await;
    assert!(
        playlist
            .text()
            .contains("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"3/source/43.2.m4s\"\n")
    );
    let held = world.held("/live/demo/3/source/43.2.m4s").await;
    world
        .live
        .push_part(&source(), part(&source(), 43, 2))
        .unwrap();
    assert_eq!(released(held).await.body, part_bytes(&source(), 43, 2));

    // The hint was wrong: the segment has ended.
    let held = world.held("/live/demo/3/source/43.3.m4s").await;
    world
        .live
        .push_segment(&source(), segment(&source(), 43, 3))
        .unwrap();
    assert_eq!(released(held).await.status, StatusCode::NOT_FOUND);
    let playlist = world.get("/live/demo/source.m3u8").await;
    assert!(playlist.text().contains("URI=\"3/source/44.0.m4s\"\n"));
    let held = world.held("/live/demo/3/source/44.0.m4s").await;
    world.live.end();
    assert_eq!(released(held).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_end_releases_everybody() {
    let world = World::playing();
    let held = world
        .held("/live/demo/source.m3u8?_HLS_msn=43&_HLS_part=2")
        .await;
    world.live.end();
    let got = released(held).await;
    assert!(got.text().ends_with("#EXT-X-ENDLIST\n"));
    assert_eq!(
        got.header(CACHE_CONTROL),
        "public, max-age=0, s-maxage=1, stale-if-error=6"
    );
    let ignored = world
        .get("/live/demo/source.m3u8?_HLS_msn=4000&_HLS_skip=YES")
        .await;
    assert_eq!(ignored.status, StatusCode::OK);
}

#[tokio::test]
async fn before_the_first_epoch_nobody_is_told_that_there_is_no_such_rendition() {
    let world = World::new();
    let live = world.streams.insert(stream(LiveConfig::default()));
    let known = world.held("/live/demo/source.m3u8?_HLS_msn=40").await;
    let unknown = world.held("/live/demo/8k.m3u8").await;
    live.begin_epoch(plan(3, 40, vec![video(source(), 3_000_000)]))
        .unwrap();
    assert_eq!(released(unknown).await.status, StatusCode::NOT_FOUND);
    assert!(!known.is_finished());
    push_segments(&live, &[source()], 40..41);
    assert!(released(known).await.text().contains("3/source/40.m4s\n"));

    // What ends without an epoch never has one.
    let live = world.streams.insert(stream(LiveConfig::default()));
    let never = world.held("/live/demo/source.m3u8").await;
    live.end();
    assert_eq!(released(never).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn manifests_are_held_until_they_are_complete() {
    let world = World::new();
    let live = world.streams.insert(stream(LiveConfig::default()));
    let mut waiting = plan(3, 40, vec![video(source(), 3_000_000), audio()]);
    waiting.expected = vec![rung()];
    live.begin_epoch(waiting).unwrap();
    let multivariant = world.held("/live/demo/index.m3u8").await;
    let mpd = world.held("/live/demo/manifest.mpd").await;
    let playlist = world.held("/live/demo/source.m3u8").await;
    push_parts(&live, &source(), 40, 1);
    assert!(
        released(playlist)
            .await
            .text()
            .contains("3/source/40.0.m4s")
    );
    live.add_rendition(video(rung(), 800_000)).unwrap();
    assert!(released(multivariant).await.text().contains("360p.m3u8"));
    push_segments(&live, &[source(), rung(), sound()], 41..42);
    assert!(released(mpd).await.text().contains("3/360p/$Number$.m4s"));
}

#[tokio::test]
async fn older_segments_come_from_the_object_store() {
    let world = World::playing();
    let (epoch, number) = (EpochNumber(3), SegmentNumber(12));
    let key = object_key::segment(world.live.id(), epoch, &source(), number);
    assert_eq!(
        key,
        "live/0193c0de-0000-7000-8000-000000000001/3/source/12.m4s"
    );
    world
        .objects
        .put(&key, Bytes::from_static(b"old"))
        .await
        .unwrap();
    let key = object_key::init(world.live.id(), EpochNumber(1), &source());
    world
        .objects
        .put(&key, Bytes::from_static(b"init"))
        .await
        .unwrap();
    assert_eq!(world.get("/live/demo/3/source/12.m4s").await.body, "old");
    assert_eq!(world.get("/live/demo/1/source/init.mp4").await.body, "init");
    assert_eq!(
        world.get("/live/demo/3/source/13.m4s").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn held_requests_are_limited() {
    let world = World::with_limits(OriginLimits {
        held_requests: 2,
        ..OriginLimits::default()
    });
    push_parts(&world.live, &source(), 40, 1);
    let path = "/live/demo/source.m3u8?_HLS_msn=40&_HLS_part=1";
    let first = world.held(path).await;
    let second = world.held(path).await;
    let refused = world.get(path).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.header(RETRY_AFTER), "1");
    assert_eq!(refused.text(), "too many requests are waiting\n");
    assert_eq!(
        world.get("/live/demo/source.m3u8").await.status,
        StatusCode::OK
    );
    // A client that leaves makes room.
    first.abort();
    assert!(first.await.is_err_and(|error| error.is_cancelled()));
    let third = world.held(path).await;
    world
        .live
        .push_part(&source(), part(&source(), 40, 1))
        .unwrap();
    assert_eq!(released(second).await.status, StatusCode::OK);
    assert_eq!(released(third).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_is_of_a_stream_that_is_not_for_everybody_says_so() {
    let world = World::playing();
    let access = |reply: &Reply| reply.headers.get("nova-access").cloned();
    for path in [
        "/live/demo/index.m3u8",
        "/live/demo/manifest.mpd",
        "/live/demo/source.m3u8",
        "/live/demo/3/source/init.mp4",
        "/live/demo/3/source/42.m4s",
        "/live/demo/3/source/43.1.m4s",
        "/live/demo/poster.jpg",
    ] {
        assert!(!world.live.set_signed(true));
        assert_eq!(access(&world.get(path).await).unwrap(), "signed", "{path}");
        assert!(world.live.set_signed(false));
        assert_eq!(access(&world.get(path).await), None, "{path}");
    }
    // One that was held is for whom it is when it is answered.
    let held = world
        .held("/live/demo/source.m3u8?_HLS_msn=43&_HLS_part=2")
        .await;
    world.live.set_signed(true);
    world
        .live
        .push_part(&source(), part(&source(), 43, 2))
        .unwrap();
    assert_eq!(access(&released(held).await).unwrap(), "signed");
    // Whatever it is for afterwards, and also where the stream is found no more.
    for part_index in [3, 4] {
        let path = format!("/live/demo/source.m3u8?_HLS_msn=43&_HLS_part={part_index}");
        world.live.set_signed(part_index == 3);
        let held = world.held(&path).await;
        world.live.set_signed(part_index == 4);
        if part_index == 4 {
            world.streams.remove(&world.live);
        }
        world
            .live
            .push_part(&source(), part(&source(), 43, part_index))
            .unwrap();
        assert_eq!(access(&released(held).await).unwrap(), "signed");
    }
}
