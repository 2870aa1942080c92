//! What an HTTP listener answers: media by the edge or the origin, the rest by the pages.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::body::Body;
use axum::routing::future::RouteFuture;
use bytes::Bytes;
use edge::server::{Peer, ReceivedBody};
use http::{Request, Response, StatusCode};
use http_body_util::Either;
use social::rest::Client;
use tower_service::Service;

/// What edges serve: live streams, videos, and other assets.
pub const SERVED: [&str; 3] = ["/live/", "/vod/", "/files/"];
/// A path that begins with this has a token that opens more than one of those.
const TOKEN: &str = "/~";

/// What edges serve by `media`, without a detour; the rest by `pages`, if there are any.
#[derive(Clone)]
pub struct Routes<M> {
    /// What serves media.
    pub media: M,
    /// Everything else.
    pub pages: Option<Router>,
}

/// Pages and nothing else.
#[derive(Clone)]
pub struct Pages(pub Router);

/// A page on its way.
type Page = Pin<Box<RouteFuture<Infallible>>>;

fn page(router: &mut Router, mut request: Request<ReceivedBody>) -> Page {
    if let Some(peer) = request.extensions().get::<Peer>() {
        let client = Client {
            address: peer.ip(),
            is_tls: peer.is_tls,
        };
        request.extensions_mut().insert(client);
    }
    Box::pin(router.call(request.map(Body::new)))
}

impl Service<Request<ReceivedBody>> for Pages {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Page;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A router always is.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReceivedBody>) -> Page {
        page(&mut self.0, request)
    }
}

impl<M, B> Service<Request<ReceivedBody>> for Routes<M>
where
    M: Service<Request<ReceivedBody>, Response = Response<B>, Error = Infallible>,
    M::Future: Unpin,
    B: http_body::Body<Data = Bytes>,
{
    type Response = Response<Either<B, Body>>;
    type Error = Infallible;
    type Future = Answering<M::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.media.poll_ready(context)
    }

    fn call(&mut self, request: Request<ReceivedBody>) -> Self::Future {
        let path = request.uri().path();
        let is_media = SERVED.iter().any(|prefix| path.starts_with(prefix));
        if is_media || path.starts_with(TOKEN) {
            return Answering::Media(self.media.call(request));
        }
        match &mut self.pages {
            Some(router) => Answering::Page(page(router, request)),
            None => Answering::Nothing,
        }
    }
}

/// The answer, or the wait for it.
pub enum Answering<F> {
    /// By what serves media.
    Media(F),
    /// By the pages.
    Page(Page),
    /// There is nothing of that name.
    Nothing,
}

impl<F, B> Future for Answering<F>
where
    F: Future<Output = Result<Response<B>, Infallible>> + Unpin,
{
    type Output = Result<Response<Either<B, Body>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(match &mut *self {
            Self::Media(media) => {
                let Ok(response) = ready!(Pin::new(media).poll(context));
                response.map(Either::Left)
            }
            Self::Page(page) => {
                let Ok(response) = ready!(page.as_mut().poll(context));
                response.map(Either::Right)
            }
            Self::Nothing => {
                let mut response = Response::new(Either::Right(Body::empty()));
                *response.status_mut() = StatusCode::NOT_FOUND;
                response
            }
        }))
    }
}
