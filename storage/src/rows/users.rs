//! Users: accounts and their profiles.
//!
//! What changes an account takes its row first, [`lock`], so that its events have the order
//! of what happened, and a login cannot slip between a suspension and its end of all logins.

mod standing;

use std::fmt;

use media::{LoginSessionId, Timestamp, UserId};
use uuid::Uuid;

use super::account_events::Told;
use super::error::already_there;
use super::sql::{FromRow, On, Row, query};
pub use super::words::InvalidWord;
use super::words::words;
use super::{
    Database, Entity, Page, RowError, Transaction, Unique, login_sessions, profile_events,
};

pub use standing::{
    delete, has_another_administrator, set_role, suspend, suspended_since,
    take_administrators_turn, unsuspend,
};

words! {
    /// What a user may do beside their own.
    Role, "user, moderator or admin":
    /// Nothing.
    User = "user",
    /// Look after what others do.
    Moderator = "moderator",
    /// Administer this installation.
    Admin = "admin"
}

/// A user, without the password.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserRow {
    /// Id.
    pub id: UserId,
    /// Name as it was given; unique, upper and lower case being the same.
    pub name: String,
    /// Address as it was given; unique, upper and lower case being the same.
    pub email: String,
    /// Name as it is shown; empty: `name` is.
    pub display_name: String,
    /// What the user says of themselves.
    pub bio: String,
    /// Key of the picture's object.
    pub avatar_key: Option<String>,
    /// What the user may do.
    pub role: Role,
    /// Whether following is asked for.
    pub is_private: bool,
    /// When a link in a mail to `email` was used, or an administrator vouched for it.
    pub email_verified_at: Option<Timestamp>,
    /// Since when the user is kept out.
    pub suspended_at: Option<Timestamp>,
    /// When the account was deleted: nobody sees it, and a job erases what is left.
    pub deleted_at: Option<Timestamp>,
    /// When the user was made.
    pub created_at: Timestamp,
}

impl UserRow {
    /// Whether the user can log in and be seen.
    pub fn is_active(&self) -> bool {
        self.suspended_at.is_none() && self.deleted_at.is_none()
    }
}

impl FromRow for UserRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            email: row.get("email")?,
            display_name: row.get("display_name")?,
            bio: row.get("bio")?,
            avatar_key: row.get("avatar_key")?,
            role: row.parsed("role")?,
            is_private: row.get("is_private")?,
            email_verified_at: row.get("email_verified_at")?,
            suspended_at: row.get("suspended_at")?,
            deleted_at: row.get("deleted_at")?,
            created_at: row.get("created_at")?,
        })
    }
}

/// The columns of a [`UserRow`]; `u`: of the table that is called so, where others have
/// columns of the same names.
macro_rules! user_columns {
    () => {
        "id, name, email, display_name, bio, avatar_key, role, is_private, email_verified_at,
         suspended_at, deleted_at, created_at"
    };
    (u) => {
        "u.id, u.name, u.email, u.display_name, u.bio, u.avatar_key, u.role, u.is_private,
         u.email_verified_at, u.suspended_at, u.deleted_at, u.created_at"
    };
}

/// The user `u` is there for everybody, and neither they nor the viewer `$1` block the other.
macro_rules! user_shown {
    () => {
        concat!(
            "u.suspended_at IS NULL AND u.deleted_at IS NULL AND ",
            $crate::rows::posts::not_blocked!("u.id")
        )
    };
}

pub(super) use {user_columns, user_shown};

/// A page of users.
pub type UserPage = Page<UserRow, UserId>;

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", user_columns!(), " FROM users ", $rest)
    };
}

macro_rules! update {
    ($rest:literal) => {
        concat!("UPDATE users ", $rest, " RETURNING ", user_columns!())
    };
}

/// A user and what proves who they are.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: UserRow,
    /// The password's hash as a PHC string.
    pub password_hash: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user.id)
            .finish_non_exhaustive()
    }
}

