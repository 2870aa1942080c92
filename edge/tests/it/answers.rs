//! What a client is answered: freshness, keys, ranges, conditions, CORS, fields.

use bytes::Bytes;
use edge::UpstreamError;
use http::{Method, Request};
use http_body_util::Full;
use tower_service::Service;

use crate::origin::*;

#[tokio::test]
async fn e06_a_404_without_a_lifetime_is_asked_for_again() {
    for fields in [&[][..], &[("cache-control", "no-store")]] {
        let origin = Origin::new(move |n| async move {
            match n {
                1 => Ok(response(404, fields, OriginBody::whole("not yet"))),
                _ => Ok(response(
                    200,
                    &[("cache-control", "max-age=60")],
                    OriginBody::whole("born"),
                )),
            }
        });
        let house = House::new(origin);
        assert_eq!(house.text("/s/9.m4s").await, (404, "not yet".to_owned()));
        assert_eq!(house.text("/s/9.m4s").await, (200, "born".to_owned()));
    }
}

#[tokio::test]
async fn e06_a_404_with_a_lifetime_lives_no_longer() {
    let origin = Origin::new(|_| async {
        Ok(response(
            404,
            &[("cache-control", "max-age=1")],
            OriginBody::whole(""),
        ))
    });
    let house = House::new(origin);
    assert_eq!(house.get("/s/9.m4s").await.status(), 404);
    until(|| house.origin.calls() == 1).await;
    house.pass(900);
    assert_eq!(house.text("/s/9.m4s").await.0, 404);
    house.pass(100);
    assert_eq!(house.text("/s/9.m4s").await.0, 404);
    assert_eq!(house.origin.calls(), 2);
}

#[tokio::test]
async fn e07_requests_that_mean_the_same_are_one_key_and_the_origin_sees_it() {
    let house = House::new(Origin::fixed("x", &[("cache-control", "max-age=60")]));
    for target in [
        "/live/d/v.m3u8?_HLS_msn=5&_HLS_part=1&sig=A&CMCD=bl%3D1",
        "/live/d/v.m3u8?session=9&_HLS_part=01&_HLS_msn=5",
        "http://other.example/live/%64/v.m3u8?_HLS_msn=5&_HLS_part=1",
    ] {
        assert_eq!(house.text(target).await.0, 200);
    }
    assert_eq!(
        house.origin.targets(),
        ["/live/d/v.m3u8?_HLS_msn=5&_HLS_part=1"]
    );
    assert_eq!(house.text("/live/d/v.m3u8?_HLS_msn=6").await.0, 200);
    assert_eq!(house.origin.calls(), 2);
}

#[tokio::test]
async fn e07_bad_targets_are_refused_without_asking() {
    let house = House::new(Origin::fixed("x", &[]));
    for (target, code, reason) in [
        ("/a/../b", 400, "nova; detail=dot-segment"),
        ("/a%2Fb", 400, "nova; detail=encoded-slash"),
        ("//a", 400, "nova; detail=empty-segment"),
        ("/v.m3u8?_HLS_msn=x", 400, "nova; detail=bad-directive"),
        (
            &format!("/{}", "a".repeat(2_000)),
            414,
            "nova; detail=path-too-long",
        ),
    ] {
        let response = house.get(target).await;
        assert_eq!(response.status(), code, "{target}");
        assert_eq!(status(&response), reason);
        assert_eq!(field(&response, "access-control-allow-origin"), Some("*"));
    }
    assert_eq!(house.origin.calls(), 0);
}

/// What the origin says of a playlist.
const PLAYLIST: &[(&str, &str)] = &[(
    "cache-control",
    "public, max-age=0, s-maxage=1, stale-if-error=6",
)];

/// Answers once with a playlist of one second, then fails in the given way.
fn dying(fail: impl Fn() -> Answer + Send + Sync + 'static) -> House {
    let origin = Origin::new(move |n| {
        let answer = match n {
            1 => Ok(response(200, PLAYLIST, OriginBody::whole("list"))),
            _ => fail(),
        };
        async move { answer }
    });
    House::new(origin)
}

#[tokio::test]
async fn e09_a_dead_origin_leaves_stale_playlists_for_a_few_seconds() {
    let house = dying(|| Err(UpstreamError::Unreachable("refused".to_owned())));
    assert_eq!(house.text("/v.m3u8").await.1, "list");
    house.pass(999);
    let hit = house.get("/v.m3u8").await;
    assert_eq!(
        (status(&hit), field(&hit, "age")),
        ("nova; hit; ttl=0", Some("0"))
    );

    house.pass(3_000);
    let stale = house.get("/v.m3u8").await;
    assert_eq!(stale.status(), 200);
    assert_eq!(
        status(&stale),
        "nova; fwd=stale; detail=origin-unreachable; ttl=-3"
    );
    assert_eq!(field(&stale, "age"), Some("3"));
    assert_eq!(text(stale).await, "list");

    house.pass(3_001);
    let gone = house.get("/v.m3u8").await;
    assert_eq!(gone.status(), 502);
    assert_eq!(status(&gone), "nova; fwd=stale; detail=origin-unreachable");
    assert_eq!(text(gone).await, "The origin cannot be reached.\n");
}

