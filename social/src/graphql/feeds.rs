//! Queries of feeds, trends and search.

use async_graphql::{Context, Object, Result};

use super::connection::{Connection, connection, of_page};
use super::post::{Posts, posts};
use super::query::asked;
use super::user::{People, people};
use crate::model::{Hashtag, PostStream};

/// What can be asked of feeds, trends and search.
#[derive(Default)]
pub(crate) struct FeedQuery;

#[Object]
impl FeedQuery {
    /// One's home feed, the newest first: posts, quotes and shares of those whom one follows and does
    /// not mute, and one's own.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn home(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Posts> {
        let (services, caller, page) = asked(context, first, after)?;
        Ok(posts(services.list_home(caller, page).await?))
    }

    /// What everybody writes, the newest first: public posts and quotes, without those of people
    /// whom one mutes.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn discover(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Posts> {
        let (services, caller, page) = asked(context, first, after)?;
        Ok(posts(services.list_discover(caller, page).await?))
    }

    /// Posts that trend, the highest score first. It is computed once a minute; a page goes on in
    /// the computation that the first one was of, for a quarter of an hour.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn trending_posts(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Posts> {
        let (services, caller, page) = asked(context, first, after)?;
        Ok(posts(services.list_trending_posts(caller, page).await?))
    }

    /// Hashtags that trend, the highest score first.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn trending_hashtags(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<Hashtag>> {
        let (services, caller, page) = asked(context, first, after)?;
        let hashtags = services.list_trending_hashtags(caller, page).await?;
        Ok(connection(hashtags))
    }

    /// Streams that trend, the highest score first: those that are live, by their viewers and by
    /// what came of the posts that show them.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn trending_streams(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<PostStream>> {
        let (services, caller, page) = asked(context, first, after)?;
        let streams = services.list_trending_streams(caller, page).await?;
        Ok(connection(streams))
    }

    /// Posts with all of these words, 32 at most, of which the last may be the beginning of one;
    /// the best and the newest first. A page may be shorter than was asked for, and not the last.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn search_posts(
        &self,
        context: &Context<'_>,
        query: String,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Posts> {
        let (services, caller, page) = asked(context, first, after)?;
        Ok(posts(services.search_posts(caller, &query, page).await?))
    }

    /// People: whose name it is, whose name begins so, and who is shown under words that begin so.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn search_users(
        &self,
        context: &Context<'_>,
        query: String,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<People> {
        let (services, caller, page) = asked(context, first, after)?;
        Ok(people(services.search_users(caller, &query, page).await?))
    }

    /// Streams by the words of their names, and by `@owner`; the oldest first.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn search_streams(
        &self,
        context: &Context<'_>,
        query: String,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<PostStream>> {
        let (services, caller, page) = asked(context, first, after)?;
        let streams = services.search_streams(caller, &query, page).await?;
        Ok(connection(streams))
    }
}
