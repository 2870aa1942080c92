//! Pictures of people: the operations, and the pictures themselves.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::request::{Asking, holds, media_type};
use crate::model::Me;
use crate::people::AvatarName;
use crate::pictures::MAX_BYTES;
use crate::problem::Problem;
use crate::{ServiceError, Services};

/// The kinds of picture that are taken.
const TAKEN: [&str; 3] = ["image/png", "image/jpeg", "image/webp"];

/// Where a picture is sent.
pub(super) const PATH: &str = "/api/v1/me/avatar";

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::new().routes(routes!(set_avatar, remove_avatar))
}

/// What is no operation: pictures are parts of pages.
pub(super) fn pictures() -> OpenApiRouter<Services> {
    OpenApiRouter::new().routes(routes!(get_avatar))
}

/// Show another picture of you
///
/// Up to 5 MiB, 8192 pixels a side, and not animated. It is made anew: turned upright, cut to the
/// square in its middle, scaled to 512 pixels a side at most, and nothing is kept of it but what
/// is seen. Its format is that of its content, whatever the request calls it.
#[utoipa::path(put, path = "/api/v1/me/avatar", tag = "people",
    request_body(
        description = "The picture's file",
        content(("image/png"), ("image/jpeg"), ("image/webp"))
    ),
    responses(
        (status = 200, description = "The account, with the picture's `avatar_url`", body = Me),
    ))]
async fn set_avatar(
    State(services): State<Services>,
    Asking(caller): Asking,
    request: Request,
) -> Result<Json<Me>, Problem> {
    if !is_taken(request.headers()) {
        let expected = "image/png, image/jpeg or image/webp";
        return Err(Problem::unsupported_media_type(expected));
    }
    let begin = || Ok((services.place_picture(&caller)?, sent(request)));
    let me = services.set_avatar(&caller, begin).await?;
    Ok(Json(me))
}

fn is_taken(headers: &HeaderMap) -> bool {
    let kind = media_type(headers);
    TAKEN.iter().any(|taken| kind.eq_ignore_ascii_case(taken))
}

/// The body, as one. Its parts are not kept: they may be of a byte each, and then take many times
/// as much.
async fn sent(request: Request) -> Result<Bytes, Problem> {
    let mut parts = request.into_body().into_data_stream();
    let mut file = BytesMut::new();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|error| ServiceError::invalid("picture", error))?;
        if file.len() + part.len() > MAX_BYTES {
            return Err(Problem::body_too_large(MAX_BYTES));
        }
        file.extend_from_slice(&part);
    }
    Ok(file.freeze())
}

/// Show no picture of you
#[utoipa::path(delete, path = "/api/v1/me/avatar", tag = "people",
    responses((status = 204, description = "There is no picture any more")))]
async fn remove_avatar(
    State(services): State<Services>,
    Asking(caller): Asking,
) -> Result<StatusCode, Problem> {
    services.remove_avatar(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Get a picture of somebody
///
/// Where `avatar_url` leads. Another picture has another URL.
#[utoipa::path(get, path = "/avatars/{user}/{file}", tag = "people",
    params(
        ("user" = String, Path, description = "Whose it is", format = "uuid"),
        ("file" = String, Path, description = "The picture"),
    ),
    responses(
        (status = 200, description = "The picture, to be kept for ever",
            content(("image/png"), ("image/jpeg"))),
        (status = 304, description = "The picture is the one that the client has"),
    ))]
async fn get_avatar(
    State(services): State<Services>,
    path: Result<Path<(String, String)>, PathRejection>,
    method: Method,
    asked: HeaderMap,
) -> Result<Response, Problem> {
    let name = path
        .ok()
        .and_then(|Path((user, file))| AvatarName::parse(&user, &file));
    let name = name.ok_or_else(Problem::not_found)?;
    let tag = HeaderValue::try_from(format!("\"{}\"", name.stem()))
        .map_err(|error| ServiceError::internal("entity tag", error))?;
    let is_held = holds(&asked, &tag);
    let fixed = [
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'"),
        ),
        (header::ETAG, tag),
    ];
    let kind = [(header::CONTENT_TYPE, name.kind.content_type())];
    if !is_held && method != Method::HEAD {
        let data = services.avatar(&name).await?;
        return Ok((fixed, kind, data).into_response());
    }
    // Also where the client has it: what was removed is not there any more.
    let size = services.avatar_size(&name).await?;
    if is_held {
        return Ok((StatusCode::NOT_MODIFIED, fixed).into_response());
    }
    let length = [(header::CONTENT_LENGTH, size.to_string())];
    Ok((fixed, kind, length).into_response())
}
