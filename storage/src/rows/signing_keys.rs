//! Signing keys: what all nodes sign and verify access tokens with. One signs; those before
//! it verify until no token of theirs can be good.

use std::fmt;

use media::Timestamp;

use super::sql::{FromRow, Row, query};
use super::{Database, RowError, Transaction};

/// A key.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKeyRow {
    /// What tokens name it by: `kid` of RFC 7515 4.1.4.
    pub kid: String,
    /// The key pair as PKCS#8 (RFC 5958).
    pub private_key: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it only verifies.
    pub retired_at: Option<Timestamp>,
}

impl fmt::Debug for SigningKeyRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeyRow")
            .field("kid", &self.kid)
            .field("created_at", &self.created_at)
            .field("retired_at", &self.retired_at)
            .finish_non_exhaustive()
    }
}

impl FromRow for SigningKeyRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            kid: row.get("kid")?,
            private_key: row.get("private_key")?,
            created_at: row.get("created_at")?,
            retired_at: row.get("retired_at")?,
        })
    }
}

/// A key to be made.
#[derive(Clone, Copy)]
pub struct NewSigningKey<'a> {
    /// What tokens name it by.
    pub kid: &'a str,
    /// The key pair as PKCS#8.
    pub private_key: &'a [u8],
}

impl fmt::Debug for NewSigningKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSigningKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// All keys, the newest first. The first signs, if it is not retired.
pub async fn all(db: &Database) -> Result<Vec<SigningKeyRow>, RowError> {
    query(
        "SELECT kid, private_key, created_at, retired_at FROM signing_keys
         ORDER BY created_at DESC, kid DESC",
    )
    .all(db)
    .await
}

/// Makes sure that a key signs which was made after `made_after`: if none does, `new` does
/// from now on, and the one before is retired. So the first start of several nodes at once
/// makes one key, and so does a rotation. Gives all keys as they are then.
pub async fn renew(
    db: &Database,
    new: NewSigningKey<'_>,
    made_after: Timestamp,
    now: Timestamp,
) -> Result<Vec<SigningKeyRow>, RowError> {
    let mut transaction = db.write().await?;
    take_turn(db, &mut transaction).await?;
    let has_one = query("SELECT 1 FROM signing_keys WHERE retired_at IS NULL AND created_at > $1")
        .bind(made_after)
        .exists(&mut transaction)
        .await?;
    if !has_one {
        query("UPDATE signing_keys SET retired_at = $1 WHERE retired_at IS NULL")
            .bind(now)
            .execute(&mut transaction)
            .await?;
        query("INSERT INTO signing_keys (kid, private_key, created_at) VALUES ($1, $2, $3)")
            .bind(new.kid)
            .bind(new.private_key)
            .bind(now)
            .execute(&mut transaction)
            .await?;
        transaction.commit().await?;
    }
    all(db).await
}

/// Deletes keys that were retired before `before`, when the last token of theirs had
/// expired; how many.
pub async fn delete_retired(db: &Database, before: Timestamp) -> Result<u64, RowError> {
    let mut transaction = db.write().await?;
    let deleted = query("DELETE FROM signing_keys WHERE retired_at < $1")
        .bind(before)
        .execute(&mut transaction)
        .await?;
    transaction.commit().await?;
    Ok(deleted)
}

/// Waits until nobody else makes a key, and keeps others waiting until the transaction ends.
async fn take_turn(db: &Database, transaction: &mut Transaction) -> Result<(), RowError> {
    /// Among all turns of the database: "keys" in ASCII.
    const KEYS: i64 = 0x6b65_7973;
    query(db.engine().take_turn())
        .bind(KEYS)
        .execute(transaction)
        .await?;
    Ok(())
}
