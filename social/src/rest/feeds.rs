//! Feeds and trends.

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::posts::page;
use super::request::{Asking, Page, Paging};
use crate::Services;
use crate::model::{Hashtag, Post, PostStream};
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::new()
        .routes(routes!(list_home))
        .routes(routes!(list_discover))
        .routes(routes!(list_trending_posts))
        .routes(routes!(list_trending_hashtags))
        .routes(routes!(list_trending_streams))
}

/// List your home feed
///
/// Posts, quotes and shares of those whom you follow and do not mute, and your own.
#[utoipa::path(get, path = "/api/v1/feeds/home", tag = "feeds", params(Paging),
    responses((status = 200, description = "Posts, the newest first", body = Page<Post>)))]
async fn list_home(
    State(services): State<Services>,
    Asking(caller): Asking,
    Paging(asked): Paging,
) -> Result<Json<Page<Post>>, Problem> {
    let posts = services.list_home(&caller, asked).await?;
    page(&services, &caller, posts).await
}

/// List what everybody writes
///
/// Public posts and quotes, without those of people whom you mute.
#[utoipa::path(get, path = "/api/v1/feeds/discover", tag = "feeds", params(Paging),
    responses((status = 200, description = "Posts, the newest first", body = Page<Post>)))]
async fn list_discover(
    State(services): State<Services>,
    Asking(caller): Asking,
    Paging(asked): Paging,
) -> Result<Json<Page<Post>>, Problem> {
    let posts = services.list_discover(&caller, asked).await?;
    page(&services, &caller, posts).await
}

/// List posts that trend
///
/// By a score that decays with time. It is computed once a minute; a page goes on in the
/// computation that the first one was of, for a quarter of an hour.
#[utoipa::path(get, path = "/api/v1/trends/posts", tag = "feeds", params(Paging),
    responses((status = 200, description = "Posts, the highest score first", body = Page<Post>)))]
async fn list_trending_posts(
    State(services): State<Services>,
    Asking(caller): Asking,
    Paging(asked): Paging,
) -> Result<Json<Page<Post>>, Problem> {
    let posts = services.list_trending_posts(&caller, asked).await?;
    page(&services, &caller, posts).await
}

/// List hashtags that trend
#[utoipa::path(get, path = "/api/v1/trends/hashtags", tag = "feeds", params(Paging),
    responses((status = 200, description = "Hashtags, the highest score first", body = Page<Hashtag>)))]
async fn list_trending_hashtags(
    State(services): State<Services>,
    Asking(caller): Asking,
    Paging(asked): Paging,
) -> Result<Json<Page<Hashtag>>, Problem> {
    let hashtags = services.list_trending_hashtags(&caller, asked).await?;
    Ok(Json(hashtags.into()))
}

/// List streams that trend
///
/// Those that are live, by their viewers and by what came of the posts that show them.
#[utoipa::path(get, path = "/api/v1/trends/streams", tag = "feeds", params(Paging),
    responses((status = 200, description = "Streams, the highest score first", body = Page<PostStream>)))]
async fn list_trending_streams(
    State(services): State<Services>,
    Asking(caller): Asking,
    Paging(asked): Paging,
) -> Result<Json<Page<PostStream>>, Problem> {
    let streams = services.list_trending_streams(&caller, asked).await?;
    Ok(Json(streams.into()))
}
