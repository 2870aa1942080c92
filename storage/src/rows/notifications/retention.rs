//! How long notifications are kept.

use media::{Micros, Timestamp};
use uuid::{Builder, Uuid};

use super::super::sql::query;
use super::super::{Database, RowError};

/// A notification is kept for so long after it was begun.
pub const KEPT_FOR: Micros = Micros::from_secs(90 * 24 * 60 * 60);

/// Rows that one step writes at most.
pub const ROWS_AT_ONCE: u32 = 1_000;

/// How long it is known that a broadcast was told: its event may come again.
const FAN_OUTS_KEPT_FOR: Micros = Micros::from_secs(7 * 24 * 60 * 60);

/// What a step of the sweeper came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Swept {
    /// Rows that are gone.
    pub deleted: u64,
    /// Whether there may be more.
    pub more: bool,
}

/// Deletes some of what is older than [`KEPT_FOR`]: who did it first, so that no statement
/// deletes much. Where there is nothing to do, nothing is written.
pub async fn sweep(db: &Database, now: Timestamp) -> Result<Swept, RowError> {
    let oldest_kept = first_id(now - KEPT_FOR);
    let is_old = query("SELECT 1 FROM notifications WHERE id < $1 LIMIT 1")
        .bind(oldest_kept)
        .exists(db)
        .await?;
    let is_told = query("SELECT 1 FROM live_fan_outs WHERE finished_at <= $1 LIMIT 1")
        .bind(now - FAN_OUTS_KEPT_FOR)
        .exists(db)
        .await?;
    if !is_old && !is_told {
        return Ok(Swept {
            deleted: 0,
            more: false,
        });
    }
    let mut transaction = db.write().await?;
    let mut deleted = 0;
    for statement in [
        "DELETE FROM notification_actors
         WHERE (notification_id, at, actor_id, deed_id) IN (
             SELECT notification_id, at, actor_id, deed_id FROM notification_actors
             WHERE notification_id < $1 ORDER BY notification_id LIMIT $2)",
        "DELETE FROM notifications WHERE id IN (
             SELECT n.id FROM notifications n
             WHERE n.id < $1
                 AND NOT EXISTS (SELECT 1 FROM notification_actors a
                                 WHERE a.notification_id = n.id)
             ORDER BY n.id LIMIT $2)",
    ] {
        deleted += query(statement)
            .bind(oldest_kept)
            .bind(ROWS_AT_ONCE)
            .execute(&mut transaction)
            .await?;
    }
    deleted += query(
        "DELETE FROM live_fan_outs WHERE session_id IN (
             SELECT session_id FROM live_fan_outs WHERE finished_at <= $1 LIMIT $2)",
    )
    .bind(now - FAN_OUTS_KEPT_FOR)
    .bind(ROWS_AT_ONCE)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(Swept {
        deleted,
        more: deleted >= u64::from(ROWS_AT_ONCE),
    })
}

/// The lowest id that is made at `at` (RFC 9562 5.7).
pub(super) fn first_id(at: Timestamp) -> Uuid {
    let millis = u64::try_from(at.as_micros() / 1_000).unwrap_or_default();
    let id = Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid();
    debug_assert_eq!(id.get_version_num(), 7);
    id
}

/// When an id was made.
pub(super) fn made_at(id: Uuid) -> Timestamp {
    let (seconds, nanos) = id.get_timestamp().map_or((0, 0), |made| made.to_unix());
    let micros = seconds * 1_000_000 + u64::from(nanos) / 1_000;
    Timestamp::from_micros(micros.cast_signed())
}

#[cfg(test)]
mod tests {
    use media::NotificationId;

    use super::*;

    #[test]
    fn ids_are_in_the_order_of_their_making() {
        let at = |hours: i64| {
            let now = std::time::SystemTime::now();
            let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
            let micros = i64::try_from(since.as_micros()).unwrap();
            first_id(Timestamp::from_micros(micros) + Micros::from_secs(hours * 3_600))
        };
        let id = NotificationId::new().as_uuid();
        assert!(at(-1) < id && id < at(1));
        assert_eq!(
            first_id(Timestamp::from_micros(-1)),
            first_id(Timestamp::default())
        );
    }
}
