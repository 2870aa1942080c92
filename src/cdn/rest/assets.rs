//! Assets as REST.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use social::cdn::{AssetChange, NewAsset};
use social::problem::Problem;
use storage::rows::edge_assets::AssetRow;

use super::{Page, PageQuery, answer, body, id};
use crate::cdn::service::Cdn;

/// `POST /api/v1/cdn/assets`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AssetBody {
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
pub(super) struct AssetChangeBody {
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

pub(super) async fn register_asset(
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
    let row = cdn.register_asset(new, None, None).await?;
    Ok(answer(StatusCode::CREATED, AssetView::of(&row)))
}

pub(super) async fn change_asset(
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

pub(super) async fn asset(
    State(cdn): State<Cdn>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let row = cdn.asset(id(path)?).await?;
    Ok(answer(StatusCode::OK, AssetView::of(&row)))
}

pub(super) async fn remove_asset(
    State(cdn): State<Cdn>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    cdn.remove_asset(id(path)?, None).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn assets(
    State(cdn): State<Cdn>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let (after, limit) = PageQuery::read(query)?;
    let rows = cdn.assets(after, limit).await?;
    let page = Page::new(&rows, limit, |row| row.id.to_string(), AssetView::of);
    Ok(answer(StatusCode::OK, page))
}