impl FromRow for Credentials {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            user: UserRow::from_row(row)?,
            password_hash: row.get("password_hash")?,
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

/// Makes a user whose address somebody vouches for: whoever administers the installation.
/// [`RowError::Taken`] when the name or the address is another user's.
pub async fn create(db: &Database, user: NewUser<'_>, now: Timestamp) -> Result<UserRow, RowError> {
    let mut transaction = db.write().await?;
    let created = insert(db, &mut transaction, user, now).await?;
    transaction.commit().await?;
    Ok(created)
}

/// Makes a user whose address is verified, as part of what the transaction does.
pub(super) async fn insert(
    db: &Database,
    transaction: &mut Transaction,
    user: NewUser<'_>,
    now: Timestamp,
) -> Result<UserRow, RowError> {
    let created: Option<UserRow> = query(concat!(
        "INSERT INTO users
             (id, name, email, password_hash, role, email_verified_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6)
         ON CONFLICT DO NOTHING
         RETURNING ",
        user_columns!()
    ))
    .bind(UserId::new())
    .bind(user.name)
    .bind(user.email)
    .bind(user.password_hash)
    .bind(if user.is_admin { "admin" } else { "user" })
    .bind(now)
    .optional(&mut *transaction)
    .await?;
    match created {
        Some(row) => {
            profile_events::changed(db, transaction, row.id, now).await?;
            Ok(row)
        }
        None if is_name_taken(transaction, user.name).await? => {
            Err(RowError::Taken(Unique::UserName))
        }
        None => Err(RowError::Taken(Unique::Email)),
    }
}

/// Whether the name is an account's, deleted ones included.
pub(super) async fn is_name_taken(
    transaction: &mut Transaction,
    name: &str,
) -> Result<bool, RowError> {
    query("SELECT 1 FROM users WHERE lower(name) = lower($1)")
        .bind(name)
        .exists(transaction)
        .await
}

/// The user of that name, upper and lower case being the same. Nobody who was deleted.
pub async fn find_by_name(db: &Database, name: &str) -> Result<Option<UserRow>, RowError> {
    query(select!(
        "WHERE lower(name) = lower($1) AND deleted_at IS NULL"
    ))
    .bind(name)
    .optional(db)
    .await
}

/// Whether there is, or ever was, anybody of another name.
pub async fn is_anybody_but(db: &Database, name: &str) -> Result<bool, RowError> {
    query("SELECT 1 FROM users WHERE lower(name) <> lower($1) LIMIT 1")
        .bind(name)
        .exists(db)
        .await
}

/// The user with that address, upper and lower case being the same. Nobody who was deleted.
pub async fn find_by_email(db: &Database, email: &str) -> Result<Option<UserRow>, RowError> {
    query(select!(
        "WHERE lower(email) = lower($1) AND deleted_at IS NULL"
    ))
    .bind(email)
    .optional(db)
    .await
}

/// The user with that id, deleted or not.
pub async fn by_id<'a>(on: impl Into<On<'a>>, id: UserId) -> Result<Option<UserRow>, RowError> {
    query(select!("WHERE id = $1")).bind(id).optional(on).await
}

/// The users with those ids, in no order; none who was deleted.
pub async fn by_ids(db: &Database, ids: &[UserId]) -> Result<Vec<UserRow>, RowError> {
    let text = format!(
        concat!(
            "SELECT ",
            user_columns!(),
            " FROM users WHERE deleted_at IS NULL AND id {}"
        ),
        db.engine().one_of("$1")
    );
    query(super::sql::AssertSqlSafe(text))
        .bind(uuids(ids))
        .all(db)
        .await
}

/// The users with those names, upper and lower case being the same, in no order; none who was
/// deleted.
pub async fn by_names(db: &Database, names: &[String]) -> Result<Vec<UserRow>, RowError> {
    let text = format!(
        concat!(
            "SELECT ",
            user_columns!(),
            " FROM users WHERE deleted_at IS NULL AND lower(name) {}"
        ),
        db.engine().one_of("$1")
    );
    let folded: Vec<_> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    query(super::sql::AssertSqlSafe(text))
        .bind(folded)
        .all(db)
        .await
}

pub(super) fn uuids(ids: &[UserId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.as_uuid()).collect()
}

/// Whoever logs in with this name, or with this address: a name has no `@`. Nobody who was
/// deleted.
pub async fn credentials(db: &Database, login: &str) -> Result<Option<Credentials>, RowError> {
    let text = if login.contains('@') {
        concat!(
            "SELECT password_hash, ",
            user_columns!(),
            " FROM users WHERE lower(email) = lower($1) AND deleted_at IS NULL"
        )
    } else {
        concat!(
            "SELECT password_hash, ",
            user_columns!(),
            " FROM users WHERE lower(name) = lower($1) AND deleted_at IS NULL"
        )
    };
    query(text).bind(login).optional(db).await
}

