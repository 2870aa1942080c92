//! Mutations about posts.

use async_graphql::{Context, ID, Object, Result};

use super::post::Post;
use super::query::of;
use super::upload::Upload;
use crate::model::{CreatePostInput, EditPostInput, Image};

/// What can be done about posts.
#[derive(Default)]
pub(crate) struct PostMutation;

#[Object]
impl PostMutation {
    /// Send a picture for a post: PNG, JPEG or WebP, up to 5 MiB, 8192 pixels a side, and not
    /// animated. It is made anew: turned upright, scaled to 2048 pixels a side at most, and nothing
    /// is kept of it but what is seen. `images` of a new post takes its id, within a day; of 20 that
    /// are on no post, the oldest gives way to the next. `description` is for those who do not see
    /// it, 1500 characters at most.
    async fn upload_image(
        &self,
        context: &Context<'_>,
        picture: Upload,
        description: Option<String>,
        idempotency_key: Option<String>,
    ) -> Result<Image> {
        let (services, caller) = of(context)?;
        let description = description.unwrap_or_default();
        let key = idempotency_key.as_deref();
        let begin = || picture.begin(context);
        services
            .upload_image(caller, &description, key, begin)
            .await
    }

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
