//! What is done about a room: messages deleted, people kept from talking, how it is run.

use media::{ChatMessageId, Micros, StreamId, Timestamp, UserId};
use uuid::Uuid;

use super::super::error::missing_parent;
use super::super::sql::{FromRow, On, Row, query};
use super::super::users::{UserRow, user_columns};
use super::super::{Database, Entity, RowError, Transaction};
use super::ChatRoomRow;

/// Deletes a message: its text goes, and who follows the room is told. `by`: only if that is its
/// author. Gives the author; `None` when there is nothing to delete.
pub async fn delete_message(
    transaction: &mut Transaction,
    stream: StreamId,
    id: ChatMessageId,
    by: Option<UserId>,
    now: Timestamp,
) -> Result<Option<UserId>, RowError> {
    let room = super::lock(transaction, stream).await?;
    let event = room.last_event + 1;
    let deleted: Option<(UserId,)> = query(
        "UPDATE chat_messages SET body = '', deleted_at = $3, last_event = $4
         WHERE id = $1 AND stream_id = $2 AND deleted_at IS NULL
             AND author_id = COALESCE($5, author_id)
         RETURNING author_id",
    )
    .bind(id)
    .bind(stream)
    .bind(now)
    .bind(event)
    .bind(by)
    .optional(&mut *transaction)
    .await?;
    let Some((author,)) = deleted else {
        return Ok(None);
    };
    super::count(transaction, stream, event).await?;
    Ok(Some(author))
}

/// Runs a room differently; what is `None` stays. Gives how it is run then.
pub async fn change_room(
    transaction: &mut Transaction,
    stream: StreamId,
    slow_mode: Option<Micros>,
    followers_only: Option<bool>,
) -> Result<ChatRoomRow, RowError> {
    let before = super::lock(transaction, stream).await?;
    let after = ChatRoomRow {
        last_event: before.last_event,
        slow_mode: slow_mode.unwrap_or(before.slow_mode),
        followers_only: followers_only.unwrap_or(before.followers_only),
    };
    if after == before {
        return Ok(before);
    }
    let after = ChatRoomRow {
        last_event: before.last_event + 1,
        ..after
    };
    query(
        "UPDATE chat_rooms SET last_event = $2, slow_mode = $3, followers_only = $4
         WHERE stream_id = $1",
    )
    .bind(stream)
    .bind(after.last_event)
    .bind(after.slow_mode)
    .bind(after.followers_only)
    .execute(transaction)
    .await?;
    Ok(after)
}

/// Somebody who says nothing in a room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SanctionRow {
    /// Who, whatever they are called by now.
    pub user: UserRow,
    /// Until when; `None`: it is a ban.
    pub until: Option<Timestamp>,
    /// Since when.
    pub since: Timestamp,
}

impl FromRow for SanctionRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            user: UserRow::from_row(row)?,
            until: row.get("until_at")?,
            since: row.get("since")?,
        })
    }
}

/// Keeps somebody from talking in a room, until then or, with `None`, until it is lifted; instead
/// of what kept them before. Of what is being said at the same time, nothing comes behind it.
pub async fn sanction(
    transaction: &mut Transaction,
    stream: StreamId,
    user: UserId,
    until: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), RowError> {
    super::lock(transaction, stream).await?;
    query(
        "INSERT INTO chat_sanctions (stream_id, user_id, until_at, created_at)
         VALUES ($1, $2, $3, $4)
         ON CONFLICT (stream_id, user_id)
             DO UPDATE SET until_at = excluded.until_at, created_at = excluded.created_at",
    )
    .bind(stream)
    .bind(user)
    .bind(until)
    .bind(now)
    .execute(transaction)
    .await
    .map_err(missing_parent(Entity::User))?;
    Ok(())
}

/// Lets somebody talk again; whether anything kept them.
pub async fn lift(
    transaction: &mut Transaction,
    stream: StreamId,
    user: UserId,
) -> Result<bool, RowError> {
    let lifted = query("DELETE FROM chat_sanctions WHERE stream_id = $1 AND user_id = $2")
        .bind(stream)
        .bind(user)
        .execute(transaction)
        .await?;
    Ok(lifted > 0)
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            user_columns!(u),
            ", s.until_at, s.created_at AS since
             FROM chat_sanctions s JOIN users u ON u.id = s.user_id
             WHERE s.stream_id = $1 AND u.deleted_at IS NULL
                 AND (s.until_at IS NULL OR s.until_at > $2) ",
            $rest
        )
    };
}

/// What keeps somebody from talking in a room at `now`.
pub async fn sanction_of<'a>(
    on: impl Into<On<'a>>,
    stream: StreamId,
    user: UserId,
    now: Timestamp,
) -> Result<Option<SanctionRow>, RowError> {
    query(select!("AND s.user_id = $3"))
        .bind(stream)
        .bind(now)
        .bind(user)
        .optional(on)
        .await
}

/// Whom something keeps from talking in a room at `now`, the newest account first, those before
/// `after`, at most `limit`.
pub async fn sanctions(
    db: &Database,
    stream: StreamId,
    now: Timestamp,
    after: Option<UserId>,
    limit: u32,
) -> Result<Vec<SanctionRow>, RowError> {
    query(select!(
        "AND s.user_id < $3 ORDER BY s.user_id DESC LIMIT $4"
    ))
    .bind(stream)
    .bind(now)
    .bind(after.map_or(Uuid::max(), |after| after.as_uuid()))
    .bind(limit)
    .all(db)
    .await
}
