//! An edge between a client and an origin that send any fields: it never panics, a part is
//! a part of the whole, and what must not be stored is asked for again.
#![no_main]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use edge::{Edge, EdgeConfig, RequestBody};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use media::{ManualClock, Micros, Timestamp};
use tokio::runtime::Runtime;
use tower_service::Service;

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

fn fields(pairs: &[(u8, &[u8])]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for (name, value) in pairs.iter().take(16) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            fields.append(NAMES[usize::from(*name) % NAMES.len()].clone(), value);
        }
    }
    fields
}

/// Answers always the same, and counts.
#[derive(Clone)]
struct Origin {
    calls: Arc<AtomicUsize>,
    status: u16,
    fields: Arc<Mutex<HeaderMap>>,
}

impl Service<Request<RequestBody>> for Origin {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<RequestBody>) -> Self::Future {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let mut response = Response::new(Full::new(Bytes::from_static(BODY)));
        *response.status_mut() = self.status.try_into().expect("a status");
        *response.headers_mut() = self.fields.lock().expect("no panic before").clone();
        ready(Ok(response))
    }
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
});

fuzz_target!(|exchange: Exchange<'_>| {
    let status = match exchange.status % 8 {
        0 => 206,
        1 => 304,
        2 => 404,
        3 => 200 + exchange.status / 8 % 400,
        _ => 200,
    };
    let answered = fields(&exchange.answered);
    let control = answered
        .get_all("cache-control")
        .iter()
        .chain(answered.get_all("cdn-cache-control"))
        .chain(answered.get_all("nova-cache-control"));
    // Alone, so that nothing overrides it.
    let control: Vec<_> = control.collect();
    let no_store = control.len() == 1 && control[0].as_bytes().eq_ignore_ascii_case(b"no-store");
    let origin = Origin {
        calls: Arc::default(),
        status,
        fields: Arc::new(Mutex::new(answered)),
    };
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(
        1_700_000_000_000_000,
    )));
    let config = match exchange.general {
        true => EdgeConfig::general(),
        false => EdgeConfig::default(),
    };
    let mut edge = Edge::new(config, origin.clone(), clock.clone());
    let methods = [
        "GET", "GET", "GET", "HEAD", "POST", "PUT", "OPTIONS", "DELETE",
    ];
    let method = methods[usize::from(exchange.method) % methods.len()];
    RUNTIME.block_on(async {
        for (method, asked) in [
            (method, &exchange.asked),
            ("GET", &exchange.again),
            ("GET", &exchange.again),
        ] {
            let mut request = Request::new(Empty::<Bytes>::new());
            *request.method_mut() = method.parse().expect("a method");
            *request.uri_mut() = "/a".parse().expect("a target");
            *request.headers_mut() = fields(asked);
            let Ok(response) = edge.call(request).await;
            let (parts, body) = response.into_parts();
            let from_store = parts
                .headers
                .get("cache-status")
                .is_some_and(|status| status.as_bytes().starts_with(b"nova; hit"));
            assert!(!(no_store && from_store), "no-store was stored");
            if let Ok(body) = body.collect().await {
                let body = body.to_bytes();
                if status == 200 && parts.status == 206 {
                    let at = BODY.windows(body.len()).any(|window| window == body);
                    assert!(at && !body.is_empty(), "{body:?} is no part of the whole");
                }
            }
            clock.advance(Micros::new(i64::from(exchange.passes) * 1_000));
        }
    });
});
