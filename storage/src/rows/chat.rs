//! Live chat: the room that a stream has, and what is said in it.
//!
//! Whatever happens in a room takes the next number of its row, in the transaction that does it,
//! and holds the row until the commit. So numbers become visible in their order, on both engines
//! and from every node: who has read all events up to one has missed nothing before it. Events on
//! the bus only say that there is something to read.

mod history;
mod moderation;
mod retention;
mod sending;

use media::{ChatMessageId, Micros, StreamId, Timestamp};

use super::error::missing_parent;
use super::sql::{AssertSqlSafe, FromRow, Row, query};
use super::users::UserRow;
use super::{Database, Entity, RowError, Transaction};

pub use history::{Direction, Said, events, history, message, newest_events, of_author, replay};
pub use moderation::{
    SanctionRow, change_room, delete_message, lift, sanction, sanction_of, sanctions,
};
pub use retention::{delete_before, lift_expired};
pub use sending::{Moderators, NewChatMessage, Refusal, Sending, send};

/// The longest text that is kept, in bytes. The service allows less, in characters.
pub const BODY_BYTES_AT_MOST: usize = 4_000;

/// The longest key that a client names its message by, in bytes.
pub const CLIENT_KEY_BYTES_AT_MOST: usize = 255;

/// How the chat of a stream is run, and how far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ChatRoomRow {
    /// The number of the last event; 0: nothing has happened.
    pub last_event: u64,
    /// What has to lie between two messages of one person.
    pub slow_mode: Micros,
    /// Whether only those who follow the stream's owner say something.
    pub followers_only: bool,
}

impl FromRow for ChatRoomRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            last_event: row.get("last_event")?,
            slow_mode: row.get("slow_mode")?,
            followers_only: row.get("followers_only")?,
        })
    }
}

/// Something that was said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChatMessageRow {
    /// Id.
    pub id: ChatMessageId,
    /// In which room.
    pub stream: StreamId,
    /// The event that it was said by.
    pub sequence: u64,
    /// The last event about it: the same, or the one that it was deleted by.
    pub last_event: u64,
    /// Who said it.
    pub author: UserRow,
    /// What it answers; `None`: nothing, or what is not there any more.
    pub reply_to: Option<ChatMessageId>,
    /// Plain text; empty, when it was deleted.
    pub body: String,
    /// What its author saw then.
    pub media_at: Timestamp,
    /// When it was said.
    pub created_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

/// Columns of a message `m`, by names that no column of its author has.
macro_rules! message_columns {
    () => {
        "m.id AS message_id, m.stream_id, m.sequence, m.last_event, m.reply_to_id, m.body,
         m.media_at, m.created_at AS said_at, m.deleted_at AS withdrawn_at"
    };
}

pub(super) use message_columns;

impl FromRow for ChatMessageRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Self::by(row, UserRow::from_row(row)?)
    }
}

impl ChatMessageRow {
    fn by(row: &Row, author: UserRow) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("message_id")?,
            stream: row.get("stream_id")?,
            sequence: row.get("sequence")?,
            last_event: row.get("last_event")?,
            author,
            reply_to: row.get("reply_to_id")?,
            body: row.get("body")?,
            media_at: row.get("media_at")?,
            created_at: row.get("said_at")?,
            deleted_at: row.get("withdrawn_at")?,
        })
    }
}

/// The room of a stream. One that nothing was done in is as by default.
pub async fn room(db: &Database, stream: StreamId) -> Result<ChatRoomRow, RowError> {
    let row =
        query("SELECT last_event, slow_mode, followers_only FROM chat_rooms WHERE stream_id = $1")
            .bind(stream)
            .optional(db)
            .await?;
    Ok(row.unwrap_or_default())
}

/// How far these rooms are, in no order; none of which nothing was done in.
pub async fn last_events(
    db: &Database,
    streams: &[StreamId],
) -> Result<Vec<(StreamId, u64)>, RowError> {
    let text = format!(
        "SELECT stream_id, last_event FROM chat_rooms WHERE stream_id {}",
        db.engine().one_of("$1")
    );
    let ids: Vec<_> = streams.iter().map(|id| id.as_uuid()).collect();
    query(AssertSqlSafe(text)).bind(ids).all(db).await
}

/// Takes the room, which is there from then on: whatever is done in it has its turn until the
/// transaction ends.
async fn lock(transaction: &mut Transaction, stream: StreamId) -> Result<ChatRoomRow, RowError> {
    query(
        "INSERT INTO chat_rooms (stream_id) VALUES ($1)
         ON CONFLICT (stream_id) DO UPDATE SET last_event = chat_rooms.last_event
         RETURNING last_event, slow_mode, followers_only",
    )
    .bind(stream)
    .one(transaction)
    .await
    .map_err(missing_parent(Entity::Stream))
}

/// Notes how far the room is, which is locked.
async fn count(
    transaction: &mut Transaction,
    stream: StreamId,
    last_event: u64,
) -> Result<(), RowError> {
    query("UPDATE chat_rooms SET last_event = $2 WHERE stream_id = $1")
        .bind(stream)
        .bind(last_event)
        .execute(transaction)
        .await?;
    Ok(())
}
