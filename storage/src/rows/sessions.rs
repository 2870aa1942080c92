//! Live sessions: from going live until the grace period has passed. A publisher that
//! drops and returns within it continues its session.

use crate::events::Subject;
use media::{RenditionName, SessionId, StreamId, Timestamp};

use super::error::missing_parent;
use super::outbox::{self, NewEvent};
use super::segments::lock_stream;
use super::sql::{FromRow, Row, query};
use super::{Database, Entity, RowError, Transaction, stream_status, videos};

/// A session that has not ended. A stream has at most one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionRow {
    /// Id.
    pub id: SessionId,
    /// The stream.
    pub stream: StreamId,
    /// When it went live.
    pub started_at: Timestamp,
    /// Since when it has had no publisher. `None` also when the process that had the
    /// publisher was killed, until another takes the session up.
    pub publisher_left_at: Option<Timestamp>,
}

impl FromRow for SessionRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            stream: row.get("stream_id")?,
            started_at: row.get("started_at")?,
            publisher_left_at: row.get("publisher_left_at")?,
        })
    }
}

/// What [`open_session`] gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenedSession {
    /// The session, with a publisher.
    pub session: SessionRow,
    /// Whether it was open before.
    pub resumed: bool,
}

/// A publisher has come: the stream's open session, or a new one.
pub async fn open_session(
    db: &Database,
    stream: StreamId,
    now: Timestamp,
) -> Result<OpenedSession, RowError> {
    let fresh = SessionId::new();
    let mut transaction = db.write().await?;
    let session: SessionRow = query(
        "INSERT INTO live_sessions (id, stream_id, started_at)
         VALUES ($1, $2, $3)
         ON CONFLICT (stream_id) WHERE ended_at IS NULL
             DO UPDATE SET publisher_left_at = NULL
         RETURNING id, stream_id, started_at, publisher_left_at",
    )
    .bind(fresh)
    .bind(stream)
    .bind(now)
    .one(&mut transaction)
    .await
    .map_err(missing_parent(Entity::Stream))?;
    let resumed = session.id != fresh;
    if !resumed {
        tell(db, &mut transaction, &session, Turn::Live, now).await?;
    }
    transaction.commit().await?;
    Ok(OpenedSession { session, resumed })
}

/// The publisher has gone at `now`: the grace period begins. If it had gone already, the
/// earlier time stays.
pub async fn publisher_left(
    db: &Database,
    session: SessionId,
    now: Timestamp,
) -> Result<(), RowError> {
    update_open(
        db,
        session,
        "UPDATE live_sessions SET publisher_left_at = COALESCE(publisher_left_at, $2)
         WHERE id = $1 AND ended_at IS NULL",
        Some(now),
    )
    .await
}

/// The publisher has returned within the grace period.
pub async fn publisher_returned(db: &Database, session: SessionId) -> Result<(), RowError> {
    update_open(
        db,
        session,
        "UPDATE live_sessions SET publisher_left_at = NULL WHERE id = $1 AND ended_at IS NULL",
        None,
    )
    .await
}

/// Ends the session at `now`; [`RowError::SessionNotOpen`] when it has ended already. If its
/// stream is recorded it is a video from now on, see [`videos`].
pub async fn end_session(
    db: &Database,
    session: SessionId,
    now: Timestamp,
) -> Result<(), RowError> {
    let mut transaction = db.write().await?;
    let ended: SessionRow = query(
        "UPDATE live_sessions SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL
         RETURNING id, stream_id, started_at, publisher_left_at",
    )
    .bind(session)
    .bind(now)
    .optional(&mut transaction)
    .await?
    .ok_or(RowError::SessionNotOpen(session))?;
    videos::record(&mut transaction, ended.id, now).await?;
    stream_status::forget(&mut transaction, ended.id, ended.stream).await?;
    tell(db, &mut transaction, &ended, Turn::Ended, now).await?;
    transaction.commit().await
}

/// What the outbox is told of a session.
#[derive(Clone, Copy)]
enum Turn<'a> {
    Live,
    Ended,
    Rung(&'a RungChange),
}

