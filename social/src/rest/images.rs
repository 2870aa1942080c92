//! Pictures of posts: sending them, and the pictures themselves.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::pictures::{File, answer, check_type, sent};
use super::request::{Asking, IdempotencyKey, Parameters};
use crate::Services;
use crate::model::Image;
use crate::posts::ImageName;
use crate::problem::Problem;

/// Where a picture is sent.
pub(super) const PATH: &str = "/api/v1/images";

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::new().routes(routes!(upload_image))
}

/// What is no operation: pictures are parts of pages.
pub(super) fn pictures() -> OpenApiRouter<Services> {
    OpenApiRouter::new().routes(routes!(get_image))
}

/// What is said of a picture.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Described {
    /// What is seen on it, for those who do not see it: plain text, as of a post.
    #[serde(default)]
    #[param(required = false, max_length = 1500)]
    description: String,
}

/// Send a picture for a post
///
/// Up to 5 MiB, 8192 pixels a side, and not animated. It is made anew: turned upright, scaled to
/// 2048 pixels a side and 4 MiB at most, and nothing is kept of it but what is seen. Its format is
/// that of its content, whatever the request calls it. `images` of a new post takes its id, within a
/// day; of 20 that are on no post, the oldest gives way to the next.
#[utoipa::path(post, path = "/api/v1/images", tag = "posts", params(Described, IdempotencyKey),
    request_body(
        description = "The picture's file",
        content(("image/png"), ("image/jpeg"), ("image/webp"))
    ),
    responses((status = 201, description = "The picture", body = Image)))]
async fn upload_image(
    State(services): State<Services>,
    Asking(caller): Asking,
    Parameters(described): Parameters<Described>,
    IdempotencyKey(key): IdempotencyKey,
    request: Request,
) -> Result<(StatusCode, Json<Image>), Problem> {
    check_type(request.headers())?;
    let begin = || Ok((services.place_picture(&caller)?, sent(request)));
    let image = services
        .upload_image(&caller, &described.description, key.as_deref(), begin)
        .await?;
    Ok((StatusCode::CREATED, Json(image)))
}

/// Get a picture of a post
///
/// Where `url` and `preview_url` of a picture lead. It needs no login: whoever has the id has it
/// from a post that they see. When the post is deleted, or its author kept out, it is not there.
#[utoipa::path(get, path = "/images/{image}/{file}", tag = "posts",
    params(
        ("image" = String, Path, description = "Its id", format = "uuid"),
        ("file" = String, Path, description = "Which of its files"),
    ),
    responses(
        (status = 200, description = "The picture, to be kept for ever",
            content(("image/png"), ("image/jpeg"))),
        (status = 304, description = "The picture is the one that the client has"),
    ))]
async fn get_image(
    State(services): State<Services>,
    path: Result<Path<(String, String)>, PathRejection>,
    method: Method,
    asked: HeaderMap,
) -> Result<Response, Problem> {
    let name = path
        .ok()
        .and_then(|Path((image, file))| ImageName::parse(&image, &file));
    let name = name.ok_or_else(Problem::not_found)?;
    let is_public = services.find_image(&name).await?;
    let file = File {
        tag: &name.tag(),
        content_type: name.content_type(),
        is_public,
        key: name.key(),
    };
    answer(&services, file, &method, &asked).await
}
