//! Prewarms as REST.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use social::cdn::{NewPrewarm, PrewarmNodeStatus, PrewarmStatus};
use social::problem::Problem;
use storage::rows::prewarms::{PrewarmProgress, PrewarmRow, Requester};

use super::{Page, PageQuery, answer, body_of, id};
use crate::cdn::Cdn;

/// The largest request body, in bytes: of as many URLs as may be, with their hosts.
pub(super) const MAX_BODY_BYTES: usize = 4 << 20;

/// `POST /api/v1/cdn/prewarms`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PrewarmBody {
    kind: String,
    /// Of `video` and `playlist`.
    #[serde(default)]
    subject: String,
    /// Of `urls`.
    #[serde(default)]
    urls: Vec<String>,
    depth: Option<u32>,
    #[serde(default)]
    renditions: Vec<String>,
    #[serde(default)]
    nodes: Vec<String>,
}

impl PrewarmBody {
    /// The text that the kind is about.
    fn subject(&self) -> Result<String, Problem> {
        let other = match self.kind.as_str() {
            "urls" => !self.subject.is_empty(),
            _ => !self.urls.is_empty(),
        };
        if other {
            return Err(Problem::invalid(
                "A prewarm of urls has urls, and one of a video or a playlist has a subject.",
            ));
        }
        for (url, number) in self.urls.iter().zip(1..) {
            let reason = match url.trim() {
                "" => "it is empty",
                url if url.contains(char::is_control) => "it has a control character",
                _ => continue,
            };
            return Err(Problem::invalid(format!(
                "URL {number} to prewarm is not valid: {reason}."
            )));
        }
        Ok(match self.kind.as_str() {
            "urls" => self.urls.join("\n"),
            _ => self.subject.clone(),
        })
    }
}

pub(super) async fn prewarm(
    State(cdn): State<Cdn>,
    given: Result<Json<PrewarmBody>, JsonRejection>,
) -> Result<Response, Problem> {
    let given = body_of(given, MAX_BODY_BYTES)?;
    let nodes = given.nodes.iter().map(|node| node.parse());
    let nodes: Result<Vec<_>, _> = nodes.collect();
    let nodes = nodes.map_err(|_| super::invalid_id())?;
    let new = NewPrewarm {
        kind: &given.kind,
        subject: &given.subject()?,
        depth: given.depth,
        renditions: &given.renditions,
        nodes: &nodes,
        requester: Requester::named("api"),
    };
    let status = cdn.prewarm(new).await?;
    Ok(answer(StatusCode::ACCEPTED, PrewarmView::of(&status)))
}

pub(super) async fn prewarms(
    State(cdn): State<Cdn>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let (after, limit) = PageQuery::read(query)?;
    let rows = cdn.prewarms(after, limit).await?;
    let page = Page::new(&rows, limit, |row| row.id.to_string(), RowView::of);
    Ok(answer(StatusCode::OK, page))
}

pub(super) async fn prewarm_status(
    State(cdn): State<Cdn>,
    given: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let status = cdn.prewarm_status(id(given)?).await?;
    Ok(answer(StatusCode::OK, PrewarmView::of(&status)))
}

pub(super) async fn cancel(
    State(cdn): State<Cdn>,
    given: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let status = cdn.cancel_prewarm(id(given)?, None).await?;
    Ok(answer(StatusCode::OK, PrewarmView::of(&status)))
}

#[derive(Serialize)]
struct PrewarmView {
    #[serde(flatten)]
    prewarm: RowView,
    nodes: Vec<NodeView>,
}

#[derive(Serialize)]
struct RowView {
    id: String,
    kind: String,
    /// Of URLs none.
    subject: String,
    urls: u64,
    depth: Option<u32>,
    renditions: Vec<String>,
    requested_at: String,
    requested_by: String,
    state: String,
    #[serde(flatten)]
    progress: ProgressView,
}

#[derive(Serialize)]
struct ProgressView {
    total: u64,
    done: u64,
    failed: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct NodeView {
    /// None: the edge that was asked, which is in no registry.
    node: Option<String>,
    state: String,
    /// Whether it is waited for.
    live: bool,
    #[serde(flatten)]
    progress: ProgressView,
    errors: Vec<String>,
    updated_at: String,
}

impl PrewarmView {
    fn of(status: &PrewarmStatus) -> Self {
        Self {
            prewarm: RowView::of(&status.row),
            nodes: status.nodes.iter().map(NodeView::of).collect(),
        }
    }
}

impl RowView {
    fn of(row: &PrewarmRow) -> Self {
        Self {
            id: row.id.to_string(),
            kind: row.order.kind.to_string(),
            subject: row.order.subject.clone(),
            urls: row.urls,
            depth: row.order.depth,
            renditions: row.order.renditions.clone(),
            requested_at: row.requested_at.to_rfc3339(),
            requested_by: row.requested_by.clone(),
            state: row.state.to_string(),
            progress: ProgressView::of(&row.progress),
        }
    }
}

impl ProgressView {
    fn of(progress: &PrewarmProgress) -> Self {
        Self {
            total: progress.total,
            done: progress.done,
            failed: progress.failed,
            bytes: progress.bytes,
        }
    }
}

impl NodeView {
    fn of(node: &PrewarmNodeStatus) -> Self {
        Self {
            node: node.node.map(|id| id.to_string()),
            state: node.state.to_string(),
            live: node.is_live,
            progress: ProgressView::of(&node.progress),
            errors: node.errors.clone(),
            updated_at: node.updated_at.to_rfc3339(),
        }
    }
}
