//! Users: who owns streams.

use std::fmt;

use media::{Timestamp, UserId};

use super::sql::{FromRow, Row, query};
use super::{Database, RowError, Unique};

/// A user, without the password.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserRow {
    /// Id.
    pub id: UserId,
    /// Name as it was given; unique, upper and lower case being the same.
    pub name: String,
    /// Address as it was given; unique, upper and lower case being the same.
    pub email: String,
    /// Whether the user administers this installation.
    pub is_admin: bool,
    /// When the user was made.
    pub created_at: Timestamp,
}

impl FromRow for UserRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            email: row.get("email")?,
            is_admin: row.get("is_admin")?,
            created_at: row.get("created_at")?,
        })
    }
}

/// A user to be made. Name and address are ASCII, which the caller has checked.
#[derive(Clone, Copy)]
pub struct NewUser<'a> {
    /// Name.
    pub name: &'a str,
    /// Address.
    pub email: &'a str,
    /// The password's hash as a PHC string.
    pub password_hash: &'a str,
    /// Whether the user administers this installation.
    pub is_admin: bool,
}

impl fmt::Debug for NewUser<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewUser")
            .field("name", &self.name)
            .field("email", &self.email)
            .field("is_admin", &self.is_admin)
            .finish_non_exhaustive()
    }
}

/// Makes a user. [`RowError::Taken`] when the name or the address is another user's.
pub async fn create(db: &Database, user: NewUser<'_>, now: Timestamp) -> Result<UserRow, RowError> {
    let mut transaction = db.write().await?;
    let created: Option<UserRow> = query(
        "INSERT INTO users (id, name, email, password_hash, role, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT DO NOTHING
         RETURNING id, name, email, role = 'admin' AS is_admin, created_at",
    )
    .bind(UserId::new())
    .bind(user.name)
    .bind(user.email)
    .bind(user.password_hash)
    .bind(if user.is_admin { "admin" } else { "user" })
    .bind(now)
    .optional(&mut transaction)
    .await?;
    transaction.commit().await?;
    match created {
        Some(row) => Ok(row),
        None if find_by_name(db, user.name).await?.is_some() => {
            Err(RowError::Taken(Unique::UserName))
        }
        None => Err(RowError::Taken(Unique::Email)),
    }
}

/// The user of that name, upper and lower case being the same.
pub async fn find_by_name(db: &Database, name: &str) -> Result<Option<UserRow>, RowError> {
    query(
        "SELECT id, name, email, role = 'admin' AS is_admin, created_at
         FROM users
         WHERE lower(name) = lower($1)",
    )
    .bind(name)
    .optional(db)
    .await
}
