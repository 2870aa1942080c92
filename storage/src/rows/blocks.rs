//! Blocks: who wants nothing to do with whom. A block works both ways: neither sees the
//! other.

use media::{Timestamp, UserId};

use super::error::missing_parent;
use super::follows::take_turn;
use super::looked::{self, Order, people_looked_at};
use super::sql::query;
use super::users::UserPage;
use super::{Database, Entity, RowError, Transaction};

/// Blocks, and ends the follows and requests between the two, in both directions; false when
/// it was blocked already. [`RowError::NotFound`] when there is nobody to block, or it would
/// be oneself.
pub async fn block(
    db: &Database,
    transaction: &mut Transaction,
    blocker: UserId,
    blocked: UserId,
    now: Timestamp,
) -> Result<bool, RowError> {
    if blocker == blocked {
        return Err(RowError::NotFound(Entity::User));
    }
    take_turn(db, transaction, blocker, blocked).await?;
    query(
        "DELETE FROM follows
         WHERE follower_id = $1 AND followed_id = $2 OR follower_id = $2 AND followed_id = $1",
    )
    .bind(blocker)
    .bind(blocked)
    .execute(&mut *transaction)
    .await?;
    let made = query(
        "INSERT INTO blocks (blocker_id, blocked_id, created_at) VALUES ($1, $2, $3)
         ON CONFLICT (blocker_id, blocked_id) DO NOTHING",
    )
    .bind(blocker)
    .bind(blocked)
    .bind(now)
    .execute(transaction)
    .await
    .map_err(missing_parent(Entity::User))?;
    Ok(made > 0)
}

/// Blocks no more; whether it was blocked.
pub async fn unblock(
    transaction: &mut Transaction,
    blocker: UserId,
    blocked: UserId,
) -> Result<bool, RowError> {
    let ended = query("DELETE FROM blocks WHERE blocker_id = $1 AND blocked_id = $2")
        .bind(blocker)
        .bind(blocked)
        .execute(transaction)
        .await?;
    Ok(ended > 0)
}

/// `$1` is the blocker, `$2` whom the page comes after.
pub(super) const BLOCKED: &str = people_looked_at!(
    "k.blocked_id AS place FROM blocks k WHERE k.blocker_id = $1 AND k.blocked_id < $2";
    "u.deleted_at IS NULL";
    "k.blocked_id DESC", "$3"
);

/// Whom `blocker` blocks, the newest account first, those before `after`, at most `limit`.
/// Those who are suspended too; nobody who was deleted.
pub async fn of_user(
    db: &Database,
    blocker: UserId,
    after: Option<UserId>,
    limit: u32,
) -> Result<UserPage, RowError> {
    let order = Order::NewestFirst;
    looked::page(db, order, after, limit, |after, at_once| {
        query(BLOCKED)
            .bind(blocker)
            .bind(after.map_or(order.begin(), |after| after.as_uuid()))
            .bind(at_once)
    })
    .await
}

/// Whom `user` sees nothing of: whom they block or mute, and who blocks them, at most `limit`, in
/// no order.
pub async fn hidden_from(db: &Database, user: UserId, limit: u32) -> Result<Vec<UserId>, RowError> {
    let rows: Vec<(UserId,)> = query(
        "SELECT blocked_id AS id FROM blocks WHERE blocker_id = $1
         UNION
         SELECT blocker_id FROM blocks WHERE blocked_id = $1
         UNION
         SELECT muted_id FROM mutes WHERE muter_id = $1
         LIMIT $2",
    )
    .bind(user)
    .bind(limit)
    .all(db)
    .await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}
