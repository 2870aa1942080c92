//! What is measured of streams, what is kept of their broadcasts, and who watches.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Asking;
use super::request::{Page, Paging, Parameters, Segment, Segments};
use crate::Services;
use crate::model::{Moment, Recording, StreamAnalytics, StreamStatus, ViewerSession};
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::new()
        .routes(routes!(get_stream_status))
        .routes(routes!(list_recordings))
        .routes(routes!(join_stream))
        .routes(routes!(stay_in_stream, leave_stream))
        .routes(routes!(get_stream_analytics))
}

/// Show what is measured of a stream
///
/// For the stream's owner and for moderators (whose API token needs the scope `moderation` too).
#[utoipa::path(get, path = "/api/v1/streams/{name}/status", tag = "streams",
    params(("name" = String, Path, description = "The stream's name")),
    responses((status = 200, description = "How it stands", body = StreamStatus)))]
async fn get_stream_status(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
) -> Result<Json<StreamStatus>, Problem> {
    Ok(Json(services.get_stream_status(&caller, &name).await?))
}

/// List the recordings of a stream
///
/// What is not for everybody is played with a token, as the stream is.
#[utoipa::path(get, path = "/api/v1/streams/{name}/recordings", tag = "streams",
    params(("name" = String, Path, description = "The stream's name"), Paging),
    responses((status = 200, description = "Recordings, the newest first", body = Page<Recording>)))]
async fn list_recordings(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
    Paging(asked): Paging,
) -> Result<Json<Page<Recording>>, Problem> {
    let recordings = services.list_recordings(&caller, &name, asked).await?;
    Ok(Json(recordings.into()))
}

/// Say that you watch a stream
///
/// It has to be live. Say it again every `beat_seconds`, or you are not counted any more.
#[utoipa::path(post, path = "/api/v1/streams/{name}/viewers", tag = "streams",
    params(("name" = String, Path, description = "The stream's name")),
    responses((status = 201, description = "The viewer session", body = ViewerSession)))]
async fn join_stream(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
) -> Result<(StatusCode, Json<ViewerSession>), Problem> {
    let joined = services.join_stream(&caller, &name).await?;
    Ok((StatusCode::CREATED, Json(joined)))
}

/// Say that you still watch a stream
///
/// A session that is gone is not found: join again.
#[utoipa::path(put, path = "/api/v1/streams/{name}/viewers/{id}", tag = "streams",
    params(("name" = String, Path, description = "The stream's name"),
           ("id" = String, Path, description = "The viewer session", format = "uuid")),
    responses((status = 200, description = "The viewer session", body = ViewerSession)))]
async fn stay_in_stream(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segments(name, id): Segments,
) -> Result<Json<ViewerSession>, Problem> {
    Ok(Json(services.stay_in_stream(&caller, &name, &id).await?))
}

/// Say that you watch a stream no more
#[utoipa::path(delete, path = "/api/v1/streams/{name}/viewers/{id}", tag = "streams",
    params(("name" = String, Path, description = "The stream's name"),
           ("id" = String, Path, description = "The viewer session", format = "uuid")),
    responses((status = 204, description = "It is over")))]
async fn leave_stream(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segments(name, id): Segments,
) -> Result<StatusCode, Problem> {
    services.leave_stream(&caller, &name, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Of which time it is asked.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PeriodQuery {
    /// The first instant; an hour before `to` unless told otherwise, and a day at most.
    #[param(value_type = Option<String>, format = "date-time")]
    from: Option<Moment>,
    /// The first instant behind it; now unless told otherwise.
    #[param(value_type = Option<String>, format = "date-time")]
    to: Option<Moment>,
}

/// Show who watched a stream of yours
///
/// By the minute, while it was live.
#[utoipa::path(get, path = "/api/v1/streams/{name}/analytics", tag = "streams",
    params(("name" = String, Path, description = "The stream's name"), PeriodQuery),
    responses((status = 200, description = "Who watched", body = StreamAnalytics)))]
async fn get_stream_analytics(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
    Parameters(PeriodQuery { from, to }): Parameters<PeriodQuery>,
) -> Result<Json<StreamAnalytics>, Problem> {
    let analytics = services.get_stream_analytics(&caller, &name, from, to);
    Ok(Json(analytics.await?))
}
