//! Parts of objects of a general origin: stored, joined, completed (RFC 9111 3.3, 3.4).

use http::Request;
use http_body_util::Empty;

use crate::origin::*;

const WHOLE: &str = "0123456789";

/// The range that a request asks for, of ten bytes.
fn asked_range(request: &Request<()>) -> Option<(usize, usize)> {
    let range = request.headers().get("range")?.to_str().unwrap();
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    Some(match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) => (first, last),
        (Ok(first), Err(_)) => (first, 9),
        (Err(_), Ok(length)) => (10_usize.checked_sub(length)?, 9),
        _ => return None,
    })
}

/// An origin of ten bytes that gives ranges, with these fields.
fn ranges(fields: &'static [(&'static str, &'static str)]) -> House {
    let origin = Origin::told(move |_, request| {
        let range = asked_range(request);
        async move {
            let Some((first, last)) = range else {
                return Ok(response(200, fields, OriginBody::whole(WHOLE)));
            };
            let content_range = format!("bytes {first}-{last}/10");
            let mut all = fields.to_vec();
            all.push(("content-range", &content_range));
            Ok(response(206, &all, OriginBody::whole(&WHOLE[first..=last])))
        }
    });
    House::general(origin)
}

const FRESH: &[(&str, &str)] = &[("cache-control", "max-age=60"), ("etag", "\"a\"")];

fn range(text: &str) -> Request<Empty<bytes::Bytes>> {
    get_with("/a", &[("range", text)])
}

#[tokio::test]
async fn e10_a_part_is_stored_and_smaller_ranges_are_given_from_it() {
    let house = ranges(FRESH);
    let first = house.ask(range("bytes=4-")).await;
    assert_eq!(first.status(), 206);
    assert_eq!(field(&first, "content-range"), Some("bytes 4-9/10"));
    assert_eq!(text(first).await, "456789");
    assert_eq!(house.origin.headers(0)["range"], "bytes=4-");
    for (asked, content_range, body) in [
        ("bytes=4-", "bytes 4-9/10", "456789"),
        ("bytes=6-8", "bytes 6-8/10", "678"),
        ("bytes=8-99", "bytes 8-9/10", "89"),
        ("bytes=-1", "bytes 9-9/10", "9"),
    ] {
        let response = house.ask(range(asked)).await;
        assert_eq!(response.status(), 206, "{asked}");
        assert_eq!(status(&response), "nova; hit; ttl=60", "{asked}");
        assert_eq!(field(&response, "content-range"), Some(content_range));
        assert_eq!(
            field(&response, "content-length"),
            Some(&*body.len().to_string())
        );
        assert_eq!(text(response).await, body);
    }
    assert_eq!(house.origin.calls(), 1);
    let outside = house.ask(range("bytes=3-5")).await;
    assert_eq!(status(&outside), "nova; fwd=partial; stored; ttl=60");
    assert_eq!(text(outside).await, "345");
}

#[tokio::test]
async fn e10_parts_are_joined_until_all_is_there() {
    let house = ranges(FRESH);
    for asked in ["bytes=0-3", "bytes=7-9", "bytes=2-7", "bytes=0-2"] {
        bytes(house.ask(range(asked)).await).await.unwrap();
    }
    assert_eq!(house.origin.calls(), 4);
    // 2 to 7 met the part from 7 on, and 0 to 2 that.
    assert_eq!(house.text("/a").await, (200, WHOLE.to_owned()));
    assert_eq!(text(house.ask(range("bytes=-10")).await).await, WHOLE);
    assert_eq!(house.origin.calls(), 4);
}

#[tokio::test]
async fn e10_a_beginning_is_completed() {
    let house = ranges(FRESH);
    assert_eq!(text(house.ask(range("bytes=0-3")).await).await, "0123");
    let whole = house.get("/a").await;
    assert_eq!(whole.status(), 200);
    assert_eq!(
        status(&whole),
        "nova; fwd=partial; fwd-status=206; stored; ttl=60"
    );
    assert_eq!(field(&whole, "content-length"), Some("10"));
    assert_eq!(field(&whole, "content-range"), None);
    assert_eq!(text(whole).await, WHOLE);
    let asked = house.origin.headers(1);
    assert_eq!(
        (asked["range"].as_bytes(), asked["if-range"].as_bytes()),
        (&b"bytes=4-"[..], &b"\"a\""[..])
    );
    assert!(status(&house.get("/a").await).contains("hit"));
    assert_eq!(house.origin.calls(), 2);
}

#[tokio::test]
async fn e10_a_rest_that_cannot_be_told_to_be_of_the_same_is_not_put_to_it() {
    let house = ranges(&[("cache-control", "max-age=60")]);
    assert_eq!(text(house.ask(range("bytes=0-3")).await).await, "0123");
    assert_eq!(house.text("/a").await, (200, WHOLE.to_owned()));
    assert_eq!(house.origin.headers(1)["range"], "bytes=4-");
    assert!(!house.origin.headers(2).contains_key("range"));
    assert_eq!(house.origin.calls(), 3);
}

