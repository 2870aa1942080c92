//! Streams: what is asked of them, and what is done to them.

use async_graphql::{ComplexObject, Context, ID, Object, Result};

use super::connection::{Connection, connection, of_page};
use super::query::{asked, of};
use crate::model::{
    CreateStreamInput, CreateStreamKeyInput, CreatedStream, CreatedStreamKey, LiveEntry, Playback,
    Recording, RotateStreamKeyInput, Stream, StreamKey, UpdateStreamInput,
};

/// What can be asked of streams.
#[derive(Default)]
pub(crate) struct StreamQuery;

#[Object]
impl StreamQuery {
    /// The streams that are live and that one may see, the newest broadcast first, without those of
    /// people whom one mutes.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn live(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<LiveEntry>> {
        let (services, caller, page) = asked(context, first, after)?;
        Ok(connection(services.list_live(caller, page).await?))
    }

    /// A stream, by name.
    async fn stream(&self, context: &Context<'_>, name: String) -> Result<Stream> {
        let (services, caller) = of(context)?;
        Ok(services.get_stream(caller, &name).await?)
    }
}

#[ComplexObject]
impl Stream {
    /// Where it is played. What is not for everybody is played with a token, which stands in the
    /// URLs and is one's own: it opens this stream, until it expires, one logs out, or may not see
    /// the stream any more.
    async fn playback(&self, context: &Context<'_>) -> Result<Playback> {
        let (services, caller) = of(context)?;
        Ok(services.get_playback(caller, &self.name).await?)
    }

    /// What is kept of its broadcasts, the newest first; with tokens as `playback` has them.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn recordings(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<Recording>> {
        let (services, caller, page) = asked(context, first, after)?;
        let recordings = services.list_recordings(caller, &self.name, page);
        Ok(connection(recordings.await?))
    }

    /// Its keys that are good, the newest first; for its owner.
    async fn keys(&self, context: &Context<'_>) -> Result<Vec<StreamKey>> {
        let (services, caller) = of(context)?;
        Ok(services.list_stream_keys(caller, &self.name).await?)
    }
}

/// What can be done about streams.
#[derive(Default)]
pub(crate) struct StreamMutation;

#[Object]
impl StreamMutation {
    /// Make a stream with its first key, which is shown this once. Asked again under the same key
    /// of idempotency, it is not made again.
    async fn create_stream(
        &self,
        context: &Context<'_>,
        input: CreateStreamInput,
        idempotency_key: Option<String>,
    ) -> Result<CreatedStream> {
        let (services, caller) = of(context)?;
        let key = idempotency_key.as_deref();
        Ok(services.create_stream(caller, input, key).await?)
    }

    /// Change a stream of one's own.
    async fn update_stream(
        &self,
        context: &Context<'_>,
        name: String,
        input: UpdateStreamInput,
    ) -> Result<Stream> {
        let (services, caller) = of(context)?;
        Ok(services.update_stream(caller, &name, input).await?)
    }

    /// Delete a stream of one's own: what is live ends, its keys are revoked, and what it recorded
    /// goes. Its name is free when nothing of it is left.
    async fn delete_stream(&self, context: &Context<'_>, name: String) -> Result<bool> {
        let (services, caller) = of(context)?;
        services.delete_stream(caller, &name).await?;
        Ok(true)
    }

    /// Let a stream of one's own be published to again.
    async fn start_stream(&self, context: &Context<'_>, name: String) -> Result<Stream> {
        let (services, caller) = of(context)?;
        Ok(services.start_stream(caller, &name).await?)
    }

    /// Stop a stream of one's own: what is live ends now, and nobody publishes to it until it is
    /// started again.
    async fn stop_stream(&self, context: &Context<'_>, name: String) -> Result<Stream> {
        let (services, caller) = of(context)?;
        Ok(services.stop_stream(caller, &name).await?)
    }

    /// Give a stream of one's own another key, which is shown this once.
    async fn create_stream_key(
        &self,
        context: &Context<'_>,
        stream: String,
        #[graphql(default)] input: CreateStreamKeyInput,
        idempotency_key: Option<String>,
    ) -> Result<CreatedStreamKey> {
        let (services, caller) = of(context)?;
        let key = idempotency_key.as_deref();
        let created = services.create_stream_key(caller, &stream, input, key);
        Ok(created.await?)
    }

    /// Replace a key of a stream of one's own. The one that it was is good for `graceSeconds`
    /// still; with 0 it is revoked, and what is published with it ends at once.
    async fn rotate_stream_key(
        &self,
        context: &Context<'_>,
        stream: String,
        id: ID,
        #[graphql(default)] input: RotateStreamKeyInput,
        idempotency_key: Option<String>,
    ) -> Result<CreatedStreamKey> {
        let (services, caller) = of(context)?;
        let key = idempotency_key.as_deref();
        let rotated = services.rotate_stream_key(caller, &stream, &id, input, key);
        Ok(rotated.await?)
    }

    /// Revoke a key of a stream of one's own: what is published with it ends at once.
    async fn revoke_stream_key(
        &self,
        context: &Context<'_>,
        stream: String,
        id: ID,
    ) -> Result<bool> {
        let (services, caller) = of(context)?;
        services.revoke_stream_key(caller, &stream, &id).await?;
        Ok(true)
    }
}
