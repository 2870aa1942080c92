//! The web pages, embedded in the binary from `web/dist`.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;

const INDEX: &str = include_str!("../web/dist/index.html");
const SCRIPT: &str = include_str!("../web/dist/watch.js");
const STYLE: &str = include_str!("../web/dist/style.css");

/// Pages and what they load. `playback` is where the edge is, when it is another
/// process; the page may then fetch from there, and show its pictures.
pub fn router(playback: &str) -> Router {
    // hls.js feeds the video element from a blob URL.
    let policy = format!(
        "default-src 'self'; connect-src 'self' {playback}; media-src 'self' blob: {playback}; \
         worker-src 'none'; img-src 'self' data: {playback}; object-src 'none'; \
         frame-ancestors 'self'; base-uri 'none'"
    );
    let policy = HeaderValue::try_from(policy).ok();
    let page = move || {
        let policy = policy.clone();
        async move {
            let mut response = file("text/html; charset=utf-8", INDEX);
            if let Some(policy) = policy {
                response
                    .headers_mut()
                    .insert(CONTENT_SECURITY_POLICY, policy);
            }
            response
        }
    };
    Router::new()
        .route("/", get(page.clone()))
        .route("/watch/{stream}", get(page))
        .route(
            "/watch.js",
            get(async || file("text/javascript; charset=utf-8", SCRIPT)),
        )
        .route(
            "/style.css",
            get(async || file("text/css; charset=utf-8", STYLE)),
        )
        .route("/favicon.ico", get(async || StatusCode::NO_CONTENT))
}

/// The files change with the binary, so a browser asks each time.
fn file(kind: &'static str, text: &'static str) -> Response<axum::body::Body> {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")], text).into_response()
}
