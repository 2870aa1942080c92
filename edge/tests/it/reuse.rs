//! Which answers of a general origin are given again, and for how long (RFC 9111 3, 4.2).

use std::sync::Arc;

use tokio::sync::Notify;

use crate::origin::*;

type Fields = &'static [(&'static str, &'static str)];

/// The instant at which [`House`] begins, and others near it.
const NOW: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
const DAY_AGO: &str = "Mon, 13 Nov 2023 22:13:20 GMT";
const IN_10_S: &str = "Tue, 14 Nov 2023 22:13:30 GMT";

/// Does a second request, `millis` later, get the first one's answer?
async fn reused(status: u16, fields: Fields, millis: i64) -> bool {
    let origin =
        Origin::new(move |_| async move { Ok(response(status, fields, OriginBody::whole("x"))) });
    let house = House::general(origin);
    let first = house.get("/a").await;
    assert_eq!(first.status(), status);
    bytes(first).await.unwrap();
    house.pass(millis);
    let second = house.get("/a").await;
    assert_eq!(second.status(), status);
    bytes(second).await.unwrap();
    house.origin.calls() == 1
}

macro_rules! fields {
    ($($name:literal: $value:expr),* $(,)?) => { &[$(($name, $value)),*] };
}

#[tokio::test]
async fn lifetimes_end_when_the_origin_says() {
    let cases: &[(Fields, i64, bool)] = &[
        (fields! {}, 0, false),
        (fields! {"cache-control": "max-age=10"}, 9_999, true),
        (fields! {"cache-control": "max-age=10"}, 10_000, false),
        (fields! {"cache-control": "max-age=0"}, 0, false),
        (fields! {"cache-control": "max-age=-10"}, 0, false),
        (
            fields! {"cache-control": "max-age=99999999999"},
            3_000,
            true,
        ),
        (
            fields! {"cache-control": "max-age=1, s-maxage=10"},
            3_000,
            true,
        ),
        (
            fields! {"cache-control": "max-age=10, s-maxage=1"},
            3_000,
            false,
        ),
        (
            fields! {"cache-control": "ext=\"max-age=10\", max-age=1"},
            3_000,
            false,
        ),
        (fields! {"cache-control": "max-age='10'"}, 0, false),
        (
            fields! {"cache-control": "max-age=10", "expires": "0"},
            3_000,
            true,
        ),
        (
            fields! {"cache-control": "max-age=0", "expires": IN_10_S},
            0,
            false,
        ),
        (
            fields! {"cache-control": "max-age=10", "age": "20"},
            0,
            false,
        ),
        (
            fields! {"cache-control": "max-age=10", "age": "20, 0"},
            0,
            false,
        ),
        (
            fields! {"cache-control": "max-age=10", "age": "old"},
            3_000,
            true,
        ),
        (
            fields! {"cache-control": "max-age=10", "date": DAY_AGO},
            0,
            false,
        ),
        (fields! {"expires": IN_10_S, "date": NOW}, 9_999, true),
        (fields! {"expires": IN_10_S, "date": NOW}, 10_000, false),
        (fields! {"expires": IN_10_S, "date": "no date"}, 9_999, true),
        (fields! {"expires": NOW, "date": NOW}, 0, false),
        (fields! {"expires": NOW, "date": IN_10_S}, 0, false),
        (fields! {"expires": "0", "date": NOW}, 0, false),
        (
            fields! {"expires": "TUE, 14 nov 2023 22:13:30 gmt", "date": NOW},
            3_000,
            true,
        ),
        (
            fields! {"expires": "Tue, 14 Nov 2023 22:13:30 UTC", "date": NOW},
            0,
            false,
        ),
    ];
    for &(fields, millis, expected) in cases {
        assert_eq!(reused(200, fields, millis).await, expected, "{fields:?}");
    }
}

