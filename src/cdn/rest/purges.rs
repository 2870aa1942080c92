//! Purges as REST.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use media::Timestamp;
use serde::{Deserialize, Serialize};
use social::cdn::{Purge, PurgeStatus, Reply};
use social::problem::Problem;
use storage::rows::purges::PurgeRow;

use super::{Page, PageQuery, answer, body, id};
use crate::cdn::service::{Cdn, MAX_WAIT};

/// `POST /api/v1/cdn/purges`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PurgeBody {
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

pub(super) async fn purge(
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
        audited: None,
        once: None,
        wait,
    };
    let status = cdn.purge(purge).await?;
    let code = match status.is_complete {
        true => StatusCode::OK,
        false => StatusCode::ACCEPTED,
    };
    Ok(answer(code, PurgeView::of(&status)))
}

pub(super) async fn purge_status(
    State(cdn): State<Cdn>,
    given: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let status = cdn.purge_status(id(given)?).await?;
    Ok(answer(StatusCode::OK, PurgeView::of(&status)))
}

pub(super) async fn purges(
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