#[tokio::test]
async fn e10_a_beginning_of_what_has_changed_is_replaced() {
    let origin = Origin::new(|n| async move {
        let control = ("cache-control", "max-age=60");
        Ok(match n {
            1 => response(
                206,
                &[
                    control,
                    ("etag", "\"a\""),
                    ("content-range", "bytes 0-3/10"),
                ],
                OriginBody::whole("0123"),
            ),
            _ => response(
                200,
                &[control, ("etag", "\"b\"")],
                OriginBody::whole("changed"),
            ),
        })
    });
    let house = House::general(origin);
    assert_eq!(text(house.ask(range("bytes=0-3")).await).await, "0123");
    assert_eq!(house.text("/a").await, (200, "changed".to_owned()));
    assert_eq!(text(house.ask(range("bytes=0-3")).await).await, "chan");
    assert_eq!(house.origin.calls(), 2);
}

#[tokio::test]
async fn e10_a_part_with_a_wrong_length_counts_from_its_first_byte() {
    let origin = Origin::new(|n| async move {
        let fields = [
            ("cache-control", "max-age=60"),
            ("content-range", "bytes 4-9/10"),
        ];
        Ok(match n {
            1 => response(206, &fields, OriginBody::whole("01234")),
            _ => response(200, &[], OriginBody::whole(WHOLE)),
        })
    });
    let house = House::general(origin);
    assert_eq!(text(house.ask(range("bytes=-5")).await).await, "01234");
    for (asked, content_range, body) in [
        ("bytes=-5", "bytes 4-8/9", "01234"),
        ("bytes=6-8", "bytes 6-8/9", "234"),
        ("bytes=6-", "bytes 6-8/9", "234"),
        ("bytes=-1", "bytes 8-8/9", "4"),
    ] {
        let response = house.ask(range(asked)).await;
        assert_eq!(field(&response, "content-range"), Some(content_range));
        assert_eq!(text(response).await, body);
    }
    assert_eq!(house.origin.calls(), 1);
}

#[tokio::test]
async fn e10_a_part_that_broke_off_is_not_the_whole() {
    // Without `Content-Length` the end of the connection ends the body, too early or not.
    let origin = Origin::new(|n| async move {
        let fields = [
            ("cache-control", "max-age=60"),
            ("content-range", "bytes 0-9/10"),
        ];
        Ok(match n {
            1 => response(206, &fields, OriginBody::whole("01234")),
            _ => response(200, &fields[..1], OriginBody::whole(WHOLE)),
        })
    });
    let house = House::general(origin);
    assert_eq!(text(house.ask(range("bytes=0-")).await).await, "01234");
    assert_eq!(house.text("/a").await, (200, WHOLE.to_owned()));
    assert_eq!(text(house.ask(range("bytes=0-")).await).await, WHOLE);
    assert_eq!(house.origin.calls(), 2);
}

#[tokio::test]
async fn e10_an_if_range_that_does_not_fit_is_the_origins_to_answer() {
    let house = ranges(FRESH);
    bytes(house.ask(range("bytes=4-")).await).await.unwrap();
    let fields = [("range", "bytes=6-8"), ("if-range", "\"b\"")];
    bytes(house.ask(get_with("/a", &fields)).await)
        .await
        .unwrap();
    assert_eq!(house.origin.headers(1)["if-range"], "\"b\"");
    let fits = [("range", "bytes=6-8"), ("if-range", "\"a\"")];
    let hit = house.ask(get_with("/a", &fits)).await;
    assert!(status(&hit).contains("hit"));
}

#[tokio::test]
async fn e10_several_ranges_pass_and_are_not_stored() {
    let origin = Origin::new(|_| async {
        let fields = [
            ("cache-control", "max-age=60"),
            ("content-type", "multipart/byteranges; boundary=x"),
        ];
        Ok(response(206, &fields, OriginBody::whole("--x--")))
    });
    let house = House::general(origin);
    for calls in 1..=2 {
        let response = house.ask(range("bytes=0-1,4-5")).await;
        assert_eq!(response.status(), 206);
        assert_eq!(status(&response), "nova; fwd=miss; detail=status");
        assert_eq!(text(response).await, "--x--");
        assert_eq!(house.origin.calls(), calls);
    }
}

#[tokio::test]
async fn e10_the_same_range_is_asked_for_once() {
    let house = ranges(FRESH);
    let pending: Vec<_> = (0..10).map(|_| house.ask(range("bytes=2-3"))).collect();
    let other = house.ask(range("bytes=4-5"));
    for pending in pending {
        assert_eq!(text(pending.await).await, "23");
    }
    assert_eq!(text(other.await).await, "45");
    assert_eq!(house.origin.calls(), 2);
}
