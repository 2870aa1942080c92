//! What is published is pushed to who subscribes.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body::Body;
use media::feed::{CONTENT_TYPE, Content, Decoder, Event, KEEP_ALIVE, ObjectHead};
use media::{EpochNumber, RenditionName};
use packager::LiveStream;
use packager::origin::{OriginBody, OriginLimits};
use tower_service::Service;

use crate::fixture::*;
use crate::origin::{PATIENCE, World};

/// A subscriber.
struct Feed {
    body: OriginBody,
    decoder: Decoder,
    left: Bytes,
    /// Signs of life that have come.
    alive: u32,
}

/// What comes of a feed.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Its path, its bytes, and of how many it is made.
    Object(String, Bytes, u32),
    Nothing,
    End,
}

impl Feed {
    async fn of(world: &World, rendition: &RenditionName) -> Self {
        let path = format!("/live/demo/{rendition}.feed");
        let request = Request::builder().uri(&path).body(()).unwrap();
        let Ok(response) = world.origin.clone().call(request).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], CONTENT_TYPE);
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self {
            body: response.into_body(),
            decoder: Decoder::new(),
            left: Bytes::new(),
            alive: 0,
        }
    }

    /// What there is, without waiting.
    fn head(&mut self) -> Result<(ObjectHead, Bytes, u32), Next> {
        let (mut begun, mut bytes) = (None, Bytes::new());
        loop {
            match self.decoder.next(&mut self.left).unwrap() {
                Some(Event::Object(head, Content::Joined(count))) => begun = Some((head, count)),
                Some(Event::Object(head, Content::Bytes(_))) => begun = Some((head, 0)),
                Some(Event::Data(data)) => bytes = [bytes, data].concat().into(),
                Some(Event::Alive) => self.alive += 1,
                Some(Event::End) => {
                    let (head, count) = begun.expect("an object has begun");
                    return Ok((head, bytes, count));
                }
                None => {
                    let mut context = Context::from_waker(Waker::noop());
                    match Pin::new(&mut self.body).poll_frame(&mut context) {
                        Poll::Pending => return Err(Next::Nothing),
                        Poll::Ready(None) => return Err(Next::End),
                        Poll::Ready(Some(frame)) => {
                            let Ok(frame) = frame;
                            self.left = frame.into_data().unwrap();
                        }
                    }
                }
            }
        }
    }

    fn next(&mut self) -> Next {
        match self.head() {
            Ok((head, bytes, count)) => Next::Object(head.path, bytes, count),
            Err(other) => other,
        }
    }

    fn skip(&mut self) {
        while matches!(self.next(), Next::Object(..)) {}
    }
}

fn part_of(name: &RenditionName, number: u64, index: u32) -> Next {
    let path = format!("/live/demo/3/{name}/{number}.{index}.m4s");
    Next::Object(path, part_bytes(name, number, index), 0)
}

fn close(live: &LiveStream, name: &RenditionName, number: u64) -> Bytes {
    live.push_segment(name, segment(name, number, PARTS))
        .unwrap()
}

fn push_part(live: &LiveStream, name: &RenditionName, number: u64, index: u32) {
    live.push_part(name, part(name, number, index)).unwrap();
}

#[tokio::test]
async fn a_feed_has_what_is_published_from_then_on() {
    let world = World::playing();
    let mut feed = Feed::of(&world, &source()).await;
    assert_eq!(feed.next(), Next::Nothing);
    push_part(&world.live, &source(), 43, 2);
    // Of others nothing.
    push_parts(&world.live, &sound(), 43, 2);
    let init = world.get("/live/demo/3/source/init.mp4").await.body;
    let path = "/live/demo/3/source/init.mp4".to_owned();
    assert_eq!(feed.next(), Next::Object(path, init, 0));
    assert_eq!(feed.next(), part_of(&source(), 43, 2));
    assert_eq!(feed.next(), Next::Nothing);
    for index in 3..PARTS {
        push_part(&world.live, &source(), 43, index);
        assert_eq!(feed.next(), part_of(&source(), 43, index));
    }
    // It was not sent all parts, so it is sent all bytes.
    let whole = close(&world.live, &source(), 43);
    let path = "/live/demo/3/source/43.m4s".to_owned();
    assert_eq!(feed.next(), Next::Object(path, whole, 0));
    for index in 0..PARTS {
        push_part(&world.live, &source(), 44, index);
    }
    close(&world.live, &source(), 44);
    for index in 0..PARTS {
        assert_eq!(feed.next(), part_of(&source(), 44, index));
    }
    let path = "/live/demo/3/source/44.m4s".to_owned();
    assert_eq!(feed.next(), Next::Object(path, Bytes::new(), PARTS));
    world.live.end();
    assert_eq!(feed.next(), Next::End);
}

