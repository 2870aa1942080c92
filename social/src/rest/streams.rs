//! Streams.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Asking;
use super::request::{Body, IdempotencyKey, OptionalBody, Page, Paging, Segment, Segments};
use crate::Services;
use crate::model::{
    CreateStreamInput, CreateStreamKeyInput, CreatedStream, CreatedStreamKey, LiveEntry, Playback,
    RotateStreamKeyInput, Stream, StreamKey, UpdateStreamInput,
};
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::new()
        .routes(routes!(list_live))
        .routes(routes!(create_stream))
        .routes(routes!(get_stream, update_stream, delete_stream))
        .routes(routes!(list_user_streams))
        .routes(routes!(start_stream))
        .routes(routes!(stop_stream))
        .routes(routes!(get_playback))
        .routes(routes!(list_stream_keys, create_stream_key))
        .routes(routes!(revoke_stream_key))
        .routes(routes!(rotate_stream_key))
}

/// The streams that are live.
#[derive(Serialize, ToSchema)]
struct Live {
    /// The newest broadcast first.
    streams: Vec<LiveEntry>,
    /// `after` of the next page; `null`: this is the last.
    next: Option<String>,
}

/// List the streams that are live
///
/// Those that you may see, without those of people whom you mute.
#[utoipa::path(get, path = "/api/v1/live", tag = "streams", params(Paging),
    responses((status = 200, description = "The streams", body = Live)))]
async fn list_live(
    State(services): State<Services>,
    Asking(caller): Asking,
    Paging(asked): Paging,
) -> Result<Json<Live>, Problem> {
    let Page { items, next } = services.list_live(&caller, asked).await?.into();
    Ok(Json(Live {
        streams: items,
        next,
    }))
}

/// Make a stream
///
/// With its first key, which is shown this once.
#[utoipa::path(post, path = "/api/v1/streams", tag = "streams", params(IdempotencyKey),
    request_body = CreateStreamInput,
    responses((status = 201, description = "The stream and its key", body = CreatedStream)))]
async fn create_stream(
    State(services): State<Services>,
    Asking(caller): Asking,
    IdempotencyKey(key): IdempotencyKey,
    Body(input): Body<CreateStreamInput>,
) -> Result<(StatusCode, Json<CreatedStream>), Problem> {
    let created = services
        .create_stream(&caller, input, key.as_deref())
        .await?;
    Ok((StatusCode::CREATED, Json(created)))
}

/// Show a stream
#[utoipa::path(get, path = "/api/v1/streams/{name}", tag = "streams",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "The stream", body = Stream)))]
async fn get_stream(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
) -> Result<Json<Stream>, Problem> {
    Ok(Json(services.get_stream(&caller, &name).await?))
}

/// Change a stream of yours
#[utoipa::path(patch, path = "/api/v1/streams/{name}", tag = "streams",
    params(("name" = String, Path, description = "Its name")),
    request_body = UpdateStreamInput,
    responses((status = 200, description = "The stream", body = Stream)))]
async fn update_stream(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
    Body(input): Body<UpdateStreamInput>,
) -> Result<Json<Stream>, Problem> {
    Ok(Json(services.update_stream(&caller, &name, input).await?))
}

/// Delete a stream of yours
///
/// What is live ends, its keys are revoked, and what it recorded goes. Its name is free when
/// nothing of it is left.
#[utoipa::path(delete, path = "/api/v1/streams/{name}", tag = "streams",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 204, description = "It is deleted")))]
async fn delete_stream(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
) -> Result<StatusCode, Problem> {
    services.delete_stream(&caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List somebody's streams
///
/// Those that you may see.
#[utoipa::path(get, path = "/api/v1/users/{name}/streams", tag = "streams",
    params(("name" = String, Path, description = "Their name"), Paging),
    responses((status = 200, description = "Streams, the newest first", body = Page<Stream>)))]
async fn list_user_streams(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
    Paging(asked): Paging,
) -> Result<Json<Page<Stream>>, Problem> {
    let streams = services.list_user_streams(&caller, &name, asked).await?;
    Ok(Json(streams.into()))
}

