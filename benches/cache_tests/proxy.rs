//! The edge under test, on a socket.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use edge::{Edge, EdgeConfig, HttpUpstream, HttpUpstreamConfig};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use media::SystemClock;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

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
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut serving = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(edge.clone());
            serving.spawn(async move {
                // It ends with an error where a test cuts it.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    Ok(Proxy {
        address,
        _tasks: tasks,
    })
}
