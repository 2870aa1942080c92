//! What consumers have done, so that doing it again changes nothing.

use media::Timestamp;

use super::super::sql::query;
use super::super::{Database, RowError, Transaction};
use super::EventId;

/// Notes that `consumer` does what `event` asks for, in the transaction that does it.
/// `false` if it has been done: then there is nothing to do. Whoever is doing it at this
/// moment in another transaction is waited for.
pub async fn consume_once(
    transaction: &mut Transaction,
    consumer: &str,
    event: EventId,
    now: Timestamp,
) -> Result<bool, RowError> {
    let noted = query(
        "INSERT INTO consumed_events (consumer, event_id, consumed_at) VALUES ($1, $2, $3)
         ON CONFLICT (consumer, event_id) DO NOTHING",
    )
    .bind(consumer)
    .bind(event)
    .bind(now)
    .execute(transaction)
    .await?;
    Ok(noted == 1)
}

/// Forgets what was noted before `before`, at most `limit` notes, and says how many.
/// While the outbox still has the event, the note stays: it can be delivered again,
/// however old it is.
pub async fn forget_consumed(
    db: &Database,
    before: Timestamp,
    limit: u32,
) -> Result<u64, RowError> {
    let mut transaction = db.write().await?;
    let forgotten = query(
        "DELETE FROM consumed_events
         WHERE (consumer, event_id) IN (
             SELECT c.consumer, c.event_id
             FROM consumed_events c
             WHERE c.consumed_at < $1
                 AND NOT EXISTS (SELECT 1 FROM outbox_events e WHERE e.id = c.event_id)
             ORDER BY c.consumed_at
             LIMIT $2)",
    )
    .bind(before)
    .bind(limit)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(forgotten)
}
