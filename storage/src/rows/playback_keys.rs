//! The key that playback tokens are signed and verified with where none is configured: whichever
//! node is first makes it, and all share it.

use std::fmt;

use media::Timestamp;

use super::sql::{FromRow, Row, query};
use super::{Database, RowError};

/// A key.
#[derive(Clone, PartialEq, Eq)]
pub struct PlaybackKey {
    /// What tokens name it by.
    pub kid: String,
    /// Of HMAC-SHA256.
    pub secret: Vec<u8>,
}

impl fmt::Debug for PlaybackKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlaybackKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl FromRow for PlaybackKey {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            kid: row.get("kid")?,
            secret: row.get("secret")?,
        })
    }
}

/// The key that there is; `new`, where there is none.
pub async fn take(
    db: &Database,
    new: &PlaybackKey,
    now: Timestamp,
) -> Result<PlaybackKey, RowError> {
    let mut transaction = db.write().await?;
    query(db.engine().take_turn())
        .bind(PLAYBACK)
        .execute(&mut transaction)
        .await?;
    let found = query("SELECT kid, secret FROM playback_keys ORDER BY created_at, kid LIMIT 1")
        .optional(&mut transaction)
        .await?;
    if let Some(found) = found {
        return Ok(found);
    }
    query("INSERT INTO playback_keys (kid, secret, created_at) VALUES ($1, $2, $3)")
        .bind(&new.kid)
        .bind(&new.secret[..])
        .bind(now)
        .execute(&mut transaction)
        .await?;
    transaction.commit().await?;
    Ok(new.clone())
}

/// Among all turns of the database: "playback" in ASCII.
const PLAYBACK: i64 = 0x706c_6179_6261_636b;
