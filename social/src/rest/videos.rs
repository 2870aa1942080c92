//! Videos of one's own.

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Asking;
use super::request::{Page, Paging};
use crate::Services;
use crate::model::Video;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::new().routes(routes!(list_videos))
}

/// List your videos
///
/// Recordings of your streams, and files that were imported for you. `video` of a new post takes the
/// id of one that is `ready`.
#[utoipa::path(get, path = "/api/v1/me/videos", tag = "streams", params(Paging),
    responses((status = 200, description = "Videos, the newest first", body = Page<Video>)))]
async fn list_videos(
    State(services): State<Services>,
    Asking(caller): Asking,
    Paging(asked): Paging,
) -> Result<Json<Page<Video>>, Problem> {
    let videos = services.list_videos(&caller, asked).await?;
    Ok(Json(videos.into()))
}
