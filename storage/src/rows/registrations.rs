//! Registrations: accounts that wait for the link in their mail.
//!
//! A registration reserves its name. Whether its address is an account's already changes
//! nothing that whoever registered can see: the row is the same, only its link is never
//! mailed. So [`create`] makes the same statements in both cases.

use std::fmt;

use media::{RegistrationId, Timestamp};

use super::sql::{FromRow, Row, query};
use super::users::{self, NewUser, UserRow};
use super::{Database, RowError, Transaction, Unique};

/// A registration to be made. Name and address are ASCII, which the caller has checked.
#[derive(Clone, Copy)]
pub struct NewRegistration<'a> {
    /// Name of the account to be.
    pub name: &'a str,
    /// Its address, which nobody has proven yet.
    pub email: &'a str,
    /// The password's hash as a PHC string.
    pub password_hash: &'a str,
    /// SHA-256 of the token in the link.
    pub token_hash: &'a [u8],
    /// Until when the link is good and the name reserved.
    pub expires_at: Timestamp,
}

impl fmt::Debug for NewRegistration<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewRegistration")
            .field("name", &self.name)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Registered {
    /// The registration.
    pub id: RegistrationId,
    /// The address is an account's: its owner is told that, and the link goes to nobody.
    pub email_is_known: bool,
}

impl FromRow for Registered {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            email_is_known: row.get("email_is_known")?,
        })
    }
}

/// Makes a registration. [`RowError::Taken`] when the name is an account's or another's
/// registration that has not expired: the transaction is of no use then.
pub async fn create(
    transaction: &mut Transaction,
    new: NewRegistration<'_>,
    now: Timestamp,
) -> Result<Registered, RowError> {
    query("DELETE FROM registrations WHERE lower(name) = lower($1) AND expires_at <= $2")
        .bind(new.name)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
    if users::is_name_taken(transaction, new.name).await? {
        return Err(RowError::Taken(Unique::UserName));
    }
    query(
        "INSERT INTO registrations
             (id, name, email, password_hash, token_hash, email_is_known, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5,
                 EXISTS (SELECT 1 FROM users WHERE lower(email) = lower($3)), $6, $7)
         ON CONFLICT (lower(name)) DO NOTHING
         RETURNING id, email_is_known",
    )
    .bind(RegistrationId::new())
    .bind(new.name)
    .bind(new.email)
    .bind(new.password_hash)
    .bind(new.token_hash)
    .bind(now)
    .bind(new.expires_at)
    .optional(transaction)
    .await?
    .ok_or(RowError::Taken(Unique::UserName))
}

/// Whom a registration's mail goes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Addressee {
    /// Name of the account to be.
    pub name: String,
    /// Its address.
    pub email: String,
    /// The address is an account's: the link goes to nobody.
    pub email_is_known: bool,
}

impl FromRow for Addressee {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            name: row.get("name")?,
            email: row.get("email")?,
            email_is_known: row.get("email_is_known")?,
        })
    }
}

/// Gives a registration another link, for whoever mails it and is the first to know it; the
/// one before opens nothing any more. `None` when the registration has expired, or is gone.
pub async fn set_token(
    transaction: &mut Transaction,
    id: RegistrationId,
    token_hash: &[u8],
    now: Timestamp,
) -> Result<Option<Addressee>, RowError> {
    query(
        "UPDATE registrations SET token_hash = $2
         WHERE id = $1 AND expires_at > $3
         RETURNING name, email, email_is_known",
    )
    .bind(id)
    .bind(token_hash)
    .bind(now)
    .optional(transaction)
    .await
}

struct Pending {
    name: String,
    email: String,
    password_hash: String,
}

impl FromRow for Pending {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            name: row.get("name")?,
            email: row.get("email")?,
            password_hash: row.get("password_hash")?,
        })
    }
}

/// Makes the account whose link was used, and forgets the other registrations of its
/// address. `None` when the link is not good: unknown, used, expired, never mailed, or the
/// address is an account's by now. The transaction is of no use then.
pub async fn verify(
    db: &Database,
    transaction: &mut Transaction,
    token_hash: &[u8],
    now: Timestamp,
) -> Result<Option<UserRow>, RowError> {
    let pending: Option<Pending> = query(
        "DELETE FROM registrations
         WHERE token_hash = $1 AND expires_at > $2 AND NOT email_is_known
         RETURNING name, email, password_hash",
    )
    .bind(token_hash)
    .bind(now)
    .optional(&mut *transaction)
    .await?;
    let Some(pending) = pending else {
        return Ok(None);
    };
    let user = NewUser {
        name: &pending.name,
        email: &pending.email,
        password_hash: &pending.password_hash,
        is_admin: false,
    };
    let user = match users::insert(db, transaction, user, now).await {
        Err(RowError::Taken(_)) => return Ok(None),
        inserted => inserted?,
    };
    query("DELETE FROM registrations WHERE lower(email) = lower($1)")
        .bind(&pending.email)
        .execute(transaction)
        .await?;
    Ok(Some(user))
}
