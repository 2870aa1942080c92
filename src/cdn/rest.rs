//! The operations as REST, under `/api/v1/cdn`.

mod assets;
mod nodes;
mod prewarms;
mod purges;
mod usage;

use std::str::FromStr;

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use media::Micros;
use serde::{Deserialize, Serialize};
use social::cdn::WantedUrl;
use social::problem::Problem;

use super::service::{Cdn, CdnError};

/// The largest request body, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// Items of a page for which nothing was asked.
const PAGE: u32 = 100;
/// Seconds that a signed URL lives: unless something else is asked for, and at most, 31 days.
const TTL: u32 = 3_600;
const MAX_TTL: u32 = 31 * 86_400;

/// Routes of the operations.
pub fn router(cdn: Cdn) -> Router {
    Router::new()
        .route(
            "/api/v1/cdn/purges",
            get(purges::purges).post(purges::purge),
        )
        .route("/api/v1/cdn/purges/{id}", get(purges::purge_status))
        .route(
            "/api/v1/cdn/prewarms",
            get(prewarms::prewarms)
                .post(prewarms::prewarm)
                .layer(DefaultBodyLimit::max(prewarms::MAX_BODY_BYTES)),
        )
        .route(
            "/api/v1/cdn/prewarms/{id}",
            get(prewarms::prewarm_status).delete(prewarms::cancel),
        )
        .route("/api/v1/cdn/nodes", get(nodes::nodes))
        .route("/api/v1/cdn/deployment", get(nodes::deployment))
        .route("/api/v1/cdn/metrics", get(nodes::figures))
        .route("/api/v1/cdn/usage", get(usage::usage))
        .route(
            "/api/v1/cdn/assets",
            get(assets::assets).post(assets::register_asset),
        )
        .route(
            "/api/v1/cdn/assets/{id}",
            get(assets::asset)
                .patch(assets::change_asset)
                .delete(assets::remove_asset),
        )
        .route("/api/v1/cdn/urls", axum::routing::post(url))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(cdn)
}

impl From<CdnError> for Problem {
    fn from(error: CdnError) -> Self {
        match error {
            CdnError::Invalid(detail) => Self::invalid(detail),
            CdnError::NoDatabase => Self::unavailable_here("no-database", error.to_string()),
            CdnError::TooManyPrewarms(_) => Self::too_many("too-many-prewarms", error.to_string()),
            CdnError::NoEdge => Self::unavailable_here("no-edge", error.to_string()),
            CdnError::NotNoted(_) => Self::unavailable_here("not-noted", error.to_string()),
            CdnError::NoSigner => Self::unavailable_here("no-signer", error.to_string()),
            CdnError::Service(error) => error.into(),
        }
    }
}

/// What every answer here is: right for a moment only.
fn answer(status: StatusCode, body: impl Serialize) -> Response {
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (status, no_store, Json(body)).into_response()
}

fn body<T>(given: Result<Json<T>, JsonRejection>) -> Result<T, Problem> {
    body_of(given, MAX_BODY_BYTES)
}

/// The body of a route that takes so many bytes.
fn body_of<T>(given: Result<Json<T>, JsonRejection>, most: usize) -> Result<T, Problem> {
    match given {
        Ok(Json(body)) => Ok(body),
        Err(JsonRejection::BytesRejection(_)) => Err(Problem::body_too_large(most)),
        Err(error) => Err(Problem::invalid(error.body_text())),
    }
}

fn id<T>(given: Result<Path<String>, PathRejection>) -> Result<T, Problem>
where
    T: FromStr,
{
    let Path(text) = given.map_err(|error| Problem::invalid(error.body_text()))?;
    text.parse().map_err(|_| invalid_id())
}

fn invalid_id() -> Problem {
    Problem::invalid("An id is not valid: expected a UUID.")
}

/// Which page is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    /// The last id of the page before.
    after: Option<String>,
    limit: Option<u32>,
}

impl PageQuery {
    fn read<T: FromStr>(
        given: Result<Query<Self>, QueryRejection>,
    ) -> Result<(Option<T>, u32), Problem> {
        let Query(query) = given.map_err(|error| Problem::invalid(error.body_text()))?;
        let after = query.after.map(|text| text.parse()).transpose();
        let after = after.map_err(|_| invalid_id())?;
        Ok((
            after,
            query
                .limit
                .unwrap_or(PAGE)
                .clamp(1, super::service::MAX_PAGE),
        ))
    }
}

#[derive(Serialize)]
struct Page<T> {
    items: Vec<T>,
    /// `after` of the next page, if there may be one.
    next: Option<String>,
}

impl<T> Page<T> {
    fn new<R>(rows: &[R], limit: u32, id: impl Fn(&R) -> String, item: impl Fn(&R) -> T) -> Self {
        let is_full = rows.len() as u32 >= limit;
        Self {
            next: rows.last().filter(|_| is_full).map(id),
            items: rows.iter().map(item).collect(),
        }
    }
}

/// `POST /api/v1/cdn/urls`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UrlBody {
    path: String,
    /// How long a signature holds.
    ttl_seconds: Option<u32>,
}

#[derive(Serialize)]
struct UrlView {
    url: String,
}

async fn url(
    State(cdn): State<Cdn>,
    given: Result<Json<UrlBody>, JsonRejection>,
) -> Result<Response, Problem> {
    let given = body(given)?;
    let ttl = given.ttl_seconds.unwrap_or(TTL);
    if !(1..=MAX_TTL).contains(&ttl) {
        return Err(Problem::invalid(format!(
            "ttl_seconds is not valid: expected 1 to {MAX_TTL}."
        )));
    }
    let wanted = WantedUrl {
        path: &given.path,
        ttl: Micros::from_secs(ttl.into()),
        is_signed: false,
        viewing: None,
    };
    let url = cdn.url(wanted).await?.url;
    Ok(answer(StatusCode::OK, UrlView { url }))
}
