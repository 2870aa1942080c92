//! Streams.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Asking;
use crate::Services;
use crate::model::LiveEntry;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::new().routes(routes!(list_live))
}

/// The streams that are live.
#[derive(Serialize, ToSchema)]
struct Live {
    /// The newest first.
    streams: Vec<LiveEntry>,
}

/// List the streams that are live
#[utoipa::path(get, path = "/api/v1/live", tag = "streams",
    responses((status = 200, description = "The streams", body = Live)))]
async fn list_live(
    State(services): State<Services>,
    Asking(caller): Asking,
) -> Result<Json<Live>, Problem> {
    let streams = services.list_live(&caller).await?;
    Ok(Json(Live { streams }))
}
