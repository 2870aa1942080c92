//! Saying something, and taking it back.

use media::{ChatMessageId, Timestamp, UserId};
use serde_json::json;
use storage::rows::audit_log::{self, NewAuditEntry};
use storage::rows::chat::{self, CLIENT_KEY_BYTES_AT_MOST, NewChatMessage, Refusal, Sending};
use storage::rows::streams::StreamRow;

use super::shown::mentioned;
use super::watching::may_find;
use super::{MAX_MESSAGE, looks_after, may_watch, message, missing, parse};
use crate::caller::Caller;
use crate::error::{Fields, Missing};
use crate::idempotency::is_key;
use crate::limits::Key;
use crate::model::{ChatMessage, SendChatInput};
use crate::operation::Operation;
use crate::posts::text;
use crate::{ServiceError, Services};

impl Services {
    /// Says something in a stream's chat. Under a key it is said once.
    pub async fn send_chat_message(
        &self,
        caller: &Caller,
        stream: &str,
        input: SendChatInput,
        key: Option<&str>,
    ) -> Result<ChatMessage, ServiceError> {
        let actor = self.begin_known(caller, Operation::SendChatMessage)?;
        let new = read(actor.user, &input, key)?;
        let stream = may_watch(self, caller, stream).await?;
        let limit = &self.limiter.chat_messages;
        limit.take(Key::User(actor.user), &caller.standings)?;
        let (body, reply_to) = (new.body.clone(), new.reply_to);
        let now = self.now();
        let row = match self.chat.send(stream.id, new).await? {
            Sending::Said(row) => row,
            Sending::Known(row) if row.deleted_at.is_some() => return Err(missing()),
            Sending::Known(row) if row.body != body || row.reply_to != reply_to => {
                return Err(ServiceError::IdempotencyKeyReused);
            }
            Sending::Known(row) => row,
            Sending::Refused(refusal) => return Err(refused(refusal, now)),
        };
        let names = mentioned(&self.db, std::slice::from_ref(&row)).await?;
        let moderators = chat::Moderators {
            owner: stream.owner,
        };
        Ok(message(&row, moderators, &names))
    }

    /// Deletes a message: of the caller's, or, by right of whoever looks after the room, anybody's.
    pub async fn delete_chat_message(
        &self,
        caller: &Caller,
        stream: &str,
        id: &str,
    ) -> Result<(), ServiceError> {
        let actor = self.begin_known(caller, Operation::DeleteChatMessage)?;
        let stream = may_find(self, caller, stream).await?;
        let id = parse(id)?;
        let row = chat::message(&self.db, stream.id, id).await?;
        let row = row.filter(|row| row.deleted_at.is_none());
        let row = row.ok_or_else(missing)?;
        let is_own = row.author.id == actor.user;
        if !is_own && !looks_after(caller, &stream) {
            return Err(ServiceError::Forbidden(Missing::Authorship));
        }
        let (db, now) = (&self.db, self.now());
        let mut transaction = db.write().await?;
        if !is_own {
            self.as_moderator(&mut transaction, actor, &stream).await?;
        }
        let by = is_own.then_some(actor.user);
        let deleted = chat::delete_message(&mut transaction, stream.id, id, by, now).await?;
        let author = deleted.ok_or_else(missing)?;
        if !is_own {
            let entry = note(&stream, id, author);
            let entry = NewAuditEntry {
                actor: Some(actor.user),
                action: "delete-chat-message",
                subject_kind: "chat-message",
                subject: id.as_uuid(),
                detail: &entry,
            };
            audit_log::append(&mut transaction, entry, now).await?;
        }
        transaction.commit().await?;
        self.chat.happened(stream.id);
        Ok(())
    }
}

fn note(stream: &StreamRow, id: ChatMessageId, author: UserId) -> serde_json::Value {
    json!({
        "stream": stream.name.as_str(),
        "message": id.to_string(),
        "author": author.to_string(),
    })
}

/// Looks at what somebody says.
fn read(
    author: UserId,
    input: &SendChatInput,
    key: Option<&str>,
) -> Result<NewChatMessage, ServiceError> {
    let body = input.text.trim();
    let mut fields = Fields::default();
    fields.read("text", text::check(body));
    let length = body.chars().count();
    if fields.is_empty() && !(1..=MAX_MESSAGE).contains(&length) {
        let expected = format!("expected 1 to {MAX_MESSAGE} characters");
        fields.read("text", Err::<(), _>(expected));
    }
    if key.is_some_and(|key| !is_key(key, CLIENT_KEY_BYTES_AT_MOST)) {
        let expected =
            format!("expected 1 to {CLIENT_KEY_BYTES_AT_MOST} printable ASCII characters");
        fields.read("Idempotency-Key", Err::<(), _>(expected));
    }
    if !fields.is_empty() {
        return Err(fields.into_error());
    }
    Ok(NewChatMessage {
        author,
        reply_to: input.reply_to.as_ref().map(|id| parse(id)).transpose()?,
        body: body.to_owned(),
        media_at: input.media_time.map(Timestamp::from),
        client_key: key.map(str::to_owned),
    })
}

/// Why it was not said, as whoever wanted to is told.
fn refused(refusal: Refusal, now: Timestamp) -> ServiceError {
    let until = |at: Timestamp| {
        let left = (at - now).to_duration();
        // Rounded up: who waits for so long is not refused again.
        std::time::Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0))
    };
    match refusal {
        Refusal::NotActive => ServiceError::Unauthenticated,
        Refusal::Blocked => ServiceError::NotFound("stream".into()),
        Refusal::NoSuchReply => missing(),
        Refusal::FollowersOnly => ServiceError::FollowersOnly,
        Refusal::Banned => ServiceError::ChatBanned,
        Refusal::TimedOut { until: at } => ServiceError::ChatTimedOut { after: until(at) },
        Refusal::TooSoon { again_at } => ServiceError::SlowMode {
            after: until(again_at),
        },
    }
}
