//! What can be an edge's upstream.

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower::BoxError;
use tower_service::Service;

use crate::request_body::RequestBody;
use crate::upstream::error::UpstreamError;

/// What an edge fills from: every service of this shape is one.
///
/// It is asked for an origin-form target that is a cache key. Of media the method is GET and
/// there is no header but `Via` and `CDN-Loop`, and `Authorization` where the client sent one,
/// and what is stored is asked about with `If-None-Match` and `If-Modified-Since`.
pub trait Upstream:
    Service<
        Request<RequestBody>,
        Response = Response<<Self as Upstream>::Body>,
        Error: Into<UpstreamError> + Send,
        Future: Send,
    > + Clone
    + Send
    + Sync
    + 'static
{
    /// The body of an answer.
    type Body: Body<Data = Bytes, Error: Into<BoxError> + Send> + Send + 'static;
}

impl<U, B> Upstream for U
where
    U: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
    U::Error: Into<UpstreamError> + Send,
    U::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError> + Send,
{
    type Body = B;
}
