//! The edge itself: a request's way from the socket's side to an answer.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response, Version};
use http_body::Body;
use media::Clock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;

use crate::body::EdgeBody;
use crate::budget::Budget;
use crate::cache_status::{Forward, Outcome};
use crate::coalesce::{Fills, Joined, Lead};
use crate::config::EdgeConfig;
use crate::fetch;
use crate::head::Head;
use crate::range::Extent;
use crate::reader::Reader;
use crate::refusal::Refusal;
use crate::request::{Asked, Intent};
use crate::respond::{self, Content};
use crate::store::{MemoryStore, Stored};
use crate::upstream::{FillError, UpstreamError};

/// A cache in front of the upstream `U`. Clones share everything.
///
/// `U` is a `Service<http::Request<()>, Response = http::Response<B>>`. It is asked
/// with GET, an origin-form target that is a cache key, and no
/// header but `Via`, and `Authorization` where the client sent one.
#[derive(Clone)]
pub struct Edge<U> {
    upstream: U,
    shared: Arc<Shared>,
}

/// What all clones and all fills share.
pub(crate) struct Shared {
    pub(crate) config: EdgeConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store: MemoryStore,
    pub(crate) fill_memory: Arc<Budget>,
    fills: Arc<Fills>,
    waiting: Arc<Semaphore>,
    held: Arc<Semaphore>,
    tasks: TaskTracker,
    /// No new fill begins; those without a head end.
    pub(crate) closing: CancellationToken,
    /// Every fill ends.
    pub(crate) abort: CancellationToken,
}

impl<U> Edge<U> {
    /// An edge with an empty cache. `clock` says how old answers are.
    pub fn new(config: EdgeConfig, upstream: U, clock: Arc<dyn Clock>) -> Self {
        let limit = |most: usize| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        let shared = Shared {
            store: MemoryStore::new(config.memory_bytes),
            fill_memory: Budget::new(config.fill_memory_bytes),
            fills: Fills::new(&config),
            waiting: limit(config.max_waiting),
            held: limit(config.max_held),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            abort: CancellationToken::new(),
            config,
            clock,
        };
        Self {
            upstream,
            shared: Arc::new(shared),
        }
    }

    /// Ends the fills and waits for their tasks. Requests that wait for the origin are
    /// answered 503 at once; bodies on their way have `shutdown_grace` to end. What is
    /// stored is still served.
    pub async fn shutdown(&self) {
        let shared = &self.shared;
        shared.closing.cancel();
        shared.tasks.close();
        if timeout(shared.config.shutdown_grace, shared.tasks.wait())
            .await
            .is_err()
        {
            shared.abort.cancel();
            shared.tasks.wait().await;
        }
    }
}

impl<U> fmt::Debug for Edge<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge")
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}

impl<U, B, R> Service<Request<R>> for Edge<U>
where
    U: Service<Request<()>, Response = Response<B>> + Clone + Send + 'static,
    U::Error: Into<UpstreamError> + Send,
    U::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    R: Body,
{
    type Response = Response<EdgeBody>;
    type Error = Infallible;
    type Future = EdgeFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<R>) -> EdgeFuture {
        let (parts, body) = request.into_parts();
        let has_body = !body.is_end_stream();
        // RFC 9113 8.2.2: `Connection` has no place in HTTP/2.
        let close = has_body && parts.version <= Version::HTTP_11;
        match Intent::read(parts, has_body) {
            Ok(Intent::Preflight) => EdgeFuture::ready(respond::preflight()),
            Ok(Intent::Object(asked)) => self.answer(asked),
            Err(refusal) => EdgeFuture::ready(respond::refuse(refusal, close)),
        }
    }
}

impl<U, B> Edge<U>
where
    U: Service<Request<()>, Response = Response<B>> + Clone + Send + 'static,
    U::Error: Into<UpstreamError> + Send,
    U::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    fn answer(&self, asked: Asked) -> EdgeFuture {
        let shared = &self.shared;
        let known = shared.store.get(&asked.key);
        if let Some(stored) = &known
            && stored.head.is_fresh(shared.clock.now())
        {
            return EdgeFuture::ready(shared.hit(&asked, Arc::clone(stored)));
        }
        match self.enter(&asked, known.is_some()) {
            Ok(Entered::Hit(stored)) => EdgeFuture::ready(shared.hit(&asked, stored)),
            Ok(Entered::Waits(waiter)) => {
                let shared = Arc::clone(shared);
                EdgeFuture(Inner::Waits(Box::pin(async move {
                    shared.wait(asked, waiter, known).await
                })))
            }
            Err(refusal) => EdgeFuture::ready(
                shared
                    .stale(&asked, known.as_ref(), refusal.reason())
                    .unwrap_or_else(|| respond::refuse(refusal, false)),
            ),
        }
    }

    /// Joins or begins a fill.
    fn enter(&self, asked: &Asked, has_stale: bool) -> Result<Entered, Refusal> {
        let shared = &self.shared;
        if shared.closing.is_cancelled() {
            return Err(Refusal::ShuttingDown);
        }
        let (room, full) = if asked.key.is_held() {
            (&shared.held, Refusal::TooManyHeld)
        } else {
            (&shared.waiting, Refusal::TooManyWaiting)
        };
        let permit = Arc::clone(room).try_acquire_owned().map_err(|_| full)?;
        let waits = |reader, why, collapsed| {
            Entered::Waits(Waiter {
                reader,
                why,
                collapsed,
                _permit: permit,
            })
        };
        if asked.is_authorised() {
            let (reader, lead) = shared.fills.begin_private(&asked.key)?;
            let authorization = asked.headers.get_all(AUTHORIZATION);
            self.spawn(lead, authorization.iter().cloned().collect());
            return Ok(waits(reader, Forward::Request, false));
        }
        let why = if has_stale {
            Forward::Stale
        } else {
            Forward::Miss
        };
        let fresh = || {
            let now = shared.clock.now();
            let stored = shared.store.get(&asked.key);
            stored.filter(|stored| stored.head.is_fresh(now))
        };
        Ok(match shared.fills.join(&asked.key, fresh)? {
            Joined::Stored(stored) => Entered::Hit(stored),
            Joined::Follows(reader) => waits(reader, why, true),
            Joined::Leads(reader, lead) => {
                self.spawn(lead, Vec::new());
                waits(reader, why, false)
            }
        })
    }

    /// The fill is a task of the edge's own: no client's leaving can end it.
    fn spawn(&self, lead: Lead, authorization: Vec<HeaderValue>) {
        let shared = Arc::clone(&self.shared);
        let upstream = self.upstream.clone();
        self.shared
            .tasks
            .spawn(fetch::run(lead, upstream, authorization, shared));
    }
}