#[tokio::test]
async fn e09_a_failing_origin_counts_as_dead_and_a_living_one_does_not() {
    let house = dying(|| Ok(response(503, &[], OriginBody::whole("busy"))));
    assert_eq!(house.text("/v.m3u8").await.1, "list");
    house.pass(1_000);
    let stale = house.get("/v.m3u8").await;
    assert_eq!(
        status(&stale),
        "nova; fwd=stale; detail=origin-error; ttl=0"
    );

    let house = dying(|| Ok(response(404, &[], OriginBody::whole("over"))));
    assert_eq!(house.text("/v.m3u8").await.1, "list");
    house.pass(1_000);
    assert_eq!(house.text("/v.m3u8").await, (404, "over".to_owned()));
}

#[tokio::test]
async fn e09_a_silent_origin_leaves_stale_after_a_short_wait() {
    let origin = Origin::new(|n| async move {
        if n > 1 {
            std::future::pending::<()>().await;
        }
        Ok(response(200, PLAYLIST, OriginBody::whole("list")))
    });
    let house = House::with(origin, |config| {
        config.stale_wait = std::time::Duration::from_millis(20);
    });
    assert_eq!(house.text("/v.m3u8").await.1, "list");
    house.pass(1_500);
    let stale = house.get("/v.m3u8").await;
    assert_eq!(
        status(&stale),
        "nova; fwd=stale; detail=origin-timeout; ttl=-1"
    );
    assert_eq!(text(stale).await, "list");
}

const OBJECT: &[(&str, &str)] = &[
    ("cache-control", "max-age=60"),
    ("etag", "\"v1\""),
    ("content-type", "video/mp4"),
];

#[tokio::test]
async fn e10_head_is_answered_from_the_fill_of_a_get() {
    let house = House::new(Origin::fixed(
        "0123456789",
        &[("cache-control", "max-age=60"), ("content-length", "10")],
    ));
    for call in ["miss", "hit"] {
        let mut request = get("/a");
        *request.method_mut() = Method::HEAD;
        let response = house.ask(request).await;
        assert_eq!(response.status(), 200);
        assert!(status(&response).contains(call));
        assert_eq!(field(&response, "content-length"), Some("10"));
        assert_eq!(bytes(response).await.unwrap(), "");
        assert_eq!(house.text("/a").await.1, "0123456789");
    }
    assert_eq!(house.origin.calls(), 1);
}

#[tokio::test]
async fn e10_ranges_of_a_stored_object() {
    let house = House::new(Origin::fixed("0123456789", OBJECT));
    assert_eq!(house.text("/a").await.0, 200);
    for (range, code, content_range, body) in [
        ("bytes=0-3", 206, Some("bytes 0-3/10"), "0123"),
        ("bytes=8-99", 206, Some("bytes 8-9/10"), "89"),
        ("bytes=4-", 206, Some("bytes 4-9/10"), "456789"),
        ("bytes=-2", 206, Some("bytes 8-9/10"), "89"),
        ("bytes=0-1,3-4", 200, None, "0123456789"),
        ("lines=0-1", 200, None, "0123456789"),
        (
            "bytes=10-",
            416,
            Some("bytes */10"),
            "The range is outside the object.\n",
        ),
    ] {
        let response = house.ask(get_with("/a", &[("range", range)])).await;
        assert_eq!(response.status(), code, "{range}");
        assert_eq!(field(&response, "content-range"), content_range, "{range}");
        let length = field(&response, "content-length").unwrap().to_owned();
        assert_eq!(text(response).await, body, "{range}");
        assert_eq!(length, body.len().to_string(), "{range}");
    }
    assert_eq!(house.origin.calls(), 1);
}

/// An origin with one body that the test sends, and a request of `range` on it.
fn growing(fields: &'static [(&'static str, &'static str)]) -> (Pieces, House) {
    let (pieces, body) = OriginBody::open();
    let body = std::sync::Mutex::new(Some(body));
    let origin = Origin::new(move |_| {
        let body = body.lock().unwrap().take().unwrap();
        async move { Ok(response(200, fields, body)) }
    });
    (pieces, House::new(origin))
}

