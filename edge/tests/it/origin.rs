//! An origin in this process that answers as it is told, and an edge in front of it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use edge::{
    Disk, DiskConfig, DiskStatus, Edge, EdgeBody, EdgeConfig, FillError, RequestBody, UpstreamError,
};
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty};
use media::{Clock, ManualClock, Micros, Timestamp};
use tokio::sync::mpsc;
use tower_service::Service;

pub(crate) type Answer = Result<Response<OriginBody>, UpstreamError>;
type Script = dyn Fn(usize, &Request<()>) -> Pending + Send + Sync;
type Pending = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Long enough for a busy machine, short enough to notice a hang.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub(crate) struct Origin {
    answer: Arc<Script>,
    seen: Arc<Mutex<Vec<Request<()>>>>,
}

impl Origin {
    /// An origin whose answer to its `n`th request, from 1, is `answer(n)`.
    pub(crate) fn new<F>(answer: impl Fn(usize) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        Self::told(move |n, _| answer(n))
    }

    /// The same, where the answer depends on the request too.
    pub(crate) fn told<F>(answer: impl Fn(usize, &Request<()>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        Self {
            answer: Arc::new(move |n, request| Box::pin(answer(n, request))),
            seen: Arc::default(),
        }
    }

    /// An origin that always gives `body` with these fields.
    pub(crate) fn fixed(
        body: &'static str,
        fields: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self::new(move |_| async move { Ok(response(200, fields, OriginBody::whole(body))) })
    }

    pub(crate) fn calls(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub(crate) fn targets(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .map(|request| request.uri().to_string())
            .collect()
    }

    pub(crate) fn methods(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .map(|request| request.method().to_string())
            .collect()
    }

    pub(crate) fn headers(&self, call: usize) -> HeaderMap {
        self.seen.lock().unwrap()[call].headers().clone()
    }
}

impl Service<Request<RequestBody>> for Origin {
    type Response = Response<OriginBody>;
    type Error = UpstreamError;
    type Future = Pending;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Pending {
        let mut seen = self.seen.lock().unwrap();
        seen.push(request.map(drop));
        let n = seen.len();
        (self.answer)(n, &seen[n - 1])
    }
}

/// A body whose pieces are sent by the test while it is read.
pub(crate) struct OriginBody {
    pieces: mpsc::UnboundedReceiver<Result<Bytes, String>>,
}

pub(crate) type Pieces = mpsc::UnboundedSender<Result<Bytes, String>>;

impl OriginBody {
    pub(crate) fn open() -> (Pieces, Self) {
        let (sender, pieces) = mpsc::unbounded_channel();
        (sender, Self { pieces })
    }

    pub(crate) fn whole(text: &'static str) -> Self {
        let (sender, body) = Self::open();
        sender
            .send(Ok(Bytes::from_static(text.as_bytes())))
            .unwrap();
        body
    }
}

impl Body for OriginBody {
    type Data = Bytes;
    type Error = String;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, String>>> {
        self.pieces
            .poll_recv(context)
            .map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

pub(crate) fn send(pieces: &Pieces, text: &'static str) {
    // The edge may have given up on the body, which is not this helper's question.
    let _ = pieces.send(Ok(Bytes::from_static(text.as_bytes())));
}

pub(crate) fn response(
    status: u16,
    fields: &[(&str, &str)],
    body: OriginBody,
) -> Response<OriginBody> {
    let mut response = Response::builder().status(status);
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    response.body(body).unwrap()
}

/// An edge with a clock that the test moves.
pub(crate) struct House {
    pub(crate) edge: Edge<Origin>,
    pub(crate) origin: Origin,
    pub(crate) clock: Arc<ManualClock>,
}

impl House {
    pub(crate) fn new(origin: Origin) -> Self {
        Self::with(origin, |_| {})
    }

    pub(crate) fn with(origin: Origin, change: impl FnOnce(&mut EdgeConfig)) -> Self {
        let mut config = EdgeConfig::default();
        change(&mut config);
        Self::of(origin, config)
    }

    /// An edge in front of an origin that is not Nova's.
    pub(crate) fn general(origin: Origin) -> Self {
        Self::of(origin, EdgeConfig::general())
    }

    /// An edge that also has what is on disk.
    pub(crate) fn on_disk(origin: Origin, config: EdgeConfig, disk: &DiskConfig) -> Self {
        let start = Timestamp::from_micros(1_700_000_000_000_000);
        let clock = Arc::new(ManualClock::new(start));
        Self::opened(origin, config, disk, clock)
    }

    pub(crate) fn opened(
        origin: Origin,
        config: EdgeConfig,
        disk: &DiskConfig,
        clock: Arc<ManualClock>,
    ) -> Self {
        let disk = Disk::open(disk.clone(), clock.now()).unwrap();
        Self {
            edge: Edge::with_disk(config, origin.clone(), clock.clone(), disk),
            origin,
            clock,
        }
    }

    /// The same edge after a restart: nothing is in memory.
    pub(crate) async fn restarted(self, config: EdgeConfig, disk: &DiskConfig) -> Self {
        within(self.edge.shutdown()).await;
        let Self {
            edge,
            origin,
            clock,
        } = self;
        drop(edge);
        Self::opened(origin, config, disk, clock)
    }

    pub(crate) fn disk(&self) -> DiskStatus {
        self.edge.disk_status().unwrap()
    }

    /// Waits until so many files are on disk, and none waits to be.
    pub(crate) async fn written(&self, files: u64) {
        until(|| {
            let status = self.disk();
            status.files == files && status.waiting_bytes == 0
        })
        .await;
    }

    pub(crate) fn of(origin: Origin, config: EdgeConfig) -> Self {
        let start = Timestamp::from_micros(1_700_000_000_000_000);
        let clock = Arc::new(ManualClock::new(start));
        Self {
            edge: Edge::new(config, origin.clone(), clock.clone()),
            origin,
            clock,
        }
    }

    pub(crate) fn pass(&self, millis: i64) {
        self.clock.advance(Micros::from_millis(millis));
    }

    /// Begins a request; its fill is joined or begun when this returns.
    pub(crate) fn ask(
        &self,
        request: Request<Empty<Bytes>>,
    ) -> impl Future<Output = Response<EdgeBody>> + Send + use<> {
        let pending: edge::EdgeFuture = self.edge.clone().call(request);
        async move {
            let response: Result<_, Infallible> = within(pending).await;
            response.unwrap_or_else(|never| match never {})
        }
    }

    pub(crate) async fn get(&self, target: &str) -> Response<EdgeBody> {
        self.ask(get(target)).await
    }

    /// Status and text of a GET.
    pub(crate) async fn text(&self, target: &str) -> (u16, String) {
        let response = self.get(target).await;
        (response.status().as_u16(), text(response).await)
    }
}

pub(crate) fn get(target: &str) -> Request<Empty<Bytes>> {
    Request::get(target).body(Empty::new()).unwrap()
}

pub(crate) fn get_with(target: &str, fields: &[(&str, &str)]) -> Request<Empty<Bytes>> {
    let mut request = Request::get(target);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(Empty::new()).unwrap()
}

pub(crate) fn send_with(
    method: &str,
    target: &str,
    fields: &[(&str, &str)],
) -> Request<Empty<Bytes>> {
    let mut request = get_with(target, fields);
    *request.method_mut() = method.parse().unwrap();
    request
}

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("it should have happened by now")
}

/// Waits until `condition` holds.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    within(async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Waits until `condition` holds, and lets time pass.
pub(crate) async fn eventually(condition: impl Fn() -> bool) {
    within(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

pub(crate) async fn bytes(response: Response<EdgeBody>) -> Result<Bytes, FillError> {
    within(response.into_body().collect())
        .await
        .map(http_body_util::Collected::to_bytes)
}

pub(crate) async fn text(response: Response<EdgeBody>) -> String {
    String::from_utf8(bytes(response).await.unwrap().to_vec()).unwrap()
}

/// The next piece of a body.
pub(crate) async fn piece(response: &mut Response<EdgeBody>) -> Option<Result<Bytes, FillError>> {
    let frame = within(response.body_mut().frame()).await?;
    Some(frame.map(|frame| frame.into_data().unwrap()))
}

pub(crate) fn field<'a, B>(response: &'a Response<B>, name: &str) -> Option<&'a str> {
    response
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap())
}

pub(crate) fn status<B>(response: &Response<B>) -> &str {
    field(response, "cache-status").unwrap()
}
