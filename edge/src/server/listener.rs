//! From a bound address to connections, and to their end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::BoxError;
use tower_service::Service;

use super::activity::Listener;
use super::addresses::Addresses;
use super::config::ServerConfig;
use super::connection::{Protocols, Serving, Streams};
use super::connections::{Connections, OpenConnections};
use super::fast_path::FastPath;
use super::received::ReceivedBody;
use super::tls::Tls;

/// How long to wait when the system has no descriptor for a new connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound listener, not yet serving.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    name: &'static str,
    config: ServerConfig,
    tls: Option<Tls>,
    open: OpenConnections,
    fast_path: Option<Arc<dyn FastPath>>,
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

impl Server {
    /// Binds `address` for the listener called `name` in logs and metrics.
    pub async fn bind(
        name: &'static str,
        address: SocketAddr,
        config: ServerConfig,
    ) -> Result<Self, BindError> {
        let fail = |source| BindError::new(name, address, source);
        let listener = TcpListener::bind(address).await.map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        Ok(Self {
            listener,
            address,
            name,
            config,
            tls: None,
            open: OpenConnections::default(),
            fast_path: None,
        })
    }

    /// Asks `path` first, over HTTP/1.1, where no rate is to be kept.
    pub fn with_fast_path(mut self, path: Arc<dyn FastPath>) -> Self {
        self.fast_path = Some(path);
        self
    }

    /// Speaks nothing but TLS.
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
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
    pub fn open_connections(&self) -> OpenConnections {
        self.open.clone()
    }

    /// Serves until `shutdown`, then lets requests under way finish, and cuts them when
    /// `drain_timeout` has passed. Requests carry a [`Peer`](super::Peer) as an extension.
    ///
    /// A service that is not ready when a request comes has it answered 503.
    pub async fn serve<S, B>(self, service: S, shutdown: CancellationToken)
    where
        S: Service<Request<ReceivedBody>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let listener = Listener::new(self.name, self.config);
        let Listener {
            name,
            config,
            epoch,
        } = &*listener;
        let name = *name;
        let streams = TaskTracker::new();
        let serving = Serving {
            service,
            protocols: Arc::new(Protocols::new(config, Streams(streams.clone()))),
            tls: self.tls.as_ref().map(Tls::acceptor),
            handshakes: Arc::new(Semaphore::new(config.max_handshakes)),
            // It does not count what an address asks for.
            fast_path: self
                .fast_path
                .filter(|_| config.requests_per_address.per_second == 0),
        };
        let mut door = Door {
            listener: Arc::clone(&listener),
            connections: Connections::new(Arc::clone(&listener), self.open),
            addresses: Addresses::default(),
            tasks: JoinSet::new(),
            serving,
        };
        if let Some(tls) = self.tls {
            let follow = tls.follow(name, config.certificate_interval, shutdown.clone());
            door.tasks.spawn(follow);
        }
        let mut patrol = interval(config.patrol_interval());
        patrol.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut resume = None;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = self.listener.accept(), if resume.is_none() => match accepted {
                    Ok((stream, address)) => door.open(stream, address),
                    Err(error) => {
                        // For want of descriptors as a rule, which others give back.
                        tracing::warn!(listener = name, %error, "cannot accept a connection");
                        metrics::counter!("nova_http_accept_errors_total", "listener" => name)
                            .increment(1);
                        resume = Some(Instant::now() + ACCEPT_PAUSE);
                    }
                },
                () = until(resume) => resume = None,
                _ = patrol.tick() => {
                    door.connections.patrol(Instant::now());
                    door.addresses.sweep(epoch.elapsed(), config.requests_per_address);
                }
                Some(ended) = door.tasks.join_next() => report(name, ended),
            }
        }
        drop(self.listener);
        door.connections.drain();
        if timeout(config.drain_timeout, join_all(name, &mut door.tasks))
            .await
            .is_err()
        {
            tracing::debug!(listener = name, "requests under way were cut off");
            door.connections.cut();
            join_all(name, &mut door.tasks).await;
        }
        streams.close();
        streams.wait().await;
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

async fn join_all(name: &'static str, tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        report(name, ended);
    }
}

/// A task that panicked has ended its own connection only.
fn report(name: &'static str, ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(listener = name, %error, "the task of a connection failed");
    }
}

/// Where connections come in.
struct Door<S> {
    listener: Arc<Listener>,
    serving: Serving<S>,
    connections: Connections,
    addresses: Addresses,
    tasks: JoinSet<()>,
}

impl<S, B> Door<S>
where
    S: Service<Request<ReceivedBody>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    /// Lets a client in, or closes on it.
    fn open(&mut self, stream: TcpStream, address: SocketAddr) {
        let Listener { name, config, .. } = &*self.listener;
        let name = *name;
        let refuse = |reason| {
            metrics::counter!(
                "nova_http_connections_refused_total", "listener" => name, "reason" => reason
            )
            .increment(1);
        };
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let most = config.max_connections_per_address;
        let Some(seat) = self.addresses.seat(address.ip(), most) else {
            return refuse("connections-per-address");
        };
        let now = Instant::now();
        let Some(registered) = self.connections.register(now) else {
            return refuse("connections");
        };
        if let Err(error) = prepare(&stream, config) {
            // It is gone already.
            tracing::debug!(listener = name, %error, "a connection could not be set up");
            return refuse("lost");
        }
        metrics::counter!("nova_http_connections_total", "listener" => name).increment(1);
        let serving = self.serving.clone();
        self.tasks
            .spawn(serving.serve(stream, address, registered, seat));
    }
}

/// Small answers go at once, and a client that is not there any more is given up by the
/// system too, also after its connection was closed here.
fn prepare(stream: &TcpStream, config: &ServerConfig) -> io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_user_timeout(Some(4 * config.pace_window))
}
