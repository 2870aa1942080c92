//! People, as GraphQL shows them: what is asked for is fetched, for many at once.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result};

use super::connection::{Connection, connection, of_page};
use super::loaders::Loaders;
use super::post::{Posts, posts};
use super::query::{asked, given};
use crate::caller::Role;
use crate::model::{Link, Moment, Stream, Viewer};
use crate::paging::Paged;
use crate::people::{Person, avatar_url, shown_name};

/// People with their cursors.
pub(crate) type People = Connection<User>;

/// A page of people as a connection.
pub(super) fn people(page: Paged<Person>) -> People {
    connection(page.map(User))
}

/// Somebody.
pub(crate) struct User(pub(super) Person);

#[Object]
impl User {
    /// Id.
    async fn id(&self) -> ID {
        self.0.row.id.to_string().into()
    }

    /// Name, as it stands in `/@name`.
    async fn name(&self) -> &str {
        &self.0.row.name
    }

    /// Name as it is shown.
    async fn display_name(&self) -> &str {
        shown_name(&self.0.row)
    }

    /// Where their picture is, on this server: `/avatars/...`; `null`: they have none.
    async fn avatar_url(&self) -> Option<String> {
        avatar_url(&self.0.row)
    }

    /// What they say of themselves.
    async fn bio(&self) -> &str {
        &self.0.row.bio
    }

    /// Where they point at.
    async fn links(&self, context: &Context<'_>) -> Result<Vec<Link>> {
        let loaders: &Arc<Loaders> = given(context)?;
        let links = loaders.links.load_one(self.0.row.id).await?;
        Ok(links.unwrap_or_default())
    }

    /// Whether following is asked for.
    async fn is_private(&self) -> bool {
        self.0.row.is_private
    }

    /// Whether they are kept out. Only moderators see anybody who is.
    async fn is_suspended(&self) -> bool {
        self.0.row.suspended_at.is_some()
    }

    /// What they may do beyond their own account.
    async fn role(&self) -> Role {
        self.0.row.role.into()
    }

    /// Since when they have the account.
    async fn created_at(&self) -> Moment {
        self.0.row.created_at.into()
    }

    /// What is between you and them; `null`: it is you, or you have not logged in.
    async fn viewer(&self, context: &Context<'_>) -> Result<Option<Viewer>> {
        let loaders: &Arc<Loaders> = given(context)?;
        Ok(loaders.between.load_one(self.0.row.id).await?)
    }

    /// How many follow them. Above 1,000, a count that may be a minute old.
    async fn followers_count(&self, context: &Context<'_>) -> Result<u64> {
        let loaders: &Arc<Loaders> = given(context)?;
        let counts = loaders.counts.load_one(self.0.row.id).await?;
        Ok(counts.map_or(0, |counts| counts.followers))
    }

    /// How many they follow.
    async fn following_count(&self, context: &Context<'_>) -> Result<u64> {
        let loaders: &Arc<Loaders> = given(context)?;
        let counts = loaders.counts.load_one(self.0.row.id).await?;
        Ok(counts.map_or(0, |counts| counts.following))
    }

    /// Who follows them, the latest first. Of a private account, only its followers may see it.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn followers(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<People> {
        let (services, caller, page) = asked(context, first, after)?;
        let name = &self.0.row.name;
        Ok(people(services.list_followers(caller, name, page).await?))
    }

    /// Their streams that one may see, the newest first.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn streams(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<Stream>> {
        let (services, caller, page) = asked(context, first, after)?;
        let name = &self.0.row.name;
        Ok(connection(
            services.list_user_streams(caller, name, page).await?,
        ))
    }

    /// What they wrote and shared, the newest first; with their comments, or without.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn posts(
        &self,
        context: &Context<'_>,
        #[graphql(default)] comments: bool,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Posts> {
        let (services, caller, page) = asked(context, first, after)?;
        let name = &self.0.row.name;
        let written = services
            .list_user_posts(caller, name, comments, page)
            .await?;
        Ok(posts(written))
    }

    /// Whom they follow, the latest first. Of a private account, only its followers may see it.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn following(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<People> {
        let (services, caller, page) = asked(context, first, after)?;
        let name = &self.0.row.name;
        Ok(people(services.list_following(caller, name, page).await?))
    }
}
