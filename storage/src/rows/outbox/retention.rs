//! How long events are kept.

use media::{Micros, Timestamp};

use super::super::sql::query;
use super::super::{Database, RowError, Transaction};

/// How long events are kept while there is no consumer at all.
pub const UNCONSUMED_FOR: Micros = Micros::from_secs(7 * 24 * 60 * 60);

/// Deletes events that every consumer has been given, the oldest first, at most `limit`,
/// and says how many.
pub async fn delete_delivered(db: &Database, now: Timestamp, limit: u32) -> Result<u64, RowError> {
    let mut transaction = db.write().await?;
    take_turn(db, &mut transaction).await?;
    // Without a consumer MIN is NULL.
    let deleted = query(
        "DELETE FROM outbox_events WHERE sequence IN (
             SELECT oldest.sequence
             FROM (SELECT sequence, created_at FROM outbox_events
                   ORDER BY sequence LIMIT $2) AS oldest
             CROSS JOIN (SELECT MIN(position) AS lowest FROM outbox_consumers) AS delivered
             WHERE oldest.sequence <= delivered.lowest
                 OR delivered.lowest IS NULL AND oldest.created_at < $1)",
    )
    .bind(now - UNCONSUMED_FOR)
    .bind(limit)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(deleted)
}

/// Waits until nobody else makes a consumer or deletes events, and keeps others waiting
/// until the transaction ends. A deletion asks once what the lowest position is.
pub(super) async fn take_turn(
    db: &Database,
    transaction: &mut Transaction,
) -> Result<(), RowError> {
    /// What the turn is for, among all turns of the database: "outbox" in ASCII.
    const OUTBOX: i64 = 0x6f75_7462_6f78;
    query(db.engine().take_turn())
        .bind(OUTBOX)
        .execute(transaction)
        .await?;
    Ok(())
}