#[tokio::test]
async fn a_lifetime_is_guessed_only_where_the_rfc_allows_it() {
    let modified: Fields = fields! {"last-modified": DAY_AGO, "date": NOW};
    for (status, expected) in [
        (200, true),
        (203, true),
        (204, true),
        (404, true),
        (405, true),
        (410, true),
        (414, true),
        (501, true),
        (201, false),
        (202, false),
        (403, false),
        (502, false),
        (503, false),
        (504, false),
        (599, false),
    ] {
        assert_eq!(reused(status, modified, 3_000).await, expected, "{status}");
    }
    let public = fields! {"last-modified": DAY_AGO, "date": NOW, "cache-control": "public"};
    assert!(reused(599, public, 3_000).await);
    // A tenth of a day.
    assert!(reused(200, modified, 8_639_000).await);
}

#[tokio::test]
async fn every_final_status_is_stored_where_the_origin_gives_it_a_lifetime() {
    for status in [
        200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 404, 410, 499, 500, 502, 503, 504, 599,
    ] {
        let fresh = fields! {"cache-control": "max-age=10"};
        assert!(reused(status, fresh, 3_000).await, "{status}");
        let stale = fields! {"expires": DAY_AGO, "date": NOW};
        assert!(!reused(status, stale, 0).await, "{status}");
    }
}

#[tokio::test]
async fn what_must_not_be_stored_is_not() {
    for (status, control, expected) in [
        (200, "no-store, max-age=10", false),
        (200, "No-StOrE", false),
        (200, "private, max-age=10", false),
        (200, "no-cache, max-age=10", false),
        (200, "private=\"x\", max-age=10", true),
        (200, "no-cache=\"x\", max-age=10", true),
        (200, "no-store, must-understand, max-age=10", true),
        (599, "no-store, must-understand, max-age=10", false),
        (599, "must-understand, max-age=10", false),
    ] {
        let fields = Box::leak(Box::new([("cache-control", control)]));
        assert_eq!(reused(status, fields, 0).await, expected, "{control}");
    }
}

#[tokio::test]
async fn a_targeted_field_hides_cache_control_and_expires() {
    let cases: &[(Fields, bool)] = &[
        (fields! {"cdn-cache-control": "max-age=10"}, true),
        (
            fields! {"cdn-cache-control": "max-age=10", "cache-control": "max-age=1"},
            true,
        ),
        (
            fields! {"cdn-cache-control": "max-age=1", "cache-control": "max-age=10"},
            false,
        ),
        (
            fields! {"cdn-cache-control": "max-age=10", "cache-control": "no-store"},
            true,
        ),
        (
            fields! {"cdn-cache-control": "no-store", "cache-control": "max-age=10"},
            false,
        ),
        (
            fields! {"cdn-cache-control": "no-cache", "expires": IN_10_S},
            false,
        ),
        (
            fields! {"cdn-cache-control": "private", "cache-control": "max-age=10"},
            false,
        ),
        (
            fields! {"cdn-cache-control": "max-age=0", "expires": IN_10_S},
            false,
        ),
        (
            fields! {"cdn-cache-control": "max-age=10", "age": "20"},
            false,
        ),
        (
            fields! {"cdn-cache-control": "max-age=10, &&", "cache-control": "no-store"},
            false,
        ),
        (
            fields! {"cdn-cache-control": "max-age=\"10\"", "cache-control": "no-store"},
            false,
        ),
        (
            fields! {"cdn-cache-control": "no-store", "nova-cache-control": "max-age=10"},
            true,
        ),
        (
            fields! {"nova-cache-control": "", "cdn-cache-control": "max-age=10"},
            true,
        ),
    ];
    for &(fields, expected) in cases {
        assert_eq!(reused(200, fields, 3_000).await, expected, "{fields:?}");
    }
}