#[tokio::test]
async fn e10_a_range_of_a_growing_object_waits_for_its_bytes() {
    let (pieces, house) = growing(OBJECT);
    let whole = house.ask(get("/a"));
    let early = tokio::spawn(house.ask(get_with("/a", &[("range", "bytes=2-5")])));
    let tail = tokio::spawn(house.ask(get_with("/a", &[("range", "bytes=6-")])));
    let past = tokio::spawn(house.ask(get_with("/a", &[("range", "bytes=10-12")])));
    send(&pieces, "0123");
    let mut whole = whole.await;
    assert_eq!(piece(&mut whole).await.unwrap().unwrap(), "0123");
    assert!(!early.is_finished());
    send(&pieces, "4567");

    let early = early.await.unwrap();
    assert_eq!(early.status(), 206);
    assert_eq!(field(&early, "content-range"), Some("bytes 2-5/*"));
    assert_eq!(text(early).await, "2345");
    assert!(!tail.is_finished() && !past.is_finished());

    send(&pieces, "89");
    drop(pieces);
    let tail = tail.await.unwrap();
    assert_eq!(field(&tail, "content-range"), Some("bytes 6-9/10"));
    assert_eq!(text(tail).await, "6789");
    assert_eq!(past.await.unwrap().status(), 416);
    assert_eq!(house.origin.calls(), 1);
}

#[tokio::test]
async fn e10_a_range_of_a_growing_object_of_known_length_starts_at_once() {
    let (pieces, house) = growing(&[("cache-control", "max-age=60"), ("content-length", "10")]);
    let mut response = house.ask(get_with("/a", &[("range", "bytes=3-")])).await;
    assert_eq!(response.status(), 206);
    assert_eq!(field(&response, "content-range"), Some("bytes 3-9/10"));
    send(&pieces, "01234");
    assert_eq!(piece(&mut response).await.unwrap().unwrap(), "34");
    send(&pieces, "56789");
    assert_eq!(piece(&mut response).await.unwrap().unwrap(), "56789");
    assert!(piece(&mut response).await.is_none());
}

#[tokio::test]
async fn e10_conditions_are_answered_here() {
    let house = House::new(Origin::fixed("0123456789", OBJECT));
    for (fields, code) in [
        (&[("if-none-match", "W/\"v1\"")][..], 304),
        (&[("if-none-match", "\"v2\"")], 200),
        (&[("range", "bytes=0-1"), ("if-range", "\"v1\"")], 206),
        (&[("range", "bytes=0-1"), ("if-range", "\"v2\"")], 200),
        (&[("range", "bytes=0-1"), ("if-none-match", "\"v1\"")], 304),
    ] {
        let response = house.ask(get_with("/a", fields)).await;
        assert_eq!(response.status(), code, "{fields:?}");
        assert_eq!(field(&response, "etag"), Some("\"v1\""));
        if code == 304 {
            assert_eq!(field(&response, "content-type"), None);
            assert_eq!(field(&response, "cache-control"), Some("max-age=60"));
            assert_eq!(bytes(response).await.unwrap(), "");
        }
    }
    assert_eq!(house.origin.headers(0).get("if-none-match"), None);
}

#[tokio::test]
async fn e11_origin_splits_nothing_and_cors_is_answered_here() {
    let house = House::new(Origin::fixed(
        "x",
        &[
            ("cache-control", "max-age=60"),
            ("vary", "Origin"),
            ("access-control-allow-origin", "https://a.example"),
        ],
    ));
    for origin in ["https://a.example", "https://b.example", "null"] {
        let response = house.ask(get_with("/a", &[("origin", origin)])).await;
        let allowed = response.headers().get_all("access-control-allow-origin");
        assert_eq!(allowed.iter().collect::<Vec<_>>(), ["*"]);
        assert!(
            field(&response, "access-control-expose-headers")
                .unwrap()
                .contains("Cache-Status")
        );
        assert_eq!(field(&response, "vary"), None);
        assert_eq!(text(response).await, "x");
    }
    assert_eq!(house.origin.calls(), 1);

    let mut preflight = get_with("/a", &[("access-control-request-method", "GET")]);
    *preflight.method_mut() = Method::OPTIONS;
    let response = house.ask(preflight).await;
    assert_eq!(response.status(), 204);
    assert_eq!(
        field(&response, "access-control-allow-methods"),
        Some("GET, HEAD, OPTIONS")
    );
    assert!(
        field(&response, "access-control-allow-headers")
            .unwrap()
            .contains("Range")
    );
    assert_eq!(house.origin.calls(), 1);
}

#[tokio::test]
async fn e11_vary_on_everything_is_not_stored() {
    let house = House::new(Origin::fixed(
        "x",
        &[("cache-control", "max-age=60"), ("vary", "*")],
    ));
    for _ in 0..2 {
        let response = house.get("/a").await;
        assert_eq!(status(&response), "nova; fwd=miss; detail=vary-any");
    }
    assert_eq!(house.origin.calls(), 2);
}

