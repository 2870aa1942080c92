//! What is asked of the caches.

use async_graphql::ID;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Asking;
use super::request::{Body, IdempotencyKey, Page, Paging, Parameters, Segment};
use crate::Services;
use crate::model::{
    EdgeAsset, EdgeDeployment, EdgeMetrics, EdgeNode, GenerateUrlInput, GeneratedUrl,
    PatternPurgeInput, Prewarm, PrewarmInput, Purge, PurgeInput, RegisterAssetInput,
    UpdateAssetInput, Usage, UsageBy, UsageInput,
};
use crate::paging::PageRequest;
use crate::problem::Problem;

/// What the paths of all of these begin with.
pub(super) const PATH: &str = "/api/v1/cdn/";

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::new()
        .routes(routes!(generate_url))
        .routes(routes!(purge))
        .routes(routes!(purge_by_pattern))
        .routes(routes!(get_purge))
        .routes(routes!(prewarm))
        .routes(routes!(get_prewarm, cancel_prewarm))
        .routes(routes!(list_usage))
        .routes(routes!(list_edge_nodes))
        .routes(routes!(get_edge_deployment))
        .routes(routes!(get_edge_metrics))
        .routes(routes!(list_edge_assets, register_edge_asset))
        .routes(routes!(
            get_edge_asset,
            update_edge_asset,
            remove_edge_asset
        ))
}

/// Make a URL
///
/// Of a path of a stream or a video of yours, for whoever is to have it; administrators, of any.
/// Where it has to be, it is signed: then it opens what lies beside the path too, until it expires,
/// you are suspended, or your streams are for others. An administrator's API token needs the scope
/// `admin` too.
#[utoipa::path(post, path = "/api/v1/cdn/urls", tag = "caches",
    request_body = GenerateUrlInput,
    responses((status = 200, description = "The URL", body = GeneratedUrl)))]
async fn generate_url(
    State(services): State<Services>,
    Asking(caller): Asking,
    Body(input): Body<GenerateUrlInput>,
) -> Result<Json<GeneratedUrl>, Problem> {
    Ok(Json(services.generate_url(&caller, input).await?))
}

/// 202: some have not answered yet.
fn purged(purge: Purge) -> (StatusCode, Json<Purge>) {
    let status = match purge.is_complete {
        true => StatusCode::OK,
        false => StatusCode::ACCEPTED,
    };
    (status, Json(purge))
}

/// Have something leave all caches
///
/// A path, a stream or a video of yours; administrators, anything.
#[utoipa::path(post, path = "/api/v1/cdn/purges", tag = "caches", params(IdempotencyKey),
    request_body = PurgeInput,
    responses((status = 200, description = "No cache that serves gives it any more", body = Purge),
        (status = 202, description = "Some have not answered yet", body = Purge)))]
async fn purge(
    State(services): State<Services>,
    Asking(caller): Asking,
    IdempotencyKey(key): IdempotencyKey,
    Body(input): Body<PurgeInput>,
) -> Result<(StatusCode, Json<Purge>), Problem> {
    let purge = services.purge(&caller, input, key.as_deref()).await?;
    Ok(purged(purge))
}

/// Have what matches leave all caches
///
/// Paths of a stream or a video of yours; administrators, any.
#[utoipa::path(post, path = "/api/v1/cdn/purges/by-pattern", tag = "caches", params(IdempotencyKey),
    request_body = PatternPurgeInput,
    responses((status = 200, description = "No cache that serves gives it any more", body = Purge),
        (status = 202, description = "Some have not answered yet", body = Purge)))]
async fn purge_by_pattern(
    State(services): State<Services>,
    Asking(caller): Asking,
    IdempotencyKey(key): IdempotencyKey,
    Body(input): Body<PatternPurgeInput>,
) -> Result<(StatusCode, Json<Purge>), Problem> {
    let purge = services.purge_by_pattern(&caller, input, key.as_deref());
    Ok(purged(purge.await?))
}

/// Show how far a purge is
///
/// One of yours; administrators, any.
#[utoipa::path(get, path = "/api/v1/cdn/purges/{id}", tag = "caches",
    params(("id" = String, Path, description = "The purge", format = "uuid")),
    responses((status = 200, description = "The purge", body = Purge)))]
