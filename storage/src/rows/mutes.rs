//! Mutes: whom a user does not want to see. Nobody sees it but who made it.

use media::{Timestamp, UserId};

use super::error::missing_parent;
use super::looked::{self, Order, people_looked_at};
use super::sql::query;
use super::users::UserPage;
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

/// `$1` is the muter, `$2` whom the page comes after.
pub(super) const MUTED: &str = people_looked_at!(
    "m.muted_id AS place FROM mutes m WHERE m.muter_id = $1 AND m.muted_id < $2";
    "u.deleted_at IS NULL
     AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.blocker_id = u.id AND b.blocked_id = $1)";
    "m.muted_id DESC", "$3"
);

/// Whom `muter` mutes, the newest account first, those before `after`, at most `limit`.
/// Those who are suspended too; nobody who was deleted, or who blocks `muter`: those are not
/// seen.
pub async fn of_user(
    db: &Database,
    muter: UserId,
    after: Option<UserId>,
    limit: u32,
) -> Result<UserPage, RowError> {
    let order = Order::NewestFirst;
    looked::page(db, order, after, limit, |after, at_once| {
        query(MUTED)
            .bind(muter)
            .bind(after.map_or(order.begin(), |after| after.as_uuid()))
            .bind(at_once)
    })
    .await
}
