//! An edge between a client and an origin that send any fields: it never panics, a part is
//! a part of the whole, and what must not be stored is asked for again.
#![no_main]

use fuzz::{Origin, ask, fields, get, house, is_hit, run};
use http::HeaderName;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use media::Micros;

const BODY: &[u8] = b"0123456789";

/// The fields that mean something to a cache.
const NAMES: [HeaderName; 20] = [
    http::header::CACHE_CONTROL,
    HeaderName::from_static("cdn-cache-control"),
    HeaderName::from_static("nova-cache-control"),
    http::header::VARY,
    http::header::RANGE,
    http::header::IF_RANGE,
    http::header::CONTENT_RANGE,
    http::header::AGE,
    http::header::DATE,
    http::header::EXPIRES,
    http::header::LAST_MODIFIED,
    http::header::ETAG,
    http::header::IF_NONE_MATCH,
    http::header::IF_MODIFIED_SINCE,
    http::header::CONNECTION,
    http::header::ACCEPT_LANGUAGE,
    http::header::CONTENT_LANGUAGE,
    http::header::LOCATION,
    http::header::CONTENT_LOCATION,
    http::header::AUTHORIZATION,
];

#[derive(Debug, Arbitrary)]
struct Exchange<'a> {
    general: bool,
    method: u8,
    status: u16,
    asked: Vec<(u8, &'a [u8])>,
    answered: Vec<(u8, &'a [u8])>,
    again: Vec<(u8, &'a [u8])>,
    passes: u32,
}

fuzz_target!(|exchange: Exchange<'_>| {
    let status = match exchange.status % 8 {
        0 => 206,
        1 => 304,
        2 => 404,
        3 => 200 + exchange.status / 8 % 400,
        _ => 200,
    };
    let answered = fields(&NAMES, &exchange.answered);
    let control = answered
        .get_all("cache-control")
        .iter()
        .chain(answered.get_all("cdn-cache-control"))
        .chain(answered.get_all("nova-cache-control"));
    // Alone, so that nothing overrides it.
    let control: Vec<_> = control.collect();
    let no_store = control.len() == 1 && control[0].as_bytes().eq_ignore_ascii_case(b"no-store");
    let origin = Origin::fixed(status, answered, BODY);
    let (mut edge, clock) = house(exchange.general, &origin);
    let methods = [
        "GET", "GET", "GET", "HEAD", "POST", "PUT", "OPTIONS", "DELETE",
    ];
    let method = methods[usize::from(exchange.method) % methods.len()];
    run(async {
        for (method, asked) in [
            (method, &exchange.asked),
            ("GET", &exchange.again),
            ("GET", &exchange.again),
        ] {
            let mut request = get(fields(&NAMES, asked));
            *request.method_mut() = method.parse().expect("a method");
            let (parts, body) = ask(&mut edge, request).await;
            let from_store = is_hit(&parts);
            assert!(!(no_store && from_store), "no-store was stored");
            if let Some(body) = body {
                if status == 200 && parts.status == 206 {
                    let at = BODY.windows(body.len()).any(|window| window == body);
                    assert!(at && !body.is_empty(), "{body:?} is no part of the whole");
                }
            }
            clock.advance(Micros::new(i64::from(exchange.passes) * 1_000));
        }
    });
});
