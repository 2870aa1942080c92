//! One connection, from the socket to its end.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tower::BoxError;
use tower_service::Service;

use super::activity::{Activity, Cut, Order};
use super::addresses::Seat;
use super::config::ServerConfig;
use super::connections::Registered;
use super::fast_path::FastPath;
use super::guarded::{Guarded, Peer};
use super::received::ReceivedBody;
use super::transport::{Protocol, Stream, Transport};

/// hyper's least buffer.
const MIN_HEADER_BYTES: u32 = 8 << 10;
/// HTTP/2 requests that were given up before they were seen (CVE-2023-44487).
const PENDING_RESETS: usize = 20;
/// HTTP/2 requests of a connection that the server had to reset for its errors
/// (CVE-2025-8671).
const ERRORS: usize = 128;

/// How the connections of a listener are served.
#[derive(Clone)]
pub(super) struct Serving<S> {
    pub(super) service: S,
    pub(super) protocols: Arc<Protocols>,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) handshakes: Arc<Semaphore>,
    pub(super) fast_path: Option<Arc<dyn FastPath>>,
}

/// hyper's settings.
#[derive(Debug)]
pub(super) struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<Streams>,
}

/// Where the requests of HTTP/2 connections run. Each ends with its connection.
#[derive(Debug, Clone)]
pub(super) struct Streams(pub(super) TaskTracker);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

/// How a connection ended.
enum End {
    /// By the client, or by HTTP's rules.
    Closed,
    Cut(Cut),
    Handshake(io::Error),
    HandshakeTimeout,
    TooManyHandshakes,
    TooManyHandshakesOfAddress,
    Failed(io::Error),
    Protocol(hyper::Error),
}

impl End {
    /// The label in the metrics.
    fn reason(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Cut(cut) => cut.reason(),
            Self::Handshake(_) => "handshake",
            Self::HandshakeTimeout => "slow-handshake",
            Self::TooManyHandshakes => "handshakes",
            Self::TooManyHandshakesOfAddress => "handshakes-per-address",
            Self::Failed(_) => "lost",
            Self::Protocol(error) if error.is_parse_too_large() => "header-too-large",
            Self::Protocol(error) if error.is_parse() => "malformed",
            Self::Protocol(error) if error.is_user() => "broken-answer",
            Self::Protocol(_) => "lost",
        }
    }

    fn error(&self) -> Option<&dyn std::error::Error> {
        match self {
            Self::Handshake(error) | Self::Failed(error) => Some(error),
            Self::Protocol(error) => Some(error),
            _ => None,
        }
    }
}

impl Protocols {
    pub(super) fn new(config: &ServerConfig, streams: Streams) -> Self {
        let header_bytes = config.max_header_bytes.max(MIN_HEADER_BYTES);
        let mut http1 = http1::Builder::new();
        http1
            // Times are kept by the patrol, for all connections at once.
            .header_read_timeout(None)
            .max_headers(config.max_headers)
            .max_header_size(header_bytes as usize);
        let mut http2 = http2::Builder::new(streams);
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(config.max_streams)
            .max_header_list_size(header_bytes)
            // Beyond these the library ends the connection by itself.
            .max_pending_accept_reset_streams(PENDING_RESETS)
            .max_local_error_reset_streams(ERRORS)
            .keep_alive_interval(config.ping_interval)
            .keep_alive_timeout(config.ping_timeout);
        Self { http1, http2 }
    }
}

