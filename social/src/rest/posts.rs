//! Posts.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::people;
use super::request::{Asking, Body, IdempotencyKey, Page, Paging, Parameters, Segment};
use crate::caller::Caller;
use crate::model::{CreatePostInput, EditPostInput, Post, Revision, User};
use crate::paging::{PageRequest, Paged};
use crate::posts::SeenPost;
use crate::problem::Problem;
use crate::{ServiceError, Services};

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::new()
        .routes(routes!(create_post))
        .routes(routes!(get_post, edit_post, delete_post))
        .routes(routes!(list_revisions))
        .routes(routes!(list_comments))
        .routes(routes!(list_thread))
        .routes(routes!(list_quotes))
        .routes(routes!(list_likes))
        .routes(routes!(like_post, unlike_post))
        .routes(routes!(share_post, unshare_post))
        .routes(routes!(list_user_posts))
        .routes(routes!(list_hashtag_posts))
}

/// One post, as whoever asks may see it.
async fn show(services: &Services, caller: &Caller, post: SeenPost) -> Result<Json<Post>, Problem> {
    let shown = services.show_posts(caller, vec![post]).await?;
    let post = shown.into_iter().next();
    let post = post.ok_or_else(|| ServiceError::internal("post", "not shown"))?;
    Ok(Json(post))
}

/// A page of posts from wherever.
pub(super) async fn page(
    services: &Services,
    caller: &Caller,
    posts: Paged<SeenPost>,
) -> Result<Json<Page<Post>>, Problem> {
    let next = posts.next;
    let posts = posts.items.into_iter().map(|(_, post)| post).collect();
    let items = services.show_posts(caller, posts).await?;
    Ok(Json(Page { items, next }))
}

/// Write a post, a comment or a quote
///
/// Mentions (`@name`), hashtags and links are found in the text. A name of nobody is text.
#[utoipa::path(post, path = "/api/v1/posts", tag = "posts", params(IdempotencyKey),
    request_body = CreatePostInput,
    responses((status = 201, description = "The post", body = Post)))]
async fn create_post(
    State(services): State<Services>,
    Asking(caller): Asking,
    IdempotencyKey(key): IdempotencyKey,
    Body(input): Body<CreatePostInput>,
) -> Result<(StatusCode, Json<Post>), Problem> {
    let post = services.create_post(&caller, input, key.as_deref()).await?;
    Ok((StatusCode::CREATED, show(&services, &caller, post).await?))
}

/// Show a post
///
/// One that was deleted is shown, empty, where it holds its place in a thread.
#[utoipa::path(get, path = "/api/v1/posts/{id}", tag = "posts",
    params(("id" = String, Path, description = "The post", format = "uuid")),
    responses((status = 200, description = "The post", body = Post)))]
async fn get_post(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(id): Segment,
) -> Result<Json<Post>, Problem> {
    let post = services.get_post(&caller, &id).await?;
    show(&services, &caller, post).await
}

/// Edit a post of yours
///
/// What it said before is kept, and whoever sees the post sees it. When it was edited since you
/// saw it, it is not edited, and the code is `edited-meanwhile`.
#[utoipa::path(patch, path = "/api/v1/posts/{id}", tag = "posts",
    params(("id" = String, Path, description = "The post", format = "uuid")),
    request_body = EditPostInput,
    responses((status = 200, description = "The post", body = Post)))]
async fn edit_post(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(id): Segment,
    Body(input): Body<EditPostInput>,
) -> Result<Json<Post>, Problem> {
    let post = services.edit_post(&caller, &id, input).await?;
    show(&services, &caller, post).await
}

/// Delete a post
///
/// Of yours; a moderator deletes anybody's (an API token needs the scope `moderation` too), and
/// the audit log tells of it.
#[utoipa::path(delete, path = "/api/v1/posts/{id}", tag = "posts",
    params(("id" = String, Path, description = "The post", format = "uuid")),
    responses((status = 204, description = "It is deleted")))]
async fn delete_post(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(id): Segment,
) -> Result<StatusCode, Problem> {
    services.delete_post(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List what a post said before
#[utoipa::path(get, path = "/api/v1/posts/{id}/revisions", tag = "posts",
    params(("id" = String, Path, description = "The post", format = "uuid"), Paging),
    responses((status = 200, description = "What it said, the newest first", body = Page<Revision>)))]
async fn list_revisions(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(id): Segment,
    Paging(asked): Paging,
) -> Result<Json<Page<Revision>>, Problem> {
    let revisions = services.list_revisions(&caller, &id, asked).await?;
    Ok(Json(revisions.into()))
}

/// List what answers a post
#[utoipa::path(get, path = "/api/v1/posts/{id}/comments", tag = "posts",
    params(("id" = String, Path, description = "The post", format = "uuid"), Paging),
    responses((status = 200, description = "Answers to it, the newest first", body = Page<Post>)))]
async fn list_comments(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(id): Segment,
    Paging(asked): Paging,
) -> Result<Json<Page<Post>>, Problem> {
    let comments = services.list_comments(&caller, &id, asked).await?;
    page(&services, &caller, comments).await
}

