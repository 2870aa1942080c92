//! The edge under test, on a socket.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use edge::server::{Server, ServerConfig};
use edge::{Edge, EdgeConfig, HttpUpstream, HttpUpstreamConfig};
use media::SystemClock;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// An edge that serves until it is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// An edge in front of the origin on `port`, as it comes for any HTTP origin.
pub(crate) async fn start(port: u16) -> Result<Proxy, Box<dyn Error>> {
    let upstream = HttpUpstreamConfig::new(format!("http://localhost:{port}"));
    let upstream = HttpUpstream::new(&upstream)?;
    let edge = Edge::new(EdgeConfig::general(), upstream, Arc::new(SystemClock));
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::bind("cache-tests", any, ServerConfig::default()).await?;
    let address = server.address();
    let mut tasks = JoinSet::new();
    tasks.spawn(server.serve(edge, CancellationToken::new()));
    Ok(Proxy {
        address,
        _tasks: tasks,
    })
}