async fn get_purge(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(id): Segment,
) -> Result<Json<Purge>, Problem> {
    Ok(Json(services.get_purge(&caller, &id).await?))
}

/// Have caches store something
///
/// Before anybody asks for it: paths, a video or what a playlist names, of yours; administrators,
/// anything. You have 8 that have not ended at most.
#[utoipa::path(post, path = "/api/v1/cdn/prewarms", tag = "caches", params(IdempotencyKey),
    request_body = PrewarmInput,
    responses((status = 202, description = "They will", body = Prewarm)))]
async fn prewarm(
    State(services): State<Services>,
    Asking(caller): Asking,
    IdempotencyKey(key): IdempotencyKey,
    Body(input): Body<PrewarmInput>,
) -> Result<(StatusCode, Json<Prewarm>), Problem> {
    let prewarm = services.prewarm(&caller, input, key.as_deref()).await?;
    Ok((StatusCode::ACCEPTED, Json(prewarm)))
}

/// Show how far a prewarm is
///
/// One of yours; administrators, any.
#[utoipa::path(get, path = "/api/v1/cdn/prewarms/{id}", tag = "caches",
    params(("id" = String, Path, description = "The prewarm", format = "uuid")),
    responses((status = 200, description = "The prewarm", body = Prewarm)))]
async fn get_prewarm(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(id): Segment,
) -> Result<Json<Prewarm>, Problem> {
    Ok(Json(services.get_prewarm(&caller, &id).await?))
}

/// Cancel a prewarm
///
/// One of yours; administrators, any. What is stored stays.
#[utoipa::path(delete, path = "/api/v1/cdn/prewarms/{id}", tag = "caches",
    params(("id" = String, Path, description = "The prewarm", format = "uuid")),
    responses((status = 200, description = "The prewarm", body = Prewarm)))]
async fn cancel_prewarm(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(id): Segment,
) -> Result<Json<Prewarm>, Problem> {
    Ok(Json(services.cancel_prewarm(&caller, &id).await?))
}

/// Which usage: of one stream, video or owner at most.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct UsageQuery {
    /// By what it is summed up.
    #[serde(default)]
    #[param(inline, required = false)]
    by: UsageBy,
    /// The first second, since 1970: if nothing is said, a day before `to`.
    #[param(minimum = 0, maximum = 253402300799i64)]
    from: Option<i64>,
    /// The first second behind it, since 1970: if nothing is said, now.
    #[param(minimum = 0, maximum = 253402300799i64)]
    to: Option<i64>,
    /// Of a stretch of time, in seconds, whole minutes: if nothing is said, an hour.
    #[param(minimum = 60, maximum = 31622400, multiple_of = 60)]
    seconds: Option<i64>,
    /// A stream, by its name.
    stream: Option<String>,
    /// A video, by its id.
    #[param(format = "uuid")]
    video: Option<String>,
    /// Whose streams and videos, by name: your own, or anybody's for administrators.
    owner: Option<String>,
    /// Items of the page.
    #[param(minimum = 1, maximum = 100, default = 20)]
    first: Option<i64>,
    /// `next` of the page before.
    #[param(min_length = 32, max_length = 32, pattern = "^[A-Za-z0-9_-]*$")]
    after: Option<String>,
}

/// Show what was served
///
/// Of a stream, a video or all that is yours; administrators, of anything, and if nothing is named
/// of everything.
#[utoipa::path(get, path = "/api/v1/cdn/usage", tag = "caches", params(UsageQuery),
    responses((status = 200, description = "What was served", body = Page<Usage>)))]
async fn list_usage(
    State(services): State<Services>,
    Asking(caller): Asking,
    Parameters(query): Parameters<UsageQuery>,
) -> Result<Json<Page<Usage>>, Problem> {
    let page = PageRequest::new(query.first, query.after.as_deref())?;
    let input = UsageInput {
        by: query.by,
        from: query.from,
        to: query.to,
        seconds: query.seconds,
        stream: query.stream,
        video: query.video.map(ID),
        owner: query.owner,
    };
    Ok(Json(
        services.list_usage(&caller, input, page).await?.into(),
    ))
}

