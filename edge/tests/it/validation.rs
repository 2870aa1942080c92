//! Asking whether what is stored is still good (RFC 9111 4.3).

use http::HeaderMap;

use crate::origin::*;

const MODIFIED: &str = "Mon, 13 Nov 2023 22:13:20 GMT";

/// An origin that answers the first request in full, and 304 to conditional ones.
fn validating(
    first: &'static [(&'static str, &'static str)],
    then: &'static [(&'static str, &'static str)],
) -> House {
    let origin = Origin::told(move |n, request| {
        let asked = request.headers();
        let conditional =
            asked.contains_key("if-none-match") || asked.contains_key("if-modified-since");
        async move {
            Ok(match (n, conditional) {
                (1, _) => response(200, first, OriginBody::whole("one")),
                (_, true) => response(304, then, OriginBody::whole("")),
                (_, false) => response(200, then, OriginBody::whole("two")),
            })
        }
    });
    House::general(origin)
}

#[tokio::test]
async fn a_304_makes_the_stored_answer_new() {
    let house = validating(
        &[
            ("cache-control", "max-age=2"),
            ("etag", "\"a\""),
            ("last-modified", MODIFIED),
            ("content-encoding", "x-one"),
            ("a", "1"),
            ("b", "1"),
        ],
        &[
            ("cache-control", "max-age=60"),
            ("etag", "\"a\""),
            ("content-length", "99"),
            ("content-encoding", "x-two"),
            ("connection", "hop"),
            ("hop", "1"),
            ("b", "2"),
        ],
    );
    assert_eq!(house.text("/a").await.1, "one");
    house.pass(2_000);
    for expected in [
        "nova; fwd=stale; fwd-status=304; stored; ttl=60",
        "nova; hit; ttl=60",
    ] {
        let response = house.get("/a").await;
        assert_eq!(
            (response.status().as_u16(), status(&response)),
            (200, expected)
        );
        assert_eq!(field(&response, "a"), Some("1"));
        assert_eq!(field(&response, "b"), Some("2"));
        assert_eq!(field(&response, "hop"), None);
        assert_eq!(field(&response, "content-length"), Some("3"));
        assert_eq!(field(&response, "content-encoding"), Some("x-one"));
        assert_eq!(text(response).await, "one");
    }
    let asked = house.origin.headers(1);
    assert_eq!(asked["if-none-match"], "\"a\"");
    assert_eq!(asked["if-modified-since"], MODIFIED);
    assert_eq!(house.origin.calls(), 2);
}

#[tokio::test]
async fn no_cache_is_asked_about_before_each_use() {
    let fields = &[
        ("cache-control", "no-cache, max-age=60"),
        ("etag", "W/\"a\""),
    ];
    let house = validating(fields, fields);
    for calls in 1..=3 {
        assert_eq!(house.text("/a").await.1, "one");
        assert_eq!(house.origin.calls(), calls);
    }
    assert_eq!(house.origin.headers(2)["if-none-match"], "W/\"a\"");
}

#[tokio::test]
async fn what_has_no_lifetime_but_a_validator_is_asked_about() {
    let fields = &[("last-modified", "Tue, 14 Nov 2023 22:13:20 GMT")];
    let house = validating(fields, fields);
    assert_eq!(house.text("/a").await.1, "one");
    assert_eq!(house.text("/a").await.1, "one");
    let asked = house.origin.headers(1);
    assert_eq!(asked["if-modified-since"], "Tue, 14 Nov 2023 22:13:20 GMT");
    assert!(!asked.contains_key("if-none-match"));
}

#[tokio::test]
async fn an_answer_in_full_replaces_what_was_asked_about() {
    let origin = Origin::new(|n| async move {
        let fields: &[_] = match n {
            1 => &[
                ("cache-control", "max-age=2"),
                ("etag", "\"a\""),
                ("a", "1"),
            ],
            _ => &[("cache-control", "max-age=60"), ("etag", "\"b\"")],
        };
        let body = OriginBody::whole(if n == 1 { "one" } else { "two" });
        Ok(response(200, fields, body))
    });
    let house = House::general(origin);
    assert_eq!(house.text("/a").await.1, "one");
    house.pass(2_000);
    for _ in 0..2 {
        let response = house.get("/a").await;
        assert_eq!(
            (field(&response, "a"), field(&response, "etag")),
            (None, Some("\"b\""))
        );
        assert_eq!(text(response).await, "two");
    }
    assert_eq!(house.origin.calls(), 2);
}

#[tokio::test]
async fn a_304_for_something_else_is_asked_again_without_conditions() {
    let house = validating(
        &[("cache-control", "max-age=2"), ("etag", "\"a\"")],
        &[("cache-control", "max-age=60"), ("etag", "\"b\"")],
    );
    assert_eq!(house.text("/a").await.1, "one");
    house.pass(2_000);
    assert_eq!(house.text("/a").await, (200, "two".to_owned()));
    assert_eq!(house.origin.calls(), 3);
    assert!(!house.origin.headers(2).contains_key("if-none-match"));
}

