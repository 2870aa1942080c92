//! Marking notifications as read.

use media::{NotificationId, Timestamp, UserId};

use super::super::sql::query;
use super::super::{Database, RowError, Transaction};
use super::retention::ROWS_AT_ONCE;

/// A notification as somebody saw it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Which.
    pub id: NotificationId,
    /// What was there: what was added since has not been seen.
    pub revision: u64,
}

/// Marks these of `recipient`'s as read, but those to which something was added since they were
/// seen; how many were unread. Each is a look-up: the caller bounds how many there are.
pub async fn read(
    transaction: &mut Transaction,
    recipient: UserId,
    seen: &[Seen],
    now: Timestamp,
) -> Result<u64, RowError> {
    // In one order, so that two who read the same wait for each other and not in a circle.
    let mut seen = seen.to_vec();
    seen.sort_by_key(|seen| seen.id);
    let mut read = 0;
    for Seen { id, revision } in seen {
        read += query(
            "UPDATE notifications SET read_at = $4
             WHERE id = $2 AND recipient_id = $1 AND revision <= $3 AND read_at IS NULL",
        )
        .bind(recipient)
        .bind(id)
        .bind(revision)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
    }
    Ok(read)
}

/// Marks all of `recipient`'s as read that are not after `last`, in steps; how many were unread.
pub async fn read_up_to(
    db: &Database,
    recipient: UserId,
    last: NotificationId,
    now: Timestamp,
) -> Result<u64, RowError> {
    let mut read = 0;
    loop {
        let mut transaction = db.write().await?;
        let some = query(
            "UPDATE notifications SET read_at = $3
             WHERE read_at IS NULL AND id IN (
                 SELECT n.id FROM notifications n
                 WHERE n.recipient_id = $1 AND n.read_at IS NULL AND n.id <= $2 LIMIT $4)",
        )
        .bind(recipient)
        .bind(last)
        .bind(now)
        .bind(ROWS_AT_ONCE)
        .execute(&mut transaction)
        .await?;
        transaction.commit().await?;
        read += some;
        if some < u64::from(ROWS_AT_ONCE) {
            return Ok(read);
        }
    }
}
