//! What is done about a room by whoever looks after it: the stream's owner, and the moderators of
//! all.

use media::Micros;
use serde_json::json;
use storage::rows::Transaction;
use storage::rows::audit_log::{self, NewAuditEntry};
use storage::rows::chat::{self, Moderators, SanctionRow};
use storage::rows::streams::StreamRow;
use storage::rows::users::{self, UserRow};

use super::watching::may_find;
use super::{MAX_SLOW_MODE, MAX_TIMEOUT, author, looks_after, named};
use crate::caller::{Caller, Role};
use crate::error::Missing;
use crate::model::{ChangeChatInput, ChatRoom, ChatSanction, Moment, SanctionInput};
use crate::operation::{Actor, Operation};
use crate::paging::{PageRequest, Paged};
use crate::{ServiceError, Services};

impl Services {
    /// Runs a stream's chat differently.
    pub async fn change_chat(
        &self,
        caller: &Caller,
        stream: &str,
        input: ChangeChatInput,
    ) -> Result<ChatRoom, ServiceError> {
        let actor = self.begin_known(caller, Operation::ChangeChat)?;
        let stream = self.looked_after(caller, stream).await?;
        let slow_mode = input.slow_mode_seconds;
        if slow_mode.is_some_and(|seconds| seconds > MAX_SLOW_MODE) {
            let expected = format!("expected a number from 0 to {MAX_SLOW_MODE}");
            return Err(ServiceError::invalid("slow_mode_seconds", expected));
        }
        let slow_mode = slow_mode.map(|seconds| Micros::from_secs(seconds.into()));
        let mut transaction = self.db.write().await?;
        self.as_moderator(&mut transaction, actor, &stream).await?;
        let only = input.followers_only;
        let row = chat::change_room(&mut transaction, stream.id, slow_mode, only).await?;
        if actor.user != stream.owner {
            let detail = json!({
                "stream": stream.name.as_str(),
                "slow_mode_seconds": input.slow_mode_seconds,
                "followers_only": only,
            });
            let entry = NewAuditEntry {
                actor: Some(actor.user),
                action: "change-chat",
                subject_kind: "stream",
                subject: stream.id.as_uuid(),
                detail: &detail,
            };
            audit_log::append(&mut transaction, entry, self.now()).await?;
        }
        transaction.commit().await?;
        self.chat.happened(stream.id);
        Ok(self.show_room(caller, &stream, &row))
    }

    /// Keeps somebody from talking in a stream's chat: for a while, or until it is lifted.
    pub async fn sanction_in_chat(
        &self,
        caller: &Caller,
        stream: &str,
        name: &str,
        input: SanctionInput,
    ) -> Result<ChatSanction, ServiceError> {
        let actor = self.begin_known(caller, Operation::SanctionInChat)?;
        let stream = self.looked_after(caller, stream).await?;
        let is_timeout = |seconds: u32| (1..=MAX_TIMEOUT).contains(&seconds);
        if input.seconds.is_some_and(|seconds| !is_timeout(seconds)) {
            let expected = format!("expected a number from 1 to {MAX_TIMEOUT}, or none for a ban");
            return Err(ServiceError::invalid("seconds", expected));
        }
        let user = named(self, name).await?.id;
        let now = self.now();
        let length = input
            .seconds
            .map(|seconds| Micros::from_secs(seconds.into()));
        let until = length.map(|length| now + length);
        let mut transaction = self.db.write().await?;
        self.as_moderator(&mut transaction, actor, &stream).await?;
        chat::sanction(&mut transaction, stream.id, user, until, now).await?;
        let target = users::by_id(&mut transaction, user).await?;
        // Whoever looks after the room is not kept from talking there, by nobody.
        let target = target.filter(|row| !moderators(&stream).has(row));
        let target = target.ok_or(ServiceError::Forbidden(Missing::Rank))?;
        let action = match input.seconds {
            Some(_) => "chat-timeout",
            None => "chat-ban",
        };
        let detail = json!({ "stream": stream.name.as_str(), "seconds": input.seconds });
        self.note_of_user(&mut transaction, actor, action, user, &detail)
            .await?;
        transaction.commit().await?;
        let row = SanctionRow {
            user: target,
            until,
            since: now,
        };
        Ok(shown(&stream, row))
    }

    /// Lets somebody talk again in a stream's chat.
    pub async fn lift_in_chat(
        &self,
        caller: &Caller,
        stream: &str,
        name: &str,
    ) -> Result<(), ServiceError> {
        let actor = self.begin_known(caller, Operation::LiftInChat)?;
        let stream = self.looked_after(caller, stream).await?;
        let user = named(self, name).await?.id;
        let mut transaction = self.db.write().await?;
        self.as_moderator(&mut transaction, actor, &stream).await?;
        if chat::lift(&mut transaction, stream.id, user).await? {
            let detail = json!({ "stream": stream.name.as_str() });
            self.note_of_user(&mut transaction, actor, "chat-lift", user, &detail)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Whom something keeps from talking in a stream's chat, the newest account first.
    pub async fn list_chat_sanctions(
        &self,
        caller: &Caller,
        stream: &str,
        page: PageRequest,
    ) -> Result<Paged<ChatSanction>, ServiceError> {
        self.begin_known(caller, Operation::ListChatSanctions)?;
        let stream = self.looked_after(caller, stream).await?;
        let (now, limit) = (self.now(), page.limit());
        let rows = chat::sanctions(&self.db, stream.id, now, page.after(), limit).await?;
        let place = |row: &SanctionRow| row.user.id.as_uuid();
        Ok(page.page(rows, place, |row| shown(&stream, row)))
    }

    /// The stream, if whoever asks looks after its room.
    async fn looked_after(&self, caller: &Caller, stream: &str) -> Result<StreamRow, ServiceError> {
        let stream = may_find(self, caller, stream).await?;
        match looks_after(caller, &stream) {
            true => Ok(stream),
            false => Err(ServiceError::Forbidden(Missing::Role(Role::Moderator))),
        }
    }

    /// Sees that whoever does something looks after the room as things are, in their turn: what
    /// they have shown may be older.
    pub(super) async fn as_moderator(
        &self,
        transaction: &mut Transaction,
        actor: Actor,
        stream: &StreamRow,
    ) -> Result<(), ServiceError> {
        if actor.user == stream.owner {
            let row = users::by_id(transaction, actor.user).await?;
            let is_active = row.is_some_and(|row| row.is_active());
            return is_active.then_some(()).ok_or(ServiceError::Unauthenticated);
        }
        users::take_administrators_turn(&self.db, transaction).await?;
        self.role_as_it_is(transaction, actor, Role::Moderator)
            .await?;
        Ok(())
    }
}

fn moderators(stream: &StreamRow) -> Moderators {
    Moderators {
        owner: stream.owner,
    }
}

fn shown(stream: &StreamRow, row: SanctionRow) -> ChatSanction {
    let user: &UserRow = &row.user;
    ChatSanction {
        user: author(user, moderators(stream)),
        until: row.until.map(Moment::from),
        since: row.since.into(),
    }
}
