//! What an owner, or whoever administers the installation, changes about a stream.

use media::{StreamId, Timestamp};

use super::{StoredEncoding, StreamRow, TakeoverPolicy, Visibility, stream_columns};
use crate::events::Event;
use crate::rows::purges::{self, NewPurge};
use crate::rows::segments::lock_stream;
use crate::rows::sql::query;
use crate::rows::stream_events::{self, StreamEvent};
use crate::rows::{Database, Entity, RowError, Transaction, playback_bars};

/// What is to be another; `None`: as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Change<'a> {
    /// What people read above it.
    pub title: Option<&'a str>,
    /// What people read below it.
    pub description: Option<&'a str>,
    /// Whom it is for.
    pub visibility: Option<Visibility>,
    /// What a second publisher meets, from the next one on.
    pub takeover: Option<TakeoverPolicy>,
    /// Whether more than its live window is kept. Switched off, what was recorded goes.
    pub recording: Option<bool>,
    /// What it is encoded to, from its next epoch on; `Some(None)`: the installation's default.
    pub ladder: Option<Option<&'a str>>,
    /// Whether going live makes a post; `Some(None)`: as the owner's preference says.
    pub post_when_live: Option<Option<bool>>,
}

/// A stream that was changed.
#[derive(Debug)]
pub struct Changed {
    /// The stream as it is now.
    pub stream: StreamRow,
    /// What is published after the commit.
    pub events: Vec<Event>,
    /// Caches have to be told that there is a purge.
    pub is_purged: bool,
}

/// Changes the stream. [`RowError::NotFound`] when it is not there any more.
///
/// Where it is for others from now on, tokens that were given before open nothing of its owner's,
/// and what caches have of it goes: they were told whom it is for when they stored it.
pub async fn change(
    db: &Database,
    transaction: &mut Transaction,
    stream: StreamId,
    change: &Change<'_>,
    now: Timestamp,
) -> Result<Changed, RowError> {
    let before = lock(transaction, stream).await?;
    let stream = write(transaction, stream, change).await?;
    let mut events = Vec::new();
    let is_purged = before.visibility != stream.visibility;
    if is_purged {
        let barred = playback_bars::bar_all(db, transaction, stream.owner, now).await?;
        events.push(barred);
        purge(transaction, &stream, now).await?;
    }
    let changed = stream_events::tell(db, transaction, stream.id, StreamEvent::Changed, now);
    events.push(changed.await?);
    Ok(Changed {
        stream,
        events,
        is_purged,
    })
}

/// Has caches forget what they have of the stream and of its recordings.
pub(super) async fn purge(
    transaction: &mut Transaction,
    stream: &StreamRow,
    now: Timestamp,
) -> Result<(), RowError> {
    let purge = NewPurge {
        kind: "tag",
        subject: &format!("stream:{}", stream.name),
        soft: false,
        requested_by: "stream",
    };
    purges::request_in(transaction, &purge, now).await?;
    Ok(())
}

/// The stream, which nobody else changes until the transaction ends.
pub(super) async fn lock(
    transaction: &mut Transaction,
    stream: StreamId,
) -> Result<StreamRow, RowError> {
    lock_stream(transaction, stream).await?;
    query(concat!(
        "SELECT ",
        stream_columns!(),
        " FROM streams s WHERE s.id = $1 AND s.deleted_at IS NULL"
    ))
    .bind(stream)
    .optional(transaction)
    .await?
    .ok_or(RowError::NotFound(Entity::Stream))
}

/// Writes what is another. Whoever asks has locked the stream, or has just made it.
pub(super) async fn write(
    transaction: &mut Transaction,
    stream: StreamId,
    change: &Change<'_>,
) -> Result<StreamRow, RowError> {
    query(concat!(
        "UPDATE streams SET
             title = COALESCE($2, title),
             description = COALESCE($3, description),
             visibility = COALESCE($4, visibility),
             takeover = COALESCE($5, takeover),
             recording = COALESCE($6, recording),
             ladder = CASE WHEN $7 THEN $8 ELSE ladder END,
             post_when_live = CASE WHEN $9 THEN $10 ELSE post_when_live END
         WHERE id = $1
         RETURNING ",
        stream_columns!(alone)
    ))
    .bind(stream)
    .bind(change.title)
    .bind(change.description)
    .bind(change.visibility.map(Visibility::as_str))
    .bind(change.takeover.map(TakeoverPolicy::as_str))
    .bind(change.recording)
    .bind(change.ladder.is_some())
    .bind(change.ladder.flatten())
    .bind(change.post_when_live.is_some())
    .bind(change.post_when_live.flatten())
    .optional(transaction)
    .await?
    .ok_or(RowError::NotFound(Entity::Stream))
}

