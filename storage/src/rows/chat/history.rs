//! What was said, as pages and as events.

use media::{ChatMessageId, StreamId, Timestamp, UserId};

use super::super::posts::{not_blocked, viewer_id};
use super::super::sql::{FromRow, Row, query};
use super::super::users::user_columns;
use super::super::{Database, RowError};
use super::{ChatMessageRow, message_columns};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            message_columns!(),
            ", ",
            user_columns!(u),
            " FROM chat_messages m JOIN users u ON u.id = m.author_id ",
            $rest
        )
    };
    (shown: $rest:literal) => {
        concat!(
            "SELECT ",
            message_columns!(),
            ", ",
            user_columns!(u),
            " FROM chat_messages m JOIN users u ON u.id = m.author_id
             WHERE m.stream_id = $2 AND m.deleted_at IS NULL
                 AND u.suspended_at IS NULL AND u.deleted_at IS NULL AND ",
            not_blocked!("u.id"),
            " AND NOT EXISTS (SELECT 1 FROM mutes x WHERE x.muter_id = $1 AND x.muted_id = u.id)",
            $rest
        )
    };
}

/// Which way a page is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Direction {
    /// From the newest message on.
    #[default]
    Backwards,
    /// From the oldest on.
    Forwards,
}

/// What was said in a room and is there, as `viewer` may see it, from the message after
/// `after` on in that direction, at most `limit`.
pub async fn history(
    db: &Database,
    stream: StreamId,
    viewer: Option<UserId>,
    direction: Direction,
    after: Option<u64>,
    limit: u32,
) -> Result<Vec<ChatMessageRow>, RowError> {
    let (text, start) = match direction {
        Direction::Backwards => (
            select!(shown: " AND m.sequence < $3 ORDER BY m.sequence DESC LIMIT $4"),
            i64::MAX as u64,
        ),
        Direction::Forwards => (
            select!(shown: " AND m.sequence > $3 ORDER BY m.sequence LIMIT $4"),
            0,
        ),
    };
    query(text)
        .bind(viewer_id(viewer))
        .bind(stream)
        .bind(after.unwrap_or(start))
        .bind(limit)
        .all(db)
        .await
}

/// What was said while that was seen, in the order of media time: from `from` on, or backwards what
/// is before it, behind the message `after` (its media time and its sequence), at most `limit`.
pub async fn replay(
    db: &Database,
    stream: StreamId,
    viewer: Option<UserId>,
    direction: Direction,
    from: Timestamp,
    after: Option<(Timestamp, u64)>,
    limit: u32,
) -> Result<Vec<ChatMessageRow>, RowError> {
    let text = match direction {
        Direction::Backwards => select!(shown:
            " AND m.media_at < $3 AND (m.media_at, m.sequence) < ($4, $5)
              ORDER BY m.media_at DESC, m.sequence DESC LIMIT $6"
        ),
        Direction::Forwards => select!(shown:
            " AND m.media_at >= $3 AND (m.media_at, m.sequence) > ($4, $5)
              ORDER BY m.media_at, m.sequence LIMIT $6"
        ),
    };
    // No sequence is 0: all at `from` are behind this place, all before it are before it.
    let (at, sequence) = after.unwrap_or((from, 0));
    query(text)
        .bind(viewer_id(viewer))
        .bind(stream)
        .bind(from)
        .bind(at)
        .bind(sequence)
        .bind(limit)
        .all(db)
        .await
}

/// A message, deleted or not.
pub async fn message(
    db: &Database,
    stream: StreamId,
    id: ChatMessageId,
) -> Result<Option<ChatMessageRow>, RowError> {
    query(select!("WHERE m.id = $1 AND m.stream_id = $2"))
        .bind(id)
        .bind(stream)
        .optional(db)
        .await
}

/// What happened after the event `after`, up to the event `to`, by the order of events, at most
/// `limit`. A message that was deleted since it was said is its deletion alone. Everybody's: also
/// of authors who are not shown any more.
pub async fn events(
    db: &Database,
    stream: StreamId,
    after: u64,
    to: u64,
    limit: u32,
) -> Result<Vec<ChatMessageRow>, RowError> {
    query(select!(
        "WHERE m.stream_id = $1 AND m.last_event > $2 AND m.last_event <= $3
         ORDER BY m.last_event LIMIT $4"
    ))
    .bind(stream)
    .bind(after)
    .bind(to)
    .bind(limit)
    .all(db)
    .await
}

/// The last events up to `to`, at most `limit`, in their order.
pub async fn newest_events(
    db: &Database,
    stream: StreamId,
    to: u64,
    limit: u32,
) -> Result<Vec<ChatMessageRow>, RowError> {
    let mut rows: Vec<ChatMessageRow> = query(select!(
        "WHERE m.stream_id = $1 AND m.last_event <= $2
         ORDER BY m.last_event DESC LIMIT $3"
    ))
    .bind(stream)
    .bind(to)
    .bind(limit)
    .all(db)
    .await?;
    rows.reverse();
    Ok(rows)
}

/// A message, for whoever said it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said {
    /// Id.
    pub id: ChatMessageId,
    /// In the room of which stream.
    pub stream: StreamId,
    /// The stream's name.
    pub stream_name: String,
    /// Its place in the room.
    pub sequence: u64,
    /// What it answers.
    pub reply_to: Option<ChatMessageId>,
    /// Plain text.
    pub body: String,
    /// What its author saw then.
    pub media_at: Timestamp,
    /// When it was said.
    pub created_at: Timestamp,
}

impl FromRow for Said {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            stream: row.get("stream_id")?,
            stream_name: row.get("name")?,
            sequence: row.get("sequence")?,
            reply_to: row.get("reply_to_id")?,
            body: row.get("body")?,
            media_at: row.get("media_at")?,
            created_at: row.get("created_at")?,
        })
    }
}

/// What somebody said everywhere and did not delete, by room and place, after `after`, at most
/// `limit`.
pub async fn of_author(
    db: &Database,
    author: UserId,
    after: Option<(StreamId, u64)>,
    limit: u32,
) -> Result<Vec<Said>, RowError> {
    let (stream, sequence) = after.map_or((uuid::Uuid::nil(), 0), |(stream, sequence)| {
        (stream.as_uuid(), sequence)
    });
    query(
        "SELECT m.id, m.stream_id, s.name, m.sequence, m.reply_to_id, m.body, m.media_at,
                m.created_at
         FROM chat_messages m JOIN streams s ON s.id = m.stream_id
         WHERE m.author_id = $1 AND m.deleted_at IS NULL
             AND (m.stream_id, m.sequence) > ($2, $3)
         ORDER BY m.stream_id, m.sequence LIMIT $4",
    )
    .bind(author)
    .bind(stream)
    .bind(sequence)
    .bind(limit)
    .all(db)
    .await
}
