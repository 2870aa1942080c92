//! A member on another machine, over HTTP/1.1, with TLS or without.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use http_body::Body;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use tower_service::Service;

use crate::request_body::RequestBody;
use crate::upstream::UpstreamError;
use crate::upstream::place::Retries;
use crate::upstream::tls::UpstreamTls;

/// Where the origin is, and how connections to it are kept. How long its answers may take
/// is [`EdgeConfig`](crate::EdgeConfig)'s, for every upstream.
#[derive(Debug, Clone)]
pub struct HttpUpstreamConfig {
    /// `http://HOST:PORT` or `https://HOST:PORT`, without a path.
    pub base: String,
    /// Whom to trust; needed for `https://`.
    pub tls: Option<UpstreamTls>,
    /// For name lookup and TCP handshake.
    pub connect_timeout: Duration,
    /// An idle connection is closed after this. Well below the 10 s after which the origin
    /// closes one, or requests meet connections that are being closed.
    pub idle_timeout: Duration,
    /// Idle connections kept.
    pub max_idle: usize,
}

impl HttpUpstreamConfig {
    /// The defaults for an origin at `base`.
    pub fn new(base: impl Into<String>) -> Self {
        Self {
            base: base.into(),
            tls: None,
            connect_timeout: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(5),
            max_idle: 64,
        }
    }
}

/// Why a text is not an origin's address. It does not repeat the text, which may hold a
/// password.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidBase {
    /// Not a scheme, a host and a port.
    #[error("not an origin's address: expected http://HOST:PORT or https://HOST:PORT")]
    Shape,
    /// `http://USER:PASSWORD@HOST`, which nothing here would send.
    #[error("an origin's address with a user: expected http://HOST:PORT without one")]
    User,
    /// `https://` where it is not known whom to trust.
    #[error("an https:// origin, and no certificate authorities: expected a file of them")]
    NoAuthorities,
    /// TLS itself.
    #[error("TLS cannot be set up: {0}")]
    Tls(rustls::Error),
}

/// An upstream that speaks HTTP/1.1 over a pool of kept-alive connections.
#[derive(Debug, Clone)]
pub struct HttpUpstream {
    client: Client<HttpsConnector<HttpConnector>, RequestBody>,
    scheme: Scheme,
    authority: Authority,
}

impl HttpUpstream {
    /// An upstream at `config.base`. Connects when the first request comes.
    pub fn new(config: &HttpUpstreamConfig) -> Result<Self, InvalidBase> {
        let base: Uri = config.base.parse().map_err(|_| InvalidBase::Shape)?;
        let parts = base.into_parts();
        let plain_path = parts
            .path_and_query
            .is_none_or(|path| path.as_str() == "/" || path.as_str().is_empty());
        let (scheme, authority) = match (parts.scheme, parts.authority) {
            (Some(scheme), Some(authority)) if plain_path => (scheme, authority),
            _ => return Err(InvalidBase::Shape),
        };
        if authority.as_str().contains('@') {
            return Err(InvalidBase::User);
        }
        let tls = match &config.tls {
            // Never used, but the connector takes both schemes.
            _ if scheme == Scheme::HTTP => {
                UpstreamTls::trusting(RootCertStore::empty()).map_err(InvalidBase::Tls)?
            }
            Some(tls) if scheme == Scheme::HTTPS => tls.clone(),
            None if scheme == Scheme::HTTPS => return Err(InvalidBase::NoAuthorities),
            _ => return Err(InvalidBase::Shape),
        };

        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(config.connect_timeout));
        connector.set_nodelay(true);
        // The TLS connector around it takes both schemes.
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.client_config())
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(config.idle_timeout)
            .pool_max_idle_per_host(config.max_idle)
            .build(connector);
        Ok(Self {
            client,
            scheme,
            authority,
        })
    }

    fn absolute(&self, uri: &Uri) -> Result<Uri, UpstreamError> {
        let path = uri
            .path_and_query()
            .cloned()
            .unwrap_or_else(|| PathAndQuery::from_static("/"));
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
            .map_err(|error| UpstreamError::Protocol(error.to_string()))
    }

    async fn send(
        self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let (mut parts, body) = request.into_parts();
        parts.uri = self.absolute(&parts.uri)?;
        let retries = parts.extensions.remove::<Retries>();
        // RFC 9110 9.2.2: an idempotent request may be sent once more, if it can be.
        let again = (parts.method.is_idempotent() && body.is_end_stream())
            .then(|| Request::from_parts(parts.clone(), RequestBody::empty()));
        match (
            self.client.request(Request::from_parts(parts, body)).await,
            again,
        ) {
            (Ok(response), _) => Ok(response),
            // The origin closed a kept-alive connection while the request was on its way.
            (Err(error), Some(again)) if closed_before_answer(&error) => {
                if retries.is_some_and(|it| !it.grant()) {
                    return Err(UpstreamError::Closed);
                }
                self.client.request(again).await.map_err(classify)
            }
            (Err(error), _) => Err(classify(error)),
        }
    }
}

impl Service<Request<RequestBody>> for HttpUpstream {
    type Response = Response<Incoming>;
    type Error = UpstreamError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}

fn causes<'a>(error: &'a ClientError) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

fn closed_before_answer(error: &ClientError) -> bool {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<hyper::Error>())
        .any(|cause| cause.is_incomplete_message() || cause.is_canceled())
}

fn classify(error: ClientError) -> UpstreamError {
    let timed_out = causes(&error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::TimedOut);
    let last = causes(&error)
        .last()
        .map_or_else(|| error.to_string(), |cause| cause.to_string());
    if timed_out {
        UpstreamError::Timeout
    } else if error.is_connect() {
        UpstreamError::Unreachable(last)
    } else {
        UpstreamError::Protocol(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_connections_are_given_up_before_the_origin_does() {
        let origin = std::time::Duration::from_secs(10);
        assert!(2 * HttpUpstreamConfig::new("").idle_timeout <= origin);
    }

    #[test]
    fn a_base_is_scheme_host_and_port_only() {
        for good in [
            "http://origin:8081",
            "http://127.0.0.1:1/",
            "http://[::1]:80",
        ] {
            assert!(
                HttpUpstream::new(&HttpUpstreamConfig::new(good)).is_ok(),
                "{good}"
            );
        }
        for bad in [
            "",
            "origin:8081",
            "https://origin",
            "ftp://origin",
            "http://user:password@origin",
            "http://origin/path",
            "/live",
            "http://",
        ] {
            assert!(
                HttpUpstream::new(&HttpUpstreamConfig::new(bad)).is_err(),
                "{bad}"
            );
        }
    }
}
