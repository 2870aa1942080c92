//! What a stream no longer keeps. Rows say which objects there are, so an object goes
//! before its row: list, delete the objects, delete the rows. Whoever dies in between
//! leaves rows that the next round lists again, never an object that nothing names.

use media::{EpochNumber, StreamId, Timestamp};

use super::segments::SegmentRow;
use super::sql::query;
use super::{Database, RowError};

/// Streams with segments that ended at or before `before`, at most `limit`.
pub async fn streams_with_expired(
    db: &Database,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<StreamId>, RowError> {
    let rows: Vec<(_,)> =
        query("SELECT DISTINCT stream_id FROM segments WHERE start + duration <= $1 LIMIT $2")
            .bind(before)
            .bind(limit)
            .all(db)
            .await?;
    Ok(rows.into_iter().map(|(stream,)| stream).collect())
}

/// The stream's segments that ended at or before `before`, the oldest first, at most
/// `limit`.
pub async fn expired_segments(
    db: &Database,
    stream: StreamId,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<SegmentRow>, RowError> {
    // Numbers and media time grow together: the lowest numbers are the oldest.
    query(
        "SELECT epoch, rendition, number, start, duration, size
         FROM (SELECT epoch, rendition, number, start, duration, size
               FROM segments
               WHERE stream_id = $1
               ORDER BY number, rendition
               LIMIT $3) AS oldest
         WHERE start + duration <= $2
         ORDER BY number, rendition",
    )
    .bind(stream)
    .bind(before)
    .bind(limit)
    .all(db)
    .await
}

/// Deletes the rows of segments whose objects are gone.
pub async fn delete_segments(
    db: &Database,
    stream: StreamId,
    segments: &[SegmentRow],
) -> Result<(), RowError> {
    let mut transaction = db.write().await?;
    for row in segments {
        query("DELETE FROM segments WHERE stream_id = $1 AND number = $2 AND rendition = $3")
            .bind(stream)
            .bind(row.segment.number)
            .bind(row.rendition.as_str())
            .execute(&mut transaction)
            .await?;
    }
    transaction.commit().await
}

/// The stream's epochs that started at or before `before`, have no segment left and are
/// not the newest: their init segments are of no more use.
pub async fn expired_epochs(
    db: &Database,
    stream: StreamId,
    before: Timestamp,
) -> Result<Vec<EpochNumber>, RowError> {
    let rows: Vec<(_,)> = query(
        "SELECT e.number
         FROM epochs e
         WHERE e.stream_id = $1
             AND e.started_at <= $2
             AND e.number < (SELECT MAX(number) FROM epochs WHERE stream_id = $1)
             AND NOT EXISTS (SELECT 1 FROM segments s
                             WHERE s.stream_id = e.stream_id AND s.epoch = e.number)
         ORDER BY e.number",
    )
    .bind(stream)
    .bind(before)
    .all(db)
    .await?;
    Ok(rows.into_iter().map(|(number,)| number).collect())
}

/// Deletes the rows of an epoch whose objects are gone, and of its renditions. Its number
/// stays taken.
pub async fn delete_epoch(
    db: &Database,
    stream: StreamId,
    epoch: EpochNumber,
) -> Result<(), RowError> {
    let mut transaction = db.write().await?;
    query("DELETE FROM epochs WHERE stream_id = $1 AND number = $2")
        .bind(stream)
        .bind(epoch)
        .execute(&mut transaction)
        .await?;
    transaction.commit().await
}
