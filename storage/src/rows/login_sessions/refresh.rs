//! Refreshing: a token is given for another, as a rule decides.

use std::fmt;

use media::{LoginSessionId, Micros, Timestamp, UserId};

use super::super::sql::{FromRow, Row, query};
use super::super::{Database, RowError, Transaction};
use super::{Told, cut, lock_owner, tell_ended};

/// What the rows say when a token of a family is shown.
///
/// Tokens have generations: the login's token is of generation 0, and a token that is given
/// for one of generation `n` is of generation `n + 1`. When replies are lost, several of one
/// generation are given, one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Family {
    /// When the login ends, unless it is refreshed.
    pub expires_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When the shown token was given.
    pub given_at: Timestamp,
    /// When another was first given for it.
    pub used_at: Option<Timestamp>,
    /// Whether another was given for some other token of the family, of the same generation
    /// or a later one.
    pub is_overtaken: bool,
}

/// What a rule makes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Another token is given for the shown one, which counts as used. Those that were given
    /// for it before count as revoked, since their replies must have been lost: they are told
    /// apart from it by nothing else.
    Rotate,
    /// The login is good, and nothing changes: whoever asked keeps the token they have.
    Keep,
    /// Two parties have tokens of the family: the login ends.
    End,
    /// The login has ended or expired.
    Refuse,
}

/// The token that is given, if one is, and who gets it.
#[derive(Clone, Copy)]
pub struct Successor<'a> {
    /// SHA-256 of the token.
    pub token_hash: &'a [u8],
    /// What the client calls itself. What is longer than
    /// [`USER_AGENT_BYTES_AT_MOST`](super::USER_AGENT_BYTES_AT_MOST) is cut.
    pub user_agent: &'a str,
    /// The client's address.
    pub address: &'a str,
    /// When the login ends then, unless it is refreshed again.
    pub expires_at: Timestamp,
}

impl fmt::Debug for Successor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Successor")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// What became of it.
#[derive(Debug)]
pub enum Refreshed {
    /// The successor is good from now on.
    Rotated {
        /// The login.
        session: LoginSessionId,
        /// Whose it is.
        user: UserId,
    },
    /// The login is good; the successor is not, and whoever asked keeps what they have.
    Kept {
        /// The login.
        session: LoginSessionId,
        /// Whose it is.
        user: UserId,
    },
    /// The login was ended, here and now, because two parties had its tokens.
    Ended {
        /// The login.
        session: LoginSessionId,
        /// Whose it was.
        user: UserId,
        /// What other nodes are told.
        told: Told,
    },
    /// The token is unknown, or its login had ended or expired.
    Refused,
}

/// How long a token is remembered after another took its place: as long as a login lasts
/// that nobody refreshes. Whoever shows an older one is refused like anybody.
pub const REMEMBERED: Micros = Micros::from_secs(60 * 24 * 60 * 60);

/// Tokens that one refresh forgets at most.
const FORGOTTEN_AT_ONCE: u32 = 20;

/// Shows a refresh token: `decide` says what comes of it, by the rows as they are while
/// nobody else refreshes the same login.
pub async fn refresh(
    db: &Database,
    token_hash: &[u8],
    successor: Successor<'_>,
    now: Timestamp,
    decide: impl FnOnce(&Family) -> Decision,
) -> Result<Refreshed, RowError> {
    // Before the transaction: guessing must not keep writers waiting.
    let shown: Option<Shown> = query(
        "SELECT t.session_id, t.generation, s.user_id
         FROM refresh_tokens t JOIN login_sessions s ON s.id = t.session_id
         WHERE t.token_hash = $1",
    )
    .bind(token_hash)
    .optional(db)
    .await?;
    let Some(shown) = shown else {
        return Ok(Refreshed::Refused);
    };
    let (session, user) = (shown.session, shown.user);
    let mut transaction = db.write().await?;
    // Logins of one user take turns: with each other, and with whatever ends them.
    lock_owner(&mut transaction, user).await?;
    let Some(family) = load(&mut transaction, token_hash).await? else {
        return Ok(Refreshed::Refused);
    };
    match decide(&family) {
        Decision::Rotate => {
            rotate(&mut transaction, &shown, token_hash, successor, now).await?;
            transaction.commit().await?;
            Ok(Refreshed::Rotated { session, user })
        }
        Decision::Keep => Ok(Refreshed::Kept { session, user }),
        Decision::End => {
            let ended = query(
                "UPDATE login_sessions SET ended_at = $2
                 WHERE id = $1 AND ended_at IS NULL
                 RETURNING id",
            )
            .bind(session)
            .bind(now)
            .all(&mut transaction)
            .await?;
            let told = tell_ended(db, &mut transaction, user, ended, now).await?;
            transaction.commit().await?;
            Ok(Refreshed::Ended {
                session,
                user,
                told,
            })
        }
        Decision::Refuse => Ok(Refreshed::Refused),
    }
}

