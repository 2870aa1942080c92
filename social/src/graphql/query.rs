//! Queries.

use std::any::Any;

use async_graphql::{ComplexObject, Context, ID, Json, MergedObject, Object, Result};

use super::cdn::CdnQuery;
use super::chat::ChatQuery;
use super::connection::{Connection, connection, of_page};
use super::feeds::FeedQuery;
use super::measured::MeasuredQuery;
use super::notifications::NotificationQuery;
use super::post::{Post, Posts, posts};
use super::streams::StreamQuery;
use super::user::{People, User, people};
use crate::caller::Caller;
use crate::model::{
    AccountExport, ApiToken, AuditEntry, LoginSession, Me, Preference, Report, ReportState, Video,
};
use crate::paging::PageRequest;
use crate::{ServiceError, Services};

/// The services, and who asks.
pub(super) fn of<'a>(context: &Context<'a>) -> Result<(&'a Services, &'a Caller)> {
    Ok((given(context)?, given(context)?))
}

/// The services, who asks, and the page that a field's arguments ask for.
pub(super) fn asked<'a>(
    context: &Context<'a>,
    first: Option<i32>,
    after: Option<String>,
) -> Result<(&'a Services, &'a Caller, PageRequest)> {
    let (services, caller) = of(context)?;
    let page = PageRequest::new(first.map(i64::from), after.as_deref())?;
    Ok((services, caller, page))
}

/// What every document is executed with.
pub(super) fn given<'a, T: Any + Send + Sync>(context: &Context<'a>) -> Result<&'a T> {
    context.data::<T>().map_err(|error| {
        let lacking = ServiceError::internal("GraphQL", error.message);
        lacking.into()
    })
}

/// What can be asked.
#[derive(MergedObject, Default)]
pub(crate) struct Query(
    PlainQuery,
    FeedQuery,
    NotificationQuery,
    StreamQuery,
    MeasuredQuery,
    ChatQuery,
    CdnQuery,
);

/// What can be asked of people, posts and the moderators' lists.
#[derive(Default)]
pub(crate) struct PlainQuery;

#[Object]
impl PlainQuery {
    /// All that there is of one's account, as REST's `GET /api/v1/me/export` gives it.
    async fn export_account(&self, context: &Context<'_>) -> Result<Json<AccountExport>> {
        let (services, caller) = of(context)?;
        Ok(Json(services.export_account(caller).await?))
    }

    /// Somebody, by name.
    async fn user(&self, context: &Context<'_>, name: String) -> Result<User> {
        let (services, caller) = of(context)?;
        Ok(User(services.get_user(caller, &name).await?))
    }

    /// A post, by id. One that was deleted is shown, empty, where it holds its place in a thread.
    async fn post(&self, context: &Context<'_>, id: ID) -> Result<Post> {
        let (services, caller) = of(context)?;
        Ok(Post(services.get_post(caller, &id).await?))
    }

    /// Posts with a hashtag, which is given without `#`, the newest first. Without those of people
    /// whom one mutes.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn hashtag_posts(
        &self,
        context: &Context<'_>,
        hashtag: String,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Posts> {
        let (services, caller, page) = asked(context, first, after)?;
        let found = services.list_hashtag_posts(caller, &hashtag, page).await?;
        Ok(posts(found))
    }

    /// What was told of anybody; for moderators.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn reports(
        &self,
        context: &Context<'_>,
        #[graphql(default)] state: ReportState,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<Report>> {
        let (services, caller, page) = asked(context, first, after)?;
        let reports = services.list_reports(caller, state, page).await?;
        Ok(connection(reports))
    }

    /// Who did what by right of a role, the newest first; for moderators. `actor` and `subject`
    /// are names.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn audit_log(
        &self,
        context: &Context<'_>,
        actor: Option<String>,
        subject: Option<String>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<AuditEntry>> {
        let (services, caller, page) = asked(context, first, after)?;
        let (actor, subject) = (actor.as_deref(), subject.as_deref());
        let entries = services
            .list_audit_log(caller, actor, subject, page)
            .await?;
        Ok(connection(entries))
    }

    /// One's own account.
    async fn me(&self, context: &Context<'_>) -> Result<Me> {
        let (services, caller) = of(context)?;
        Ok(services.get_me(caller).await?)
    }
}

#[ComplexObject]
impl Me {
    /// One's open sessions, the newest first.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn sessions(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<LoginSession>> {
        let (services, caller, page) = asked(context, first, after)?;
        Ok(connection(services.list_sessions(caller, page).await?))
    }

    /// One's API tokens, the newest first.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn api_tokens(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<ApiToken>> {
        let (services, caller, page) = asked(context, first, after)?;
        Ok(connection(services.list_api_tokens(caller, page).await?))
    }

    /// Who asks to follow, the earliest first.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn follow_requests(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<People> {
        let (services, caller, page) = asked(context, first, after)?;
        Ok(people(services.list_follow_requests(caller, page).await?))
    }

    /// Whom one blocks.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn blocks(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<People> {
        let (services, caller, page) = asked(context, first, after)?;
        Ok(people(services.list_blocks(caller, page).await?))
    }

    /// Whom one mutes.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn mutes(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<People> {
        let (services, caller, page) = asked(context, first, after)?;
        Ok(people(services.list_mutes(caller, page).await?))
    }

    /// One's videos, recordings and imported ones, the newest first; with tokens as
    /// `Stream.playback` has them.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn videos(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<Video>> {
        let (services, caller, page) = asked(context, first, after)?;
        Ok(connection(services.list_videos(caller, page).await?))
    }

    /// All of one's preferences, the defaults too.
    async fn preferences(&self, context: &Context<'_>) -> Result<Vec<Preference>> {
        let (services, caller) = of(context)?;
        Ok(services.list_preferences(caller).await?)
    }
}