/// The same of the user with that id: a password is asked for again before some changes.
pub async fn credentials_of(db: &Database, id: UserId) -> Result<Option<Credentials>, RowError> {
    query(concat!(
        "SELECT password_hash, ",
        user_columns!(),
        " FROM users WHERE id = $1 AND deleted_at IS NULL"
    ))
    .bind(id)
    .optional(db)
    .await
}

/// Locks the user's row until the end of the transaction, and gives the user as they are
/// now. [`RowError::NotFound`] when there is none, or it was deleted.
pub async fn lock(transaction: &mut Transaction, id: UserId) -> Result<Credentials, RowError> {
    query(concat!(
        "UPDATE users SET created_at = created_at
         WHERE id = $1 AND deleted_at IS NULL
         RETURNING password_hash, ",
        user_columns!()
    ))
    .bind(id)
    .optional(transaction)
    .await?
    .ok_or(RowError::NotFound(Entity::User))
}

/// What is to become of a profile; `None` stays as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ProfileChange<'a> {
    /// Name as it is shown; empty: the name.
    pub display_name: Option<&'a str>,
    /// What the user says of themselves.
    pub bio: Option<&'a str>,
    /// Whether following is asked for, from now on: requests stay requests.
    pub is_private: Option<bool>,
}

/// Changes a profile, and gives it as it is then.
pub async fn update_profile(
    db: &Database,
    transaction: &mut Transaction,
    id: UserId,
    change: ProfileChange<'_>,
    now: Timestamp,
) -> Result<UserRow, RowError> {
    let changed = query(update!(
        "SET display_name = COALESCE($2, display_name), bio = COALESCE($3, bio),
             is_private = COALESCE($4, is_private)
         WHERE id = $1 AND deleted_at IS NULL"
    ))
    .bind(id)
    .bind(change.display_name)
    .bind(change.bio)
    .bind(change.is_private)
    .optional(&mut *transaction)
    .await?
    .ok_or(RowError::NotFound(Entity::User))?;
    profile_events::changed(db, transaction, id, now).await?;
    Ok(changed)
}

/// Names the object of the user's picture, which is there; `None`: none. Gives the key that
/// was there before: [`avatars`](super::avatars) has that object deleted.
/// [`RowError::NotFound`] when there is no such user, or a picture is to be shown of one who is
/// suspended.
pub async fn set_avatar(
    transaction: &mut Transaction,
    id: UserId,
    key: Option<&str>,
) -> Result<Option<String>, RowError> {
    let user = lock(transaction, id).await?.user;
    if key.is_some() && !user.is_active() {
        return Err(RowError::NotFound(Entity::User));
    }
    query("UPDATE users SET avatar_key = $2 WHERE id = $1")
        .bind(id)
        .bind(key)
        .execute(transaction)
        .await?;
    Ok(user.avatar_key)
}

/// Gives the user another password. All logins but `keep` end, and the links in all mails are
/// worth nothing any more: whoever knew the password may have asked for one.
pub async fn set_password(
    db: &Database,
    transaction: &mut Transaction,
    id: UserId,
    password_hash: &str,
    keep: Option<LoginSessionId>,
    now: Timestamp,
) -> Result<Told, RowError> {
    lock(transaction, id).await?;
    query("UPDATE users SET password_hash = $2 WHERE id = $1")
        .bind(id)
        .bind(password_hash)
        .execute(&mut *transaction)
        .await?;
    query("DELETE FROM email_tokens WHERE user_id = $1")
        .bind(id)
        .execute(&mut *transaction)
        .await?;
    login_sessions::end_all(db, transaction, id, keep, now).await
}

/// Gives the user another address, which is verified. Links that were mailed to the old one
/// are worth nothing any more. [`RowError::Taken`] when the address is another user's: the
/// transaction is lost then.
pub async fn set_email(
    transaction: &mut Transaction,
    id: UserId,
    email: &str,
    now: Timestamp,
) -> Result<UserRow, RowError> {
    let changed = query(update!(
        "SET email = $2, email_verified_at = $3 WHERE id = $1 AND deleted_at IS NULL"
    ))
    .bind(id)
    .bind(email)
    .bind(now)
    .optional(&mut *transaction)
    .await
    .map_err(already_there(Unique::Email))?
    .ok_or(RowError::NotFound(Entity::User))?;
    query("DELETE FROM email_tokens WHERE user_id = $1")
        .bind(id)
        .execute(transaction)
        .await?;
    Ok(changed)
}
