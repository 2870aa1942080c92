//! Changes make stored answers invalid (RFC 9111 4.4), and a HEAD makes them new (4.3.5).

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::origin::*;

/// An origin that answers a GET with the number of the request, and others with `status`
/// and `fields`.
fn counting(status: u16, fields: &'static [(&'static str, &'static str)]) -> House {
    let origin = Origin::told(move |n, request| {
        let is_get = request.method() == http::Method::GET;
        async move {
            Ok(match is_get {
                true => response(
                    200,
                    &[("cache-control", "max-age=60")],
                    OriginBody::whole(n.to_string().leak()),
                ),
                false => response(status, fields, OriginBody::whole("")),
            })
        }
    });
    House::general(origin)
}

#[tokio::test]
async fn a_change_that_succeeds_invalidates_and_one_that_fails_does_not() {
    for method in ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH"] {
        for (code, expected) in [(200, "3"), (204, "3"), (303, "3"), (404, "1"), (500, "1")] {
            let house = counting(code, &[]);
            assert_eq!(house.text("/a").await.1, "1");
            let response = house.ask(send_with(method, "/a", &[])).await;
            assert_eq!(response.status(), code);
            assert!(status(&response).starts_with("nova; fwd=method"));
            assert_eq!(house.text("/a").await.1, expected, "{method} {code}");
            assert_eq!(house.origin.methods()[1], method);
        }
    }
    let house = counting(200, &[]);
    assert_eq!(house.text("/a").await.1, "1");
    assert_eq!(
        house.ask(send_with("OPTIONS", "/a", &[])).await.status(),
        200
    );
    assert_eq!(house.text("/a").await.1, "1");
}

#[tokio::test]
async fn locations_on_the_same_host_are_invalidated_too() {
    let house = counting(
        201,
        &[
            ("location", "/b?x=1"),
            ("content-location", "http://edge.example/c"),
        ],
    );
    for target in ["/b?x=1", "/c", "/d"] {
        house.text(target).await;
    }
    let change = send_with("POST", "/a", &[("host", "edge.example")]);
    assert_eq!(house.ask(change).await.status(), 201);
    for (target, expected) in [("/b?x=1", "5"), ("/c", "6"), ("/d", "3")] {
        assert_eq!(house.text(target).await.1, expected, "{target}");
    }
    // Another host's is none of this one's business.
    let change = send_with("POST", "/a", &[("host", "other.example")]);
    assert_eq!(house.ask(change).await.status(), 201);
    assert_eq!(house.text("/c").await.1, "6");
}

#[tokio::test]
async fn what_was_asked_for_before_a_change_is_not_given_after_it() {
    let (pieces, body) = OriginBody::open();
    let old = Mutex::new(Some(body));
    let origin = Origin::told(move |_, request| {
        let body = match *request.method() {
            http::Method::GET => old.lock().unwrap().take(),
            _ => None,
        };
        async move {
            let body = body.unwrap_or_else(|| OriginBody::whole("new"));
            Ok(response(200, &[("cache-control", "max-age=60")], body))
        }
    });
    let house = House::general(origin);
    let early = house.ask(get("/a")).await;
    assert_eq!(house.ask(send_with("PUT", "/a", &[])).await.status(), 200);
    // Not the old fill's, which still runs.
    assert_eq!(house.text("/a").await.1, "new");
    send(&pieces, "old");
    drop(pieces);
    assert_eq!(text(early).await, "old");
    // And its end brings nothing back.
    assert_eq!(house.text("/a").await.1, "new");
    assert_eq!(house.origin.calls(), 3);
}

#[tokio::test]
async fn a_head_is_forwarded_and_makes_the_stored_answer_new_or_removes_it() {
    let heads: [(&[(&str, &str)], &str); 4] = [
        (&[("cache-control", "max-age=60"), ("a", "2")], "one"),
        (&[("cache-control", "max-age=60"), ("etag", "\"b\"")], "two"),
        (
            &[("cache-control", "max-age=60"), ("content-length", "9")],
            "two",
        ),
        (&[("cache-control", "no-store")], "two"),
    ];
    for (heard, expected) in heads {
        let origin = Origin::told(move |n, request| {
            let is_head = request.method() == http::Method::HEAD;
            async move {
                Ok(match (is_head, n) {
                    (true, _) => response(200, heard, OriginBody::whole("")),
                    (false, 1) => {
                        let fields = [
                            ("cache-control", "max-age=2"),
                            ("etag", "\"a\""),
                            ("a", "1"),
                        ];
                        response(200, &fields, OriginBody::whole("one"))
                    }
                    (false, _) => response(200, &[], OriginBody::whole("two")),
                })
            }
        });
        let house = House::general(origin);
        assert_eq!(house.text("/a").await.1, "one");
        let fresh = house.ask(send_with("HEAD", "/a", &[])).await;
        assert_eq!(field(&fresh, "content-length"), Some("3"));
        assert_eq!(house.origin.calls(), 1);
        house.pass(2_000);
        // One that is nobody else's says nothing of what is stored.
        let own = send_with("HEAD", "/a", &[("authorization", "Bearer t")]);
        assert_eq!(house.ask(own).await.status(), 200);
        let stale = house.ask(send_with("HEAD", "/a", &[])).await;
        assert_eq!(stale.status(), 200);
        assert_eq!(bytes(stale).await.unwrap(), "");
        assert_eq!(house.origin.methods(), ["GET", "HEAD", "HEAD"]);
        let after = house.get("/a").await;
        let renewed = field(&after, "a").map(str::to_owned);
        assert_eq!(text(after).await, expected, "{heard:?}");
        if expected == "one" {
            assert_eq!(renewed.as_deref(), Some("2"));
            assert_eq!(house.origin.calls(), 3);
        }
    }
}

