//! What of a request reaches a general origin, and what of its answer the client.

use crate::origin::*;

#[tokio::test]
async fn e12_end_to_end_fields_pass_and_those_of_a_connection_do_not() {
    let house = House::general(Origin::fixed(
        "x",
        &[
            ("cache-control", "max-age=60"),
            ("connection", "a, B"),
            ("a", "1"),
            ("b", "2"),
            ("keep-alive", "timeout=5"),
            ("proxy-authenticate", "Basic"),
            ("upgrade", "h2c"),
            ("c", "3"),
            ("set-cookie", "id=1"),
            ("access-control-allow-origin", "https://a.example"),
        ],
    ));
    let fields = [
        ("host", "edge.example"),
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "1"),
        ("te", "trailers"),
        ("cookie", "a=b"),
        ("accept", "*/*"),
        ("via", "1.1 other"),
        ("if-none-match", "\"x\""),
    ];
    let first = house.ask(get_with("/a", &fields)).await;
    let asked = house.origin.headers(0);
    for (name, expected) in [
        ("cookie", Some("a=b")),
        ("accept", Some("*/*")),
        ("connection", None),
        ("x-hop", None),
        ("te", None),
        ("host", None),
        // What is shared is asked for in full.
        ("if-none-match", None),
    ] {
        let value = asked.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(value, expected, "{name}");
    }
    let via: Vec<_> = asked.get_all("via").iter().collect();
    assert_eq!(via, ["1.1 other", "1.1 nova"]);
    bytes(first).await.unwrap();

    let stored = house.get("/a").await;
    assert!(status(&stored).contains("hit"));
    for name in [
        "connection",
        "a",
        "b",
        "keep-alive",
        "proxy-authenticate",
        "upgrade",
    ] {
        assert_eq!(field(&stored, name), None, "{name}");
    }
    for (name, value) in [
        ("c", "3"),
        ("set-cookie", "id=1"),
        ("access-control-allow-origin", "https://a.example"),
    ] {
        assert_eq!(field(&stored, name), Some(value));
    }
}

#[tokio::test]
async fn the_whole_target_is_the_key() {
    let house = House::general(Origin::fixed("x", &[("cache-control", "max-age=60")]));
    for target in ["/a?x=1", "/a?x=2", "/a", "//a", "/a/../b", "/a?x=1"] {
        assert_eq!(house.text(target).await.0, 200);
    }
    assert_eq!(
        house.origin.targets(),
        ["/a?x=1", "/a?x=2", "/a", "//a", "/a/../b"]
    );
}

#[tokio::test]
async fn conditions_for_the_origin_and_unshared_ones_pass() {
    let origin = Origin::told(|_, request| {
        let code = match request.headers() {
            fields if fields.contains_key("if-match") => 412,
            fields if fields.contains_key("if-none-match") => 304,
            _ => 200,
        };
        async move {
            let fields = [("cache-control", "max-age=60"), ("etag", "\"a\"")];
            Ok(response(code, &fields, OriginBody::whole("")))
        }
    });
    let house = House::general(origin);
    assert_eq!(house.text("/a").await.0, 200);
    let code = async |fields: &[(&str, &str)]| house.ask(get_with("/a", fields)).await.status();
    assert_eq!(code(&[("if-match", "\"b\"")]).await, 412);
    assert_eq!(house.origin.calls(), 2);
    let unshared = [
        ("cache-control", "no-store, no-cache"),
        ("if-none-match", "\"z\""),
    ];
    let unstored = house.ask(get_with("/b", &unshared)).await;
    assert_eq!(unstored.status(), 304);
    assert_eq!(bytes(unstored).await.unwrap(), "");
    assert_eq!(house.text("/a").await.0, 200);
    assert_eq!(house.origin.calls(), 3);
}

#[tokio::test]
async fn methods_that_no_cache_passes_on_are_refused() {
    let house = House::general(Origin::fixed("x", &[]));
    let refused = house.ask(send_with("TRACE", "/a", &[])).await;
    assert_eq!(refused.status(), 501);
    assert_eq!(status(&refused), "nova; detail=not-implemented");
    assert_eq!(field(&refused, "access-control-allow-origin"), None);
    assert_eq!(house.origin.calls(), 0);
}

#[tokio::test]
async fn a_lost_answer_to_a_change_is_told_and_not_tried_again() {
    let house = House::general(Origin::new(|_| async {
        Err(edge::UpstreamError::Protocol("lost".to_owned()))
    }));
    let response = house.ask(send_with("POST", "/a", &[])).await;
    assert_eq!(response.status(), 502);
    assert_eq!(
        status(&response),
        "nova; fwd=method; detail=origin-protocol"
    );
    assert_eq!(house.origin.calls(), 1);
}

#[tokio::test]
async fn cookies_of_several_lines_are_forwarded_in_one() {
    let house = House::general(Origin::fixed("x", &[]));
    let fields = [("cookie", "a=1"), ("cookie", "b=2")];
    bytes(house.ask(get_with("/a", &fields)).await)
        .await
        .unwrap();
    let asked = house.origin.headers(0);
    let cookies: Vec<_> = asked.get_all("cookie").iter().collect();
    assert_eq!(cookies, ["a=1; b=2"]);
}

#[tokio::test]
async fn options_goes_as_far_as_it_may() {
    let house = House::general(Origin::fixed("x", &[("a", "1")]));
    let options = |forwards| send_with("OPTIONS", "/a", &[("max-forwards", forwards)]);
    let here = house.ask(options("0")).await;
    assert_eq!((here.status().as_u16(), field(&here, "a")), (204, None));
    assert_eq!(house.origin.calls(), 0);
    for (calls, (forwards, forwarded)) in [("2", "1"), ("never", "never")].into_iter().enumerate() {
        assert_eq!(house.ask(options(forwards)).await.status(), 200);
        assert_eq!(house.origin.headers(calls)["max-forwards"], forwarded);
    }
    // Of another method it means nothing.
    let get = get_with("/a", &[("max-forwards", "0")]);
    assert_eq!(house.ask(get).await.status(), 200);
}
