//! The REST face, under `/api/v1`, and the places where the other faces will be.

use std::str::FromStr;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use serde::Serialize;
use storage::Database;
use storage::rows::streams::LiveStream;

use crate::problem::Problem;
use crate::streams;

/// The largest request body, in bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// Streams in one answer of `GET /api/v1/live`.
const LIVE_LISTED: u32 = 200;

/// What the handlers need.
#[derive(Clone, Debug)]
pub struct AppState {
    /// The rows.
    pub database: Database,
    /// What playback URLs begin with.
    pub playback_base: PlaybackBase,
}

/// What playback URLs begin with: nothing where this server plays back itself, or the
/// edge's address, as in `https://edge.example.org`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PlaybackBase(String);

/// Why a text cannot be a playback base.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("playback base URL {0:?} is not valid: expected http(s)://HOST[:PORT][/PATH]")]
pub struct InvalidPlaybackBase(String);

impl PlaybackBase {
    /// This server plays back itself.
    pub fn same_origin() -> Self {
        Self::default()
    }
}

impl FromStr for PlaybackBase {
    type Err = InvalidPlaybackBase;
    fn from_str(text: &str) -> Result<Self, InvalidPlaybackBase> {
        let invalid = || InvalidPlaybackBase(text.to_owned());
        let url: axum::http::Uri = text.parse().map_err(|_| invalid())?;
        let absolute = matches!(url.scheme_str(), Some("http" | "https"));
        if !absolute || url.query().is_some() || text.contains(['#', '@']) {
            return Err(invalid());
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

/// Answers every path of the API; a path that is none of its own gets a 404.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/api/v1/live", get(live))
        .route("/api/v1", any(rest_not_in_this_version))
        .route("/api/v1/", any(rest_not_in_this_version))
        .route("/api/v1/{*rest}", any(rest_not_in_this_version))
        .route("/openapi.json", any(openapi_not_in_this_version))
        .route("/graphql", any(graphql_not_in_this_version))
        .route("/graphql/ws", any(graphql_not_in_this_version))
        .route("/ws", any(events_not_in_this_version))
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(middleware::from_fn(refuse_large_body))
        // For a body that does not say how large it is.
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(state)
}

#[derive(Serialize)]
struct Live {
    streams: Vec<LiveEntry>,
}

#[derive(Serialize)]
struct LiveEntry {
    name: String,
    /// RFC 3339.
    started_at: String,
    playlist: String,
    manifest: String,
}

impl LiveEntry {
    fn new(base: &PlaybackBase, stream: &LiveStream) -> Self {
        let PlaybackBase(base) = base;
        let name = stream.name.as_str();
        Self {
            name: name.to_owned(),
            started_at: stream.started_at.to_rfc3339(),
            playlist: format!("{base}/live/{name}/index.m3u8"),
            manifest: format!("{base}/live/{name}/manifest.mpd"),
        }
    }
}

/// `GET /api/v1/live`: the streams that are live, the newest first.
async fn live(State(state): State<AppState>) -> Result<Response, Problem> {
    let live = streams::list_live(&state.database, LIVE_LISTED).await?;
    let streams = live
        .iter()
        .map(|stream| LiveEntry::new(&state.playback_base, stream))
        .collect();
    // It is wrong a second later.
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((no_store, Json(Live { streams })).into_response())
}

async fn rest_not_in_this_version() -> Problem {
    Problem::not_in_this_version("The REST API beyond GET /api/v1/live")
}

async fn openapi_not_in_this_version() -> Problem {
    Problem::not_in_this_version("The OpenAPI document")
}

async fn graphql_not_in_this_version() -> Problem {
    Problem::not_in_this_version("The GraphQL API")
}

async fn events_not_in_this_version() -> Problem {
    Problem::not_in_this_version("The WebSocket for chat and events")
}

/// Refuses a body by what `Content-Length` says, before any of it is read.
async fn refuse_large_body(request: Request, next: Next) -> Response {
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > MAX_BODY_BYTES as u64) {
        return Problem::body_too_large(MAX_BODY_BYTES).into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn playback_bases() {
        for (good, base) in [
            ("http://localhost:8081", "http://localhost:8081"),
            ("https://edge.example.org/", "https://edge.example.org"),
            ("https://example.org/nova/", "https://example.org/nova"),
        ] {
            assert_eq!(good.parse(), Ok(PlaybackBase(base.to_owned())));
        }
        for bad in [
            "",
            "localhost:8081",
            "/nova",
            "ftp://example.org",
            "http://",
            "http://user:secret@example.org",
            "http://example.org/?a=b",
            "http://example.org/#a",
            "http://exa mple.org",
        ] {
            assert!(bad.parse::<PlaybackBase>().is_err(), "{bad}");
        }
    }
}
