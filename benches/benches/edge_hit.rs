//! The hit path of the edge without sockets: from a request to the whole of its answer.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use edge::access::{AccessConfig, Gate, KeyRing};
use edge::server::{Peer, PlainRequest};
use edge::usage::{Usage, UsageConfig};
use edge::{Edge, EdgeConfig, RequestBody};
use http_body_util::{BodyExt, Empty, Full};
use hyper::{Request, Response};
use media::SystemClock;
use tower_service::Service;

/// The path of every request.
const PATH: &str = "/live/demo/0/v0/1234567.m4s";

/// Answers everything with 2 KB that may be kept.
#[derive(Clone)]
struct Origin;

impl Service<Request<RequestBody>> for Origin {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<RequestBody>) -> Self::Future {
        let mut response = Response::new(Full::new(Bytes::from(vec![7; 2_048])));
        for (name, value) in [
            ("content-type", "video/iso.segment"),
            ("cache-control", "public, max-age=31536000, immutable"),
            ("etag", "\"0-v0-1234567\""),
            ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
        ] {
            let value = hyper::header::HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        ready(Ok(response))
    }
}

/// As hls.js in a browser asks.
fn request() -> Request<Empty<Bytes>> {
    let request = Request::get(PATH)
        .header("host", "play.example:8080")
        .header("accept", "*/*")
        .header("accept-language", "en-GB,en;q=0.9")
        .header("accept-encoding", "gzip, deflate")
        .header("origin", "http://www.example")
        .header("referer", "http://www.example/")
        .header(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
        )
        .header("connection", "keep-alive");
    request.body(Empty::new()).expect("a valid request")
}

fn hit(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let _inside = runtime.enter();
    let mut edge = Edge::new(EdgeConfig::default(), Origin, Arc::new(SystemClock));
    runtime.block_on(async {
        let response = edge
            .call(request())
            .await
            .unwrap_or_else(|never| match never {});
        let body = response.into_body().collect().await.expect("a whole body");
        assert_eq!(body.to_bytes().len(), 2_048);
    });
    let (usage, _) = Usage::new(&UsageConfig::default()).expect("no access log");
    let gate = Gate::new(AccessConfig::default(), KeyRing::default());
    let hits = edge.hits(gate, usage, &["/live/"]);
    let plain = PlainRequest {
        path: PATH,
        user_agent: Some(b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"),
        peer: Peer {
            address: ([127, 0, 0, 1], 8_080).into(),
            is_tls: false,
        },
    };
    // With all that is counted, which `edge/hit` is without.
    criterion.bench_function("edge/fast_path", |bencher| {
        bencher.iter(|| hits.answer(black_box(&plain)).expect("a hit"));
    });
    let mut context = Context::from_waker(Waker::noop());
    criterion.bench_function("edge/request", |bencher| bencher.iter(request));
    criterion.bench_function("edge/hit", |bencher| {
        bencher.iter_batched(
            request,
            |request| {
                let Poll::Ready(Ok(response)) = pin!(edge.call(request)).poll(&mut context) else {
                    panic!("not a hit");
                };
                let mut body = pin!(response.into_body());
                let mut bytes = 0;
                while let Poll::Ready(Some(frame)) =
                    http_body::Body::poll_frame(body.as_mut(), &mut context)
                {
                    bytes += frame.expect("a frame").data_ref().map_or(0, Bytes::len);
                }
                assert_eq!(black_box(bytes), 2_048);
            },
            criterion::BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, hit);
criterion_main!(benches);
