//! Mutations about posts.

use async_graphql::{Context, ID, Object, Result};

use super::post::Post;
use super::query::of;
use crate::model::{CreatePostInput, EditPostInput};

/// What can be done about posts.
#[derive(Default)]
pub(crate) struct PostMutation;

#[Object]
impl PostMutation {
    /// Write a post, a comment or a quote. Mentions (`@name`), hashtags and links are found in the
    /// text; a name of nobody is text. Asked again under the same key, it is not written again.
    async fn create_post(
        &self,
        context: &Context<'_>,
        input: CreatePostInput,
        idempotency_key: Option<String>,
    ) -> Result<Post> {
        let (services, caller) = of(context)?;
        let key = idempotency_key.as_deref();
        Ok(Post(services.create_post(caller, input, key).await?))
    }

    /// Edit a post of one's own. What it said before is kept. When it was edited since it was
    /// seen, it is not edited, and the code is `edited-meanwhile`.
    async fn edit_post(&self, context: &Context<'_>, id: ID, input: EditPostInput) -> Result<Post> {
        let (services, caller) = of(context)?;
        Ok(Post(services.edit_post(caller, &id, input).await?))
    }

    /// Delete a post of one's own; a moderator deletes anybody's.
    async fn delete_post(&self, context: &Context<'_>, id: ID) -> Result<bool> {
        let (services, caller) = of(context)?;
        services.delete_post(caller, &id).await?;
        Ok(true)
    }

    /// Like a post; of a share, what it shares.
    async fn like_post(&self, context: &Context<'_>, id: ID) -> Result<bool> {
        let (services, caller) = of(context)?;
        services.like_post(caller, &id).await?;
        Ok(true)
    }

    /// Like a post no more.
    async fn unlike_post(&self, context: &Context<'_>, id: ID) -> Result<bool> {
        let (services, caller) = of(context)?;
        services.unlike_post(caller, &id).await?;
        Ok(true)
    }

    /// Share a post, once, and have the share. A share of a share is one of what that shares.
    async fn share_post(&self, context: &Context<'_>, id: ID) -> Result<Post> {
        let (services, caller) = of(context)?;
        Ok(Post(services.share_post(caller, &id).await?))
    }

    /// Share a post no more.
    async fn unshare_post(&self, context: &Context<'_>, id: ID) -> Result<bool> {
        let (services, caller) = of(context)?;
        services.unshare_post(caller, &id).await?;
        Ok(true)
    }
}
