//! An answer of the edge, there or to come.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;

use crate::body::EdgeBody;

/// The answer, or the wait for it. A hit is ready at once.
pub struct EdgeFuture(Inner);

#[expect(clippy::large_enum_variant, reason = "a hit allocates nothing for it")]
enum Inner {
    Ready(Option<Response<EdgeBody>>),
    Waits(Pin<Box<dyn Future<Output = Response<EdgeBody>> + Send>>),
}

impl EdgeFuture {
    pub(crate) fn ready(response: Response<EdgeBody>) -> Self {
        Self(Inner::Ready(Some(response)))
    }

    pub(crate) fn waits(answer: impl Future<Output = Response<EdgeBody>> + Send + 'static) -> Self {
        Self(Inner::Waits(Box::pin(answer)))
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