/// The token that was shown.
struct Shown {
    session: LoginSessionId,
    user: UserId,
    generation: u64,
}

impl FromRow for Shown {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            session: row.get("session_id")?,
            user: row.get("user_id")?,
            generation: row.get("generation")?,
        })
    }
}

impl FromRow for Family {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            expires_at: row.get("expires_at")?,
            ended_at: row.get("ended_at")?,
            given_at: row.get("created_at")?,
            used_at: row.get("used_at")?,
            is_overtaken: row.get("is_overtaken")?,
        })
    }
}

/// `None` when the login or its token went in between.
async fn load(
    transaction: &mut Transaction,
    token_hash: &[u8],
) -> Result<Option<Family>, RowError> {
    query(
        "SELECT s.expires_at, s.ended_at, t.created_at, t.used_at,
                EXISTS (SELECT 1 FROM refresh_tokens o
                        WHERE o.session_id = t.session_id AND o.generation >= t.generation
                            AND o.token_hash <> t.token_hash AND o.used_at IS NOT NULL)
                    AS is_overtaken
         FROM refresh_tokens t JOIN login_sessions s ON s.id = t.session_id
         WHERE t.token_hash = $1",
    )
    .bind(token_hash)
    .optional(transaction)
    .await
}

async fn rotate(
    transaction: &mut Transaction,
    shown: &Shown,
    token_hash: &[u8],
    successor: Successor<'_>,
    now: Timestamp,
) -> Result<(), RowError> {
    query("UPDATE refresh_tokens SET used_at = COALESCE(used_at, $2) WHERE token_hash = $1")
        .bind(token_hash)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
    query(
        "UPDATE refresh_tokens SET revoked_at = $3
         WHERE session_id = $1 AND generation >= $2 AND used_at IS NULL AND revoked_at IS NULL",
    )
    .bind(shown.session)
    .bind(shown.generation)
    .bind(now)
    .execute(&mut *transaction)
    .await?;
    insert_token(
        transaction,
        shown.session,
        successor.token_hash,
        shown.generation + 1,
        now,
    )
    .await?;
    query(
        "UPDATE login_sessions
         SET user_agent = $2, address = $3, refreshed_at = $4, expires_at = $5
         WHERE id = $1",
    )
    .bind(shown.session)
    .bind(cut(successor.user_agent))
    .bind(successor.address)
    .bind(now)
    .bind(successor.expires_at)
    .execute(&mut *transaction)
    .await?;
    query(
        "DELETE FROM refresh_tokens
         WHERE token_hash IN (
             SELECT token_hash FROM refresh_tokens
             WHERE session_id = $1 AND generation < $2 AND COALESCE(revoked_at, used_at) < $3
             ORDER BY generation
             LIMIT $4)",
    )
    .bind(shown.session)
    .bind(shown.generation)
    .bind(now - REMEMBERED)
    .bind(FORGOTTEN_AT_ONCE)
    .execute(transaction)
    .await?;
    Ok(())
}

pub(super) async fn insert_token(
    transaction: &mut Transaction,
    session: LoginSessionId,
    token_hash: &[u8],
    generation: u64,
    now: Timestamp,
) -> Result<(), RowError> {
    query(
        "INSERT INTO refresh_tokens (token_hash, session_id, generation, created_at)
         VALUES ($1, $2, $3, $4)",
    )
    .bind(token_hash)
    .bind(session)
    .bind(generation)
    .bind(now)
    .execute(transaction)
    .await?;
    Ok(())
}
