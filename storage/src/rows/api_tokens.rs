//! API tokens: what a user lets a program do in their name.

use std::fmt;

use media::{ApiTokenId, Micros, Timestamp, UserId};
use uuid::Uuid;

use super::account_events::{AccountEvent, Told};
use super::sql::{FromRow, Row, query};
use super::users::{self, UserRow, user_columns};
use super::{Database, RowError, Transaction};

/// The most tokens of a user that are good: neither revoked nor expired.
pub const TOKENS_AT_MOST: u32 = 100;

/// A token's use is not noted again before this has passed.
pub const USE_NOTED_EVERY: Micros = Micros::from_secs(60 * 60);

/// A token, without what proves it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiTokenRow {
    /// Id.
    pub id: ApiTokenId,
    /// Whose.
    pub user: UserId,
    /// What the user calls it.
    pub name: String,
    /// What it opens, separated by spaces (RFC 6749 3.3).
    pub scopes: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it is good; `None`: it does not expire.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, give or take [`USE_NOTED_EVERY`].
    pub last_used_at: Option<Timestamp>,
}

impl FromRow for ApiTokenRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("token_id")?,
            user: row.get("user_id")?,
            name: row.get("token_name")?,
            scopes: row.get("scopes")?,
            created_at: row.get("token_created_at")?,
            expires_at: row.get("expires_at")?,
            last_used_at: row.get("last_used_at")?,
        })
    }
}

macro_rules! columns {
    () => {
        "t.id AS token_id, t.user_id, t.name AS token_name, t.scopes,
         t.created_at AS token_created_at, t.expires_at, t.last_used_at"
    };
}

/// A token to be made.
#[derive(Clone, Copy)]
pub struct NewApiToken<'a> {
    /// Whose.
    pub user: UserId,
    /// What the user calls it.
    pub name: &'a str,
    /// SHA-256 of the token.
    pub token_hash: &'a [u8],
    /// What it opens, separated by spaces.
    pub scopes: &'a str,
    /// Until when it is good; `None`: it does not expire.
    pub expires_at: Option<Timestamp>,
}

impl fmt::Debug for NewApiToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewApiToken")
            .field("user", &self.user)
            .field("name", &self.name)
            .field("scopes", &self.scopes)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Makes a token. [`RowError::TooMany`] when the user has [`TOKENS_AT_MOST`].
pub async fn create(
    transaction: &mut Transaction,
    new: NewApiToken<'_>,
    now: Timestamp,
) -> Result<ApiTokenRow, RowError> {
    users::lock(transaction, new.user).await?;
    let (has,): (u64,) = query(
        "SELECT COUNT(*) FROM api_tokens
         WHERE user_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)",
    )
    .bind(new.user)
    .bind(now)
    .one(&mut *transaction)
    .await?;
    if has >= u64::from(TOKENS_AT_MOST) {
        return Err(RowError::TooMany {
            what: "API tokens",
            limit: TOKENS_AT_MOST.into(),
        });
    }
    let id = ApiTokenId::new();
    query(
        "INSERT INTO api_tokens (id, user_id, name, token_hash, scopes, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(id)
    .bind(new.user)
    .bind(new.name)
    .bind(new.token_hash)
    .bind(new.scopes)
    .bind(now)
    .bind(new.expires_at)
    .execute(transaction)
    .await?;
    Ok(ApiTokenRow {
        id,
        user: new.user,
        name: new.name.to_owned(),
        scopes: new.scopes.to_owned(),
        created_at: now,
        expires_at: new.expires_at,
        last_used_at: None,
    })
}

/// A token that opens something, and for whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bearer {
    /// The token.
    pub token: ApiTokenRow,
    /// Whose it is.
    pub user: UserRow,
}

impl FromRow for Bearer {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            token: ApiTokenRow::from_row(row)?,
            user: UserRow::from_row(row)?,
        })
    }
}

