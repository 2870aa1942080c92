//! Mutations.

use async_graphql::{Context, ID, MergedObject, Object, Result};

use super::cdn::CdnMutation;
use super::chat::ChatMutation;
use super::measured::ViewerMutation;
use super::notifications::NotificationMutation;
use super::people::PeopleMutation;
use super::posts::PostMutation;
use super::query::of;
use super::streams::StreamMutation;
use crate::ServiceError;
use crate::model::{
    ChangeEmailInput, ChangePasswordInput, CreateApiTokenInput, CreatedApiToken,
    DeleteAccountInput, LoginInput, Me, Message, RefreshInput, RegisterInput, ResetInput,
    ResetPasswordInput, SessionTokens, TokenInput,
};

/// What can be done.
#[derive(MergedObject, Default)]
pub(crate) struct Mutation(
    AccountMutation,
    PeopleMutation,
    PostMutation,
    NotificationMutation,
    StreamMutation,
    ViewerMutation,
    ChatMutation,
    CdnMutation,
);

/// What can be done about accounts.
#[derive(Default)]
pub(crate) struct AccountMutation;

#[Object]
impl AccountMutation {
    /// Ask for an account. It is there when the link in the mail was followed, within 24 hours;
    /// until then the name is reserved.
    async fn register(&self, context: &Context<'_>, input: RegisterInput) -> Result<Message> {
        let (services, caller) = of(context)?;
        Ok(services.register(caller, input).await?)
    }

    /// Make the account whose link was followed.
    async fn verify_email(&self, context: &Context<'_>, input: TokenInput) -> Result<Me> {
        let (services, caller) = of(context)?;
        Ok(services.verify_email(caller, &input.token).await?)
    }

    /// Begin a session. The refresh token is in the answer; a browser that wants it in a cookie
    /// uses REST.
    async fn login(&self, context: &Context<'_>, input: LoginInput) -> Result<SessionTokens> {
        let (services, caller) = of(context)?;
        Ok(services.login(caller, input).await?.tokens(true))
    }

    /// Go on with a session. The refresh token works once: the answer has the next one, or `null`:
    /// go on with the one you have.
    async fn refresh(&self, context: &Context<'_>, input: RefreshInput) -> Result<SessionTokens> {
        let (services, caller) = of(context)?;
        let token = input.refresh_token.ok_or(ServiceError::RefreshFailed)?;
        Ok(services.refresh(caller, &token).await?.tokens(true))
    }

    /// End the session of the refresh token; without one, the session that asks.
    async fn logout(&self, context: &Context<'_>, input: Option<RefreshInput>) -> Result<bool> {
        let (services, caller) = of(context)?;
        let token = input.and_then(|input| input.refresh_token);
        services.logout(caller, token.as_deref()).await?;
        Ok(true)
    }

    /// End every session of one's own, this one too.
    async fn logout_everywhere(&self, context: &Context<'_>) -> Result<bool> {
        let (services, caller) = of(context)?;
        services.logout_everywhere(caller).await?;
        Ok(true)
    }

    /// End one of one's own sessions.
    async fn end_session(&self, context: &Context<'_>, id: ID) -> Result<bool> {
        let (services, caller) = of(context)?;
        services.end_session(caller, &id).await?;
        Ok(true)
    }

    /// Ask for a link to another password. The answer is the same whether an account has the
    /// address or not.
    async fn request_password_reset(
        &self,
        context: &Context<'_>,
        input: ResetInput,
    ) -> Result<Message> {
        let (services, caller) = of(context)?;
        Ok(services.request_password_reset(caller, input).await?)
    }

    /// Set another password by a link. Every session of the account ends.
    async fn reset_password(
        &self,
        context: &Context<'_>,
        input: ResetPasswordInput,
    ) -> Result<bool> {
        let (services, caller) = of(context)?;
        services.reset_password(caller, input).await?;
        Ok(true)
    }

    /// Set another password. Every other session of the account ends.
    async fn change_password(
        &self,
        context: &Context<'_>,
        input: ChangePasswordInput,
    ) -> Result<bool> {
        let (services, caller) = of(context)?;
        services.change_password(caller, input).await?;
        Ok(true)
    }

    /// Ask for another mail address. The account has it when the link was followed that is sent
    /// there.
    async fn change_email(
        &self,
        context: &Context<'_>,
        input: ChangeEmailInput,
    ) -> Result<Message> {
        let (services, caller) = of(context)?;
        Ok(services.change_email(caller, input).await?)
    }

    /// Have the mail address whose link was followed.
    async fn confirm_email(&self, context: &Context<'_>, input: TokenInput) -> Result<bool> {
        let (services, caller) = of(context)?;
        services.confirm_email(caller, &input.token).await?;
        Ok(true)
    }

    /// Delete one's account. There is no way back.
    async fn delete_account(
        &self,
        context: &Context<'_>,
        input: DeleteAccountInput,
    ) -> Result<bool> {
        let (services, caller) = of(context)?;
        services.delete_account(caller, input).await?;
        Ok(true)
    }

    /// Make an API token, which is shown this once. Asked again under the same key, it is not
    /// made again.
    async fn create_api_token(
        &self,
        context: &Context<'_>,
        input: CreateApiTokenInput,
        idempotency_key: Option<String>,
    ) -> Result<CreatedApiToken> {
        let (services, caller) = of(context)?;
        let key = idempotency_key.as_deref();
        Ok(services.create_api_token(caller, input, key).await?)
    }

    /// Revoke one of one's API tokens.
    async fn revoke_api_token(&self, context: &Context<'_>, id: ID) -> Result<bool> {
        let (services, caller) = of(context)?;
        services.revoke_api_token(caller, &id).await?;
        Ok(true)
    }
}
