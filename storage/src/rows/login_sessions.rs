//! Login sessions: one login on one device, and the family of its refresh tokens.
//!
//! [`refresh()`] is one transaction: it locks the session's row, so that two at once take
//! turns, lets a rule decide by what the family's rows say, and writes what it decided. The
//! rule is not here.

use std::fmt;

use media::{LoginSessionId, Timestamp, UserId};
use uuid::Uuid;

use super::account_events::{AccountEvent, Told};
use super::sql::{FromRow, Row, query};
use super::users::{self, UserRow};
use super::{Database, RowError, Transaction};

pub mod refresh;

pub use refresh::{Decision, Family, Refreshed, Successor, refresh};

/// The most open logins of a user. One more ends the one that was refreshed the longest ago.
pub const OPEN_AT_MOST: u32 = 100;

/// The longest text of a user agent that is kept, in bytes.
pub const USER_AGENT_BYTES_AT_MOST: usize = 512;

/// A login.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoginSessionRow {
    /// Id.
    pub id: LoginSessionId,
    /// Whose.
    pub user: UserId,
    /// As the client last gave it.
    pub user_agent: String,
    /// The client's address, as it was last seen.
    pub address: String,
    /// When the user logged in.
    pub created_at: Timestamp,
    /// When a token was last given for another; at first the login.
    pub refreshed_at: Timestamp,
    /// When it ends, unless it is refreshed.
    pub expires_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl FromRow for LoginSessionRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            user: row.get("user_id")?,
            user_agent: row.get("user_agent")?,
            address: row.get("address")?,
            created_at: row.get("created_at")?,
            refreshed_at: row.get("refreshed_at")?,
            expires_at: row.get("expires_at")?,
            ended_at: row.get("ended_at")?,
        })
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, user_id, user_agent, address, created_at, refreshed_at, expires_at,
                    ended_at
             FROM login_sessions ",
            $rest
        )
    };
}

/// A login to be.
#[derive(Clone, Copy)]
pub struct NewLogin<'a> {
    /// Who logs in.
    pub user: UserId,
    /// The hash that the password was verified against: another password since then, and
    /// the login is refused.
    pub password_hash: &'a str,
    /// SHA-256 of the first refresh token.
    pub token_hash: &'a [u8],
    /// What the client calls itself. What is longer than [`USER_AGENT_BYTES_AT_MOST`] is
    /// cut.
    pub user_agent: &'a str,
    /// The client's address.
    pub address: &'a str,
    /// When it ends, unless it is refreshed.
    pub expires_at: Timestamp,
}

impl fmt::Debug for NewLogin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewLogin")
            .field("user", &self.user)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// A login that was made, and the ones that ended for it.
#[derive(Debug)]
pub struct Opened {
    /// The login.
    pub id: LoginSessionId,
    /// Whose it is, as they were when it was made: what a role changes from then on, the login
    /// is told.
    pub user: UserRow,
    /// Of those that were too many.
    pub told: Told,
}

/// Logs a user in. `None` when they were suspended or deleted, or have another password
/// since it was verified.
pub async fn open(
    db: &Database,
    transaction: &mut Transaction,
    new: NewLogin<'_>,
    now: Timestamp,
) -> Result<Option<Opened>, RowError> {
    let user = match users::lock(transaction, new.user).await {
        Err(RowError::NotFound(_)) => return Ok(None),
        locked => locked?,
    };
    if !user.user.is_active() || user.password_hash != new.password_hash {
        return Ok(None);
    }
    let id = LoginSessionId::new();
    query(
        "INSERT INTO login_sessions
             (id, user_id, user_agent, address, created_at, refreshed_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $5, $6)",
    )
    .bind(id)
    .bind(new.user)
    .bind(cut(new.user_agent))
    .bind(new.address)
    .bind(now)
    .bind(new.expires_at)
    .execute(&mut *transaction)
    .await?;
    refresh::insert_token(transaction, id, new.token_hash, 0, now).await?;
    let ended = query(
        "UPDATE login_sessions SET ended_at = $2
         WHERE id IN (SELECT id FROM login_sessions
                      WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2 AND id <> $4
                      ORDER BY refreshed_at DESC, id DESC
                      LIMIT $5 OFFSET $3)
         RETURNING id",
    )
    .bind(new.user)
    .bind(now)
    .bind(OPEN_AT_MOST - 1)
    .bind(id)
    .bind(i64::MAX)
    .all(&mut *transaction)
    .await?;
    let told = tell_ended(db, transaction, new.user, ended, now).await?;
    Ok(Some(Opened {
        id,
        user: user.user,
        told,
    }))
}

/// As much of a user agent as is kept.
fn cut(user_agent: &str) -> &str {
    &user_agent[..user_agent.floor_char_boundary(USER_AGENT_BYTES_AT_MOST)]
}