/// Adds `stream.{id}.live`, `.ended`, `.shed` or `.restored` to the outbox, under the
/// stream's id. The payload is JSON: `session`, `stream`, and `at` in microseconds since
/// 1970; of a rung also `rung` and `reason`.
async fn tell(
    db: &Database,
    transaction: &mut Transaction,
    session: &SessionRow,
    turn: Turn<'_>,
    now: Timestamp,
) -> Result<(), RowError> {
    let stream = session.stream.to_string();
    let name = match turn {
        Turn::Live => "live",
        Turn::Ended => "ended",
        Turn::Rung(change) => match change.to {
            RungState::Shed => "shed",
            RungState::Restored => "restored",
        },
    };
    let subject = Subject::new(&format!("stream.{stream}.{name}"))?;
    let mut payload = serde_json::json!({
        "session": session.id.to_string(),
        "stream": stream,
        "at": now.as_micros(),
    });
    if let Turn::Rung(change) = turn {
        payload["rung"] = change.rung.as_str().into();
        payload["reason"] = change.reason.as_str().into();
    }
    let event = NewEvent {
        subject: &subject,
        key: &stream,
        payload: payload.to_string().into(),
    };
    outbox::append(db, transaction, &event, now).await?;
    Ok(())
}

/// What goes live by the event with this subject and payload; `None`: it tells of something
/// else.
pub fn gone_live(subject: &Subject, payload: &[u8]) -> Option<(StreamId, SessionId)> {
    let is_live = subject.as_str().starts_with("stream.") && subject.as_str().ends_with(".live");
    if !is_live {
        return None;
    }
    let payload: serde_json::Value = serde_json::from_slice(payload).ok()?;
    let stream = payload["stream"].as_str()?.parse().ok()?;
    let session = payload["session"].as_str()?.parse().ok()?;
    Some((stream, session))
}

/// A rendition of a live stream that the machine cannot make for now, or can again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RungChange {
    /// The rendition.
    pub rung: RenditionName,
    /// What has become of it.
    pub to: RungState,
    /// Why, in a sentence.
    pub reason: String,
}

/// Whether a rung is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RungState {
    /// Not for now.
    Shed,
    /// Again.
    Restored,
}

/// Adds `stream.{id}.shed` or `stream.{id}.restored` to the outbox.
pub async fn rung_changed(
    db: &Database,
    session: &SessionRow,
    change: &RungChange,
    now: Timestamp,
) -> Result<(), RowError> {
    let mut transaction = db.write().await?;
    // Whoever tells of the stream takes turns, so that its events keep their order.
    lock_stream(&mut transaction, session.stream).await?;
    tell(db, &mut transaction, session, Turn::Rung(change), now).await?;
    transaction.commit().await
}

async fn update_open(
    db: &Database,
    session: SessionId,
    sql: &'static str,
    at: Option<Timestamp>,
) -> Result<(), RowError> {
    let mut transaction = db.write().await?;
    let mut query = query(sql).bind(session);
    if let Some(at) = at {
        query = query.bind(at);
    }
    let updated = query.execute(&mut transaction).await?;
    transaction.commit().await?;
    if updated == 0 {
        return Err(RowError::SessionNotOpen(session));
    }
    Ok(())
}

/// The stream's session that has not ended.
pub async fn open_session_of(
    db: &Database,
    stream: StreamId,
) -> Result<Option<SessionRow>, RowError> {
    query(
        "SELECT id, stream_id, started_at, publisher_left_at
         FROM live_sessions
         WHERE stream_id = $1 AND ended_at IS NULL",
    )
    .bind(stream)
    .optional(db)
    .await
}

/// All sessions that have not ended: what a server that starts has to take up, or to end.
/// At most one for each stream.
pub async fn unfinished_sessions(db: &Database) -> Result<Vec<SessionRow>, RowError> {
    query(
        "SELECT id, stream_id, started_at, publisher_left_at
         FROM live_sessions
         WHERE ended_at IS NULL
         ORDER BY started_at, id",
    )
    .all(db)
    .await
}
