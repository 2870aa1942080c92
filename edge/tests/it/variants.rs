//! Answers that `Vary` tells apart, and who may share one that is on its way (RFC 9111 4.1).

use std::sync::Arc;

use tokio::sync::Notify;

use crate::origin::*;

/// An origin that answers with what the request has in `tone`, once it is let go.
fn by_tone(fields: &'static [(&'static str, &'static str)]) -> (Arc<Notify>, Origin) {
    let gate = Arc::new(Notify::new());
    let released = Arc::clone(&gate);
    let origin = Origin::told(move |n, request| {
        let tone = request.headers().get("tone");
        let tone = tone
            .map_or("none", |tone| tone.to_str().unwrap())
            .to_owned();
        let released = Arc::clone(&released);
        async move {
            if n == 1 {
                released.notified().await;
            }
            let body = OriginBody::whole(tone.leak());
            Ok(response(200, fields, body))
        }
    });
    (gate, origin)
}

const BY_TONE: &[(&str, &str)] = &[("cache-control", "max-age=60"), ("vary", "Tone")];

fn with_tone(value: &str) -> http::Request<http_body_util::Empty<bytes::Bytes>> {
    get_with("/a", &[("tone", value)])
}

#[tokio::test]
async fn e11_each_variant_is_stored_and_given_to_its_own() {
    let (gate, origin) = by_tone(BY_TONE);
    gate.notify_one();
    let house = House::general(origin);
    for (value, call) in [("1", 1), ("2", 2), ("1", 2), ("2", 2), (" 1 ", 2)] {
        let response = house.ask(with_tone(value)).await;
        assert_eq!(text(response).await, value.trim());
        assert_eq!(house.origin.calls(), call, "{value}");
    }
    let missing = house.get("/a").await;
    assert_eq!(status(&missing), "nova; fwd=vary-miss; stored; ttl=60");
    assert_eq!(text(missing).await, "none");
}

#[tokio::test]
async fn e11_what_the_origin_was_not_sent_selects_nothing() {
    let origin = Origin::told(|_, request| {
        let accepts = request.headers().contains_key("accept");
        async move {
            let fields = [("cache-control", "max-age=60"), ("vary", "Accept")];
            let body = OriginBody::whole(if accepts { "asked" } else { "any" });
            Ok(response(200, &fields, body))
        }
    });
    let house = House::general(origin);
    let poison = [("accept", "text/html"), ("connection", "accept")];
    assert_eq!(text(house.ask(get_with("/a", &poison)).await).await, "any");
    let asked = house.ask(get_with("/a", &[("accept", "text/html")])).await;
    assert_eq!(text(asked).await, "asked");
    assert_eq!(text(house.get("/a").await).await, "any");
    assert_eq!(house.origin.calls(), 2);
}

#[tokio::test]
async fn e11_a_follower_of_another_variant_is_given_its_own() {
    let (gate, origin) = by_tone(BY_TONE);
    let house = House::general(origin);
    let leader = house.ask(with_tone("1"));
    let same: Vec<_> = (0..10).map(|_| house.ask(with_tone("1"))).collect();
    let other: Vec<_> = (0..10)
        .map(|_| tokio::spawn(house.ask(with_tone("2"))))
        .collect();
    gate.notify_one();
    assert_eq!(text(leader.await).await, "1");
    for pending in same {
        assert_eq!(text(pending.await).await, "1");
    }
    for pending in other {
        assert_eq!(text(pending.await.unwrap()).await, "2");
    }
    // The ten that were misled share one fill.
    assert_eq!(house.origin.calls(), 2);
}

#[tokio::test]
async fn e05_what_is_for_one_client_is_given_to_no_other() {
    for control in ["no-store", "private, max-age=60", "no-cache"] {
        let fields = Box::leak(Box::new([("cache-control", control)]));
        let (gate, origin) = by_tone(fields);
        let house = House::general(origin);
        let clients: Vec<_> = ["1", "2", "3"]
            .map(|value| (value, tokio::spawn(house.ask(with_tone(value)))))
            .into();
        gate.notify_one();
        for (value, pending) in clients {
            assert_eq!(text(pending.await.unwrap()).await, value, "{control}");
        }
        assert_eq!(house.origin.calls(), 3);
    }
}

#[tokio::test]
async fn e11_the_origin_may_say_that_another_variant_will_do() {
    let origin = Origin::told(|n, request| {
        let asked = request.headers().get("if-none-match").cloned();
        async move {
            let fields = [
                ("cache-control", "max-age=60"),
                ("vary", "Tone"),
                ("etag", if n == 2 { "\"b\"" } else { "\"a\"" }),
            ];
            Ok(match n {
                1 => response(200, &fields, OriginBody::whole("a")),
                2 => response(200, &fields, OriginBody::whole("b")),
                _ => {
                    assert_eq!(asked.unwrap(), "\"b\", \"a\"");
                    response(304, &fields, OriginBody::whole(""))
                }
            })
        }
    });
    let house = House::general(origin);
    for (value, body) in [("1", "a"), ("2", "b"), ("3", "a")] {
        assert_eq!(text(house.ask(with_tone(value)).await).await, body);
    }
    assert_eq!(house.origin.calls(), 3);
    let hit = house.ask(with_tone("3")).await;
    assert_eq!(status(&hit), "nova; hit; ttl=60");
    assert_eq!(text(hit).await, "a");
    assert_eq!(text(house.ask(with_tone("1")).await).await, "a");
    assert_eq!(house.origin.calls(), 3);
}

#[tokio::test]
async fn e11_another_variant_is_not_asked_about_by_its_date() {
    const MODIFIED: &str = "Tue, 14 Nov 2023 22:03:20 GMT";
    let origin = Origin::told(|n, request| {
        let fields = [("vary", "Tone"), ("last-modified", MODIFIED)];
        // Both are of one date, so that a 304 would be right for either.
        let known = request.headers().contains_key("if-modified-since");
        async move {
            Ok(match known {
                true => response(304, &fields, OriginBody::whole("")),
                false => response(200, &fields, OriginBody::whole(["a", "b"][n - 1])),
            })
        }
    });
    let house = House::general(origin);
    assert_eq!(text(house.ask(with_tone("1")).await).await, "a");
    assert_eq!(text(house.ask(with_tone("2")).await).await, "b");
}

#[tokio::test]
async fn e11_vary_on_everything_is_for_one_client() {
    let house = House::general(Origin::fixed(
        "x",
        &[("cache-control", "max-age=60"), ("vary", "Tone, *")],
    ));
    for calls in 1..=2 {
        let response = house.ask(with_tone("1")).await;
        assert_eq!(status(&response), "nova; fwd=miss; detail=vary-any");
        assert_eq!(house.origin.calls(), calls);
    }
}