#[tokio::test]
async fn e12_unkeyed_and_hop_by_hop_fields_do_not_pass() {
    let house = House::new(Origin::fixed(
        "x",
        &[
            ("cache-control", "max-age=60"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("set-cookie", "id=1"),
            ("x-kept", "1"),
        ],
    ));
    let unkeyed = [
        ("cookie", "a=b"),
        ("x-forwarded-host", "evil.example"),
        ("accept-encoding", "gzip"),
        ("user-agent", "test"),
        ("range", "bytes=0-0"),
        ("connection", "keep-alive, x-secret"),
        ("te", "trailers"),
    ];
    let response = house.ask(get_with("/a", &unkeyed)).await;
    let asked = house.origin.headers(0);
    let asked: Vec<_> = asked.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(asked, ["via", "cdn-loop"]);
    for name in ["connection", "x-hop", "keep-alive", "set-cookie"] {
        assert_eq!(field(&response, name), None, "{name}");
    }
    assert_eq!(field(&response, "x-kept"), Some("1"));
}

#[tokio::test]
async fn e12_media_that_set_a_cookie_are_not_stored() {
    let house = House::new(Origin::fixed(
        "x",
        &[("cache-control", "max-age=60"), ("set-cookie", "id=1")],
    ));
    for calls in 1..=2 {
        let response = house.get("/a").await;
        assert_eq!(status(&response), "nova; fwd=miss; detail=set-cookie");
        assert_eq!(field(&response, "set-cookie"), None);
        assert_eq!(text(response).await, "x");
        assert_eq!(house.origin.calls(), calls);
    }
}

#[tokio::test]
async fn e12_a_request_body_is_refused() {
    let house = House::new(Origin::fixed("x", &[]));
    let mut edge = house.edge.clone();
    let request = Request::get("/a")
        .body(Full::new(Bytes::from_static(b"smuggled")))
        .unwrap();
    let response = within(edge.call(request)).await.unwrap();
    assert_eq!(response.status(), 413);
    assert_eq!(field(&response, "connection"), Some("close"));

    let request = Request::post("/a")
        .body(Full::new(Bytes::from_static(b"{}")))
        .unwrap();
    let response = within(edge.call(request)).await.unwrap();
    assert_eq!(response.status(), 405);
    assert_eq!(field(&response, "allow"), Some("GET, HEAD, OPTIONS"));
    assert_eq!(house.origin.calls(), 0);
}

#[tokio::test]
async fn e14_authorised_answers_are_not_shared_without_permission() {
    let house = House::new(Origin::fixed("mine", &[("cache-control", "max-age=60")]));
    let authorised = || house.ask(get_with("/a", &[("authorization", "Bearer t")]));
    for call in 1..=2 {
        let response = authorised().await;
        assert_eq!(status(&response), "nova; fwd=request; detail=authorization");
        assert_eq!(text(response).await, "mine");
        assert_eq!(house.origin.calls(), call);
    }
    assert_eq!(house.origin.headers(0)["authorization"], "Bearer t");
    // Two at once are two, and an anonymous request is a third.
    let (one, two) = (authorised(), authorised());
    assert_eq!(house.text("/a").await.1, "mine");
    assert_eq!(
        (text(one.await).await, text(two.await).await),
        ("mine".to_owned(), "mine".to_owned())
    );
    assert_eq!(house.origin.calls(), 5);
    let anonymous = house.origin.targets().len();
    assert!((0..anonymous).any(|call| !house.origin.headers(call).contains_key("authorization")));
}

#[tokio::test]
async fn e14_authorised_answers_with_permission_are_shared() {
    let house = House::new(Origin::fixed(
        "ours",
        &[("cache-control", "public, max-age=60")],
    ));
    let response = house
        .ask(get_with("/a", &[("authorization", "Bearer t")]))
        .await;
    assert_eq!(text(response).await, "ours");
    assert_eq!(status(&house.get("/a").await), "nova; hit; ttl=60");
    assert_eq!(house.origin.calls(), 1);
}

#[tokio::test]
async fn age_and_date_tell_how_old_an_answer_is() {
    let house = House::new(Origin::fixed(
        "x",
        &[("cache-control", "max-age=60"), ("age", "5")],
    ));
    let first = house.get("/a").await;
    assert_eq!(field(&first, "age"), Some("5"));
    assert_eq!(field(&first, "date"), Some("Tue, 14 Nov 2023 22:13:20 GMT"));
    assert_eq!(text(first).await, "x");
    house.pass(2_500);
    let hit = house.get("/a").await;
    assert_eq!(
        (field(&hit, "age"), status(&hit)),
        (Some("7"), "nova; hit; ttl=52")
    );
    assert_eq!(field(&hit, "date"), Some("Tue, 14 Nov 2023 22:13:20 GMT"));
}
