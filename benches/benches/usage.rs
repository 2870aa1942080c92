//! What accounting costs a request that is a hit: an edge alone, and the same edge counted,
//! with a player that tells of itself, and with access records.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use edge::server::Peer;
use edge::usage::{AccessLogTarget, Usage, UsageConfig};
use edge::{Edge, EdgeBody, EdgeConfig, OriginKind, RequestBody};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use media::SystemClock;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

const UPKEEP: Duration = Duration::from_secs(1);
const TARGET: &str = "/live/demo/0/source/1.m4s";
/// What hls.js sends in the query.
const TOLD: &str = "?CMCD=bl%3D21300%2Cbr%3D3200%2Cd%3D4004%2Cmtp%3D48100%2Cot%3Dv%2Csf%3Dh%2C\
    sid%3D%226e2fb550-c457-11e9-bb97-0800200c9a66%22%2Cst%3Dl%2Ctb%3D6000";

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
        let mut response = Response::new(Full::new(Bytes::from_static(&[7; 2_048])));
        let fresh = http::HeaderValue::from_static("max-age=3600");
        response.headers_mut().insert("cache-control", fresh);
        ready(Ok(response))
    }
}

fn request(target: &str) -> Request<Empty<Bytes>> {
    let mut request = Request::get(target)
        .header("host", "edge.example")
        .header(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
        )
        .header("accept", "*/*")
        .header("accept-encoding", "gzip, deflate, br")
        .header("accept-language", "en-US,en;q=0.9")
        .header("origin", "https://site.example")
        .header("referer", "https://site.example/watch/demo")
        .body(Empty::new())
        .expect("a request");
    request.extensions_mut().insert(Peer {
        address: ([192, 0, 2, 1], 50_000).into(),
        is_tls: false,
    });
    request
}

/// Time of `count` hits, without the making of the requests.
fn hits<S>(runtime: &Runtime, service: &mut S, target: &str, count: u64) -> Duration
where
    S: Service<Request<Empty<Bytes>>, Response = Response<EdgeBody>, Error = Infallible>,
{
    let requests: Vec<_> = (0..count).map(|_| request(target)).collect();
    runtime.block_on(async {
        let begun = Instant::now();
        for request in requests {
            let Ok(response) = service.call(request).await;
            let body = response.into_body().collect().await;
            black_box(body.is_ok());
        }
        begun.elapsed()
    })
}

fn usage(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    // As in the server, whose metrics are kept small beside the requests.
    let metrics = PrometheusBuilder::new().install_recorder();
    let metrics = metrics.expect("no other recorder");
    runtime.spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            metrics.run_upkeep();
        }
    });
    let told = format!("{TARGET}{TOLD}");
    let shutdown = CancellationToken::new();
    let with = |access_log| {
        let config = UsageConfig {
            access_log,
            ..UsageConfig::default()
        };
        let (usage, log) = Usage::new(&config).expect("a log");
        if let Some(log) = log {
            let stop = shutdown.clone();
            runtime.spawn(log.run(OriginKind::Media, Arc::new(SystemClock), stop));
        }
        usage
    };
    let edge = || {
        let mut edge = Edge::new(EdgeConfig::default(), Origin, Arc::new(SystemClock));
        hits(&runtime, &mut edge, TARGET, 1);
        edge
    };
    let mut group = criterion.benchmark_group("usage");
    let (mut plain, mut counted) = (edge(), with(None).count(edge()));
    let null = AccessLogTarget::File("/dev/null".into());
    let mut recorded = with(Some(null)).count(edge());
    group.bench_function("edge_alone", |bencher| {
        bencher.iter_custom(|count| hits(&runtime, &mut plain, TARGET, count));
    });
    group.bench_function("counted", |bencher| {
        bencher.iter_custom(|count| hits(&runtime, &mut counted, TARGET, count));
    });
    group.bench_function("counted_cmcd", |bencher| {
        bencher.iter_custom(|count| hits(&runtime, &mut counted, &told, count));
    });
    group.bench_function("recorded", |bencher| {
        bencher.iter_custom(|count| hits(&runtime, &mut recorded, TARGET, count));
    });
    group.bench_function("recorded_cmcd", |bencher| {
        bencher.iter_custom(|count| hits(&runtime, &mut recorded, &told, count));
    });
    group.finish();
    shutdown.cancel();
}

criterion_group!(benches, usage);
criterion_main!(benches);
