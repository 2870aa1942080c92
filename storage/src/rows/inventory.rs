//! Which objects of live streams the rows say there are, for comparing the two.
//!
//! Below a stream's floor (`kept_from`) objects and rows are being deleted, and neither
//! says anything about the other.

use media::{EpochNumber, RenditionName, SegmentNumber, StreamId};
use uuid::Uuid;

use super::segments::SegmentRow;
use super::sql::{AssertSqlSafe, FromRow, Row, query};
use super::{Database, RowError};

/// A segment that has an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredSegment {
    /// Its stream.
    pub stream: StreamId,
    /// Its row.
    pub row: SegmentRow,
}

impl FromRow for StoredSegment {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            stream: row.get("stream_id")?,
            row: SegmentRow::from_row(row)?,
        })
    }
}

/// A rendition of an epoch: it has an object, its init segment.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct StoredRendition {
    /// The stream.
    pub stream: StreamId,
    /// The epoch.
    pub epoch: EpochNumber,
    /// The rendition's name.
    pub name: RenditionName,
    /// Whether the epoch reaches above its stream's floor.
    pub is_kept: bool,
}

impl FromRow for StoredRendition {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            stream: row.get("stream_id")?,
            epoch: row.get("epoch")?,
            name: row.get("name")?,
            is_kept: row.get("is_kept")?,
        })
    }
}

/// Segments above their stream's floor that are no gaps, by stream, number and rendition,
/// those after `after`, at most `limit`.
pub async fn segments(
    db: &Database,
    after: Option<&StoredSegment>,
    limit: u32,
) -> Result<Vec<StoredSegment>, RowError> {
    query(
        "SELECT g.stream_id, g.number, g.rendition, g.epoch, g.start, g.duration, g.size
         FROM segments g JOIN streams s ON s.id = g.stream_id
         WHERE (g.stream_id, g.number, g.rendition) > ($1, $2, $3)
             AND g.size > 0 AND g.number >= s.kept_from
         ORDER BY g.stream_id, g.number, g.rendition
         LIMIT $4",
    )
    .bind(after.map_or(Uuid::nil(), |after| after.stream.as_uuid()))
    .bind(after.map_or(0, |after| after.row.segment.number.0))
    .bind(after.map_or("", |after| after.row.rendition.as_str()))
    .bind(limit)
    .all(db)
    .await
}

/// Whether the epoch of rendition `r` of stream `s` ends above the floor.
const IS_KEPT: &str = "
    s.kept_from < COALESCE(
        (SELECT e.first_segment FROM epochs e
         WHERE e.stream_id = r.stream_id AND e.number > r.epoch
         ORDER BY e.number LIMIT 1),
        s.next_segment)";

/// Renditions of epochs that reach above their stream's floor, by stream, epoch and name,
/// those after `after`, at most `limit`.
pub async fn renditions(
    db: &Database,
    after: Option<&StoredRendition>,
    limit: u32,
) -> Result<Vec<StoredRendition>, RowError> {
    query(AssertSqlSafe(format!(
        "SELECT r.stream_id, r.epoch, r.name, TRUE AS is_kept
         FROM renditions r JOIN streams s ON s.id = r.stream_id
         WHERE (r.stream_id, r.epoch, r.name) > ($1, $2, $3) AND {IS_KEPT}
         ORDER BY r.stream_id, r.epoch, r.name
         LIMIT $4"
    )))
    .bind(after.map_or(Uuid::nil(), |after| after.stream.as_uuid()))
    .bind(after.map_or(EpochNumber(0), |after| after.epoch))
    .bind(after.map_or("", |after| after.name.as_str()))
    .bind(limit)
    .all(db)
    .await
}

/// Those of a stream's segments that have one of these numbers, gaps too.
pub async fn segments_numbered(
    db: &Database,
    stream: StreamId,
    numbers: Vec<i64>,
) -> Result<Vec<SegmentRow>, RowError> {
    let numbered = db.engine().one_of("$2");
    query(AssertSqlSafe(format!(
        "SELECT number, rendition, epoch, start, duration, size
         FROM segments WHERE stream_id = $1 AND number {numbered}"
    )))
    .bind(stream)
    .bind(numbers)
    .all(db)
    .await
}

/// The renditions that a stream's epochs with one of these numbers have.
pub async fn renditions_of(
    db: &Database,
    stream: StreamId,
    epochs: Vec<i64>,
) -> Result<Vec<StoredRendition>, RowError> {
    let numbered = db.engine().one_of("$2");
    query(AssertSqlSafe(format!(
        "SELECT r.stream_id, r.epoch, r.name, {IS_KEPT} AS is_kept
         FROM renditions r JOIN streams s ON s.id = r.stream_id
         WHERE r.stream_id = $1 AND r.epoch {numbered}"
    )))
    .bind(stream)
    .bind(epochs)
    .all(db)
    .await
}

/// What may be said of a stream's objects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamState {
    /// The lowest segment number that is kept.
    pub kept_from: SegmentNumber,
    /// The epochs of sessions that are open, or whose objects were not compared with their
    /// rows yet: there, an object may come before its row.
    pub unsettled: Vec<EpochNumber>,
    /// Whether there is such a session, be it without an epoch.
    pub is_unsettled: bool,
}

/// What may be said of a stream's objects. None: there is no such stream.
pub async fn stream_state(
    db: &Database,
    stream: StreamId,
) -> Result<Option<StreamState>, RowError> {
    let mut snapshot = db.snapshot().await?;
    let kept: Option<(SegmentNumber,)> = query("SELECT kept_from FROM streams WHERE id = $1")
        .bind(stream)
        .optional(&mut snapshot)
        .await?;
    let Some((kept_from,)) = kept else {
        return Ok(None);
    };
    let unsettled: Vec<(EpochNumber,)> = query(
        "SELECT e.number FROM epochs e JOIN live_sessions l ON l.id = e.session_id
         WHERE e.stream_id = $1 AND l.settled_at IS NULL",
    )
    .bind(stream)
    .all(&mut snapshot)
    .await?;
    let is_unsettled =
        query("SELECT 1 FROM live_sessions WHERE stream_id = $1 AND settled_at IS NULL LIMIT 1")
            .bind(stream)
            .exists(&mut snapshot)
            .await?;
    Ok(Some(StreamState {
        kept_from,
        unsettled: unsettled.into_iter().map(|(epoch,)| epoch).collect(),
        is_unsettled,
    }))
}
