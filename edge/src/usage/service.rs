//! The services that count: one in front of an edge, one between it and its upstream.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::Shared;
use super::ledger::{Account, Place};
use super::meter::Meter;
use crate::body::EdgeBody;

/// Stands in front of an edge and counts what it answers.
///
/// It reads of a request: the path; what the player tells (CMCD); and of its extensions
/// [`Peer`](crate::server::Peer) and [`Viewer`](crate::access::Viewer). So it stands behind whatever verifies tokens and takes them off.
#[derive(Debug, Clone)]
pub struct Counted<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Counted<S> {
    pub(super) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

impl<S, R> Service<Request<R>> for Counted<S>
where
    S: Service<Request<R>, Response = Response<EdgeBody>>,
{
    type Response = Response<EdgeBody>;
    type Error = S::Error;
    type Future = CountedFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let meter = Box::new(Meter::begin(&self.shared, &request));
        CountedFuture {
            inner: self.inner.call(request),
            meter: Some(meter),
        }
    }
}

pin_project! {
    /// The answer. Dropped before, it counts as abandoned.
    #[derive(Debug)]
    pub struct CountedFuture<F> {
        #[pin]
        inner: F,
        meter: Option<Box<Meter>>,
    }
}

impl<F, E> Future for CountedFuture<F>
where
    F: Future<Output = Result<Response<EdgeBody>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(context))?;
        if let Some(mut meter) = this.meter.take() {
            meter.answered(response.body().outcome(), response.status());
            response.body_mut().count_with(meter);
        }
        Poll::Ready(Ok(response))
    }
}

/// Stands between an edge and its upstream, and counts what is asked and what comes.
#[derive(Debug, Clone)]
pub struct CountedUpstream<U> {
    inner: U,
    shared: Arc<Shared>,
}

impl<U> CountedUpstream<U> {
    pub(super) fn new(inner: U, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

impl<U, R, B> Service<Request<R>> for CountedUpstream<U>
where
    U: Service<Request<R>, Response = Response<B>>,
{
    type Response = Response<CountedBody<B>>;
    type Error = U::Error;
    type Future = CountedUpstreamFuture<U::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), U::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let place = self.shared.ledger.place(request.uri().path());
        CountedUpstreamFuture {
            inner: self.inner.call(request),
            place,
            shared: Arc::clone(&self.shared),
        }
    }
}

pin_project! {
    /// The upstream's answer.
    #[derive(Debug)]
    pub struct CountedUpstreamFuture<F> {
        #[pin]
        inner: F,
        place: Place,
        shared: Arc<Shared>,
    }
}

impl<F, B, E> Future for CountedUpstreamFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<CountedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.inner.poll(context));
        let was_served = answer
            .as_ref()
            .is_ok_and(|answer| answer.status().is_success() || answer.status().is_redirection());
        let account = this.shared.ledger.account(this.place, was_served);
        account.origin_requests.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(answer.map(|answer| answer.map(|inner| CountedBody { inner, account })))
    }
}

pin_project! {
    /// A body from the upstream.
    #[derive(Debug)]
    pub struct CountedBody<B> {
        #[pin]
        inner: B,
        account: Arc<Account>,
    }
}

impl<B: Body<Data = Bytes>> Body for CountedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            let bytes = data.len() as u64;
            this.account
                .origin_bytes
                .fetch_add(bytes, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