#[tokio::test]
async fn a_client_with_a_good_copy_is_told_so_after_validation() {
    let house = validating(
        &[("cache-control", "max-age=2"), ("etag", "\"a\"")],
        &[("cache-control", "max-age=60")],
    );
    assert_eq!(house.text("/a").await.1, "one");
    house.pass(2_000);
    // It is the stored tag that is asked about, not the client's.
    let request = get_with("/a", &[("if-none-match", "\"z\", \"a\"")]);
    let response = house.ask(request).await;
    assert_eq!(response.status(), 304);
    assert_eq!(field(&response, "etag"), Some("\"a\""));
    assert_eq!(house.origin.headers(1)["if-none-match"], "\"a\"");
    assert_eq!(bytes(response).await.unwrap(), "");
}

#[tokio::test]
async fn conditions_are_answered_from_what_is_stored() {
    let house = House::general(Origin::fixed(
        "x",
        &[
            ("cache-control", "max-age=60"),
            ("etag", "\"a\""),
            ("last-modified", MODIFIED),
        ],
    ));
    let conditions: [(&[(&str, &str)], u16); 6] = [
        (&[("if-none-match", "\"a\"")], 304),
        (&[("if-none-match", "\"1\", W/\"a\", \"2\"")], 304),
        (&[("if-none-match", "\"1\"")], 200),
        (&[("if-modified-since", MODIFIED)], 304),
        (
            &[("if-modified-since", "Monday, 13-Nov-23 22:13:21 GMT")],
            304,
        ),
        (
            &[
                ("if-none-match", "\"a\""),
                ("if-modified-since", "Sun, 12 Nov 2023 00:00:00 GMT"),
            ],
            304,
        ),
    ];
    assert_eq!(house.text("/a").await.0, 200);
    for (fields, code) in conditions {
        assert_eq!(
            house.ask(get_with("/a", fields)).await.status(),
            code,
            "{fields:?}"
        );
    }
    assert_eq!(house.origin.calls(), 1);
}

#[tokio::test]
async fn a_date_does_not_say_that_media_have_not_changed() {
    let house = House::new(Origin::fixed(
        "x",
        &[("cache-control", "max-age=60"), ("date", MODIFIED)],
    ));
    for _ in 0..2 {
        let since = get_with("/a.m3u8", &[("if-modified-since", MODIFIED)]);
        assert_eq!(house.ask(since).await.status(), 200);
    }
    assert_eq!(house.origin.calls(), 1);
}

#[tokio::test]
async fn a_range_of_what_is_stale_is_given_after_validation() {
    let house = validating(
        &[("cache-control", "max-age=2"), ("etag", "\"a\"")],
        &[("cache-control", "max-age=60")],
    );
    assert_eq!(house.text("/a").await.1, "one");
    house.pass(2_000);
    let response = house.ask(get_with("/a", &[("range", "bytes=1-")])).await;
    assert_eq!(response.status(), 206);
    assert_eq!(text(response).await, "ne");
    assert!(!house.origin.headers(1).contains_key("range"));
}

#[tokio::test]
async fn stale_is_given_while_it_is_asked_for_anew() {
    let origin = Origin::new(|n| async move {
        let control = match n {
            1 => "max-age=1, stale-while-revalidate=10",
            _ => "max-age=60",
        };
        let body = OriginBody::whole(if n == 1 { "one" } else { "two" });
        Ok(response(200, &[("cache-control", control)], body))
    });
    let house = House::general(origin);
    assert_eq!(house.text("/a").await.1, "one");
    house.pass(3_000);
    let stale = house.get("/a").await;
    assert_eq!(status(&stale), "nova; hit; ttl=-2");
    assert_eq!(text(stale).await, "one");
    until(|| house.origin.calls() == 2).await;
    within(async {
        while house.text("/a").await.1 != "two" {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(house.origin.calls(), 2);
}

#[tokio::test]
async fn stale_is_not_given_past_its_window() {
    let house = validating(
        &[
            ("cache-control", "max-age=1, stale-while-revalidate=10"),
            ("etag", "\"a\""),
        ],
        &[("cache-control", "max-age=60")],
    );
    assert_eq!(house.text("/a").await.1, "one");
    house.pass(11_000);
    let response = house.get("/a").await;
    assert_eq!(
        status(&response),
        "nova; fwd=stale; fwd-status=304; stored; ttl=60"
    );
}

/// An origin of media, asked about what is stored.
#[tokio::test]
async fn media_are_asked_about_too() {
    let origin = Origin::told(|n, request| {
        let asked: HeaderMap = request.headers().clone();
        async move {
            let fields = [("cache-control", "max-age=1"), ("etag", "\"a\"")];
            let status = match n {
                1 => 200,
                _ => {
                    assert_eq!(asked["if-none-match"], "\"a\"");
                    304
                }
            };
            let body = OriginBody::whole(if n == 1 { "one" } else { "" });
            Ok(response(status, &fields, body))
        }
    });
    let house = House::new(origin);
    for _ in 0..3 {
        assert_eq!(house.text("/1.m4s").await, (200, "one".to_owned()));
        house.pass(1_000);
    }
    assert_eq!(house.origin.calls(), 3);
}
