//! Stream keys: what a publisher proves itself with.

use std::fmt;
use std::str::FromStr;

use media::{StreamId, Timestamp};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::error::missing_parent;
use super::sql::query;
use super::streams::StreamRow;
use super::{Database, Entity, RowError, Transaction, Unique};

/// The longest stream key, in characters.
pub const MAX_KEY_LENGTH: usize = 128;

/// A stream key. Shown once, when it is made: only its hash is stored, and its `Debug`
/// form tells nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct StreamKey(String);

impl StreamKey {
    /// A key of 256 random bits, as 64 hexadecimal digits: every encoder's text field and
    /// every URL takes them.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bits = [0_u8; 32];
        getrandom::fill(&mut bits)?;
        Ok(Self(
            bits.iter().map(|byte| format!("{byte:02x}")).collect(),
        ))
    }

    /// The key itself, to be shown to its owner.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamKey(***)")
    }
}

/// The text cannot be a stream key. It does not say which text: that may be most of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a stream key is 1 to {MAX_KEY_LENGTH} characters of A-Z a-z 0-9 - _")]
pub struct InvalidStreamKey;

impl FromStr for StreamKey {
    type Err = InvalidStreamKey;
    fn from_str(text: &str) -> Result<Self, InvalidStreamKey> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if (1..=MAX_KEY_LENGTH).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidStreamKey)
        }
    }
}

/// A plain hash is enough: 256 random bits cannot be guessed, and the lookup compares
/// hashes, whose leading bytes tell nothing of the key.
fn hash(key: &str) -> Vec<u8> {
    Sha256::digest(key).to_vec()
}

/// Gives the stream another key; nothing changes if it has it already.
/// [`RowError::Taken`] when the key is another stream's, or was revoked.
pub async fn add_key(
    db: &Database,
    stream: StreamId,
    key: &StreamKey,
    now: Timestamp,
) -> Result<(), RowError> {
    let mut transaction = db.write().await?;
    insert(&mut transaction, stream, key, now).await?;
    transaction.commit().await
}

pub(super) async fn insert(
    transaction: &mut Transaction,
    stream: StreamId,
    key: &StreamKey,
    now: Timestamp,
) -> Result<(), RowError> {
    query(
        "INSERT INTO stream_keys (id, stream_id, key_hash, created_at)
         VALUES ($1, $2, $3, $4)
         ON CONFLICT (key_hash) DO NOTHING",
    )
    .bind(Uuid::now_v7())
    .bind(stream)
    .bind(hash(&key.0))
    .bind(now)
    .execute(&mut *transaction)
    .await
    .map_err(missing_parent(Entity::Stream))?;
    let has_it = query(
        "SELECT 1 FROM stream_keys
         WHERE key_hash = $1 AND stream_id = $2 AND revoked_at IS NULL",
    )
    .bind(hash(&key.0))
    .bind(stream)
    .exists(&mut *transaction)
    .await?;
    if has_it {
        Ok(())
    } else {
        Err(RowError::Taken(Unique::StreamKey))
    }
}

/// Takes a key away from whichever stream has it; says whether one had. Unlike a revoked
/// key, it can be given again.
pub async fn remove_key(db: &Database, key: &StreamKey) -> Result<bool, RowError> {
    let mut transaction = db.write().await?;
    let removed = query("DELETE FROM stream_keys WHERE key_hash = $1")
        .bind(hash(&key.0))
        .execute(&mut transaction)
        .await?;
    transaction.commit().await?;
    Ok(removed > 0)
}

/// The stream whose key a publisher gave; none of an owner who is suspended or deleted. A
/// wrong key costs what a right one does: one hash and one lookup.
pub async fn find_stream_by_key(db: &Database, key: &str) -> Result<Option<StreamRow>, RowError> {
    query(
        "SELECT s.id, s.owner_id, s.name, s.takeover, s.ladder, s.engine, s.encoder, s.created_at
         FROM stream_keys k
             JOIN streams s ON s.id = k.stream_id
             JOIN users u ON u.id = s.owner_id
         WHERE k.key_hash = $1 AND k.revoked_at IS NULL
             AND u.suspended_at IS NULL AND u.deleted_at IS NULL",
    )
    .bind(hash(key))
    .optional(db)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_random_and_url_safe() {
        let (one, other) = (
            StreamKey::generate().unwrap(),
            StreamKey::generate().unwrap(),
        );
        assert_ne!(one, other);
        assert_eq!(one.reveal().len(), 64);
        assert_eq!(one.reveal().parse(), Ok(one.clone()));
        assert!(!format!("{one:?}").contains(one.reveal()));
    }

    #[test]
    fn keys_fit_an_encoder_and_a_url() {
        assert!("demo".parse::<StreamKey>().is_ok());
        for bad in [
            "",
            "a b",
            "a/b",
            "a?b",
            "é",
            &"x".repeat(MAX_KEY_LENGTH + 1),
        ] {
            assert_eq!(bad.parse::<StreamKey>(), Err(InvalidStreamKey), "{bad}");
        }
    }
}
