//! `Range`, `If-Range` and `Content-Range`: of an origin that counts right every part is what
//! it says; what a wrong one makes of it is at least as long as it says.
#![no_main]

use std::ops::Range;

use bytes::Bytes;
use fuzz::{Origin, ask, get, house, run};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

const OBJECT: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

#[derive(Debug, Arbitrary)]
struct Parts<'a> {
    general: bool,
    has_tag: bool,
    asked: Vec<Asked<'a>>,
    /// `Content-Range` of the origin's, in the place of the right one.
    counted: Option<&'a [u8]>,
}

#[derive(Debug, Arbitrary)]
enum Asked<'a> {
    FromTo(u8, u8),
    From(u8),
    Suffix(u8),
    Anything(&'a [u8]),
    If(u8, &'a [u8]),
}

fn bytes_of(request: &Request<()>) -> Option<Range<usize>> {
    let range = request.headers().get(RANGE)?.to_str().ok()?;
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let first: usize = first.parse().ok()?;
    let end = last
        .parse()
        .map_or(OBJECT.len(), |last: usize| last.saturating_add(1));
    let bytes = first..end.min(OBJECT.len());
    (bytes.start < bytes.end).then_some(bytes)
}

fuzz_target!(|parts: Parts<'_>| {
    let counted = parts
        .counted
        .and_then(|text| HeaderValue::from_bytes(text).ok());
    let is_honest = counted.is_none();
    let has_tag = parts.has_tag;
    let origin = Origin::new(move |request| {
        let mut response = Response::new(Full::new(Bytes::from_static(OBJECT)));
        if let Some(bytes) = bytes_of(request) {
            let right = format!("bytes {}-{}/{}", bytes.start, bytes.end - 1, OBJECT.len());
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            *response.body_mut() = Full::new(Bytes::from_static(&OBJECT[bytes]));
            let counted = counted.clone();
            let counted = counted.unwrap_or_else(|| right.try_into().expect("a field"));
            response.headers_mut().insert(CONTENT_RANGE, counted);
        }
        let headers = response.headers_mut();
        headers.insert("cache-control", HeaderValue::from_static("max-age=60"));
        if has_tag {
            headers.insert("etag", HeaderValue::from_static("\"a\""));
        }
        response
    });
    let (mut edge, _) = house(parts.general, &origin);
    run(async {
        for asked in parts.asked.iter().take(8) {
            let range = match asked {
                Asked::FromTo(first, last) | Asked::If(first, [last, ..]) => {
                    format!("bytes={first}-{last}").into_bytes()
                }
                Asked::From(first) => format!("bytes={first}-").into_bytes(),
                Asked::Suffix(length) => format!("bytes=-{length}").into_bytes(),
                Asked::Anything(text) => text.to_vec(),
                Asked::If(..) => Vec::new(),
            };
            let mut fields = HeaderMap::new();
            if let Ok(range) = HeaderValue::from_bytes(&range) {
                fields.insert(RANGE, range);
            }
            if let Asked::If(_, condition) = asked
                && let Ok(condition) = HeaderValue::from_bytes(condition)
            {
                fields.insert(IF_RANGE, condition);
            }
            let (head, body) = ask(&mut edge, get(fields)).await;
            let text = |name| head.headers.get(name)?.to_str().ok();
            let Some(body) = body else {
                assert!(!is_honest, "nothing breaks off");
                continue;
            };
            if let Some(length) = text(CONTENT_LENGTH) {
                assert_eq!(length, body.len().to_string(), "{head:?}");
            }
            if !is_honest {
                continue;
            }
            match head.status {
                StatusCode::OK => assert_eq!(body, OBJECT),
                StatusCode::PARTIAL_CONTENT => {
                    let told = text(CONTENT_RANGE).expect("a part says which it is");
                    let first = told["bytes ".len()..].split('-').next();
                    let first: usize = first.and_then(|first| first.parse().ok()).expect(told);
                    let last = first + body.len() - 1;
                    assert_eq!(told, format!("bytes {first}-{last}/{}", OBJECT.len()));
                    assert_eq!(body, OBJECT[first..=last]);
                }
                StatusCode::RANGE_NOT_SATISFIABLE => {}
                status => panic!("{status} was never sent"),
            }
        }
    });
});
