//! The listening socket, and the connections it accepted.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use media::timeline::Limits;
use media::{Clock, SystemClock};
use tokio::net::TcpListener;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::connection::{self, Shared};
use crate::host::Host;
use crate::penalty::{Admission, Full, Penalties, PenaltyPolicy};
use crate::registry::Registry;
use crate::session::SessionLimits;

/// How long to wait after the system refused to accept, as it does when descriptors
/// run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a server is told.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Of each connection.
    pub session: SessionLimits,
    /// Of each publication's timeline.
    pub timeline: Limits,
    /// Connections open at once.
    pub connections: usize,
    /// Connections open at once from one address; of IPv6, from one /64.
    pub connections_per_address: usize,
    /// How refused publishers are slowed down.
    pub penalty: PenaltyPolicy,
    /// Where the time of day comes from.
    pub clock: Arc<dyn Clock>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            session: SessionLimits::default(),
            timeline: Limits::default(),
            connections: 2_000,
            connections_per_address: 64,
            penalty: PenaltyPolicy::default(),
            clock: Arc::new(SystemClock),
        }
    }
}

/// An RTMP server, bound to its address.
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    /// Binds to `addr`. Connections wait in the system's queue until [`run`](Self::run).
    pub async fn bind(
        addr: SocketAddr,
        host: Arc<dyn Host>,
        registry: Registry,
        config: ServerConfig,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let local_addr = listener.local_addr()?;
        let penalties = Mutex::new(Penalties::new(config.penalty));
        Ok(Self {
            listener,
            local_addr,
            shared: Arc::new(Shared {
                host,
                registry,
                config,
                penalties,
            }),
        })
    }

    /// The address it is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves until `shutdown`; then ends all publications, tells the encoders, and
    /// returns when every connection is closed.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut connections = Connections::new(&self.shared.config);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(joined) = connections.tasks.join_next_with_id() => connections.left(joined),
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        if connections.enter(peer) {
                            let serve = connection::serve(
                                stream,
                                peer,
                                self.shared.clone(),
                                shutdown.clone(),
                            );
                            let id = connections.tasks.spawn(serve).id();
                            connections.addresses.insert(id, peer.ip());
                        }
                    }
                    Err(error) => {
                        warn!(%error, "cannot accept RTMP connections");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(self.listener);
        while let Some(joined) = connections.tasks.join_next_with_id().await {
            connections.left(joined);
        }
        info!("RTMP server stopped");
    }
}

/// The connections' tasks, and whom each counts for.
struct Connections {
    tasks: JoinSet<()>,
    addresses: HashMap<Id, IpAddr>,
    admission: Admission,
}

impl Connections {
    fn new(config: &ServerConfig) -> Self {
        Self {
            tasks: JoinSet::new(),
            addresses: HashMap::new(),
            admission: Admission::new(config.connections, config.connections_per_address),
        }
    }

    fn enter(&mut self, peer: SocketAddr) -> bool {
        let entered = self.admission.enter(peer.ip());
        let outcome = match entered {
            Ok(()) => "accepted",
            Err(Full::Server) => "server_full",
            Err(Full::Address) => "address_full",
        };
        if entered.is_err() {
            debug!(%peer, outcome, "connection not taken");
        }
        metrics::counter!("nova_ingest_connections_total", "outcome" => outcome).increment(1);
        entered.is_ok()
    }

    fn left(&mut self, joined: Result<(Id, ()), JoinError>) {
        let id = match joined {
            Ok((id, ())) => id,
            Err(failure) => {
                error!(%failure, "a connection's task failed");
                metrics::counter!("nova_ingest_connection_panics_total").increment(1);
                failure.id()
            }
        };
        if let Some(address) = self.addresses.remove(&id) {
            self.admission.leave(address);
        }
    }
}
