//! Live chat.

use async_graphql::{Context, Error, ID, Object, Result, Subscription};
use futures_util::{Stream, stream};

use super::connection::{Connection, connection, of_page};
use super::query::{asked, of};
use crate::model::{
    ChangeChatInput, ChatEvent, ChatMessage, ChatRoom, ChatSanction, MediaTime, SanctionInput,
    SendChatInput,
};

/// What can be asked of chats.
#[derive(Default)]
pub(crate) struct ChatQuery;

#[Object]
impl ChatQuery {
    /// How the chat of a stream is run, and how many are there.
    async fn chat(&self, context: &Context<'_>, stream: String) -> Result<ChatRoom> {
        let (services, caller) = of(context)?;
        Ok(services.get_chat(caller, &stream).await?)
    }

    /// What was said in the chat of a stream, the newest first unless the oldest are asked for.
    /// Without what was deleted, and without people whom one blocks or mutes, or who block one.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn chat_messages(
        &self,
        context: &Context<'_>,
        stream: String,
        #[graphql(default)] oldest_first: bool,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<ChatMessage>> {
        let (services, caller, page) = asked(context, first, after)?;
        let messages = services.list_chat_messages(caller, &stream, oldest_first, page);
        Ok(connection(messages.await?))
    }

    /// What was said in the chat of a stream, in the order of what its authors saw, from a media
    /// time on; backwards, what was said before it, from there back.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn chat_replay(
        &self,
        context: &Context<'_>,
        stream: String,
        from: Option<MediaTime>,
        #[graphql(default)] backwards: bool,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<ChatMessage>> {
        let (services, caller, page) = asked(context, first, after)?;
        let messages = services.replay_chat(caller, &stream, from, backwards, page);
        Ok(connection(messages.await?))
    }

    /// Whom something keeps from talking in the chat of a stream, the newest account first; for
    /// its owner and for moderators.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn chat_sanctions(
        &self,
        context: &Context<'_>,
        stream: String,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<ChatSanction>> {
        let (services, caller, page) = asked(context, first, after)?;
        let sanctions = services.list_chat_sanctions(caller, &stream, page);
        Ok(connection(sanctions.await?))
    }
}

/// What can be done about chats.
#[derive(Default)]
pub(crate) struct ChatMutation;

#[Object]
impl ChatMutation {
    /// Say something in the chat of a stream. Asked again under the same key, it is not said again.
    async fn send_chat_message(
        &self,
        context: &Context<'_>,
        stream: String,
        input: SendChatInput,
        idempotency_key: Option<String>,
    ) -> Result<ChatMessage> {
        let (services, caller) = of(context)?;
        let key = idempotency_key.as_deref();
        let message = services.send_chat_message(caller, &stream, input, key);
        Ok(message.await?)
    }

    /// Delete a message of one's own; the stream's owner and moderators delete anybody's.
    async fn delete_chat_message(
        &self,
        context: &Context<'_>,
        stream: String,
        id: ID,
    ) -> Result<bool> {
        let (services, caller) = of(context)?;
        services.delete_chat_message(caller, &stream, &id).await?;
        Ok(true)
    }

    /// Run the chat of a stream differently; for its owner and for moderators.
    async fn change_chat(
        &self,
        context: &Context<'_>,
        stream: String,
        input: ChangeChatInput,
    ) -> Result<ChatRoom> {
        let (services, caller) = of(context)?;
        Ok(services.change_chat(caller, &stream, input).await?)
    }

    /// Keep somebody from talking in the chat of a stream, for a while or until it is lifted; for
    /// its owner and for moderators.
    async fn sanction_in_chat(
        &self,
        context: &Context<'_>,
        stream: String,
        name: String,
        input: SanctionInput,
    ) -> Result<ChatSanction> {
        let (services, caller) = of(context)?;
        let sanction = services.sanction_in_chat(caller, &stream, &name, input);
        Ok(sanction.await?)
    }

    /// Let somebody talk again in the chat of a stream.
    async fn lift_in_chat(
        &self,
        context: &Context<'_>,
        stream: String,
        name: String,
    ) -> Result<bool> {
        let (services, caller) = of(context)?;
        services.lift_in_chat(caller, &stream, &name).await?;
        Ok(true)
    }
}

/// What can be listened to in chats.
#[derive(Default)]
pub(crate) struct ChatSubscription;

#[Subscription]
impl ChatSubscription {
    /// What happens in the chat of a stream, from now on or after an event that one has had. Who
    /// is too slow gets an error, and subscribes again after the last event.
    async fn chat(
        &self,
        context: &Context<'_>,
        stream: String,
        after: Option<u64>,
    ) -> Result<impl Stream<Item = Result<ChatEvent>>> {
        let (services, caller) = of(context)?;
        let events = services.chat_events(caller, &stream, after).await?;
        Ok(stream::unfold(Some(events), async |events| {
            let mut events = events?;
            match events.next().await? {
                Ok(event) => Some((Ok(event), Some(events))),
                // The last.
                Err(error) => Some((Err(Error::from(error)), None)),
            }
        }))
    }
}