#[tokio::test]
async fn fields_that_are_private_reach_the_first_client_only() {
    let house = House::general(Origin::fixed(
        "x",
        &[
            ("cache-control", "max-age=60, private=\"a\""),
            ("cache-control", "no-cache=\"b\""),
            ("a", "1"),
            ("b", "2"),
            ("c", "3"),
        ],
    ));
    let first = house.get("/a").await;
    assert_eq!(
        (field(&first, "a"), field(&first, "b")),
        (Some("1"), Some("2"))
    );
    bytes(first).await.unwrap();
    let second = house.get("/a").await;
    assert!(status(&second).contains("hit"));
    assert_eq!((field(&second, "a"), field(&second, "b")), (None, None));
    assert_eq!(field(&second, "c"), Some("3"));
}

#[tokio::test]
async fn e14_authorised_answers_are_reused_with_permission_only() {
    for (control, expected) in [
        ("max-age=60", false),
        ("max-age=60, public", true),
        ("max-age=60, must-revalidate", true),
        ("s-maxage=60", true),
    ] {
        let fields = Box::leak(Box::new([("cache-control", control)]));
        let house = House::general(Origin::fixed("x", fields));
        let authorised = get_with("/a", &[("authorization", "Bearer t")]);
        bytes(house.ask(authorised).await).await.unwrap();
        assert_eq!(house.origin.headers(0)["authorization"], "Bearer t");
        bytes(house.get("/a").await).await.unwrap();
        assert_eq!(house.origin.calls() == 1, expected, "{control}");
    }
}

#[tokio::test]
async fn e09_stale_answers_are_given_while_the_origin_fails_unless_it_forbids_it() {
    for (control, expected) in [
        ("max-age=2", 200),
        ("max-age=2, stale-if-error=60", 200),
        ("max-age=2, must-revalidate", 502),
        ("max-age=2, proxy-revalidate", 502),
        ("max-age=2, no-cache", 502),
        ("max-age=2, s-maxage=2", 502),
    ] {
        let origin = Origin::new(move |n| async move {
            match n {
                1 => Ok(response(
                    200,
                    &[("cache-control", control), ("etag", "\"a\"")],
                    OriginBody::whole("x"),
                )),
                _ => Err(edge::UpstreamError::Protocol("lost".to_owned())),
            }
        });
        let house = House::general(origin);
        assert_eq!(house.text("/a").await.0, 200);
        house.pass(3_000);
        assert_eq!(house.text("/a").await.0, expected, "{control}");
    }
}

#[tokio::test]
async fn e09_a_slow_origin_is_waited_for() {
    let gate = Arc::<Notify>::default();
    let opened = Arc::clone(&gate);
    let origin = Origin::new(move |n| {
        let gate = Arc::clone(&gate);
        async move {
            if n > 1 {
                gate.notified().await;
            }
            let body = OriginBody::whole(if n == 1 { "old" } else { "new" });
            Ok(response(200, &[("cache-control", "max-age=2")], body))
        }
    });
    // What media would be answered at once.
    let house = House::with(origin, |config| {
        *config = edge::EdgeConfig {
            stale_wait: std::time::Duration::ZERO,
            ..edge::EdgeConfig::general()
        };
    });
    assert_eq!(house.text("/a").await.1, "old");
    house.pass(3_000);
    let answer = async {
        until(|| house.origin.calls() == 2).await;
        opened.notify_one();
    };
    let ((_, text), ()) = tokio::join!(house.text("/a"), answer);
    assert_eq!(text, "new");
}

#[tokio::test]
async fn a_post_that_says_where_its_answer_is_stands_for_a_get() {
    for (location, expected) in [("/a", true), ("a", true), ("/b", false)] {
        let origin = Origin::new(move |_| async move {
            let fields = [
                ("cache-control", "max-age=60"),
                ("content-location", location),
            ];
            Ok(response(200, &fields, OriginBody::whole("x")))
        });
        let house = House::general(origin);
        bytes(house.ask(send_with("POST", "/a", &[])).await)
            .await
            .unwrap();
        assert_eq!(house.text("/a").await.1, "x");
        assert_eq!(house.origin.calls() == 1, expected, "{location}");
    }
}