/// The login with that id, ended or not.
pub async fn by_id(db: &Database, id: LoginSessionId) -> Result<Option<LoginSessionRow>, RowError> {
    query(select!("WHERE id = $1")).bind(id).optional(db).await
}

/// A user's open logins, the newest first, those before `after`, at most `limit`.
pub async fn of_user(
    db: &Database,
    user: UserId,
    after: Option<LoginSessionId>,
    limit: u32,
    now: Timestamp,
) -> Result<Vec<LoginSessionRow>, RowError> {
    query(select!(
        "WHERE user_id = $1 AND id < $2 AND ended_at IS NULL AND expires_at > $3
         ORDER BY id DESC
         LIMIT $4"
    ))
    .bind(user)
    .bind(after.map_or(Uuid::max(), |after| after.as_uuid()))
    .bind(now)
    .bind(limit)
    .all(db)
    .await
}

/// Ends one login of the user. Nobody is told, and nothing changes, when the user has no
/// open one with this id.
pub async fn end(
    db: &Database,
    transaction: &mut Transaction,
    user: UserId,
    id: LoginSessionId,
    now: Timestamp,
) -> Result<Told, RowError> {
    lock_owner(transaction, user).await?;
    let ended = query(
        "UPDATE login_sessions SET ended_at = $3
         WHERE id = $1 AND user_id = $2 AND ended_at IS NULL
         RETURNING id",
    )
    .bind(id)
    .bind(user)
    .bind(now)
    .all(&mut *transaction)
    .await?;
    tell_ended(db, transaction, user, ended, now).await
}

/// Ends the login that the refresh token is of, whatever has become of the token: who has it
/// may log out. An unknown token ends nothing.
pub async fn end_by_token(
    db: &Database,
    transaction: &mut Transaction,
    token_hash: &[u8],
    now: Timestamp,
) -> Result<Told, RowError> {
    let found: Option<(LoginSessionId, UserId)> = query(
        "SELECT s.id, s.user_id
         FROM refresh_tokens t JOIN login_sessions s ON s.id = t.session_id
         WHERE t.token_hash = $1",
    )
    .bind(token_hash)
    .optional(&mut *transaction)
    .await?;
    match found {
        Some((id, user)) => end(db, transaction, user, id, now).await,
        None => Ok(Told::default()),
    }
}

/// Ends all logins of the user but `keep`.
pub async fn end_all(
    db: &Database,
    transaction: &mut Transaction,
    user: UserId,
    keep: Option<LoginSessionId>,
    now: Timestamp,
) -> Result<Told, RowError> {
    lock_owner(transaction, user).await?;
    let ended = query(
        "UPDATE login_sessions SET ended_at = $2
         WHERE user_id = $1 AND ended_at IS NULL AND id <> $3
         RETURNING id",
    )
    .bind(user)
    .bind(now)
    .bind(keep.map_or(Uuid::nil(), |keep| keep.as_uuid()))
    .all(&mut *transaction)
    .await?;
    tell_ended(db, transaction, user, ended, now).await
}

/// Whoever tells of the user takes turns. Of one who is deleted, too.
async fn lock_owner(transaction: &mut Transaction, user: UserId) -> Result<(), RowError> {
    query("UPDATE users SET created_at = created_at WHERE id = $1")
        .bind(user)
        .execute(transaction)
        .await?;
    Ok(())
}

async fn tell_ended(
    db: &Database,
    transaction: &mut Transaction,
    user: UserId,
    ended: Vec<(LoginSessionId,)>,
    now: Timestamp,
) -> Result<Told, RowError> {
    let mut told = Told::default();
    let sessions: Vec<_> = ended.into_iter().map(|(id,)| id).collect();
    if !sessions.is_empty() {
        let event = AccountEvent::SessionsEnded { user, sessions };
        told.tell(db, transaction, &event, now).await?;
    }
    Ok(told)
}

/// A login that ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EndedSession {
    /// The login.
    pub id: LoginSessionId,
    /// Whose it was.
    pub user: UserId,
    /// When it ended.
    pub ended_at: Timestamp,
}

impl FromRow for EndedSession {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            user: row.get("user_id")?,
            ended_at: row.get("ended_at")?,
        })
    }
}

/// Logins that ended at `since` or later, the oldest first, at most `limit`: for a node that
/// starts, or was cut off. `after` is the last of the page before. Those that only expired are
/// not among them.
pub async fn ended_since(
    db: &Database,
    since: Timestamp,
    after: Option<EndedSession>,
    limit: u32,
) -> Result<Vec<EndedSession>, RowError> {
    let (at, id) = after.map_or((since, Uuid::nil()), |last| {
        (last.ended_at, last.id.as_uuid())
    });
    query(
        "SELECT id, user_id, ended_at FROM login_sessions
         WHERE ended_at IS NOT NULL AND (ended_at, id) > ($1, $2)
         ORDER BY ended_at, id
         LIMIT $3",
    )
    .bind(at)
    .bind(id)
    .bind(limit)
    .all(db)
    .await
}
