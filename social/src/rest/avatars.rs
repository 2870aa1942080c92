//! Pictures of people: the operations, and the pictures themselves.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::pictures::{File, answer, check_type, sent};
use super::request::Asking;
use crate::Services;
use crate::model::Me;
use crate::people::AvatarName;
use crate::problem::Problem;

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
    check_type(request.headers())?;
    let begin = || Ok((services.place_picture(&caller)?, sent(request)));
    let me = services.set_avatar(&caller, begin).await?;
    Ok(Json(me))
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
    let file = File {
        tag: name.stem(),
        content_type: name.media_type.as_str(),
        is_public: true,
        key: name.key(),
    };
    answer(&services, file, &method, &asked).await
}
