//! Epoch and segment numbers: each is reserved in the stream's row before it is used, so
//! that no number is used twice, not over a crash and not by two processes that both
//! believe they have the stream.

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
    let next = number.0.saturating_add(1);
    let mut transaction = db.write().await?;
    let reserved =
        query("UPDATE streams SET next_segment = $2 WHERE id = $1 AND next_segment < $2")
            .bind(stream)
            .bind(next)
            .execute(&mut transaction)
            .await?;
    if reserved == 0 {
        must_exist(&mut transaction, stream).await?;
        return Err(RowError::NumberTaken {
            what: "segment",
            number: number.0,
        });
    }
    transaction.commit().await
}

/// The lowest numbers that nobody has taken, and the media time that nobody has used.
/// Reserves nothing.
pub async fn next_numbers(db: &Database, stream: StreamId) -> Result<Numbering, RowError> {
    let numbers: Option<Numbers> =
        query("SELECT next_epoch, next_segment, media_end FROM streams WHERE id = $1")
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
            segment: row.get("next_segment")?,
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
