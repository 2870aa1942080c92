//! What of chats is not kept any more. A sweeper deletes it, a bounded number at a time.

use media::Timestamp;

use super::super::sql::query;
use super::super::{Database, RowError};

/// Deletes what was said before `before`, the oldest first, at most `limit`; how many.
pub async fn delete_before(db: &Database, before: Timestamp, limit: u32) -> Result<u64, RowError> {
    let statement = "DELETE FROM chat_messages WHERE id IN (
         SELECT id FROM chat_messages WHERE created_at < $1 ORDER BY created_at LIMIT $2)";
    delete(db, statement, before, limit).await
}

/// Deletes timeouts that were over at `now`, at most `limit`; how many.
///
/// The condition stands twice: on PostgreSQL one that was given anew meanwhile is looked at again,
/// and what is inside is not.
pub async fn lift_expired(db: &Database, now: Timestamp, limit: u32) -> Result<u64, RowError> {
    let statement = "DELETE FROM chat_sanctions WHERE (stream_id, user_id) IN (
         SELECT stream_id, user_id FROM chat_sanctions
         WHERE until_at IS NOT NULL AND until_at <= $1 ORDER BY until_at LIMIT $2)
         AND until_at IS NOT NULL AND until_at <= $1";
    delete(db, statement, now, limit).await
}

async fn delete(
    db: &Database,
    statement: &'static str,
    before: Timestamp,
    limit: u32,
) -> Result<u64, RowError> {
    let mut transaction = db.write().await?;
    let deleted = query(statement)
        .bind(before)
        .bind(limit)
        .execute(&mut transaction)
        .await?;
    transaction.commit().await?;
    Ok(deleted)
}
