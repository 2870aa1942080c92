//! Three edges, their database and events, and an origin.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use peers::nats::NatsServer;
use peers::port::ReservedPort;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// How long an edge may take to start.
const START: Duration = Duration::from_secs(30);

/// All of it. Dropped, it is gone.
pub(crate) struct Site {
    pub(crate) origin: Origin,
    edges: Vec<Edge>,
    _database: peers::postgres::Database,
    _nats: NatsServer,
}

struct Edge {
    http: SocketAddr,
    admin: SocketAddr,
    process: Child,
    _directory: TempDir,
    _ports: [ReservedPort; 2],
}

impl Drop for Edge {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Site {
    pub(crate) async fn start(nova: &Path) -> Result<Self, Box<dyn Error>> {
        let database = tokio::task::spawn_blocking(peers::postgres::database).await?;
        let nats = NatsServer::start().await;
        let origin = Origin::start().await?;
        let mut edges = Vec::new();
        for _ in 0..3 {
            let directory = tempfile::tempdir()?;
            let ports = [ReservedPort::any(), ReservedPort::any()];
            let [http, admin] = [ports[0].address(), ports[1].address()];
            let process = Command::new(nova)
                .args(["--log", "json", "--data-dir"])
                .arg(directory.path())
                .args(["serve", "--role", "edge"])
                .env("NOVA__DATABASE__URL", database.url())
                .env("NOVA__EVENTS__URL", nats.url())
                .env("NOVA__EDGE__ORIGIN", format!("http://{}", origin.address))
                .env("NOVA__HTTP__BIND", http.to_string())
                .env("NOVA__ADMIN__BIND", admin.to_string())
                .env("RUST_LOG", "warn")
                .current_dir(directory.path())
                .stdout(Stdio::null())
                .spawn()?;
            edges.push(Edge {
                http,
                admin,
                process,
                _directory: directory,
                _ports: ports,
            });
        }
        let deadline = Instant::now() + START;
        for edge in &edges {
            while TcpStream::connect(edge.http).await.is_err() {
                if Instant::now() > deadline {
                    return Err("an edge does not start, see above".into());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(Self {
            origin,
            edges,
            _database: database,
            _nats: nats,
        })
    }

    pub(crate) fn http(&self, edge: usize) -> SocketAddr {
        self.edges[edge].http
    }

    pub(crate) fn admin(&self, edge: usize) -> SocketAddr {
        self.edges[edge].admin
    }
}

/// Answers every path with its version.
pub(crate) struct Origin {
    address: SocketAddr,
    version: Arc<AtomicU64>,
}

impl Origin {
    async fn start() -> Result<Self, Box<dyn Error>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let origin = Self {
            address: listener.local_addr()?,
            version: Arc::new(AtomicU64::new(1)),
        };
        let version = origin.version.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let version = version.clone();
                // A connection that breaks is the edge's to open again.
                tokio::spawn(async move { drop(serve(stream, &version).await) });
            }
        });
        Ok(origin)
    }

    /// Has something newer everywhere; its version.
    pub(crate) fn change(&self) -> u64 {
        self.version.fetch_add(1, Ordering::SeqCst) + 1
    }
}

async fn serve(mut stream: TcpStream, version: &AtomicU64) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.split();
    let mut lines = BufReader::new(reader).lines();
    while let Some(line) = lines.next_line().await? {
        if !line.is_empty() {
            continue;
        }
        let body = version.load(Ordering::SeqCst).to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\ncache-control: max-age=3600\r\ncache-tag: all\r\n\r\n{body}",
            body.len()
        );
        writer.write_all(head.as_bytes()).await?;
    }
    Ok(())
}
