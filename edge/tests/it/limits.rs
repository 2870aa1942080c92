//! Every limit has a name, and meeting it is answered.

use std::time::Duration;

use bytes::Bytes;
use edge::FillError;

use crate::origin::*;

fn never() -> Origin {
    Origin::new(|_| std::future::pending())
}

#[tokio::test]
async fn a_fill_without_a_head_ends_at_its_deadline() {
    let house = House::with(never(), |config| {
        config.head_timeout = Duration::from_millis(20);
    });
    let (leader, follower) = (house.ask(get("/a")), house.ask(get("/a")));
    for response in [leader.await, follower.await] {
        assert_eq!(response.status(), 504);
        assert!(status(&response).ends_with("detail=origin-timeout"));
        assert_eq!(text(response).await, "The origin did not answer in time.\n");
    }
    assert_eq!(house.origin.calls(), 1);
}

#[tokio::test]
async fn a_body_that_stalls_is_cut() {
    let (_pieces, body) = OriginBody::open();
    let body = std::sync::Mutex::new(Some(body));
    let origin = Origin::new(move |_| {
        let body = body.lock().unwrap().take().unwrap();
        async move { Ok(response(200, &[], body)) }
    });
    let house = House::with(origin, |config| {
        config.body_timeout = Duration::from_millis(20);
    });
    assert_eq!(
        bytes(house.get("/a").await).await,
        Err(FillError::BodyStalled)
    );
}

#[tokio::test]
async fn too_many_fills_are_refused_by_name() {
    let house = House::with(never(), |config| config.max_fills = 1);
    let running = house.ask(get("/a"));
    let joined = house.ask(get("/a"));
    let refused = house.get("/b").await;
    assert_eq!(refused.status(), 503);
    assert_eq!(status(&refused), "nova; detail=too-many-fills");
    assert_eq!(field(&refused, "retry-after"), Some("1"));
    drop((running, joined));
}

#[tokio::test]
async fn too_many_private_fills_are_refused_by_name() {
    let house = House::with(never(), |config| config.max_private_fills = 1);
    let authorised = || house.ask(get_with("/a", &[("authorization", "x")]));
    let _running = authorised();
    let refused = authorised().await;
    assert_eq!(
        (refused.status().as_u16(), status(&refused)),
        (503, "nova; detail=too-many-private-fills")
    );
}

#[tokio::test]
async fn who_finds_no_room_to_ask_alone_takes_what_is_stale() {
    let origin = Origin::new(|n| async move {
        let (control, body) = match n {
            1 => ("max-age=2", "shared"),
            _ => ("no-store", "own"),
        };
        Ok(response(
            200,
            &[("cache-control", control)],
            OriginBody::whole(body),
        ))
    });
    let house = House::with(origin, |config| {
        *config = edge::EdgeConfig {
            max_private_fills: 0,
            ..edge::EdgeConfig::general()
        };
    });
    assert_eq!(house.text("/a").await.1, "shared");
    house.pass(3_000);
    let (leader, follower) = (house.ask(get("/a")), house.ask(get("/a")));
    assert_eq!(text(leader.await).await, "own");
    let follower = follower.await;
    assert_eq!(
        status(&follower),
        "nova; fwd=stale; detail=too-many-private-fills; ttl=-1"
    );
    assert_eq!(text(follower).await, "shared");
}

#[tokio::test]
async fn too_many_waiting_requests_are_refused_and_leaving_makes_room() {
    let house = House::with(never(), |config| config.max_waiting = 2);
    let (first, _second) = (house.ask(get("/a")), house.ask(get("/a")));
    let refused = house.get("/a").await;
    assert_eq!(
        (refused.status().as_u16(), status(&refused)),
        (503, "nova; detail=too-many-waiting")
    );
    assert_eq!(field(&refused, "retry-after"), Some("1"));
    drop(first);
    let mut third = Box::pin(house.ask(get("/a")));
    tokio::select! {
        biased;
        _ = &mut third => panic!("it waits for an origin that never answers"),
        () = std::future::ready(()) => {}
    }
}

#[tokio::test]
async fn e13_held_requests_have_a_limit_of_their_own() {
    let house = House::with(never(), |config| {
        config.max_held = 1;
        config.max_waiting = 1;
    });
    let _held = house.ask(get("/v.m3u8?_HLS_msn=5"));
    let refused = house.get("/v.m3u8?_HLS_msn=5").await;
    assert_eq!(status(&refused), "nova; detail=too-many-held");
    assert_eq!(refused.status(), 503);
    let _waiting = house.ask(get("/v.m3u8"));
    assert_eq!(
        status(&house.get("/v.m3u8").await),
        "nova; detail=too-many-waiting"
    );
}

#[tokio::test]
async fn e13_held_fills_leave_room_for_segments() {
    let house = House::with(never(), |config| {
        config.max_held_fills = 2;
        config.max_fills = 1;
    });
    let _held = (
        house.ask(get("/v.m3u8?_HLS_msn=5")),
        house.ask(get("/3/v/5.1.m4s")),
    );
    for target in ["/v.m3u8?_HLS_msn=6", "/3/v/5.2.m4s"] {
        let refused = house.get(target).await;
        assert_eq!(refused.status(), 503);
        assert_eq!(status(&refused), "nova; detail=too-many-held-fills");
        assert_eq!(field(&refused, "retry-after"), Some("1"));
    }
    let _segment = house.ask(get("/3/v/4.m4s"));
    let refused = house.get("/3/v/3.m4s").await;
    assert_eq!(status(&refused), "nova; detail=too-many-fills");
}

