//! Epoch and segment numbers: each is reserved in the stream's row before it is used, so
//! that no number is used twice, not over a crash and not by two processes that both
//! believe they have the stream. Segment numbers are reserved some ahead, so that a stream
//! that is live outlasts a short absence of the database.

use media::timeline::Numbering;
use media::{EpochNumber, SegmentNumber, StreamId};

use super::sql::{FromRow, Row, query};
use super::{Database, Entity, RowError, Transaction};

/// Takes the next epoch number.
pub async fn reserve_epoch(db: &Database, stream: StreamId) -> Result<EpochNumber, RowError> {
    let mut transaction = db.write().await?;
    let (number,) = query(
        "UPDATE streams SET next_epoch = next_epoch + 1 WHERE id = $1
         RETURNING next_epoch - 1 AS number",
    )
    .bind(stream)
    .optional(&mut transaction)
    .await?
    .ok_or(RowError::NotFound(Entity::Stream))?;
    transaction.commit().await?;
    Ok(number)
}

/// Takes segment number `number` and gives up all below it. [`RowError::NumberTaken`]
/// when it has been taken: whoever gets that has lost the stream to another and must
/// stop.
pub async fn reserve_segment(
    db: &Database,
    stream: StreamId,
    number: SegmentNumber,
) -> Result<(), RowError> {
    reserve_segments(db, stream, number, 0).await.map(drop)
}

/// Takes segment number `number`, gives up all below it, and reserves `ahead` numbers after
/// it, which may be used while the database is away: nobody else gets them. Gives the
/// lowest number that is not reserved. Errors as [`reserve_segment`].
pub async fn reserve_segments(
    db: &Database,
    stream: StreamId,
    number: SegmentNumber,
    ahead: u32,
) -> Result<SegmentNumber, RowError> {
    take(
        db,
        stream,
        number,
        ahead,
        "UPDATE streams SET next_segment = $2, reserved_to = $3
         WHERE id = $1 AND next_segment < $2 AND reserved_to < $2",
    )
    .await
}

/// Begins segment `number`, which the caller reserved before and nobody gave back, and
/// reserves `ahead` numbers after it. Unlike [`reserve_segments`] it may be repeated when
/// nobody knows whether it was done. [`RowError::NumberTaken`] when another has reserved
/// numbers since.
pub async fn begin_reserved_segment(
    db: &Database,
    stream: StreamId,
    number: SegmentNumber,
    ahead: u32,
) -> Result<SegmentNumber, RowError> {
    // Another begins above all that was reserved, and so above `number`.
    take(
        db,
        stream,
        number,
        ahead,
        "UPDATE streams SET next_segment = $2, reserved_to = $3
         WHERE id = $1 AND next_segment <= $2",
    )
    .await
}

/// Gives back the numbers from `first` on, which the caller reserved and has not used and
/// will not use. Changes nothing when another has reserved numbers since.
pub async fn give_back_segments(
    db: &Database,
    stream: StreamId,
    first: SegmentNumber,
) -> Result<(), RowError> {
    let mut transaction = db.write().await?;
    query(
        "UPDATE streams SET next_segment = $2, reserved_to = $2
         WHERE id = $1 AND next_segment <= $2",
    )
    .bind(stream)
    .bind(first)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await
}

async fn take(
    db: &Database,
    stream: StreamId,
    number: SegmentNumber,
    ahead: u32,
    sql: &'static str,
) -> Result<SegmentNumber, RowError> {
    let next = number.0.saturating_add(1);
    let reserved_to = SegmentNumber(next.saturating_add(ahead.into()));
    let mut transaction = db.write().await?;
    let reserved = query(sql)
        .bind(stream)
        .bind(next)
        .bind(reserved_to)
        .execute(&mut transaction)
        .await?;
    if reserved == 0 {
        must_exist(&mut transaction, stream).await?;
        return Err(RowError::NumberTaken {
            what: "segment",
            number: number.0,
        });
    }
    transaction.commit().await?;
    Ok(reserved_to)
}

/// The lowest segment number that has not begun, as far as its publisher could tell the
/// row: all below the one before it were closed. It may be less than [`next_numbers`] says.
pub async fn next_unbegun(db: &Database, stream: StreamId) -> Result<SegmentNumber, RowError> {
    let next: Option<(_,)> = query("SELECT next_segment FROM streams WHERE id = $1")
        .bind(stream)
        .optional(db)
        .await?;
    next.map(|(next,)| next)
        .ok_or(RowError::NotFound(Entity::Stream))
}

/// The lowest numbers that nobody has taken, and the media time that nobody has used.
/// Reserves nothing.
pub async fn next_numbers(db: &Database, stream: StreamId) -> Result<Numbering, RowError> {
    let numbers: Option<Numbers> =
        query("SELECT next_epoch, next_segment, reserved_to, media_end FROM streams WHERE id = $1")
            .bind(stream)
            .optional(db)
            .await?;
    match numbers {
        Some(Numbers(numbering)) => Ok(numbering),
        None => Err(RowError::NotFound(Entity::Stream)),
    }
}

struct Numbers(Numbering);

impl FromRow for Numbers {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self(Numbering {
            epoch: row.get("next_epoch")?,
            segment: row
                .get::<SegmentNumber>("next_segment")?
                .max(row.get("reserved_to")?),
            not_before: row.get("media_end")?,
        }))
    }
}

async fn must_exist(transaction: &mut Transaction, stream: StreamId) -> Result<(), RowError> {
    let exists = query("SELECT 1 FROM streams WHERE id = $1")
        .bind(stream)
        .exists(transaction)
        .await?;
    if exists {
        Ok(())
    } else {
        Err(RowError::NotFound(Entity::Stream))
    }
}
