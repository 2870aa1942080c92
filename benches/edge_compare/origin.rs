//! What is cached: objects that may be kept for an hour.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// One object.
pub(crate) struct Object {
    pub(crate) name: &'static str,
    bytes: usize,
}

/// A playlist, a segment of a low rendition, one of a high one.
pub(crate) const OBJECTS: [Object; 3] = [
    Object {
        name: "2 KB",
        bytes: 2 << 10,
    },
    Object {
        name: "200 KB",
        bytes: 200 << 10,
    },
    Object {
        name: "1 MB",
        bytes: 1 << 20,
    },
];

impl Object {
    /// Its path at every contestant.
    pub(crate) fn path(&self) -> String {
        format!("/vod/compare/{}.m4s", self.bytes)
    }

    /// Bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes
    }
}

/// A server of [`OBJECTS`], until it is dropped.
pub(crate) struct Origin {
    port: u16,
    requests: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Origin {
    pub(crate) async fn start() -> Result<Self, Box<dyn Error>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let requests = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        let counted = Arc::clone(&requests);
        tasks.spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let counted = Arc::clone(&counted);
                let answer = service_fn(move |request: Request<Incoming>| {
                    // Checks of whether it is up are no requests for objects.
                    let path = request.uri().path();
                    let is_known = OBJECTS.iter().any(|object| object.path() == path);
                    if request.method() == Method::GET && is_known {
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                    std::future::ready(Ok::<_, Infallible>(answer(request.uri().path())))
                });
                serving.spawn(async move {
                    // A contestant that is stopped cuts its connections.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), answer)
                        .await;
                });
            }
        });
        Ok(Self {
            port,
            requests,
            _tasks: tasks,
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// So many GETs for objects came.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// What the origin answers to a GET of the path.
pub(crate) fn answer(path: &str) -> Response<Full<Bytes>> {
    match OBJECTS.iter().find(|object| object.path() == path) {
        Some(object) => {
            // Not all the same, so that nothing is gained by compression.
            let bytes = (0..object.bytes).map(|at| (at * 31 % 251) as u8);
            Response::builder()
                .header("content-type", "video/iso.segment")
                .header("cache-control", "public, max-age=3600")
                .header("etag", format!("\"{}\"", object.bytes))
                .body(Full::new(bytes.collect()))
        }
        None => Response::builder()
            .status(StatusCode::NOT_FOUND)
            .body(Full::default()),
    }
    .unwrap_or_default()
}