#[tokio::test]
async fn what_is_pushed_has_the_head_that_a_get_has() {
    let world = World::playing();
    let mut feed = Feed::of(&world, &source()).await;
    push_part(&world.live, &source(), 43, 2);
    for index in 3..PARTS {
        push_part(&world.live, &source(), 43, index);
    }
    close(&world.live, &source(), 43);
    let mut objects = 0;
    while let Ok((head, bytes, _)) = feed.head() {
        let got = world.get(&head.path).await;
        assert_eq!(got.status.as_u16(), head.status);
        let fields: Vec<_> = got.headers.iter().collect();
        assert_eq!(fields.len(), head.fields.len());
        for (name, value) in head.fields {
            assert_eq!(got.headers[&name].as_bytes(), value, "{name}");
        }
        assert_eq!(got.body, bytes);
        objects += 1;
    }
    assert_eq!(objects, 2 + PARTS - 2);
}

#[tokio::test]
async fn a_feed_goes_on_over_gaps_and_epochs() {
    let world = World::playing();
    let mut feed = Feed::of(&world, &source()).await;
    push_part(&world.live, &source(), 43, 2);
    feed.skip();
    // Its maker dies, and is back a segment later.
    world.live.lose(&source());
    world.live.close_segment(cut(43));
    assert_eq!(feed.next(), Next::Nothing);
    push_part(&world.live, &source(), 44, 0);
    assert_eq!(feed.next(), part_of(&source(), 44, 0));
    for index in 1..PARTS {
        push_part(&world.live, &source(), 44, index);
    }
    close(&world.live, &source(), 44);
    feed.skip();
    world.live.begin_epoch(plan(4, 45, all())).unwrap();
    push_part(&world.live, &source(), 45, 0);
    for path in ["init.mp4", "45.0.m4s"] {
        match feed.next() {
            Next::Object(of, ..) => assert_eq!(of, format!("/live/demo/4/source/{path}")),
            other => panic!("{path}: {other:?}"),
        }
    }
    assert!(world.live.init(EpochNumber(4), &source()).is_some());
}

#[tokio::test]
async fn a_subscriber_that_is_too_slow_is_not_followed() {
    let world = World::playing();
    let mut feed = Feed::of(&world, &source()).await;
    for index in 2..PARTS {
        push_part(&world.live, &source(), 43, index);
    }
    close(&world.live, &source(), 43);
    push_segment(&world.live, &source(), 44);
    // One segment behind is not too slow.
    assert_ne!(feed.next(), Next::End);
    push_segment(&world.live, &source(), 45);
    assert_eq!(feed.next(), Next::End);
}

#[tokio::test]
async fn there_are_only_so_many_feeds_and_only_of_what_is_live() {
    let world = World::with_limits(OriginLimits {
        feeds: 1,
        ..OriginLimits::default()
    });
    push_parts(&world.live, &source(), 40, 1);
    let feed = Feed::of(&world, &source()).await;
    let refused = world.get("/live/demo/360p.feed").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers["retry-after"], "30");
    drop(feed);
    Feed::of(&world, &rung()).await;
    for path in ["/live/demo/1080p.feed", "/live/other/source.feed"] {
        assert_eq!(world.get(path).await.status, StatusCode::NOT_FOUND);
    }
    let head = world.ask(Method::HEAD, "/live/demo/source.feed").await;
    assert_eq!(head.status, StatusCode::NOT_FOUND);
    world.live.end();
    let ended = world.get("/live/demo/source.feed").await;
    assert_eq!(ended.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_feed_waits_for_the_first_part_and_wakes_by_notification() {
    use http_body_util::BodyExt;

    let world = World::new();
    let mut feed = Feed::of(&world, &sound()).await;
    assert_eq!(feed.next(), Next::Nothing);
    let next = tokio::spawn(async move { feed.body.frame().await });
    push_parts(&world.live, &sound(), 40, 1);
    let frame = tokio::time::timeout(PATIENCE, next).await.unwrap().unwrap();
    assert!(frame.is_some());
}

#[tokio::test]
async fn a_feed_of_a_stream_that_stands_still_says_that_it_lives() {
    let world = World::playing();
    let mut feed = Feed::of(&world, &source()).await;
    tokio::time::pause();
    assert_eq!(feed.next(), Next::Nothing);
    for signs in 1..4 {
        // Timers are exact to the millisecond.
        tokio::time::advance(KEEP_ALIVE + Duration::from_millis(1)).await;
        assert_eq!(feed.next(), Next::Nothing);
        assert_eq!(feed.alive, signs);
    }
    // What is published is one, too.
    tokio::time::advance(KEEP_ALIVE / 2).await;
    push_part(&world.live, &source(), 43, 2);
    feed.skip();
    tokio::time::advance(KEEP_ALIVE / 2).await;
    assert_eq!(feed.next(), Next::Nothing);
    assert_eq!(feed.alive, 3);
}