/// RFC 9111 4.3.5: the validators that come must match, also where none is stored.
#[tokio::test]
async fn a_head_with_a_tag_does_not_make_new_what_has_none() {
    let origin = Origin::told(|n, request| {
        let is_head = request.method() == http::Method::HEAD;
        async move {
            Ok(match is_head {
                true => {
                    let fields = [("cache-control", "max-age=60"), ("etag", "\"b\"")];
                    response(200, &fields, OriginBody::whole(""))
                }
                false => {
                    let fields = [("cache-control", "max-age=2, stale-while-revalidate=9")];
                    response(200, &fields, OriginBody::whole(["one", "", "two"][n - 1]))
                }
            })
        }
    });
    let house = House::general(origin);
    assert_eq!(house.text("/a").await.1, "one");
    let forced = send_with("HEAD", "/a", &[("cache-control", "no-cache")]);
    assert_eq!(field(&house.ask(forced).await, "etag"), Some("\"b\""));
    assert_eq!(house.text("/a").await.1, "two");
}

#[tokio::test]
async fn a_head_of_what_is_there_again_does_not_make_its_absence_new() {
    let origin = Origin::told(|n, request| {
        let status = match (request.method() == http::Method::HEAD, n) {
            (false, 1) => 404,
            _ => 200,
        };
        async move {
            let fields = [("cache-control", "max-age=2")];
            let body = OriginBody::whole(if status == 404 { "none" } else { "" });
            Ok(response(status, &fields, body))
        }
    });
    let house = House::general(origin);
    assert_eq!(house.text("/a").await, (404, "none".to_owned()));
    house.pass(2_000);
    let head = house.ask(send_with("HEAD", "/a", &[])).await;
    assert_eq!(head.status(), 200);
    assert_eq!(house.text("/a").await.0, 200);
    assert_eq!(house.origin.methods(), ["GET", "HEAD", "GET"]);
}

#[tokio::test]
async fn a_head_from_before_a_change_says_nothing_of_what_is_stored_after_it() {
    let gate = Arc::new(Notify::new());
    let released = Arc::clone(&gate);
    let origin = Origin::told(move |_, request| {
        let is_head = request.method() == http::Method::HEAD;
        let released = Arc::clone(&released);
        async move {
            if is_head {
                released.notified().await;
            }
            let tag = if is_head { "\"old\"" } else { "\"new\"" };
            let fields = [("cache-control", "max-age=60"), ("etag", tag)];
            Ok(response(200, &fields, OriginBody::whole("")))
        }
    });
    let house = House::general(origin);
    let head = tokio::spawn(house.ask(send_with("HEAD", "/a", &[])));
    until(|| house.origin.calls() == 1).await;
    assert_eq!(house.ask(send_with("PUT", "/a", &[])).await.status(), 200);
    bytes(house.get("/a").await).await.unwrap();
    gate.notify_one();
    assert_eq!(field(&head.await.unwrap(), "etag"), Some("\"old\""));
    assert_eq!(status(&house.get("/a").await), "nova; hit; ttl=60");
    assert_eq!(house.origin.calls(), 3);
}

#[tokio::test]
async fn a_private_answer_to_a_head_leaves_what_is_stored_alone() {
    let origin = Origin::told(|_, request| {
        let fields = match request.method() == http::Method::HEAD {
            true => [("cache-control", "private"), ("etag", "\"own\"")],
            false => [("cache-control", "max-age=60"), ("etag", "\"a\"")],
        };
        async move { Ok(response(200, &fields, OriginBody::whole(""))) }
    });
    let house = House::general(origin);
    bytes(house.get("/a").await).await.unwrap();
    let forced = send_with("HEAD", "/a", &[("cache-control", "no-cache")]);
    assert_eq!(field(&house.ask(forced).await, "etag"), Some("\"own\""));
    assert_eq!(house.origin.methods(), ["GET", "HEAD"]);
    assert_eq!(status(&house.get("/a").await), "nova; hit; ttl=60");
}