/// An origin whose body is `count` pieces of 1,000 bytes, and the pieces not yet taken.
fn large(count: usize, fields: &'static [(&'static str, &'static str)]) -> Origin {
    Origin::new(move |_| async move {
        let (pieces, body) = OriginBody::open();
        for _ in 0..count {
            pieces.send(Ok(Bytes::from_static(&[7; 1_000]))).unwrap();
        }
        Ok(response(200, fields, body))
    })
}

#[tokio::test]
async fn an_object_too_large_is_streamed_and_not_stored() {
    for fields in [
        &[
            ("cache-control", "max-age=60"),
            ("content-length", "100000"),
        ][..],
        &[("cache-control", "max-age=60")],
    ] {
        let house = House::with(large(100, fields), |config| {
            config.max_object_bytes = 20_000;
            config.pass_window_bytes = 3_000;
        });
        for call in 1..=2 {
            let response = house.get("/a").await;
            assert_eq!(bytes(response).await.unwrap().len(), 100_000);
            assert_eq!(house.origin.calls(), call);
        }
    }
}

#[tokio::test]
async fn a_window_holds_the_origin_back_until_somebody_reads() {
    let (pieces, body) = OriginBody::open();
    let body = std::sync::Mutex::new(Some(body));
    let origin = Origin::new(move |_| {
        let body = body.lock().unwrap().take().unwrap();
        async move { Ok(response(200, &[("content-length", "100000")], body)) }
    });
    let house = House::with(origin, |config| {
        config.max_object_bytes = 20_000;
        config.pass_window_bytes = 3_000;
        config.reader_timeout = Duration::from_millis(50);
    });
    let mut response = house.get("/a").await;
    for _ in 0..100 {
        pieces.send(Ok(Bytes::from_static(&[7; 1_000]))).unwrap();
    }
    // Nobody reads: the fill ends by name, and its body is dropped with pieces in it.
    within(pieces.closed()).await;
    let mut read = 0;
    let end = loop {
        match piece(&mut response).await {
            Some(Ok(bytes)) => read += bytes.len(),
            Some(Err(error)) => break error,
            None => panic!("a body that was cut ended cleanly"),
        }
    };
    assert_eq!(end, FillError::ReadersStalled);
    assert!(read <= 3_000, "{read} bytes were kept");
}

#[tokio::test]
async fn a_fill_that_finds_no_memory_goes_on_through_a_window() {
    let house = House::with(large(100, &[("cache-control", "max-age=60")]), |config| {
        config.fill_memory_bytes = 5_000;
        config.pass_window_bytes = 3_000;
    });
    for call in 1..=2 {
        assert_eq!(bytes(house.get("/a").await).await.unwrap().len(), 100_000);
        assert_eq!(house.origin.calls(), call);
    }
}

#[tokio::test]
async fn memory_holds_no_more_than_its_capacity() {
    let house = House::with(large(10, &[("cache-control", "max-age=60")]), |config| {
        config.memory_bytes = 100_000;
    });
    for n in 0..200 {
        assert_eq!(
            bytes(house.get(&format!("/{n}")).await)
                .await
                .unwrap()
                .len(),
            10_000
        );
    }
    let before = house.origin.calls();
    let mut hits = 0;
    for n in 0..200 {
        hits += usize::from(status(&house.get(&format!("/{n}")).await).contains("hit"));
    }
    assert_eq!(before, 200);
    assert!(hits < 20, "{hits} objects of 10,000 bytes in 100,000 bytes");
}

#[tokio::test]
async fn shutdown_releases_waiters_and_joins_fills() {
    let house = House::with(never(), |config| {
        config.shutdown_grace = Duration::from_secs(3_600);
    });
    let waiting = house.ask(get("/a"));
    until(|| house.origin.calls() == 1).await;
    within(house.edge.shutdown()).await;
    let response = waiting.await;
    assert_eq!(response.status(), 503);
    assert!(status(&response).ends_with("detail=shutting-down"));
    assert_eq!(status(&house.get("/b").await), "nova; detail=shutting-down");
    assert_eq!(house.origin.calls(), 1);
}

#[tokio::test]
async fn shutdown_cuts_bodies_that_outlast_the_grace() {
    let (pieces, body) = OriginBody::open();
    let body = std::sync::Mutex::new(Some(body));
    let origin = Origin::new(move |_| {
        let body = body.lock().unwrap().take().unwrap();
        async move { Ok(response(200, &[("cache-control", "max-age=60")], body)) }
    });
    let house = House::with(origin, |config| {
        config.shutdown_grace = Duration::from_millis(20);
    });
    let response = house.get("/a").await;
    send(&pieces, "half");
    within(house.edge.shutdown()).await;
    assert_eq!(bytes(response).await, Err(FillError::ShuttingDown));
}