/// Whose token that is, if it is good and its owner is neither suspended nor deleted.
pub async fn find(
    db: &Database,
    token_hash: &[u8],
    now: Timestamp,
) -> Result<Option<Bearer>, RowError> {
    query(concat!(
        "SELECT ",
        columns!(),
        ", ",
        user_columns!(u),
        " FROM api_tokens t JOIN users u ON u.id = t.user_id
         WHERE t.token_hash = $1 AND t.revoked_at IS NULL
             AND (t.expires_at IS NULL OR t.expires_at > $2)
             AND u.suspended_at IS NULL AND u.deleted_at IS NULL"
    ))
    .bind(token_hash)
    .bind(now)
    .optional(db)
    .await
}

/// Tokens that were revoked at `since` or later, the oldest first, at most `limit`, and when: for a
/// node that starts, or was cut off. `after` is the last of the page before.
pub async fn revoked_since(
    db: &Database,
    since: Timestamp,
    after: Option<(Timestamp, ApiTokenId)>,
    limit: u32,
) -> Result<Vec<(Timestamp, ApiTokenId)>, RowError> {
    let (at, id) = after.map_or((since, Uuid::nil()), |(at, id)| (at, id.as_uuid()));
    query(
        "SELECT revoked_at, id FROM api_tokens
         WHERE revoked_at IS NOT NULL AND (revoked_at, id) > ($1, $2)
         ORDER BY revoked_at, id
         LIMIT $3",
    )
    .bind(at)
    .bind(id)
    .bind(limit)
    .all(db)
    .await
}

/// Notes that the token was used, unless that was noted within [`USE_NOTED_EVERY`].
pub async fn note_use(
    transaction: &mut Transaction,
    id: ApiTokenId,
    now: Timestamp,
) -> Result<(), RowError> {
    query(
        "UPDATE api_tokens SET last_used_at = $2
         WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $3)",
    )
    .bind(id)
    .bind(now)
    .bind(now - USE_NOTED_EVERY)
    .execute(transaction)
    .await?;
    Ok(())
}

/// A user's tokens that are not revoked, the newest first, those before `after`, at most
/// `limit`. Those that have expired are among them, until their owner revokes them.
pub async fn of_user(
    db: &Database,
    user: UserId,
    after: Option<ApiTokenId>,
    limit: u32,
) -> Result<Vec<ApiTokenRow>, RowError> {
    query(concat!(
        "SELECT ",
        columns!(),
        " FROM api_tokens t
         WHERE t.user_id = $1 AND t.id < $2 AND t.revoked_at IS NULL
         ORDER BY t.id DESC
         LIMIT $3"
    ))
    .bind(user)
    .bind(after.map_or(Uuid::max(), |after| after.as_uuid()))
    .bind(limit)
    .all(db)
    .await
}

/// Revokes one token of the user. Nobody is told, and nothing changes, when the user has
/// none with this id that is good.
pub async fn revoke(
    db: &Database,
    transaction: &mut Transaction,
    user: UserId,
    id: ApiTokenId,
    now: Timestamp,
) -> Result<Told, RowError> {
    users::lock(transaction, user).await?;
    let revoked = query(
        "UPDATE api_tokens SET revoked_at = $3
         WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL
         RETURNING id",
    )
    .bind(id)
    .bind(user)
    .bind(now)
    .all(&mut *transaction)
    .await?;
    tell_revoked(db, transaction, user, revoked, now).await
}

/// Revokes all tokens of a user whose row the transaction has locked.
pub(super) async fn revoke_all(
    db: &Database,
    transaction: &mut Transaction,
    user: UserId,
    now: Timestamp,
) -> Result<Told, RowError> {
    let revoked = query(
        "UPDATE api_tokens SET revoked_at = $2
         WHERE user_id = $1 AND revoked_at IS NULL
         RETURNING id",
    )
    .bind(user)
    .bind(now)
    .all(&mut *transaction)
    .await?;
    tell_revoked(db, transaction, user, revoked, now).await
}

async fn tell_revoked(
    db: &Database,
    transaction: &mut Transaction,
    user: UserId,
    revoked: Vec<(ApiTokenId,)>,
    now: Timestamp,
) -> Result<Told, RowError> {
    let mut told = Told::default();
    let tokens: Vec<_> = revoked.into_iter().map(|(id,)| id).collect();
    if !tokens.is_empty() {
        let event = AccountEvent::TokensRevoked { user, tokens };
        told.tell(db, transaction, &event, now).await?;
    }
    Ok(told)
}
