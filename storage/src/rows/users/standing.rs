//! What a user may do, and whether they are let in at all.

use media::{Timestamp, UserId};
use uuid::Uuid;

use super::super::account_events::{AccountEvent, Told};
use super::super::sql::query;
use super::super::{Database, RowError, Transaction, api_tokens, avatars, erasure, login_sessions};
use super::{Role, lock};

/// Keeps the user out: all logins end, and API tokens open nothing until
/// [`unsuspend`]. Nothing changes, and nobody is told, when the user is kept out already.
pub async fn suspend(
    db: &Database,
    transaction: &mut Transaction,
    id: UserId,
    now: Timestamp,
) -> Result<Told, RowError> {
    if lock(transaction, id).await?.user.suspended_at.is_some() {
        return Ok(Told::default());
    }
    query("UPDATE users SET suspended_at = $2 WHERE id = $1")
        .bind(id)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
    let mut told = login_sessions::end_all(db, transaction, id, None, now).await?;
    told.tell(db, transaction, &AccountEvent::Suspended { user: id }, now)
        .await?;
    Ok(told)
}

/// Lets the user in again. Nothing changes, and nobody is told, when nobody kept them out.
pub async fn unsuspend(
    db: &Database,
    transaction: &mut Transaction,
    id: UserId,
    now: Timestamp,
) -> Result<Told, RowError> {
    let mut told = Told::default();
    if lock(transaction, id).await?.user.suspended_at.is_none() {
        return Ok(told);
    }
    query("UPDATE users SET suspended_at = NULL WHERE id = $1")
        .bind(id)
        .execute(&mut *transaction)
        .await?;
    let event = AccountEvent::Unsuspended { user: id };
    told.tell(db, transaction, &event, now).await?;
    Ok(told)
}

/// Users who were suspended at `since` or later and still are, at most `limit`, and when:
/// for a node that starts, or was cut off. `after` is the last of the page before.
pub async fn suspended_since(
    db: &Database,
    since: Timestamp,
    after: Option<(Timestamp, UserId)>,
    limit: u32,
) -> Result<Vec<(Timestamp, UserId)>, RowError> {
    let (at, id) = after.map_or((since, Uuid::nil()), |(at, id)| (at, id.as_uuid()));
    query(
        "SELECT suspended_at, id FROM users
         WHERE suspended_at IS NOT NULL AND (suspended_at, id) > ($1, $2)
         ORDER BY suspended_at, id
         LIMIT $3",
    )
    .bind(at)
    .bind(id)
    .bind(limit)
    .all(db)
    .await
}

/// Gives the user another role. All logins end, because access tokens say the role; nothing
/// changes when the user has it already.
pub async fn set_role(
    db: &Database,
    transaction: &mut Transaction,
    id: UserId,
    role: Role,
    now: Timestamp,
) -> Result<Told, RowError> {
    if lock(transaction, id).await?.user.role == role {
        return Ok(Told::default());
    }
    query("UPDATE users SET role = $2 WHERE id = $1")
        .bind(id)
        .bind(role.to_string())
        .execute(&mut *transaction)
        .await?;
    let mut told = login_sessions::end_all(db, transaction, id, None, now).await?;
    let event = AccountEvent::RoleChanged { user: id, role };
    told.tell(db, transaction, &event, now).await?;
    Ok(told)
}

/// Whether somebody else administers the installation and can log in. Whoever asks holds the
/// turn of [`take_administrators_turn`], so that the last two do not leave at once.
pub async fn has_another_administrator(
    transaction: &mut Transaction,
    than: UserId,
) -> Result<bool, RowError> {
    query(
        "SELECT 1 FROM users
         WHERE role = 'admin' AND id <> $1 AND suspended_at IS NULL AND deleted_at IS NULL
         LIMIT 1",
    )
    .bind(than)
    .exists(transaction)
    .await
}

/// Waits until nobody else takes an administrator away, and keeps others waiting until the
/// transaction ends.
pub async fn take_administrators_turn(
    db: &Database,
    transaction: &mut Transaction,
) -> Result<(), RowError> {
    /// Among all turns of the database: "admins" in ASCII.
    const ADMINISTRATORS: i64 = 0x6164_6d69_6e73;
    query(db.engine().take_turn())
        .bind(ADMINISTRATORS)
        .execute(transaction)
        .await?;
    Ok(())
}

/// Deletes the account: from the commit on nobody sees it, all logins end, API tokens open
/// nothing, and jobs delete the picture and erase the rest, see [`avatars`] and [`erasure`].
pub async fn delete(
    db: &Database,
    transaction: &mut Transaction,
    id: UserId,
    now: Timestamp,
) -> Result<Told, RowError> {
    let shown = lock(transaction, id).await?.user.avatar_key;
    query("UPDATE users SET deleted_at = $2, avatar_key = NULL WHERE id = $1")
        .bind(id)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
    let mut told = login_sessions::end_all(db, transaction, id, None, now).await?;
    told.extend(api_tokens::revoke_all(db, transaction, id, now).await?);
    told.tell(db, transaction, &AccountEvent::Deleted { user: id }, now)
        .await?;
    if let Some(key) = shown {
        avatars::enqueue(db, transaction, id, &key, now, now).await?;
    }
    let run_at = now + erasure::BEGINS_AFTER;
    erasure::enqueue(db, transaction, id, run_at, now).await?;
    Ok(told)
}
