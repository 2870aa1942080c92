//! What a stream keeps, and what has to go.
//!
//! The floor goes first: [`raise_floor`] before any object is deleted. Below it nothing is
//! listed and nothing promised. Then objects go, and then their rows, which say which
//! objects there may be: whoever dies in between leaves rows below the floor, which
//! [`below_floor`] lists again. What deletes or raises goes into a transaction of the
//! caller, who guards it with a lease.

use media::{EpochNumber, SegmentNumber, StreamId, Timestamp};
use uuid::Uuid;

use super::segments::{SegmentRow, lock_stream};
use super::sql::{FromRow, Row, query};
use super::{Database, Entity, RowError, Transaction};
use crate::retention::{Extent, Rules};

impl FromRow for Rules {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            recording: row.get("recording")?,
            live_window: row.get("live_window")?,
            keep_for: row.get("keep_for")?,
            byte_quota: row.get::<Option<u64>>("byte_quota")?,
        })
    }
}

/// A stream that something is kept of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptStream {
    /// The stream.
    pub stream: StreamId,
    /// What it keeps.
    pub rules: Rules,
    /// Its floor: the lowest segment number that is kept.
    pub kept_from: SegmentNumber,
    /// The newest number that any rendition has a row of.
    pub newest: Option<SegmentNumber>,
    /// Whether it has an open session, so that playlists list its newest segments.
    pub open: bool,
}

impl FromRow for KeptStream {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            stream: row.get("id")?,
            rules: Rules::from_row(row)?,
            kept_from: row.get("kept_from")?,
            newest: row.get("newest")?,
            open: row.get("open")?,
        })
    }
}

/// What the rows say that a stream has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stored {
    /// Bytes of its segments.
    pub bytes: u64,
    /// Segments that have an object, of all renditions.
    pub segments: u64,
    /// Gaps, of all renditions.
    pub gaps: u64,
    /// Where the media of the first begins.
    pub start: Option<Timestamp>,
    /// Where the media of the last that has an object ends.
    pub end: Option<Timestamp>,
}

impl FromRow for Stored {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            bytes: row.get("bytes")?,
            segments: row.get("segments")?,
            gaps: row.get("gaps")?,
            start: row.get("start_at")?,
            end: row.get("end_at")?,
        })
    }
}

impl FromRow for Extent {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            number: row.get("number")?,
            end: row.get("end_at")?,
            bytes: row.get("bytes")?,
        })
    }
}

/// What a stream keeps.
pub async fn rules(db: &Database, stream: StreamId) -> Result<Rules, RowError> {
    query("SELECT recording, live_window, keep_for, byte_quota FROM streams WHERE id = $1")
        .bind(stream)
        .optional(db)
        .await?
        .ok_or(RowError::NotFound(Entity::Stream))
}

/// Changes what a stream keeps, and gives what it keeps then. The sweeper does the rest.
pub async fn change_rules(
    db: &Database,
    stream: StreamId,
    change: impl FnOnce(&mut Rules),
) -> Result<Rules, RowError> {
    let mut transaction = db.write().await?;
    lock_stream(&mut transaction, stream).await?;
    let mut rules: Rules =
        query("SELECT recording, live_window, keep_for, byte_quota FROM streams WHERE id = $1")
            .bind(stream)
            .one(&mut transaction)
            .await?;
    change(&mut rules);
    query(
        "UPDATE streams SET recording = $2, live_window = $3, keep_for = $4, byte_quota = $5
         WHERE id = $1",
    )
    .bind(stream)
    .bind(rules.recording)
    .bind(rules.live_window)
    .bind(rules.keep_for)
    .bind(rules.byte_quota)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(rules)
}

/// What the rows say that a stream has, from its floor on. Reads them all.
pub async fn stored(db: &Database, stream: StreamId) -> Result<Stored, RowError> {
    query(
        "SELECT COALESCE(CAST(SUM(size) AS BIGINT), 0) AS bytes,
                COUNT(CASE WHEN size > 0 THEN 1 END) AS segments,
                COUNT(CASE WHEN size = 0 THEN 1 END) AS gaps,
                MIN(start) AS start_at,
                MAX(CASE WHEN size > 0 THEN start + duration END) AS end_at
         FROM segments
         WHERE stream_id = $1 AND number >= (SELECT kept_from FROM streams WHERE id = $1)",
    )
    .bind(stream)
    .one(db)
    .await
}

/// Streams that have epochs, by id, those after `after`, at most `limit`.
pub async fn kept_streams(
    db: &Database,
    after: Option<StreamId>,
    limit: u32,
) -> Result<Vec<KeptStream>, RowError> {
    query(
        "SELECT s.id, s.recording, s.live_window, s.keep_for, s.byte_quota, s.kept_from,
                (SELECT MAX(g.number) FROM segments g WHERE g.stream_id = s.id) AS newest,
                EXISTS (SELECT 1 FROM live_sessions l
                        WHERE l.stream_id = s.id AND l.ended_at IS NULL) AS open
         FROM streams s
         WHERE s.id > $1 AND EXISTS (SELECT 1 FROM epochs e WHERE e.stream_id = s.id)
         ORDER BY s.id
         LIMIT $2",
    )
    .bind(after.map_or(Uuid::nil(), |after| after.as_uuid()))
    .bind(limit)
    .all(db)
    .await
}

