//! The operations as REST, under `/api/v1/cdn`.

mod prewarms;
mod usage;

use std::str::FromStr;
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use media::{Micros, Timestamp};
use serde::{Deserialize, Serialize};
use social::cdn::{AssetChange, NewAsset, Purge, PurgeStatus, Reply, WantedUrl};
use social::problem::Problem;
use storage::rows::edge_assets::AssetRow;
use storage::rows::edge_nodes::NodeRow;
use storage::rows::purges::PurgeRow;

use super::service::{Cdn, CdnError, MAX_WAIT};

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
        .route("/api/v1/cdn/purges", get(purges).post(purge))
        .route("/api/v1/cdn/purges/{id}", get(purge_status))
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
        .route("/api/v1/cdn/nodes", get(nodes))
        .route("/api/v1/cdn/deployment", get(deployment))
        .route("/api/v1/cdn/metrics", get(figures))
        .route("/api/v1/cdn/usage", get(usage::usage))
        .route("/api/v1/cdn/assets", get(assets).post(register_asset))
        .route(
            "/api/v1/cdn/assets/{id}",
            get(asset).patch(change_asset).delete(remove_asset),
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

/// `POST /api/v1/cdn/purges`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PurgeBody {
    kind: String,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    soft: bool,
    /// How long the answer waits for the nodes.
    #[serde(default = "default_wait")]
    wait_seconds: u32,
}

fn default_wait() -> u32 {
    20
}

async fn purge(
    State(cdn): State<Cdn>,
    given: Result<Json<PurgeBody>, JsonRejection>,
) -> Result<Response, Problem> {
    let given = body(given)?;
    let wait = Duration::from_secs(given.wait_seconds.into());
    if wait > MAX_WAIT {
        let most = MAX_WAIT.as_secs();
        return Err(Problem::invalid(format!(
            "wait_seconds is not valid: expected 0 to {most}."
        )));
    }
    let purge = Purge {
        kind: &given.kind,
        subject: &given.subject,
        soft: given.soft,
        requested_by: "api",
        deed: None,
        wait,
    };
    let status = cdn.purge(purge).await?;
    let code = match status.is_complete {
        true => StatusCode::OK,
        false => StatusCode::ACCEPTED,
    };
    Ok(answer(code, PurgeView::of(&status)))
}

async fn purge_status(
    State(cdn): State<Cdn>,
    given: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let status = cdn.purge_status(id(given)?).await?;
    Ok(answer(StatusCode::OK, PurgeView::of(&status)))
}

async fn purges(
    State(cdn): State<Cdn>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let (after, limit) = PageQuery::read(query)?;
    let rows = cdn.purges(after, limit).await?;
    let page = Page::new(&rows, limit, |row| row.id.to_string(), PurgeRowView::of);
    Ok(answer(StatusCode::OK, page))
}

#[derive(Serialize)]
struct PurgeView {
    #[serde(flatten)]
    purge: Option<PurgeRowView>,
    state: &'static str,
    nodes: Vec<ReplyView>,
}

#[derive(Serialize)]
struct PurgeRowView {
    id: String,
    position: u64,
    kind: String,
    subject: String,
    soft: bool,
    requested_at: String,
    requested_by: String,
    completed_at: Option<String>,
}

#[derive(Serialize)]
struct ReplyView {
    node: String,
    state: &'static str,
    acknowledged_at: Option<String>,
}

impl PurgeView {
    fn of(status: &PurgeStatus) -> Self {
        let nodes = status.nodes.iter().map(|node| {
            let (state, at) = match node.reply {
                Reply::Acknowledged(at) => ("acknowledged", Some(at)),
                Reply::Passed => ("passed", None),
                Reply::Awaited => ("awaited", None),
                Reply::Away => ("away", None),
            };
            ReplyView {
                node: node.node.to_string(),
                state,
                acknowledged_at: at.map(Timestamp::to_rfc3339),
            }
        });
        Self {
            purge: status.row.as_ref().map(PurgeRowView::of),
            state: match status.is_complete {
                true => "complete",
                false => "pending",
            },
            nodes: nodes.collect(),
        }
    }
}

impl PurgeRowView {
    fn of(row: &PurgeRow) -> Self {
        Self {
            id: row.id.to_string(),
            position: row.position,
            kind: row.kind.clone(),
            subject: row.subject.clone(),
            soft: row.soft,
            requested_at: row.requested_at.to_rfc3339(),
            requested_by: row.requested_by.clone(),
            completed_at: row.completed_at.map(Timestamp::to_rfc3339),
        }
    }
}

async fn nodes(
    State(cdn): State<Cdn>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let (after, limit) = PageQuery::read(query)?;
    let rows = cdn.nodes(after, limit).await?;
    let now = cdn.now();
    let view = |row: &NodeRow| NodeView::of(row, now);
    let page = Page::new(&rows, limit, |row| row.id.to_string(), view);
    Ok(answer(StatusCode::OK, page))
}

#[derive(Serialize)]
struct NodeView {
    id: String,
    roles: String,
    url: String,
    region: String,
    version: String,
    /// Whether purges wait for it.
    live: bool,
    health: String,
    started_at: String,
    heartbeat_at: String,
    connections: u64,
    requests: u64,
    requests_per_second: u64,
    memory_bytes: u64,
    configuration: u64,
    purge_position: u64,
}

