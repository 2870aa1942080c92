//! E01: how far a follower's first byte is behind the leader's, when many ask for one cold key.
//! In process, without sockets: what the edge itself adds.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use edge::{Edge, EdgeConfig, RequestBody};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use media::SystemClock;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower_service::Service;

/// As a part of 0.3 s of 1080p.
const BODY: Bytes = Bytes::from_static(&[7; 200_000]);
const ROUNDS: usize = 50;

/// Answers when it is opened.
#[derive(Clone)]
struct Origin(watch::Receiver<bool>);

impl Service<Request<RequestBody>> for Origin {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<RequestBody>) -> Self::Future {
        let mut opened = self.0.clone();
        Box::pin(async move {
            opened
                .wait_for(|open| *open)
                .await
                .expect("it is opened before it is dropped");
            let mut response = Response::new(Full::new(BODY));
            let control = "max-age=60".parse().expect("a field");
            response.headers_mut().insert("cache-control", control);
            Ok(response)
        })
    }
}

/// When the leader and each of the followers had the first byte.
async fn round(followers: usize) -> (Instant, Vec<Instant>) {
    let (open, opened) = watch::channel(false);
    let mut edge = Edge::new(EdgeConfig::default(), Origin(opened), Arc::new(SystemClock));
    let mut clients = JoinSet::new();
    for client in 0..=followers {
        let request = Request::get("/live/d/1.m4s").body(Empty::<Bytes>::new());
        let pending = edge.call(request.expect("a request"));
        clients.spawn(async move {
            let Ok(mut response) = pending.await;
            let first = response.body_mut().frame().await;
            let at = Instant::now();
            first.expect("a body").expect("a whole body");
            (client, at)
        });
    }
    // Until all of them wait.
    tokio::time::sleep(Duration::from_millis(50)).await;
    open.send_replace(true);
    let mut all = clients.join_all().await;
    all.sort_unstable();
    let leader = all.remove(0).1;
    (leader, all.into_iter().map(|(_, at)| at).collect())
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");
    println!("first byte behind the leader's, {ROUNDS} rounds");
    for followers in [100, 1_000] {
        let mut delays = Vec::new();
        for _ in 0..ROUNDS {
            let (leader, others) = runtime.block_on(round(followers));
            // One that was before the leader was not behind it.
            delays.extend(others.iter().map(|at| at.saturating_duration_since(leader)));
        }
        delays.sort_unstable();
        let at = |percent: usize| delays[(delays.len() - 1) * percent / 100];
        println!(
            "{followers:>5} followers: p50 {:.2?}, p99 {:.2?}, most {:.2?}",
            at(50),
            at(99),
            at(100)
        );
    }
}