/// The stream's lowest numbers from `from` on, each over all renditions, at most `limit`.
pub async fn oldest_extents(
    db: &Database,
    stream: StreamId,
    from: SegmentNumber,
    limit: u32,
) -> Result<Vec<Extent>, RowError> {
    query(
        "SELECT number, MAX(start + duration) AS end_at, CAST(SUM(size) AS BIGINT) AS bytes
         FROM segments
         WHERE stream_id = $1 AND number >= $2
         GROUP BY number
         ORDER BY number
         LIMIT $3",
    )
    .bind(stream)
    .bind(from)
    .bind(limit)
    .all(db)
    .await
}

/// Below this number the stream has no row, and none will come: every session that could
/// bring one is settled.
pub async fn nothing_below(db: &Database, stream: StreamId) -> Result<SegmentNumber, RowError> {
    let (lowest,) = query(
        "SELECT MIN(number) AS number FROM (
             SELECT MIN(number) AS number FROM segments WHERE stream_id = $1
             UNION ALL
             SELECT MIN(e.first_segment)
             FROM epochs e JOIN live_sessions l ON l.id = e.session_id
             WHERE e.stream_id = $1 AND l.settled_at IS NULL
             UNION ALL
             SELECT next_segment FROM streams WHERE id = $1
         ) AS lowest",
    )
    .bind(stream)
    .one::<(Option<SegmentNumber>,)>(db)
    .await?;
    Ok(lowest.unwrap_or_default())
}

/// Raises the stream's floor to `floor`; false when it is there or higher already.
pub async fn raise_floor(
    transaction: &mut Transaction,
    stream: StreamId,
    floor: SegmentNumber,
) -> Result<bool, RowError> {
    let raised = query("UPDATE streams SET kept_from = $2 WHERE id = $1 AND kept_from < $2")
        .bind(stream)
        .bind(floor)
        .execute(transaction)
        .await?;
    Ok(raised > 0)
}

/// The stream's segments below its floor, the oldest first, at most `limit`.
pub async fn below_floor(
    db: &Database,
    stream: StreamId,
    limit: u32,
) -> Result<Vec<SegmentRow>, RowError> {
    query(
        "SELECT epoch, rendition, number, start, duration, size
         FROM segments
         WHERE stream_id = $1 AND number < (SELECT kept_from FROM streams WHERE id = $1)
         ORDER BY number, rendition
         LIMIT $2",
    )
    .bind(stream)
    .bind(limit)
    .all(db)
    .await
}

/// Deletes the rows of segments whose objects are gone.
pub async fn delete_segments(
    transaction: &mut Transaction,
    stream: StreamId,
    segments: &[SegmentRow],
) -> Result<(), RowError> {
    for row in segments {
        query("DELETE FROM segments WHERE stream_id = $1 AND number = $2 AND rendition = $3")
            .bind(stream)
            .bind(row.segment.number)
            .bind(row.rendition.as_str())
            .execute(&mut *transaction)
            .await?;
    }
    Ok(())
}

/// The stream's epochs below its floor that have no segment left, the oldest first, at most
/// `limit`: their init segments are of no more use. Never the one that is live.
pub async fn finished_epochs(
    db: &Database,
    stream: StreamId,
    limit: u32,
) -> Result<Vec<EpochNumber>, RowError> {
    let rows: Vec<(_,)> = query(
        "SELECT e.number
         FROM epochs e
             JOIN streams s ON s.id = e.stream_id
             JOIN live_sessions l ON l.id = e.session_id
         WHERE e.stream_id = $1
             AND s.kept_from >= COALESCE(
                 (SELECT n.first_segment FROM epochs n
                  WHERE n.stream_id = e.stream_id AND n.number > e.number
                  ORDER BY n.number LIMIT 1),
                 CASE WHEN l.settled_at IS NOT NULL THEN s.next_segment END)
             AND NOT EXISTS (SELECT 1 FROM segments g
                             WHERE g.stream_id = e.stream_id AND g.epoch = e.number)
         ORDER BY e.number
         LIMIT $2",
    )
    .bind(stream)
    .bind(limit)
    .all(db)
    .await?;
    Ok(rows.into_iter().map(|(number,)| number).collect())
}

/// Deletes the rows of an epoch whose objects are gone, and of its renditions. Its number
/// stays taken.
pub async fn delete_epoch(
    transaction: &mut Transaction,
    stream: StreamId,
    epoch: EpochNumber,
) -> Result<(), RowError> {
    query("DELETE FROM epochs WHERE stream_id = $1 AND number = $2")
        .bind(stream)
        .bind(epoch)
        .execute(transaction)
        .await?;
    Ok(())
}

/// Bytes of the stream's segments from `from` on.
pub async fn bytes_from(
    db: &Database,
    stream: StreamId,
    from: SegmentNumber,
) -> Result<u64, RowError> {
    let (bytes,) = query(
        "SELECT COALESCE(CAST(SUM(size) AS BIGINT), 0) AS bytes
         FROM segments WHERE stream_id = $1 AND number >= $2",
    )
    .bind(stream)
    .bind(from)
    .one(db)
    .await?;
    Ok(bytes)
}
