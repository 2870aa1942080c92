//! Mutes: whom a user does not want to see. Nobody sees it but who made it.

use media::{Timestamp, UserId};
use uuid::Uuid;

use super::error::missing_parent;
use super::sql::query;
use super::users::{UserRow, user_columns};
use super::{Database, Entity, RowError, Transaction};

/// Mutes; false when it was muted already. [`RowError::NotFound`] when there is nobody to
/// mute, or it would be oneself.
pub async fn mute(
    transaction: &mut Transaction,
    muter: UserId,
    muted: UserId,
    now: Timestamp,
) -> Result<bool, RowError> {
    if muter == muted {
        return Err(RowError::NotFound(Entity::User));
    }
    let made = query(
        "INSERT INTO mutes (muter_id, muted_id, created_at) VALUES ($1, $2, $3)
         ON CONFLICT (muter_id, muted_id) DO NOTHING",
    )
    .bind(muter)
    .bind(muted)
    .bind(now)
    .execute(transaction)
    .await
    .map_err(missing_parent(Entity::User))?;
    Ok(made > 0)
}

/// Mutes no more; whether it was muted.
pub async fn unmute(
    transaction: &mut Transaction,
    muter: UserId,
    muted: UserId,
) -> Result<bool, RowError> {
    let ended = query("DELETE FROM mutes WHERE muter_id = $1 AND muted_id = $2")
        .bind(muter)
        .bind(muted)
        .execute(transaction)
        .await?;
    Ok(ended > 0)
}

/// Whom `muter` mutes, the newest account first, those before `after`, at most `limit`.
/// Those who are suspended too; nobody who was deleted.
pub async fn of_user(
    db: &Database,
    muter: UserId,
    after: Option<UserId>,
    limit: u32,
) -> Result<Vec<UserRow>, RowError> {
    query(concat!(
        "SELECT ",
        user_columns!(u),
        " FROM mutes m JOIN users u ON u.id = m.muted_id
         WHERE m.muter_id = $1 AND m.muted_id < $2 AND u.deleted_at IS NULL
         ORDER BY m.muted_id DESC
         LIMIT $3"
    ))
    .bind(muter)
    .bind(after.map_or(Uuid::max(), |after| after.as_uuid()))
    .bind(limit)
    .all(db)
    .await
}
