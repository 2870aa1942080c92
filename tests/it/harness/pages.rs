//! The watch page in front of edges that no server with the API role knows.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// A web server that has the watch page, as `web/dist` has it, for one stream on each edge.
pub(crate) struct Pages {
    address: SocketAddr,
    _runtime: Runtime,
}

impl Pages {
    /// Pages at `address`: `/watch/{name}` plays the multivariant playlist at `url` of
    /// `streams`, which are pairs of both.
    pub(crate) fn serve(address: IpAddr, streams: &[(&str, String)]) -> Self {
        let streams = streams.iter().map(
            |(name, url)| json!({ "name": name, "started_at": "at the start", "playlist": url }),
        );
        let streams: Vec<_> = streams.collect();
        let live: Arc<str> = json!({ "streams": streams }).to_string().into();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind((address, 0)));
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("its address");
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let live = live.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(request, live.clone()));
                    // A browser may go as it likes.
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            address,
            _runtime: runtime,
        }
    }

    /// The URL of the page that plays the stream called `name`.
    pub(crate) fn watch(&self, name: &str) -> String {
        format!("http://{}/watch/{name}", self.address)
    }
}

async fn answer(
    request: Request<Incoming>,
    live: Arc<str>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let file = |name: &str| {
        let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/dist");
        std::fs::read(web.join(name)).expect("a file of the watch page")
    };
    let (kind, body) = match request.uri().path() {
        "/api/v1/live" => ("application/json", live.as_bytes().to_vec()),
        "/theme.js" => ("text/javascript", file("theme.js")),
        "/watch.js" => ("text/javascript", file("watch.js")),
        "/style.css" => ("text/css", file("style.css")),
        path if path.starts_with("/watch/") => ("text/html", file("index.html")),
        _ => {
            let mut none = Response::new(Full::default());
            *none.status_mut() = StatusCode::NOT_FOUND;
            return Ok(none);
        }
    };
    let mut response = Response::new(Full::from(body));
    let kind = kind.parse().expect("a media type");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}
