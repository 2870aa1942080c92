//! The least that a cache on `hyper` could be: the path is looked up in `moka`, and what is there
//! is answered. No freshness, no limits, no counts; what it spends more than that, Nova has to
//! account for.

use std::convert::Infallible;
use std::error::Error;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::origin::{OBJECTS, answer};

/// The argument that makes this program be it; the port follows.
pub(crate) const ARGUMENT: &str = "--serve-bare-hyper";

/// Serves all objects on the port, until the process ends.
pub(crate) fn serve(port: &str) -> Result<(), Box<dyn Error>> {
    let port: u16 = port.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let cache = moka::sync::Cache::new(OBJECTS.len() as u64);
    for object in &OBJECTS {
        cache.insert(object.path(), answer(&object.path()));
    }
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            let cache = cache.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let found: Option<Response<Full<Bytes>>> = cache.get(request.uri().path());
                let found = found.unwrap_or_else(|| answer("/nothing"));
                std::future::ready(Ok::<_, Infallible>(found))
            });
            tokio::spawn(async move {
                // A client that leaves is no fault.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    })
}
