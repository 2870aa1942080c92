//! One fill per key, whatever its clients do.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use edge::FillError;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::origin::*;

const FRESH: &[(&str, &str)] = &[("cache-control", "max-age=60")];

/// An origin that answers nothing before it is opened.
fn held(body: &'static str) -> (watch::Sender<bool>, Origin) {
    let (open, opened) = watch::channel(false);
    let origin = Origin::new(move |_| {
        let mut opened = opened.clone();
        async move {
            opened.wait_for(|open| *open).await.unwrap();
            Ok(response(200, FRESH, OriginBody::whole(body)))
        }
    });
    (open, origin)
}

/// An origin with one answer whose body the test sends.
fn streaming(fields: &'static [(&'static str, &'static str)]) -> (Pieces, Origin) {
    let (pieces, body) = OriginBody::open();
    let body = Mutex::new(Some(body));
    let origin = Origin::new(move |n| {
        let body = body.lock().unwrap().take();
        async move {
            match body {
                Some(body) => Ok(response(200, fields, body)),
                None => Ok(response(
                    200,
                    FRESH,
                    OriginBody::whole(if n == 2 { "second" } else { "later" }),
                )),
            }
        }
    });
    (pieces, origin)
}

async fn cold_gets_of_one_key(clients: usize) {
    let (open, origin) = held("segment");
    let house = House::new(origin);
    let mut answers = JoinSet::new();
    for _ in 0..clients {
        let pending = house.ask(get("/live/d/1.m4s"));
        answers.spawn(async move {
            let response = pending.await;
            (status(&response).to_owned(), bytes(response).await)
        });
    }
    open.send(true).unwrap();
    let mut leaders = 0;
    while let Some(answer) = answers.join_next().await {
        let (status, body) = answer.unwrap();
        assert_eq!(body.unwrap(), "segment");
        leaders += usize::from(!status.contains("collapsed"));
    }
    assert_eq!((house.origin.calls(), leaders), (1, 1));

    let again = house.get("/live/d/1.m4s").await;
    assert_eq!(status(&again), "nova; hit; ttl=60");
    assert_eq!(text(again).await, "segment");
    assert_eq!(house.origin.calls(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e01_a_thousand_cold_gets_make_one_origin_request() {
    cold_gets_of_one_key(1_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e01_ten_thousand_cold_gets_make_one_origin_request() {
    cold_gets_of_one_key(10_000).await;
}

#[tokio::test]
async fn e02_the_leader_leaves_before_the_head() {
    let (open, origin) = held("segment");
    let house = House::new(origin);
    let leader = house.ask(get("/a"));
    let follower = house.ask(get("/a"));
    drop(leader);
    open.send(true).unwrap();
    assert_eq!(text(follower.await).await, "segment");
    assert_eq!(house.origin.calls(), 1);
}

#[tokio::test]
async fn e02_the_leader_leaves_in_mid_body() {
    let (pieces, origin) = streaming(FRESH);
    let house = House::new(origin);
    let leader = house.ask(get("/a"));
    let follower = house.ask(get("/a"));
    let mut leader = leader.await;
    send(&pieces, "one ");
    assert_eq!(piece(&mut leader).await.unwrap().unwrap(), "one ");
    drop(leader);
    send(&pieces, "two");
    drop(pieces);
    assert_eq!(text(follower.await).await, "one two");
    assert_eq!(house.origin.calls(), 1);
}

#[tokio::test]
async fn e02_the_leader_leaves_at_the_last_byte() {
    let (pieces, origin) = streaming(&[("cache-control", "max-age=60"), ("content-length", "3")]);
    let house = House::new(origin);
    let leader = house.ask(get("/a"));
    let follower = house.ask(get("/a"));
    let mut leader = leader.await;
    send(&pieces, "one");
    assert_eq!(piece(&mut leader).await.unwrap().unwrap(), "one");
    drop(leader);
    drop(pieces);
    assert_eq!(text(follower.await).await, "one");
    assert_eq!(house.origin.calls(), 1);
}

#[tokio::test]
async fn e02_everybody_leaves_and_the_answer_is_still_stored() {
    let (pieces, origin) = streaming(FRESH);
    let house = House::new(origin);
    drop(house.ask(get("/a")).await);
    send(&pieces, "whole");
    drop(pieces);
    // Whether this joins the fill or finds it stored, nobody asks the origin again.
    assert_eq!(house.text("/a").await, (200, "whole".to_owned()));
    assert_eq!(house.origin.calls(), 1);
}

#[tokio::test]
async fn e03_the_slowest_reader_slows_nobody() {
    const PIECE: &str = "0123456789abcdef";
    let (pieces, origin) = streaming(FRESH);
    let house = House::new(origin);
    let slow = house.ask(get("/a"));
    let fast = house.ask(get("/a"));
    let mut slow = slow.await;
    send(&pieces, PIECE);
    assert_eq!(piece(&mut slow).await.unwrap().unwrap(), PIECE);
    for _ in 0..10_000 {
        send(&pieces, PIECE);
    }
    drop(pieces);
    let whole = PIECE.len() * 10_001;
    assert_eq!(bytes(fast.await).await.unwrap().len(), whole);
    assert_eq!(status(&house.get("/a").await), "nova; hit; ttl=60");
    assert_eq!(bytes(slow).await.unwrap().len(), whole - PIECE.len());
}

#[tokio::test]
async fn e03_followers_read_bytes_as_they_arrive() {
    let (pieces, origin) = streaming(FRESH);
    let house = House::new(origin);
    let mut leader = house.get("/a").await;
    send(&pieces, "one");
    assert_eq!(piece(&mut leader).await.unwrap().unwrap(), "one");
    let mut late = house.get("/a").await;
    assert_eq!(status(&late), "nova; fwd=miss; stored; collapsed; ttl=60");
    assert_eq!(piece(&mut late).await.unwrap().unwrap(), "one");
    send(&pieces, "two");
    assert_eq!(piece(&mut late).await.unwrap().unwrap(), "two");
    assert_eq!(piece(&mut leader).await.unwrap().unwrap(), "two");
}

#[tokio::test]
async fn e05_an_answer_that_is_stale_at_once_is_for_those_who_waited_for_it() {
    for house in [House::new, House::general] {
        let (pieces, origin) = streaming(&[("cache-control", "max-age=0"), ("etag", "\"a\"")]);
        let house = house(origin);
        let mut early = house.get("/a").await;
        send(&pieces, "one");
        assert_eq!(piece(&mut early).await.unwrap().unwrap(), "one");
        assert_eq!(house.text("/a").await.1, "second");
        assert_eq!(house.origin.calls(), 2);
    }
}

#[tokio::test]
async fn a_fill_whose_head_has_come_is_not_joined_by_who_wants_something_new() {
    let (pieces, origin) = streaming(FRESH);
    let house = House::general(origin);
    let mut early = house.get("/a").await;
    send(&pieces, "one");
    assert_eq!(piece(&mut early).await.unwrap().unwrap(), "one");
    let forced = get_with("/a", &[("cache-control", "no-cache")]);
    assert_eq!(text(house.ask(forced).await).await, "second");
    assert_eq!(house.origin.calls(), 2);
}

#[tokio::test]
async fn e04_a_body_that_ends_early_is_an_error_to_all_and_not_stored() {
    let (pieces, origin) = streaming(&[("cache-control", "max-age=60"), ("content-length", "9")]);
    let house = House::new(origin);
    let (leader, follower) = (house.ask(get("/a")), house.ask(get("/a")));
    let (mut leader, mut follower) = (leader.await, follower.await);
    send(&pieces, "half");
    drop(pieces);
    for reader in [&mut leader, &mut follower] {
        assert_eq!(piece(reader).await.unwrap().unwrap(), "half");
        let truncated = FillError::BodyTruncated {
            expected: 9,
            received: 4,
        };
        assert_eq!(piece(reader).await.unwrap(), Err(truncated));
    }
    assert_eq!(house.text("/a").await, (200, "second".to_owned()));
    assert_eq!(house.origin.calls(), 2);
}

#[tokio::test]
async fn e04_a_body_that_breaks_off_is_an_error_and_not_stored() {
    let (pieces, origin) = streaming(FRESH);
    let house = House::new(origin);
    let response = house.get("/a").await;
    send(&pieces, "half");
    pieces.send(Err("connection reset".to_owned())).unwrap();
    let broken = FillError::BodyBroken("connection reset".into());
    assert_eq!(bytes(response).await, Err(broken));
    assert_eq!(house.text("/a").await.1, "second");
}

#[tokio::test]
async fn e04_a_body_longer_than_announced_is_not_stored() {
    let (pieces, origin) = streaming(&[("cache-control", "max-age=60"), ("content-length", "3")]);
    let house = House::new(origin);
    let response = house.get("/a").await;
    send(&pieces, "four");
    assert_eq!(bytes(response).await, Err(FillError::BodyOverlong));
    assert_eq!(house.text("/a").await.1, "second");
}

#[tokio::test]
async fn e05_an_uncacheable_answer_releases_all_waiters_at_once() {
    for fields in [
        &[("cache-control", "no-store")],
        &[("cache-control", "private, max-age=60")],
    ] {
        let (pieces, origin) = streaming(fields);
        let house = House::new(origin);
        let waiting: Vec<_> = (0..50).map(|_| house.ask(get("/a"))).collect();
        let mut answers = Vec::new();
        for pending in waiting {
            answers.push(pending.await);
        }
        assert_eq!(house.origin.calls(), 1);
        // The answer is not whole yet, and still nobody new is given it.
        assert_eq!(house.text("/a").await.1, "second");
        assert_eq!(house.origin.calls(), 2);
        send(&pieces, "mine");
        drop(pieces);
        for answer in answers {
            assert!(status(&answer).starts_with("nova; fwd=miss"));
            assert!(!status(&answer).contains("stored"));
            assert_eq!(bytes(answer).await.unwrap(), "mine");
        }
    }
}

#[tokio::test]
async fn e05_a_404_releases_all_waiters_and_is_asked_for_again() {
    let release = Arc::new(Notify::new());
    let gate = Arc::clone(&release);
    let origin = Origin::new(move |n| {
        let gate = Arc::clone(&gate);
        async move {
            if n == 1 {
                gate.notified().await;
            }
            Ok(response(404, &[], OriginBody::whole("not yet")))
        }
    });
    let house = House::new(origin);
    let waiting: Vec<_> = (0..50).map(|_| house.ask(get("/a"))).collect();
    release.notify_one();
    for pending in waiting {
        let response = pending.await;
        assert_eq!(response.status(), 404);
        assert_eq!(text(response).await, "not yet");
    }
    assert_eq!(house.origin.calls(), 1);
    assert_eq!(house.text("/a").await.0, 404);
    assert_eq!(house.origin.calls(), 2);
}

#[tokio::test]
async fn an_uncacheable_answer_that_nobody_reads_is_given_up() {
    let (pieces, origin) = streaming(&[("cache-control", "no-store")]);
    let house = House::with(origin, |config| {
        config.body_timeout = Duration::from_secs(3_600);
    });
    drop(house.get("/a").await);
    within(pieces.closed()).await;
    assert!(pieces.send(Ok(Bytes::new())).is_err());
}
