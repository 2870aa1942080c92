//! Search.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::request::{Asking, Page, Parameters};
use super::{people, posts};
use crate::model::{Post, PostStream, User};
use crate::paging::PageRequest;
use crate::problem::Problem;
use crate::{ServiceError, Services};

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::new()
        .routes(routes!(search_posts))
        .routes(routes!(search_users))
        .routes(routes!(search_streams))
}

/// What is looked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SearchParameters {
    /// Words that must all be there, 32 at most, of which the last may be the beginning of one:
    /// `@name` and `#hashtag` too. Nothing in it is an operator.
    #[param(max_length = 500)]
    q: String,
    /// Items of the page.
    #[param(minimum = 1, maximum = 100, default = 20)]
    first: Option<i64>,
    /// `next` of the page before.
    #[param(min_length = 32, max_length = 32, pattern = "^[A-Za-z0-9_-]*$")]
    after: Option<String>,
}

impl SearchParameters {
    fn page(&self) -> Result<PageRequest, ServiceError> {
        PageRequest::new(self.first, self.after.as_deref())
    }
}

/// Search posts
///
/// Those with the words before those with a word that begins like the last one; among these the
/// newest first.
#[utoipa::path(get, path = "/api/v1/search/posts", tag = "search", params(SearchParameters),
    responses((status = 200, description = "Posts, the best first", body = Page<Post>)))]
async fn search_posts(
    State(services): State<Services>,
    Asking(caller): Asking,
    Parameters(asked): Parameters<SearchParameters>,
) -> Result<Json<Page<Post>>, Problem> {
    let found = services.search_posts(&caller, &asked.q, asked.page()?);
    posts::page(&services, &caller, found.await?).await
}

/// Search people
///
/// Whose name it is, whose name begins so, and who is shown under words that begin so; among these,
/// who has been there longest first.
#[utoipa::path(get, path = "/api/v1/search/users", tag = "search", params(SearchParameters),
    responses((status = 200, description = "People, the best first", body = Page<User>)))]
async fn search_users(
    State(services): State<Services>,
    Asking(caller): Asking,
    Parameters(asked): Parameters<SearchParameters>,
) -> Result<Json<Page<User>>, Problem> {
    let found = services.search_users(&caller, &asked.q, asked.page()?);
    people::page(&services, &caller, found.await?).await
}

/// Search streams
///
/// By the words of their names, and by `@owner`; the oldest first.
#[utoipa::path(get, path = "/api/v1/search/streams", tag = "search", params(SearchParameters),
    responses((status = 200, description = "Streams, the best first", body = Page<PostStream>)))]
async fn search_streams(
    State(services): State<Services>,
    Asking(caller): Asking,
    Parameters(asked): Parameters<SearchParameters>,
) -> Result<Json<Page<PostStream>>, Problem> {
    let found = services.search_streams(&caller, &asked.q, asked.page()?);
    Ok(Json(found.await?.into()))
}
