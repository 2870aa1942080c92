//! Idempotency keys: an answer, kept for whoever asks again under the same key.
//!
//! [`find`] looks before the work is done, and [`keep`] is the last statement of the
//! transaction that does it. Of two at once, the second fails there, has done nothing, and
//! finds the first one's answer.

use bytes::Bytes;
use media::{Timestamp, UserId};
use serde_json::json;
use uuid::Uuid;

use super::error::{check_size, missing_parent};
use super::sql::{FromRow, Row, query};
use super::{Database, Entity, RowError, Transaction, Unique};

/// The longest key, in bytes.
pub const KEY_BYTES_AT_MOST: usize = 255;

/// The largest answer that is kept, in bytes.
pub const RESPONSE_BYTES_AT_MOST: usize = 256 * 1024;

/// The status that is kept with every answer: what REST says of something that was made.
const CREATED: u16 = 201;

/// An answer that was given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// SHA-256 of what was asked: another request under the same key is refused.
    pub request_hash: Bytes,
    /// HTTP status.
    pub status: u16,
    /// The body, without secrets.
    pub response: Bytes,
}

impl FromRow for Answer {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            request_hash: row.get("request_hash")?,
            status: row.get("status")?,
            response: row.get("response")?,
        })
    }
}

/// A request that makes a row, and makes it once. Whoever writes the row keeps its id in the same
/// transaction, with [`RowError::Taken`] when another has the key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Once<'a> {
    /// Who asks.
    pub user: UserId,
    /// Under which key.
    pub key: &'a str,
    /// SHA-256 of what was asked.
    pub request_hash: &'a [u8],
    /// How long it is kept.
    pub expires_at: Timestamp,
}

impl Once<'_> {
    /// Keeps the id of what was made, as the last row of the transaction.
    pub(super) async fn keep_id(
        self,
        transaction: &mut Transaction,
        made: Uuid,
        now: Timestamp,
    ) -> Result<(), RowError> {
        let response = json!({ "id": made.to_string() }).to_string();
        self.keep(transaction, response.into(), now).await
    }

    /// Keeps the answer that something was made, as [`keep`] does.
    pub async fn keep(
        self,
        transaction: &mut Transaction,
        response: Bytes,
        now: Timestamp,
    ) -> Result<(), RowError> {
        let answer = Answer {
            request_hash: Bytes::copy_from_slice(self.request_hash),
            status: CREATED,
            response,
        };
        keep(
            transaction,
            self.user,
            self.key,
            &answer,
            now,
            self.expires_at,
        )
        .await
    }
}

/// The answer that the user was given under the key, unless it has expired.
pub async fn find(
    db: &Database,
    user: UserId,
    key: &str,
    now: Timestamp,
) -> Result<Option<Answer>, RowError> {
    query(
        "SELECT request_hash, status, response FROM idempotency_keys
         WHERE user_id = $1 AND key = $2 AND expires_at > $3",
    )
    .bind(user)
    .bind(key)
    .bind(now)
    .optional(db)
    .await
}

/// Keeps an answer, as the last row of the transaction that did the work, until
/// `expires_at`. [`RowError::Taken`] when another has the key: the transaction is dropped
/// then, and [`find`] has the answer that counts.
pub async fn keep(
    transaction: &mut Transaction,
    user: UserId,
    key: &str,
    answer: &Answer,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), RowError> {
    check_size("idempotency key", key.len(), KEY_BYTES_AT_MOST)?;
    check_size("answer", answer.response.len(), RESPONSE_BYTES_AT_MOST)?;
    let kept = query(
        "INSERT INTO idempotency_keys
             (user_id, key, request_hash, status, response, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (user_id, key) DO UPDATE
             SET request_hash = excluded.request_hash, status = excluded.status,
                 response = excluded.response, created_at = excluded.created_at,
                 expires_at = excluded.expires_at
             WHERE idempotency_keys.expires_at <= excluded.created_at",
    )
    .bind(user)
    .bind(key)
    .bind(answer.request_hash.clone())
    .bind(answer.status)
    .bind(answer.response.clone())
    .bind(now)
    .bind(expires_at)
    .execute(transaction)
    .await
    .map_err(missing_parent(Entity::User))?;
    match kept {
        0 => Err(RowError::Taken(Unique::IdempotencyKey)),
        _ => Ok(()),
    }
}