/// What a request found that no fresh answer was stored for.
enum Entered {
    Hit(Arc<Stored>),
    Waits(Waiter),
}

/// A request that waits for a fill.
struct Waiter {
    reader: Reader,
    why: Forward,
    collapsed: bool,
    _permit: OwnedSemaphorePermit,
}

impl Shared {
    fn hit(&self, asked: &Asked, stored: Arc<Stored>) -> Response<EdgeBody> {
        self.serve_stored(asked, stored, Outcome::Hit)
    }

    /// A stale answer, where one may be given because the origin fails.
    fn stale(
        &self,
        asked: &Asked,
        stored: Option<&Arc<Stored>>,
        detail: &'static str,
    ) -> Option<Response<EdgeBody>> {
        let stored = stored?;
        if !stored.head.is_usable_on_error(self.clock.now()) {
            return None;
        }
        let outcome = Outcome::StaleOnError { detail };
        Some(self.serve_stored(asked, Arc::clone(stored), outcome))
    }

    fn serve_stored(
        &self,
        asked: &Asked,
        stored: Arc<Stored>,
        outcome: Outcome,
    ) -> Response<EdgeBody> {
        let extent = Some(Extent::Known(stored.length));
        let head = Arc::clone(&stored.head);
        let content = Content::Stored(stored);
        respond::with_content(asked, &head, content, extent, outcome, self.clock.now())
    }

    async fn wait(
        &self,
        asked: Asked,
        mut waiter: Waiter,
        known: Option<Arc<Stored>>,
    ) -> Response<EdgeBody> {
        let answer = match &known {
            None => waiter.reader.head().await,
            Some(_) => match timeout(self.config.stale_wait, waiter.reader.head()).await {
                Ok(answer) => answer,
                Err(_) => {
                    let slow = FillError::HeadTimeout.reason();
                    if let Some(response) = self.stale(&asked, known.as_ref(), slow) {
                        return response;
                    }
                    waiter.reader.head().await
                }
            },
        };
        let failed = match &answer {
            Err(error) => Some(error.reason()),
            // RFC 5861 4 counts these four as errors.
            Ok(head) if matches!(head.status.as_u16(), 500 | 502 | 503 | 504) => {
                Some("origin-error")
            }
            Ok(_) => None,
        };
        if let Some(detail) = failed
            && let Some(response) = self.stale(&asked, known.as_ref(), detail)
        {
            return response;
        }
        match answer {
            Ok(head) => self.serve_fill(&asked, waiter, &head).await,
            Err(error) => respond::fail(&error, waiter.why, waiter.collapsed),
        }
    }

    async fn serve_fill(
        &self,
        asked: &Asked,
        mut waiter: Waiter,
        head: &Head,
    ) -> Response<EdgeBody> {
        let mut extent = head.length.map(Extent::Known);
        if extent.is_none()
            && let Some(range) = asked.range
            && respond::wants_range(asked, head)
        {
            match waiter.reader.extent_for(range).await {
                Ok(known) => extent = Some(known),
                Err(error) => return respond::fail(&error, waiter.why, waiter.collapsed),
            }
        }
        let outcome = Outcome::Forwarded {
            why: waiter.why,
            collapsed: waiter.collapsed,
            stored: head.storage.map(|_| ()).map_err(|reason| reason.as_str()),
        };
        let content = Content::Fill(waiter.reader);
        respond::with_content(asked, head, content, extent, outcome, self.clock.now())
    }
}

/// The answer, or the wait for it. A hit is ready at once.
pub struct EdgeFuture(Inner);

enum Inner {
    Ready(Option<Response<EdgeBody>>),
    Waits(Pin<Box<dyn Future<Output = Response<EdgeBody>> + Send>>),
}

impl EdgeFuture {
    fn ready(response: Response<EdgeBody>) -> Self {
        Self(Inner::Ready(Some(response)))
    }
}

impl Future for EdgeFuture {
    type Output = Result<Response<EdgeBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Inner::Ready(response) => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                // Polled after its end, which the contract of Future leaves open.
                None => Poll::Pending,
            },
            Inner::Waits(waits) => waits.as_mut().poll(context).map(Ok),
        }
    }
}

impl fmt::Debug for EdgeFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EdgeFuture").finish_non_exhaustive()
    }
}
