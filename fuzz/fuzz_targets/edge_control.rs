//! `Cache-Control` and the targeted fields, of answers and of requests: whatever else they say,
//! a member that forbids storage or reuse does so.
#![no_main]

use fuzz::{Origin, ask, fields, get, house, is_hit, run};
use http::header::{AGE, CACHE_CONTROL, DATE, ETAG, EXPIRES, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use media::Micros;

const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");
const NOVA_CACHE_CONTROL: HeaderName = HeaderName::from_static("nova-cache-control");

const NAMES: [HeaderName; 8] = [
    CACHE_CONTROL,
    CDN_CACHE_CONTROL,
    NOVA_CACHE_CONTROL,
    EXPIRES,
    DATE,
    AGE,
    ETAG,
    LAST_MODIFIED,
];

#[derive(Debug, Arbitrary)]
struct Control<'a> {
    general: bool,
    answered: Vec<(u8, &'a [u8])>,
    asked: &'a [u8],
    passes: u32,
}

/// Is what is answered so given again, to a request that says `asked`, after so long?
fn is_reused(control: &Control<'_>, answered: HeaderMap, asked: &[&[u8]]) -> bool {
    let origin = Origin::fixed(200, answered, b"x");
    let (mut edge, clock) = house(control.general, &origin);
    let mut request = HeaderMap::new();
    for line in asked {
        if let Ok(line) = HeaderValue::from_bytes(line) {
            request.append(CACHE_CONTROL, line);
        }
    }
    run(async {
        ask(&mut edge, get(HeaderMap::new())).await;
        clock.advance(Micros::new(i64::from(control.passes) * 1_000));
        is_hit(&ask(&mut edge, get(request)).await.0)
    })
}

fuzz_target!(|control: Control<'_>| {
    let answered = fields(&NAMES, &control.answered);
    let reused = is_reused(&control, answered.clone(), &[control.asked]);
    // Of media the wishes of a request mean nothing.
    let plainly = is_reused(&control, answered.clone(), &[]);
    assert!(control.general || reused == plainly);
    if control.general {
        let forced = is_reused(&control, answered.clone(), &[control.asked, b"no-cache"]);
        assert!(!forced, "a request without a cache was answered from it");
    }

    // Alone before the others: a quote that is never closed may hide what follows it.
    let mut forbidden = answered.clone();
    for name in [NOVA_CACHE_CONTROL, CDN_CACHE_CONTROL] {
        forbidden.remove(name);
    }
    for value in ["private", "no-cache"] {
        forbidden.append(CACHE_CONTROL, HeaderValue::from_static(value));
        assert!(!is_reused(&control, forbidden.clone(), &[]), "{value}");
        // RFC 9213 2.1: what speaks to this cache only counts before the rest.
        let mut targeted = answered.clone();
        targeted.insert(NOVA_CACHE_CONTROL, HeaderValue::from_static(value));
        assert!(!is_reused(&control, targeted, &[]), "{value}");
    }
});
