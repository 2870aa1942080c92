//! Email tokens: what a link in a mail proves. There is one of each purpose for a user, and
//! using it deletes it.

use std::fmt;

use media::{Timestamp, UserId};

use super::error::missing_parent;
use super::sql::{FromRow, Row, query};
pub use super::words::InvalidWord;
use super::words::words;
use super::{Database, Entity, RowError, Transaction, users};

words! {
    /// What a link is for.
    Purpose, "verify, change or reset":
    /// To prove an account's address.
    Verify = "verify",
    /// To prove the address that is to take the place of an account's.
    Change = "change",
    /// To set another password.
    Reset = "reset"
}

/// A token to be mailed.
#[derive(Clone, Copy)]
pub struct NewEmailToken<'a> {
    /// For whom.
    pub user: UserId,
    /// What for.
    pub purpose: Purpose,
    /// The address the mail goes to: for a change, the new one.
    pub email: &'a str,
    /// SHA-256 of the token.
    pub token_hash: &'a [u8],
    /// Until when the link is good.
    pub expires_at: Timestamp,
}

impl fmt::Debug for NewEmailToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewEmailToken")
            .field("user", &self.user)
            .field("purpose", &self.purpose)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// What a link proves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EmailTokenRow {
    /// For whom it is.
    pub user: UserId,
    /// The address that whoever used it can read the mail of.
    pub email: String,
    /// When it was made.
    pub created_at: Timestamp,
}

impl FromRow for EmailTokenRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            user: row.get("user_id")?,
            email: row.get("email")?,
            created_at: row.get("created_at")?,
        })
    }
}

/// Keeps a token; the one that the user had for the same purpose is worth nothing any more.
pub async fn put(
    transaction: &mut Transaction,
    new: NewEmailToken<'_>,
    now: Timestamp,
) -> Result<(), RowError> {
    query(
        "INSERT INTO email_tokens (token_hash, user_id, purpose, email, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (user_id, purpose) DO UPDATE
             SET token_hash = excluded.token_hash, email = excluded.email,
                 created_at = excluded.created_at, expires_at = excluded.expires_at",
    )
    .bind(new.token_hash)
    .bind(new.user)
    .bind(new.purpose.to_string())
    .bind(new.email)
    .bind(now)
    .bind(new.expires_at)
    .execute(transaction)
    .await
    .map_err(missing_parent(Entity::User))?;
    Ok(())
}

/// Gives the token that is kept for this purpose and address another text: a mail is about to
/// be made. False when it was used, replaced or taken back meanwhile, or has expired: there is
/// nothing to be mailed then.
pub async fn renew(
    transaction: &mut Transaction,
    user: UserId,
    purpose: Purpose,
    email: &str,
    token_hash: &[u8],
    now: Timestamp,
) -> Result<bool, RowError> {
    let renewed = query(
        "UPDATE email_tokens SET token_hash = $4
         WHERE user_id = $1 AND purpose = $2 AND email = $3 AND expires_at > $5",
    )
    .bind(user)
    .bind(purpose.to_string())
    .bind(email)
    .bind(token_hash)
    .bind(now)
    .execute(transaction)
    .await?;
    Ok(renewed > 0)
}

/// Uses a token: it works once. `None` when there is no such token for this purpose, or it
/// has expired.
pub async fn take(
    transaction: &mut Transaction,
    token_hash: &[u8],
    purpose: Purpose,
    now: Timestamp,
) -> Result<Option<EmailTokenRow>, RowError> {
    let owner: Option<(UserId,)> =
        query("SELECT user_id FROM email_tokens WHERE token_hash = $1 AND purpose = $2")
            .bind(token_hash)
            .bind(purpose.to_string())
            .optional(&mut *transaction)
            .await?;
    let Some((owner,)) = owner else {
        return Ok(None);
    };
    // The user first, as everybody does who ends links, so that no two wait for each other.
    match users::lock(transaction, owner).await {
        // Deleted: their links go with what else there is of them.
        Err(RowError::NotFound(_)) => return Ok(None),
        locked => locked?,
    };
    query(
        "DELETE FROM email_tokens
         WHERE token_hash = $1 AND purpose = $2 AND expires_at > $3
         RETURNING user_id, email, created_at",
    )
    .bind(token_hash)
    .bind(purpose.to_string())
    .bind(now)
    .optional(transaction)
    .await
}

/// What was last mailed to a user for this purpose and not used since, expired or not: its
/// time says how recently.
pub async fn latest(
    db: &Database,
    user: UserId,
    purpose: Purpose,
) -> Result<Option<EmailTokenRow>, RowError> {
    query(
        "SELECT user_id, email, created_at FROM email_tokens
         WHERE user_id = $1 AND purpose = $2",
    )
    .bind(user)
    .bind(purpose.to_string())
    .optional(db)
    .await
}
