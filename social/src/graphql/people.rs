//! Mutations about people.

use async_graphql::{Context, ID, Object, Result};

use super::query::of;
use super::upload::Upload;
use super::user::User;
use crate::caller::Role;
use crate::model::{
    Follows, Me, Preference, PreferenceInput, Report, ReportInput, UpdateProfileInput,
};

/// What can be done about people.
#[derive(Default)]
pub(crate) struct PeopleMutation;

#[Object]
impl PeopleMutation {
    /// Change one's profile.
    async fn update_profile(&self, context: &Context<'_>, input: UpdateProfileInput) -> Result<Me> {
        let (services, caller) = of(context)?;
        Ok(services.update_profile(caller, input).await?)
    }

    /// Show another picture of you: PNG, JPEG or WebP, up to 5 MiB, 8192 pixels a side, and not
    /// animated. It is made anew: turned upright, cut to the square in its middle, scaled to 512
    /// pixels a side at most, and nothing is kept of it but what is seen.
    async fn set_avatar(&self, context: &Context<'_>, picture: Upload) -> Result<Me> {
        let (services, caller) = of(context)?;
        services.set_avatar(caller, || picture.begin(context)).await
    }

    /// Show no picture of you.
    async fn remove_avatar(&self, context: &Context<'_>) -> Result<bool> {
        let (services, caller) = of(context)?;
        services.remove_avatar(caller).await?;
        Ok(true)
    }

    /// Follow somebody. Where their account is private, they are asked.
    async fn follow(&self, context: &Context<'_>, name: String) -> Result<Follows> {
        let (services, caller) = of(context)?;
        Ok(services.follow(caller, &name).await?)
    }

    /// Follow somebody no more.
    async fn unfollow(&self, context: &Context<'_>, name: String) -> Result<Follows> {
        let (services, caller) = of(context)?;
        Ok(services.unfollow(caller, &name).await?)
    }

    /// Let somebody follow who asked.
    async fn accept_follow(&self, context: &Context<'_>, name: String) -> Result<bool> {
        let (services, caller) = of(context)?;
        services.accept_follow(caller, &name).await?;
        Ok(true)
    }

    /// Let somebody not follow who asked.
    async fn refuse_follow(&self, context: &Context<'_>, name: String) -> Result<bool> {
        let (services, caller) = of(context)?;
        services.refuse_follow(caller, &name).await?;
        Ok(true)
    }

    /// Have somebody follow no more.
    async fn remove_follower(&self, context: &Context<'_>, name: String) -> Result<bool> {
        let (services, caller) = of(context)?;
        services.remove_follower(caller, &name).await?;
        Ok(true)
    }

    /// Block somebody: neither follows the other any more, and they do not see one.
    async fn block(&self, context: &Context<'_>, name: String) -> Result<bool> {
        let (services, caller) = of(context)?;
        services.block(caller, &name).await?;
        Ok(true)
    }

    /// Block somebody no more.
    async fn unblock(&self, context: &Context<'_>, name: String) -> Result<bool> {
        let (services, caller) = of(context)?;
        services.unblock(caller, &name).await?;
        Ok(true)
    }

    /// Mute somebody, who is not told.
    async fn mute(&self, context: &Context<'_>, name: String) -> Result<bool> {
        let (services, caller) = of(context)?;
        services.mute(caller, &name).await?;
        Ok(true)
    }

    /// Mute somebody no more.
    async fn unmute(&self, context: &Context<'_>, name: String) -> Result<bool> {
        let (services, caller) = of(context)?;
        services.unmute(caller, &name).await?;
        Ok(true)
    }

    /// Set some of one's preferences; `null` is the default.
    async fn set_preferences(
        &self,
        context: &Context<'_>,
        input: Vec<PreferenceInput>,
    ) -> Result<Vec<Preference>> {
        let (services, caller) = of(context)?;
        Ok(services.set_preferences(caller, input).await?)
    }

    /// Report somebody to the moderators. Asked again under the same key, it is not done again.
    async fn report(
        &self,
        context: &Context<'_>,
        input: ReportInput,
        idempotency_key: Option<String>,
    ) -> Result<Report> {
        let (services, caller) = of(context)?;
        let key = idempotency_key.as_deref();
        Ok(services.report(caller, input, key).await?)
    }

    /// Say what came of a report; for moderators.
    async fn resolve_report(
        &self,
        context: &Context<'_>,
        id: ID,
        resolution: String,
    ) -> Result<Report> {
        let (services, caller) = of(context)?;
        Ok(services.resolve_report(caller, &id, &resolution).await?)
    }

    /// Keep somebody out: their sessions end, and their API tokens open nothing; for moderators.
    async fn suspend(&self, context: &Context<'_>, name: String, reason: String) -> Result<User> {
        let (services, caller) = of(context)?;
        Ok(User(services.suspend(caller, &name, &reason).await?))
    }

    /// Let somebody in again; for moderators.
    async fn unsuspend(&self, context: &Context<'_>, name: String) -> Result<User> {
        let (services, caller) = of(context)?;
        Ok(User(services.unsuspend(caller, &name).await?))
    }

    /// Give somebody a role; for administrators. Their sessions end.
    async fn set_role(&self, context: &Context<'_>, name: String, role: Role) -> Result<User> {
        let (services, caller) = of(context)?;
        Ok(User(services.set_role(caller, &name, role).await?))
    }
}