/// List the caches
///
/// Where they are, and how they are.
#[utoipa::path(get, path = "/api/v1/cdn/nodes", tag = "caches", params(Paging),
    responses((status = 200, description = "The caches", body = Page<EdgeNode>)))]
async fn list_edge_nodes(
    State(services): State<Services>,
    Asking(caller): Asking,
    Paging(asked): Paging,
) -> Result<Json<Page<EdgeNode>>, Problem> {
    Ok(Json(services.list_edge_nodes(&caller, asked).await?.into()))
}

/// Show which configuration the caches have
#[utoipa::path(get, path = "/api/v1/cdn/deployment", tag = "caches",
    responses((status = 200, description = "The configuration", body = EdgeDeployment)))]
async fn get_edge_deployment(
    State(services): State<Services>,
    Asking(caller): Asking,
) -> Result<Json<EdgeDeployment>, Problem> {
    Ok(Json(services.get_edge_deployment(&caller).await?))
}

/// Show what the caches do together
///
/// Those that are live.
#[utoipa::path(get, path = "/api/v1/cdn/metrics", tag = "caches",
    responses((status = 200, description = "Sums", body = EdgeMetrics)))]
async fn get_edge_metrics(
    State(services): State<Services>,
    Asking(caller): Asking,
) -> Result<Json<EdgeMetrics>, Problem> {
    Ok(Json(services.get_edge_metrics(&caller).await?))
}

/// List what is registered to be cached
#[utoipa::path(get, path = "/api/v1/cdn/assets", tag = "caches", params(Paging),
    responses((status = 200, description = "Assets, in the order of their registration", body = Page<EdgeAsset>)))]
async fn list_edge_assets(
    State(services): State<Services>,
    Asking(caller): Asking,
    Paging(asked): Paging,
) -> Result<Json<Page<EdgeAsset>>, Problem> {
    Ok(Json(
        services.list_edge_assets(&caller, asked).await?.into(),
    ))
}

/// Register what is to be cached
#[utoipa::path(post, path = "/api/v1/cdn/assets", tag = "caches", params(IdempotencyKey),
    request_body = RegisterAssetInput,
    responses((status = 201, description = "The asset", body = EdgeAsset)))]
async fn register_edge_asset(
    State(services): State<Services>,
    Asking(caller): Asking,
    IdempotencyKey(key): IdempotencyKey,
    Body(input): Body<RegisterAssetInput>,
) -> Result<(StatusCode, Json<EdgeAsset>), Problem> {
    let asset = services.register_edge_asset(&caller, input, key.as_deref());
    Ok((StatusCode::CREATED, Json(asset.await?)))
}

/// Show what is registered to be cached
#[utoipa::path(get, path = "/api/v1/cdn/assets/{id}", tag = "caches",
    params(("id" = String, Path, description = "The asset", format = "uuid")),
    responses((status = 200, description = "The asset", body = EdgeAsset)))]
async fn get_edge_asset(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(id): Segment,
) -> Result<Json<EdgeAsset>, Problem> {
    Ok(Json(services.get_edge_asset(&caller, &id).await?))
}

/// Change what is registered to be cached
#[utoipa::path(patch, path = "/api/v1/cdn/assets/{id}", tag = "caches",
    params(("id" = String, Path, description = "The asset", format = "uuid")),
    request_body = UpdateAssetInput,
    responses((status = 200, description = "The asset", body = EdgeAsset)))]
async fn update_edge_asset(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(id): Segment,
    Body(input): Body<UpdateAssetInput>,
) -> Result<Json<EdgeAsset>, Problem> {
    Ok(Json(services.update_edge_asset(&caller, &id, input).await?))
}

/// Remove what is registered to be cached
///
/// What is cached of it stays.
#[utoipa::path(delete, path = "/api/v1/cdn/assets/{id}", tag = "caches",
    params(("id" = String, Path, description = "The asset", format = "uuid")),
    responses((status = 204, description = "It is removed")))]
async fn remove_edge_asset(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(id): Segment,
) -> Result<StatusCode, Problem> {
    services.remove_edge_asset(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
