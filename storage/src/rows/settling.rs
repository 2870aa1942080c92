//! After a session: are its objects and its rows the same?
//!
//! A process that dies between an object and its row leaves an object that no row names.
//! Once a session has ended, whoever settles it compares the two, deletes such objects,
//! makes gaps of rows whose object is lost, and then [`settle`]s it: from then on nothing
//! is added to the session, so that what a writer that was paused brings is refused.

use media::{EpochNumber, Rendition, RenditionName, SegmentNumber, SessionId, StreamId, Timestamp};

use super::segments::{RenditionRow, lock_stream};
use super::sql::{FromRow, Row, query};
use super::{Database, RowError, Transaction};

/// A session that has ended and is not settled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnsettledSession {
    /// The session.
    pub session: SessionId,
    /// Its stream.
    pub stream: StreamId,
}

impl FromRow for UnsettledSession {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            session: row.get("id")?,
            stream: row.get("stream_id")?,
        })
    }
}

/// Sessions that ended at or before `before` and are not settled, those that wait longest
/// first, without the first `skip`, at most `limit`.
pub async fn unsettled(
    db: &Database,
    before: Timestamp,
    skip: u32,
    limit: u32,
) -> Result<Vec<UnsettledSession>, RowError> {
    query(
        "SELECT id, stream_id
         FROM live_sessions
         WHERE ended_at IS NOT NULL AND settled_at IS NULL AND ended_at <= $1
         ORDER BY ended_at, id
         LIMIT $3 OFFSET $2",
    )
    .bind(before)
    .bind(skip)
    .bind(limit)
    .all(db)
    .await
}

/// A session's epochs, by number.
pub async fn epochs(
    db: &Database,
    session: &UnsettledSession,
) -> Result<Vec<EpochNumber>, RowError> {
    let rows: Vec<(_,)> =
        query("SELECT number FROM epochs WHERE stream_id = $1 AND session_id = $2 ORDER BY number")
            .bind(session.stream)
            .bind(session.session)
            .all(db)
            .await?;
    Ok(rows.into_iter().map(|(number,)| number).collect())
}

/// An epoch's renditions, by name.
pub async fn renditions(
    db: &Database,
    stream: StreamId,
    epoch: EpochNumber,
) -> Result<Vec<Rendition>, RowError> {
    let rows: Vec<RenditionRow> = query(
        "SELECT epoch, name, kind, codecs, codec_config, bit_rate, frame_duration_us
         FROM renditions WHERE stream_id = $1 AND epoch = $2
         ORDER BY name",
    )
    .bind(stream)
    .bind(epoch)
    .all(db)
    .await?;
    Ok(rows.into_iter().map(|row| row.rendition).collect())
}

/// The numbers of a rendition's segments that have an object, as the rows say, from
/// `from` on and not below the stream's floor, rising, at most `limit`.
pub async fn stored_numbers(
    db: &Database,
    stream: StreamId,
    epoch: EpochNumber,
    rendition: &RenditionName,
    from: SegmentNumber,
    limit: u32,
) -> Result<Vec<SegmentNumber>, RowError> {
    let rows: Vec<(_,)> = query(
        "SELECT number
         FROM segments
         WHERE stream_id = $1 AND epoch = $2 AND rendition = $3 AND number >= $4 AND size > 0
             AND number >= (SELECT kept_from FROM streams WHERE id = $1)
         ORDER BY number
         LIMIT $5",
    )
    .bind(stream)
    .bind(epoch)
    .bind(rendition)
    .bind(from)
    .bind(limit)
    .all(db)
    .await?;
    Ok(rows.into_iter().map(|(number,)| number).collect())
}

/// The stream's floor: below it objects are being deleted.
pub async fn floor(db: &Database, stream: StreamId) -> Result<SegmentNumber, RowError> {
    let (floor,) = query("SELECT kept_from FROM streams WHERE id = $1")
        .bind(stream)
        .one(db)
        .await?;
    Ok(floor)
}

/// Makes gaps of a rendition's segments whose objects are lost; tells how many there were.
pub async fn make_gaps(
    transaction: &mut Transaction,
    stream: StreamId,
    rendition: &RenditionName,
    numbers: &[SegmentNumber],
) -> Result<u64, RowError> {
    let mut made = 0;
    for number in numbers {
        made += query(
            "UPDATE segments SET size = 0
             WHERE stream_id = $1 AND number = $2 AND rendition = $3 AND size > 0",
        )
        .bind(stream)
        .bind(*number)
        .bind(rendition)
        .execute(&mut *transaction)
        .await?;
    }
    Ok(made)
}

/// How many rows of segments and renditions a session has. Taken before its objects are
/// listed, and given to [`settle`] after.
pub async fn row_count(db: &Database, session: &UnsettledSession) -> Result<u64, RowError> {
    let (count,) = counting(session).one(db).await?;
    Ok(count)
}

/// Settles a session that has as many rows as when it was compared with its objects; false
/// when there are more by now: it must be compared again. What somebody adds later fails
/// with [`RowError::SessionSettled`].
pub async fn settle(
    transaction: &mut Transaction,
    session: &UnsettledSession,
    row_count: u64,
    now: Timestamp,
) -> Result<bool, RowError> {
    lock_stream(transaction, session.stream).await?;
    let (count,): (u64,) = counting(session).one(&mut *transaction).await?;
    if count != row_count {
        return Ok(false);
    }
    query("UPDATE live_sessions SET settled_at = $2 WHERE id = $1 AND ended_at IS NOT NULL")
        .bind(session.session)
        .bind(now)
        .execute(transaction)
        .await?;
    Ok(true)
}

fn counting(session: &UnsettledSession) -> super::sql::Query {
    query(
        "SELECT (SELECT COUNT(*) FROM segments g
                 WHERE g.stream_id = $1
                     AND g.epoch IN (SELECT number FROM epochs
                                     WHERE stream_id = $1 AND session_id = $2))
              + (SELECT COUNT(*) FROM renditions r
                 WHERE r.stream_id = $1
                     AND r.epoch IN (SELECT number FROM epochs
                                     WHERE stream_id = $1 AND session_id = $2)) AS count",
    )
    .bind(session.stream)
    .bind(session.session)
}