/// Lets nobody publish to the stream until [`start`]. Nothing changes when nobody may.
pub async fn stop(
    db: &Database,
    transaction: &mut Transaction,
    stream: StreamId,
    now: Timestamp,
) -> Result<Changed, RowError> {
    let before = lock(transaction, stream).await?;
    let at = before.stopped_at.unwrap_or(now);
    set_stopped(db, transaction, stream, Some(at), now).await
}

/// Lets whoever has a key publish to the stream again.
pub async fn start(
    db: &Database,
    transaction: &mut Transaction,
    stream: StreamId,
    now: Timestamp,
) -> Result<Changed, RowError> {
    lock(transaction, stream).await?;
    set_stopped(db, transaction, stream, None, now).await
}

async fn set_stopped(
    db: &Database,
    transaction: &mut Transaction,
    stream: StreamId,
    at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Changed, RowError> {
    let stream: StreamRow = query(concat!(
        "UPDATE streams SET stopped_at = $2 WHERE id = $1 RETURNING ",
        stream_columns!(alone)
    ))
    .bind(stream)
    .bind(at)
    .one(&mut *transaction)
    .await?;
    let what = match at {
        Some(_) => StreamEvent::Stopped,
        None => StreamEvent::Started,
    };
    let event = stream_events::tell(db, transaction, stream.id, what, now).await?;
    Ok(Changed {
        stream,
        events: vec![event],
        is_purged: false,
    })
}

/// Changes what a second publisher meets, from the next one on.
pub async fn set_takeover(
    db: &Database,
    stream: StreamId,
    takeover: TakeoverPolicy,
) -> Result<(), RowError> {
    let statement = "UPDATE streams SET takeover = $2 WHERE id = $1";
    set(db, statement, stream, Some(takeover.as_str())).await
}

/// Changes what the stream is encoded to, from its next epoch on; `None`: the
/// installation's default.
pub async fn set_ladder(
    db: &Database,
    stream: StreamId,
    ladder: Option<&str>,
) -> Result<(), RowError> {
    let statement = "UPDATE streams SET ladder = $2 WHERE id = $1";
    set(db, statement, stream, ladder).await
}

/// Changes what decodes, scales and encodes the stream, like [`set_ladder`].
pub async fn set_engine(
    db: &Database,
    stream: StreamId,
    engine: Option<&str>,
) -> Result<(), RowError> {
    let statement = "UPDATE streams SET engine = $2 WHERE id = $1";
    set(db, statement, stream, engine).await
}

/// Changes what encodes the stream's H.264, like [`set_ladder`].
pub async fn set_encoder(
    db: &Database,
    stream: StreamId,
    encoder: Option<&str>,
) -> Result<(), RowError> {
    let statement = "UPDATE streams SET encoder = $2 WHERE id = $1";
    set(db, statement, stream, encoder).await
}

async fn set(
    db: &Database,
    statement: &'static str,
    stream: StreamId,
    value: Option<&str>,
) -> Result<(), RowError> {
    let mut transaction = db.write().await?;
    let updated = query(statement)
        .bind(stream)
        .bind(value)
        .execute(&mut transaction)
        .await?;
    transaction.commit().await?;
    match updated {
        0 => Err(RowError::NotFound(Entity::Stream)),
        _ => Ok(()),
    }
}

/// The engines and encoders that streams have of their own, each pair once, at most `limit`.
pub async fn encodings(db: &Database, limit: u32) -> Result<Vec<StoredEncoding>, RowError> {
    query(
        "SELECT DISTINCT engine, encoder FROM streams
         WHERE engine IS NOT NULL OR encoder IS NOT NULL
         LIMIT $1",
    )
    .bind(limit)
    .all(db)
    .await
}