/// Let a stream of yours be published to again
#[utoipa::path(put, path = "/api/v1/streams/{name}/start", tag = "streams",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "The stream", body = Stream)))]
async fn start_stream(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
) -> Result<Json<Stream>, Problem> {
    Ok(Json(services.start_stream(&caller, &name).await?))
}

/// Stop a stream of yours
///
/// What is live ends now, and nobody publishes to it until it is started again.
#[utoipa::path(put, path = "/api/v1/streams/{name}/stop", tag = "streams",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "The stream", body = Stream)))]
async fn stop_stream(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
) -> Result<Json<Stream>, Problem> {
    Ok(Json(services.stop_stream(&caller, &name).await?))
}

/// Tell where a stream is played
///
/// What is not for everybody is played with a token, which stands in the URLs and is yours: it
/// opens this stream, until it expires, you log out, or you may not see the stream any more.
#[utoipa::path(get, path = "/api/v1/streams/{name}/playback", tag = "streams",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "Its URLs", body = Playback)))]
async fn get_playback(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
) -> Result<Json<Playback>, Problem> {
    Ok(Json(services.get_playback(&caller, &name).await?))
}

/// The keys of a stream.
#[derive(Serialize, ToSchema)]
struct StreamKeys {
    /// The newest first.
    keys: Vec<StreamKey>,
}

/// List the keys of a stream of yours
///
/// Those that are good: 20 at most. What is secret of them was shown when they were made.
#[utoipa::path(get, path = "/api/v1/streams/{name}/keys", tag = "streams",
    params(("name" = String, Path, description = "The stream's name")),
    responses((status = 200, description = "The keys", body = StreamKeys)))]
async fn list_stream_keys(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
) -> Result<Json<StreamKeys>, Problem> {
    let keys = services.list_stream_keys(&caller, &name).await?;
    Ok(Json(StreamKeys { keys }))
}

/// Give a stream of yours another key
#[utoipa::path(post, path = "/api/v1/streams/{name}/keys", tag = "streams",
    params(("name" = String, Path, description = "The stream's name"), IdempotencyKey),
    request_body = CreateStreamKeyInput,
    responses((status = 201, description = "The key", body = CreatedStreamKey)))]
async fn create_stream_key(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
    IdempotencyKey(key): IdempotencyKey,
    OptionalBody(input): OptionalBody<CreateStreamKeyInput>,
) -> Result<(StatusCode, Json<CreatedStreamKey>), Problem> {
    let created = services
        .create_stream_key(&caller, &name, input, key.as_deref())
        .await?;
    Ok((StatusCode::CREATED, Json(created)))
}

/// Revoke a key of a stream of yours
///
/// What is published with it ends at once.
#[utoipa::path(delete, path = "/api/v1/streams/{name}/keys/{id}", tag = "streams",
    params(("name" = String, Path, description = "The stream's name"),
           ("id" = String, Path, description = "The key", format = "uuid")),
    responses((status = 204, description = "It opens nothing any more")))]
async fn revoke_stream_key(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segments(name, id): Segments,
) -> Result<StatusCode, Problem> {
    services.revoke_stream_key(&caller, &name, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Replace a key of a stream of yours
///
/// The one that it was is good for `grace_seconds` still; with 0 it is revoked, and what is
/// published with it ends at once.
#[utoipa::path(post, path = "/api/v1/streams/{name}/keys/{id}/rotate", tag = "streams",
    params(("name" = String, Path, description = "The stream's name"),
           ("id" = String, Path, description = "The key", format = "uuid"), IdempotencyKey),
    request_body = RotateStreamKeyInput,
    responses((status = 201, description = "The key in its place", body = CreatedStreamKey)))]
async fn rotate_stream_key(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segments(name, id): Segments,
    IdempotencyKey(key): IdempotencyKey,
    OptionalBody(input): OptionalBody<RotateStreamKeyInput>,
) -> Result<(StatusCode, Json<CreatedStreamKey>), Problem> {
    let created = services
        .rotate_stream_key(&caller, &name, &id, input, key.as_deref())
        .await?;
    Ok((StatusCode::CREATED, Json(created)))
}