/// List the thread that a post is in
///
/// All comments of it, whatever they answer. One can answer a comment that is not among them: it
/// is deleted, or not for you.
#[utoipa::path(get, path = "/api/v1/posts/{id}/thread", tag = "posts",
    params(("id" = String, Path, description = "A post of the thread", format = "uuid"), Paging),
    responses((status = 200, description = "The comments, the oldest first", body = Page<Post>)))]
async fn list_thread(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(id): Segment,
    Paging(asked): Paging,
) -> Result<Json<Page<Post>>, Problem> {
    let comments = services.list_thread(&caller, &id, asked).await?;
    page(&services, &caller, comments).await
}

/// List what quotes a post
#[utoipa::path(get, path = "/api/v1/posts/{id}/quotes", tag = "posts",
    params(("id" = String, Path, description = "The post", format = "uuid"), Paging),
    responses((status = 200, description = "Quotes of it, the newest first", body = Page<Post>)))]
async fn list_quotes(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(id): Segment,
    Paging(asked): Paging,
) -> Result<Json<Page<Post>>, Problem> {
    let quotes = services.list_quotes(&caller, &id, asked).await?;
    page(&services, &caller, quotes).await
}

/// List who likes a post
#[utoipa::path(get, path = "/api/v1/posts/{id}/likes", tag = "posts",
    params(("id" = String, Path, description = "The post", format = "uuid"), Paging),
    responses((status = 200, description = "Who likes it, the newest account first", body = Page<User>)))]
async fn list_likes(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(id): Segment,
    Paging(asked): Paging,
) -> Result<Json<Page<User>>, Problem> {
    let likers = services.list_likes(&caller, &id, asked).await?;
    people::page(&services, &caller, likers).await
}

/// Like a post
///
/// Of a share, what it shares.
#[utoipa::path(put, path = "/api/v1/posts/{id}/like", tag = "posts",
    params(("id" = String, Path, description = "The post", format = "uuid")),
    responses((status = 204, description = "You like it")))]
async fn like_post(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(id): Segment,
) -> Result<StatusCode, Problem> {
    services.like_post(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Like a post no more
#[utoipa::path(delete, path = "/api/v1/posts/{id}/like", tag = "posts",
    params(("id" = String, Path, description = "The post", format = "uuid")),
    responses((status = 204, description = "You do not like it")))]
async fn unlike_post(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(id): Segment,
) -> Result<StatusCode, Problem> {
    services.unlike_post(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Share a post
///
/// Once: who shares it again has the share that is there. A share of a share is one of what that
/// shares.
#[utoipa::path(put, path = "/api/v1/posts/{id}/share", tag = "posts",
    params(("id" = String, Path, description = "The post", format = "uuid")),
    responses((status = 200, description = "The share", body = Post)))]
async fn share_post(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(id): Segment,
) -> Result<Json<Post>, Problem> {
    let share = services.share_post(&caller, &id).await?;
    show(&services, &caller, share).await
}

/// Share a post no more
#[utoipa::path(delete, path = "/api/v1/posts/{id}/share", tag = "posts",
    params(("id" = String, Path, description = "The post, or a share of it", format = "uuid")),
    responses((status = 204, description = "You do not share it")))]
async fn unshare_post(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(id): Segment,
) -> Result<StatusCode, Problem> {
    services.unshare_post(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which posts of somebody.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct UserPostsQuery {
    /// Whether comments are among them.
    #[serde(default)]
    #[param(required = false, default = false)]
    comments: bool,
    /// Items of the page.
    #[param(minimum = 1, maximum = 100, default = 20)]
    first: Option<i64>,
    /// `next` of the page before.
    #[param(min_length = 32, max_length = 32, pattern = "^[A-Za-z0-9_-]*$")]
    after: Option<String>,
}

/// List what somebody wrote and shared
#[utoipa::path(get, path = "/api/v1/users/{name}/posts", tag = "posts",
    params(("name" = String, Path, description = "Their name"), UserPostsQuery),
    responses((status = 200, description = "Their posts, the newest first", body = Page<Post>)))]
async fn list_user_posts(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(name): Segment,
    Parameters(query): Parameters<UserPostsQuery>,
) -> Result<Json<Page<Post>>, Problem> {
    let asked = PageRequest::new(query.first, query.after.as_deref())?;
    let comments = query.comments;
    let posts = services
        .list_user_posts(&caller, &name, comments, asked)
        .await?;
    page(&services, &caller, posts).await
}

/// List posts with a hashtag
///
/// Without those of people whom you mute.
#[utoipa::path(get, path = "/api/v1/hashtags/{hashtag}/posts", tag = "posts",
    params(("hashtag" = String, Path, description = "The hashtag without `#`, in upper or lower case"), Paging),
    responses((status = 200, description = "Posts, the newest first", body = Page<Post>)))]
async fn list_hashtag_posts(
    State(services): State<Services>,
    Asking(caller): Asking,
    Segment(hashtag): Segment,
    Paging(asked): Paging,
) -> Result<Json<Page<Post>>, Problem> {
    let posts = services
        .list_hashtag_posts(&caller, &hashtag, asked)
        .await?;
    page(&services, &caller, posts).await
}
