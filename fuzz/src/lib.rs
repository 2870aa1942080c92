//! What the targets of the edge have in common: an origin that answers as it is told.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use edge::{Edge, EdgeConfig, RequestBody};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, response};
use http_body_util::{BodyExt, Empty, Full};
use media::{ManualClock, Timestamp};
use tokio::runtime::Runtime;
use tower_service::Service;

type Script = dyn Fn(&Request<()>) -> Response<Full<Bytes>> + Send + Sync;

/// An origin that remembers what it was asked.
#[derive(Clone)]
pub struct Origin {
    answer: Arc<Script>,
    seen: Arc<Mutex<Vec<Request<()>>>>,
}

impl Origin {
    pub fn new(
        answer: impl Fn(&Request<()>) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            answer: Arc::new(answer),
            seen: Arc::default(),
        }
    }

    /// One that always gives these.
    pub fn fixed(status: u16, fields: HeaderMap, body: &'static [u8]) -> Self {
        Self::new(move |_| {
            let mut response = Response::new(Full::new(Bytes::from_static(body)));
            *response.status_mut() = status.try_into().expect("a status");
            *response.headers_mut() = fields.clone();
            response
        })
    }

    /// What it was asked since this was called last.
    pub fn take(&self) -> Vec<Request<()>> {
        std::mem::take(&mut *self.seen.lock().expect("no panic before"))
    }
}

impl Service<Request<RequestBody>> for Origin {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let request = request.map(drop);
        let response = (self.answer)(&request);
        self.seen.lock().expect("no panic before").push(request);
        ready(Ok(response))
    }
}

/// An edge in front of `origin`, and its clock.
pub fn house(general: bool, origin: &Origin) -> (Edge<Origin>, Arc<ManualClock>) {
    let start = Timestamp::from_micros(1_700_000_000_000_000);
    let clock = Arc::new(ManualClock::new(start));
    let config = match general {
        true => EdgeConfig::general(),
        false => EdgeConfig::default(),
    };
    (Edge::new(config, origin.clone(), clock.clone()), clock)
}

/// A GET of `/a` with these fields.
pub fn get(fields: HeaderMap) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = "/a".parse().expect("a target");
    *request.headers_mut() = fields;
    request
}

/// The answer, with its body if that came whole.
pub async fn ask(
    edge: &mut Edge<Origin>,
    request: Request<Empty<Bytes>>,
) -> (response::Parts, Option<Bytes>) {
    let Ok(response) = edge.call(request).await;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.ok();
    (parts, body.map(|body| body.to_bytes()))
}

/// At most 16 of `pairs` as fields, the name by its number in `names`.
pub fn fields(names: &[HeaderName], pairs: &[(u8, &[u8])]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for (name, value) in pairs.iter().take(16) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            fields.append(names[usize::from(*name) % names.len()].clone(), value);
        }
    }
    fields
}

/// Was the answer stored?
pub fn is_hit(parts: &response::Parts) -> bool {
    parts
        .headers
        .get_all("cache-status")
        .iter()
        .next_back()
        .is_some_and(|status| status.as_bytes().starts_with(b"nova; hit"))
}

/// Runs `future` to its end.
pub fn run<F: Future>(future: F) -> F::Output {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime")
    });
    RUNTIME.block_on(future)
}
