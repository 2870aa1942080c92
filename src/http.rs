//! One HTTP listener: what every role that speaks HTTP is served by.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

/// How long a client may take to send a request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest request head, in bytes.
const MAX_HEAD: usize = 32 * 1024;
/// How long requests under way have when the server stops.
const DRAIN: Duration = Duration::from_secs(3);
/// How long to wait when the system has no descriptor for a new connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound listener, not yet serving.
#[derive(Debug)]
pub struct HttpServer {
    listener: TcpListener,
    address: SocketAddr,
    connections: Arc<Semaphore>,
    name: &'static str,
}

impl HttpServer {
    /// Binds `address` for the listener called `name` in logs and metrics.
    pub async fn bind(
        name: &'static str,
        address: SocketAddr,
        max_connections: usize,
    ) -> Result<Self, BindError> {
        let fail = |source| BindError::new(name, address, source);
        let listener = TcpListener::bind(address).await.map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        Ok(Self {
            listener,
            address,
            connections: Arc::new(Semaphore::new(max_connections)),
            name,
        })
    }

    /// What it is called in logs and metrics.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells how many connections are open.
    pub fn connections(&self) -> Connections {
        Connections {
            most: self.connections.available_permits(),
            room: Arc::clone(&self.connections),
        }
    }

    /// Serves `router` until `shutdown`, then lets requests under way finish.
    pub async fn serve(self, router: Router, shutdown: CancellationToken) {
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = self.accept() => accepted,
            };
            let (stream, permit) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(listener = self.name, %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let service = TowerToHyperService::new(AxumService(router.clone()));
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .max_buf_size(MAX_HEAD)
                .serve_connection(TokioIo::new(stream), service);
            let connection = graceful.watch(connection);
            let name = self.name;
            tokio::spawn(async move {
                // A client that leaves or talks nonsense is not the server's fault.
                if let Err(error) = connection.await {
                    tracing::debug!(listener = name, %error, "connection ended");
                }
                drop(permit);
            });
        }
        drop(self.listener);
        if tokio::time::timeout(DRAIN, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::debug!(listener = self.name, "requests under way were cut off");
        }
    }

    async fn accept(&self) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
        let permit = self
            .connections
            .clone()
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let (stream, _) = self.listener.accept().await?;
        stream.set_nodelay(true)?;
        metrics::counter!("nova_http_connections_total", "listener" => self.name).increment(1);
        Ok((stream, permit))
    }
}

/// The connections of a listener.
#[derive(Debug, Clone)]
pub struct Connections {
    most: usize,
    room: Arc<Semaphore>,
}

impl Connections {
    /// How many are open.
    pub fn open(&self) -> u64 {
        self.most.saturating_sub(self.room.available_permits()) as u64
    }
}

/// An address that could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for {name}: {source}")]
pub struct BindError {
    name: &'static str,
    address: SocketAddr,
    source: io::Error,
}

impl BindError {
    /// The listener called `name` did not get `address`.
    pub fn new(name: &'static str, address: SocketAddr, source: io::Error) -> Self {
        Self {
            name,
            address,
            source,
        }
    }
}

/// A router for hyper's body type.
#[derive(Clone, Debug)]
struct AxumService(Router);

impl Service<http::Request<Incoming>> for AxumService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = <Router as Service<http::Request<Body>>>::Future;

    fn poll_ready(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        <Router as Service<http::Request<Body>>>::poll_ready(&mut self.0, context)
    }

    fn call(&mut self, request: http::Request<Incoming>) -> Self::Future {
        self.0.call(request.map(Body::new))
    }
}
