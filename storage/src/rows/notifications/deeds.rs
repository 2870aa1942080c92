//! How something that somebody did is added to somebody's notifications.

use media::{NotificationId, Timestamp, UserId};
use uuid::Uuid;

use super::super::sql::query;
use super::super::turns::{self, Turn};
use super::super::{Database, RowError, Transaction};
use super::{Kind, WINDOW};

/// Something that somebody did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Deed {
    pub(super) kind: Kind,
    /// Who is told.
    pub(super) recipient: UserId,
    /// What it was done to.
    pub(super) target: Uuid,
    /// Who did it; `None`: it is not said.
    pub(super) actor: Option<UserId>,
    /// What tells it from others by the same of the same kind.
    pub(super) deed: Uuid,
    /// When.
    pub(super) at: Timestamp,
}

impl Deed {
    /// The nil id: nobody has it.
    fn actor_id(&self) -> Uuid {
        self.actor.map_or(Uuid::nil(), |actor| actor.as_uuid())
    }
}

/// Adds a deed to the recipient's unread group of its kind and target, or begins one; whether
/// anything changed. Nothing does when it was added before, also when it was undone since, when
/// the recipient does not want it, did it, or is not there.
pub(super) async fn add(db: &Database, deed: &Deed) -> Result<bool, RowError> {
    if deed.actor == Some(deed.recipient) {
        return Ok(false);
    }
    let mut transaction = db.write().await?;
    turns::take(db, &mut transaction, Turn::Notifications(deed.recipient)).await?;
    if is_known(&mut transaction, deed).await? || !is_wanted(&mut transaction, deed).await? {
        return Ok(false);
    }
    let group = match join(&mut transaction, deed).await? {
        Some(group) => group,
        None => start(&mut transaction, deed).await?,
    };
    query(
        "INSERT INTO notification_actors (notification_id, at, actor_id, deed_id)
         VALUES ($1, $2, $3, $4)",
    )
    .bind(group)
    .bind(deed.at)
    .bind(deed.actor_id())
    .bind(deed.deed)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(true)
}

async fn is_known(transaction: &mut Transaction, deed: &Deed) -> Result<bool, RowError> {
    query(
        "SELECT 1 FROM notification_actors a JOIN notifications n ON n.id = a.notification_id
         WHERE a.actor_id = $1 AND a.deed_id = $2 AND n.recipient_id = $3 AND n.kind = $4",
    )
    .bind(deed.actor_id())
    .bind(deed.deed)
    .bind(deed.recipient)
    .bind(deed.kind.to_string())
    .exists(transaction)
    .await
}

async fn is_wanted(transaction: &mut Transaction, deed: &Deed) -> Result<bool, RowError> {
    query(
        "SELECT 1 FROM users u
         WHERE u.id = $1 AND u.deleted_at IS NULL
             AND NOT EXISTS (SELECT 1 FROM preferences q
                             WHERE q.user_id = u.id AND q.name = $2 AND q.value = 'off')",
    )
    .bind(deed.recipient)
    .bind(deed.kind.preference().unwrap_or_default())
    .exists(transaction)
    .await
}

/// Whoever reads the group meanwhile has seen it without this: then another is begun.
async fn join(
    transaction: &mut Transaction,
    deed: &Deed,
) -> Result<Option<NotificationId>, RowError> {
    let joined: Option<(NotificationId,)> = query(
        "UPDATE notifications
         SET revision = revision + 1,
             changed_at = CASE WHEN changed_at < $5 THEN $5 ELSE changed_at END
         WHERE read_at IS NULL AND id = (
             SELECT n.id FROM notifications n
             WHERE n.recipient_id = $1 AND n.kind = $2 AND n.target_id = $3
                 AND n.read_at IS NULL AND n.window_at > $4
             ORDER BY n.id DESC LIMIT 1)
         RETURNING id",
    )
    .bind(deed.recipient)
    .bind(deed.kind.to_string())
    .bind(deed.target)
    .bind(deed.at - WINDOW)
    .bind(deed.at)
    .optional(transaction)
    .await?;
    Ok(joined.map(|(id,)| id))
}

async fn start(transaction: &mut Transaction, deed: &Deed) -> Result<NotificationId, RowError> {
    let id = NotificationId::new();
    query(
        "INSERT INTO notifications
             (id, recipient_id, kind, target_id, window_at, changed_at, revision)
         VALUES ($1, $2, $3, $4, $5, $5, 1)",
    )
    .bind(id)
    .bind(deed.recipient)
    .bind(deed.kind.to_string())
    .bind(deed.target)
    .bind(deed.at)
    .execute(transaction)
    .await?;
    Ok(id)
}