impl<S, B> Serving<S>
where
    S: Service<Request<ReceivedBody>, Response = Response<B>, Error = Infallible> + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    /// Serves one connection until its end.
    pub(super) async fn serve(
        self,
        stream: TcpStream,
        address: SocketAddr,
        registered: Registered,
        seat: Seat,
    ) {
        let name = registered.activity.listener.name;
        let end = self.run(stream, address, &registered.activity, seat).await;
        let reason = end.reason();
        metrics::counter!(
            "nova_http_connections_ended_total", "listener" => name, "reason" => reason
        )
        .increment(1);
        // A client that leaves or talks nonsense is not the server's fault.
        match end.error() {
            Some(error) => {
                tracing::debug!(listener = name, reason, %error, "connection ended");
            }
            None => tracing::debug!(listener = name, reason, "connection ended"),
        }
    }

    async fn run(
        self,
        stream: TcpStream,
        address: SocketAddr,
        activity: &Arc<Activity>,
        seat: Seat,
    ) -> End {
        let stream = match &self.tls {
            None => Stream::Plain(stream),
            Some(tls) => match shake_hands(tls, stream, &self.handshakes, &seat, activity).await {
                Ok(stream) => stream,
                Err(end) => return end,
            },
        };
        let mut transport = Transport::new(stream, Arc::clone(activity));
        let protocol = match unless_ordered(activity, transport.protocol()).await {
            Ok(Ok(protocol)) => protocol,
            Ok(Err(error)) => return End::Failed(error),
            Err(end) => return end,
        };
        let peer = Peer {
            address,
            is_tls: transport.is_tls(),
        };
        if let (Protocol::Http1, Some(path)) = (protocol, self.fast_path) {
            transport.answer_by(path, peer);
        }
        let seat = Arc::new(seat);
        let service = Guarded {
            service: RefCell::new(self.service),
            activity: Arc::clone(activity),
            seat: Arc::clone(&seat),
            peer,
        };
        let io = TokioIo::new(transport);
        match protocol {
            Protocol::Http1 => {
                let connection = self.protocols.http1.serve_connection(io, service);
                let end = drive(activity, connection.with_upgrades(), |connection| {
                    connection.graceful_shutdown();
                })
                .await;
                // The seat and the count of connections are its own until it is over.
                if matches!(end, End::Closed) && activity.is_switched() {
                    activity.left().await;
                }
                end
            }
            Protocol::Http2 => {
                activity.is_http2();
                let connection = self.protocols.http2.serve_connection(io, service);
                drive(activity, connection, |connection| {
                    connection.graceful_shutdown();
                })
                .await
            }
        }
    }
}

async fn shake_hands(
    tls: &TlsAcceptor,
    stream: TcpStream,
    handshakes: &Semaphore,
    seat: &Seat,
    activity: &Activity,
) -> Result<Stream, End> {
    let config = &activity.listener.config;
    let Some(_handshake) = seat.handshake(config.max_handshakes_per_address()) else {
        return Err(End::TooManyHandshakesOfAddress);
    };
    let Ok(_permit) = handshakes.try_acquire() else {
        return Err(End::TooManyHandshakes);
    };
    let deadline = config.handshake_timeout;
    match unless_ordered(activity, timeout(deadline, tls.accept(stream))).await? {
        Ok(Ok(stream)) => Ok(Stream::Tls(Box::new(stream))),
        Ok(Err(error)) => Err(End::Handshake(error)),
        Err(_) => Err(End::HandshakeTimeout),
    }
}

/// Runs what comes before the first request: any order ends it.
async fn unless_ordered<F: Future>(activity: &Activity, future: F) -> Result<F::Output, End> {
    let mut future = pin!(future);
    let mut listens = false;
    poll_fn(|context| {
        if !listens {
            activity.listen(context);
            listens = true;
        }
        match activity.ordered() {
            Order::GoOn => future.as_mut().poll(context).map(Ok),
            Order::Finish(cut) | Order::Cut(cut) => Poll::Ready(Err(End::Cut(cut))),
        }
    })
    .await
}

/// Runs a connection as it is ordered.
async fn drive<C>(activity: &Activity, connection: C, finish: impl Fn(Pin<&mut C>)) -> End
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let mut listens = false;
    let mut finishing = None;
    poll_fn(|context| {
        if !listens {
            activity.listen(context);
            listens = true;
        }
        match activity.ordered() {
            Order::GoOn => {}
            Order::Finish(cut) if finishing.is_none() => {
                finishing = Some(cut);
                finish(connection.as_mut());
            }
            Order::Finish(_) => {}
            Order::Cut(cut) => return Poll::Ready(End::Cut(cut)),
        }
        connection
            .as_mut()
            .poll(context)
            .map(|ended| match (ended, finishing) {
                (_, Some(cut)) => End::Cut(cut),
                (Ok(()), None) => End::Closed,
                (Err(error), None) => End::Protocol(error),
            })
    })
    .await
}
