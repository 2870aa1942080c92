//! What was said, as pages and as events.

use media::{ChatMessageId, StreamId, Timestamp, UserId};

use super::super::looked::{self, Order, Page, looked_at};
use super::super::posts::viewer_id;
use super::super::sql::{FromRow, Row, query};
use super::super::users::{user_columns, user_shown};
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
}

/// Messages, deleted or not, with those authors whose messages the viewer is shown.
macro_rules! shown {
    ($places:literal, $order:literal, $limit:literal) => {
        looked_at!(
            concat!(
                "m.sequence AS place, m.author_id, ",
                message_columns!(),
                " FROM chat_messages m WHERE m.stream_id = $2 AND ",
                $places
            );
            user_columns!(u), "users u",
            "u.id = c.author_id AND c.withdrawn_at IS NULL AND ",
            user_shown!(),
            " AND NOT EXISTS (SELECT 1 FROM mutes x WHERE x.muter_id = $1 AND x.muted_id = u.id)";
            $order, $limit
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

impl Direction {
    fn order(self) -> Order {
        match self {
            Self::Backwards => Order::NewestFirst,
            Self::Forwards => Order::OldestFirst,
        }
    }
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
) -> Result<Page<ChatMessageRow, u64>, RowError> {
    let (text, start) = match direction {
        Direction::Backwards => (
            shown!("m.sequence < $3", "m.sequence DESC", "$4"),
            i64::MAX as u64,
        ),
        Direction::Forwards => (shown!("m.sequence > $3", "m.sequence", "$4"), 0),
    };
    looked::page(db, direction.order(), after, limit, |after, at_once| {
        query(text)
            .bind(viewer_id(viewer))
            .bind(stream)
            .bind(after.unwrap_or(start))
            .bind(at_once)
    })
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
) -> Result<Page<ChatMessageRow, (Timestamp, u64)>, RowError> {
    let text = match direction {
        Direction::Backwards => shown!(
            "m.media_at < $3 AND (m.media_at, m.sequence) < ($4, $5)",
            "m.media_at DESC, m.sequence DESC",
            "$6"
        ),
        Direction::Forwards => shown!(
            "m.media_at >= $3 AND (m.media_at, m.sequence) > ($4, $5)",
            "m.media_at, m.sequence",
            "$6"
        ),
    };
    looked::page(db, direction.order(), after, limit, |after, at_once| {
        // No sequence is 0: all at `from` are behind this place, all before it are before it.
        let (at, sequence) = after.unwrap_or((from, 0));
        query(text)
            .bind(viewer_id(viewer))
            .bind(stream)
            .bind(from)
            .bind(at)
            .bind(sequence)
            .bind(at_once)
    })
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
