//! Live chat: the room of a stream.
//!
//! What is said is a row first; a hub brings it to whoever is in the room, on every node. Every
//! face goes through the same methods of [`Services`].

mod history;
pub(crate) mod hub;
mod joining;
mod moderation;
pub mod protocol;
mod sending;
mod shown;
mod watching;

use media::ChatMessageId;
use storage::rows::chat::{self, ChatRoomRow};
use storage::rows::streams::StreamRow;
use storage::rows::users;

use crate::caller::Caller;
use crate::model::ChatRoom;
use crate::operation::Operation;
use crate::people::is_moderator;
use crate::{ServiceError, Services};

pub(crate) use joining::{Entered, news};
pub(crate) use shown::{author, message};
pub(crate) use watching::may_watch;

/// The longest message, in characters.
pub const MAX_MESSAGE: usize = 500;

/// The longest pause of a slow room, in seconds.
pub const MAX_SLOW_MODE: u32 = 3_600;

/// The longest timeout, in seconds. What is to last longer is a ban.
pub const MAX_TIMEOUT: u32 = 30 * 24 * 3_600;

impl Services {
    /// How a stream's chat is run, and how it is.
    pub async fn get_chat(&self, caller: &Caller, stream: &str) -> Result<ChatRoom, ServiceError> {
        self.begin(caller, Operation::GetChat)?;
        let stream = may_watch(self, caller, stream).await?;
        let row = chat::room(&self.db, stream.id).await?;
        Ok(self.show_room(caller, &stream, &row))
    }

    /// The room as whoever asks sees it.
    pub(crate) fn show_room(
        &self,
        caller: &Caller,
        stream: &StreamRow,
        row: &ChatRoomRow,
    ) -> ChatRoom {
        ChatRoom {
            stream: stream.name.to_string(),
            last_event: row.last_event,
            slow_mode_seconds: seconds(row),
            followers_only: row.followers_only,
            viewers: self.chat.viewers(stream.id),
            is_moderator: looks_after(caller, stream),
        }
    }
}

/// Seconds between two messages of one person.
pub(crate) fn seconds(row: &ChatRoomRow) -> u32 {
    u32::try_from(row.slow_mode.as_micros() / 1_000_000).unwrap_or_default()
}

/// Whether whoever asks may do in the room what its moderators do.
fn looks_after(caller: &Caller, stream: &StreamRow) -> bool {
    caller.user() == Some(stream.owner) || is_moderator(caller)
}

/// What is no id is nobody's.
fn parse(id: &str) -> Result<ChatMessageId, ServiceError> {
    id.parse().map_err(|_| missing())
}

fn missing() -> ServiceError {
    ServiceError::NotFound("message".into())
}

/// Who has the name, whatever is between them and whoever asks.
async fn named(services: &Services, name: &str) -> Result<users::UserRow, ServiceError> {
    services.find_named(name).await
}
