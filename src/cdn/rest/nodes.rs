//! Nodes as REST: each, what was deployed to them, and their figures.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use media::Timestamp;
use serde::Serialize;
use social::problem::Problem;
use storage::rows::edge_nodes::NodeRow;

use super::{Page, PageQuery, answer};
use crate::cdn::service::Cdn;

pub(super) async fn nodes(
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

pub(super) async fn deployment(State(cdn): State<Cdn>) -> Result<Response, Problem> {
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

pub(super) async fn figures(State(cdn): State<Cdn>) -> Result<Response, Problem> {
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