impl NodeView {
    fn of(row: &NodeRow, now: Timestamp) -> Self {
        let state = &row.state;
        Self {
            id: row.id.to_string(),
            roles: row.roles.clone(),
            url: row.url.clone(),
            region: row.region.clone(),
            version: row.version.clone(),
            live: row.is_live(now),
            health: state.health.clone(),
            started_at: row.started_at.to_rfc3339(),
            heartbeat_at: row.heartbeat_at.to_rfc3339(),
            connections: state.connections,
            requests: state.requests,
            requests_per_second: state.requests_per_second,
            memory_bytes: state.memory_bytes,
            configuration: state.configuration,
            purge_position: row.purge_position,
        }
    }
}

/// `GET /api/v1/cdn/deployment`
#[derive(Serialize)]
struct DeploymentView {
    /// The generation of the configuration that all nodes should have.
    configuration: u64,
    state: &'static str,
    nodes: Vec<DeployedView>,
}

#[derive(Serialize)]
struct DeployedView {
    node: String,
    configuration: u64,
}

async fn deployment(State(cdn): State<Cdn>) -> Result<Response, Problem> {
    let deployment = cdn.deployment().await?;
    let wanted = deployment.wanted;
    let nodes = deployment.nodes.iter().map(|node| DeployedView {
        node: node.id.to_string(),
        configuration: node.state.configuration,
    });
    let nodes: Vec<_> = nodes.collect();
    let is_complete = nodes.iter().all(|node| node.configuration >= wanted);
    let view = DeploymentView {
        configuration: wanted,
        state: match is_complete {
            true => "complete",
            false => "pending",
        },
        nodes,
    };
    Ok(answer(StatusCode::OK, view))
}

/// `GET /api/v1/cdn/metrics`: nodes with a live lease, summed up.
#[derive(Serialize)]
struct FiguresView {
    nodes: u64,
    unwell: u64,
    connections: u64,
    requests: u64,
    requests_per_second: u64,
    memory_bytes: u64,
}

async fn figures(State(cdn): State<Cdn>) -> Result<Response, Problem> {
    let figures = cdn.figures().await?;
    let view = FiguresView {
        nodes: figures.nodes,
        unwell: figures.unwell,
        connections: figures.connections,
        requests: figures.requests,
        requests_per_second: figures.requests_per_second,
        memory_bytes: figures.memory_bytes,
    };
    Ok(answer(StatusCode::OK, view))
}

/// `POST /api/v1/cdn/assets`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AssetBody {
    name: String,
    path_prefix: String,
    kind: String,
    #[serde(default)]
    origin: String,
    access: String,
    #[serde(default)]
    tags: Vec<String>,
}

/// `PATCH /api/v1/cdn/assets/{id}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AssetChangeBody {
    name: Option<String>,
    path_prefix: Option<String>,
    kind: Option<String>,
    origin: Option<String>,
    access: Option<String>,
    tags: Option<Vec<String>>,
}

#[derive(Serialize)]
struct AssetView {
    id: String,
    name: String,
    path_prefix: String,
    kind: String,
    origin: String,
    access: String,
    tags: Vec<String>,
    created_at: String,
    updated_at: String,
}

impl AssetView {
    fn of(row: &AssetRow) -> Self {
        let rules = &row.rules;
        Self {
            id: row.id.to_string(),
            name: rules.name.clone(),
            path_prefix: rules.path_prefix.clone(),
            kind: rules.kind.to_string(),
            origin: rules.origin.clone(),
            access: rules.access.to_string(),
            tags: rules.tags.clone(),
            created_at: row.created_at.to_rfc3339(),
            updated_at: row.updated_at.to_rfc3339(),
        }
    }
}

async fn register_asset(
    State(cdn): State<Cdn>,
    given: Result<Json<AssetBody>, JsonRejection>,
) -> Result<Response, Problem> {
    let given = body(given)?;
    let new = NewAsset {
        name: given.name,
        path_prefix: given.path_prefix,
        kind: given.kind,
        origin: given.origin,
        access: given.access,
        tags: given.tags,
    };
    let row = cdn.register_asset(new, None).await?;
    Ok(answer(StatusCode::CREATED, AssetView::of(&row)))
}

async fn change_asset(
    State(cdn): State<Cdn>,
    path: Result<Path<String>, PathRejection>,
    given: Result<Json<AssetChangeBody>, JsonRejection>,
) -> Result<Response, Problem> {
    let (id, given) = (id(path)?, body(given)?);
    let change = AssetChange {
        name: given.name,
        path_prefix: given.path_prefix,
        kind: given.kind,
        origin: given.origin,
        access: given.access,
        tags: given.tags,
    };
    let row = cdn.change_asset(id, change, None).await?;
    Ok(answer(StatusCode::OK, AssetView::of(&row)))
}

async fn asset(
    State(cdn): State<Cdn>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let row = cdn.asset(id(path)?).await?;
    Ok(answer(StatusCode::OK, AssetView::of(&row)))
}

async fn remove_asset(
    State(cdn): State<Cdn>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    cdn.remove_asset(id(path)?, None).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn assets(
    State(cdn): State<Cdn>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let (after, limit) = PageQuery::read(query)?;
    let rows = cdn.assets(after, limit).await?;
    let page = Page::new(&rows, limit, |row| row.id.to_string(), AssetView::of);
    Ok(answer(StatusCode::OK, page))
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
