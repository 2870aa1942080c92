//! Stream keys: what a publisher proves itself with.

use std::fmt;
use std::str::FromStr;

use media::{Micros, StreamId, StreamKeyId, Timestamp};
use sha2::{Digest, Sha256};

use super::error::missing_parent;
use super::segments::lock_stream;
use super::sql::{AssertSqlSafe, FromRow, Row, query};
use super::stream_events::{self, StreamEvent};
use super::streams::{StreamRow, stream_columns};
use super::{Database, Entity, RowError, Transaction, Unique};
use crate::events::Event;

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

/// The most keys of a stream that are good.
pub const KEYS_AT_MOST: u32 = 20;

/// That somebody published with a key is not noted again before this has passed.
pub const USE_NOTED_EVERY: Micros = Micros::from_secs(60 * 60);

/// A key, without what is secret of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamKeyRow {
    /// Id.
    pub id: StreamKeyId,
    /// What its owner calls it; empty: nothing.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it is good; `None`: it does not expire.
    pub expires_at: Option<Timestamp>,
    /// When somebody last published with it, give or take [`USE_NOTED_EVERY`].
    pub last_used_at: Option<Timestamp>,
}

impl FromRow for StreamKeyRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            created_at: row.get("created_at")?,
            expires_at: row.get("expires_at")?,
            last_used_at: row.get("last_used_at")?,
        })
    }
}

/// A key to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewKey<'a> {
    /// The secret.
    pub key: &'a StreamKey,
    /// What its owner calls it; empty: nothing.
    pub name: &'a str,
}

/// Gives the stream another key; nothing changes if it has it already.
/// [`RowError::Taken`] when the key is another stream's, or was revoked lately.
pub async fn add_key(
    db: &Database,
    stream: StreamId,
    key: &StreamKey,
    now: Timestamp,
) -> Result<(), RowError> {
    let mut transaction = db.write().await?;
    insert(&mut transaction, stream, NewKey { key, name: "" }, now).await?;
    transaction.commit().await
}

pub(super) async fn insert(
    transaction: &mut Transaction,
    stream: StreamId,
    new: NewKey<'_>,
    now: Timestamp,
) -> Result<StreamKeyRow, RowError> {
    let hash = hash(&new.key.0);
    query(
        "INSERT INTO stream_keys (id, stream_id, key_hash, name, created_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (key_hash) DO NOTHING",
    )
    .bind(StreamKeyId::new())
    .bind(stream)
    .bind(&hash[..])
    .bind(new.name)
    .bind(now)
    .execute(&mut *transaction)
    .await
    .map_err(missing_parent(Entity::Stream))?;
    query(
        "SELECT id, name, created_at, expires_at, last_used_at FROM stream_keys
         WHERE key_hash = $1 AND stream_id = $2 AND revoked_at IS NULL",
    )
    .bind(&hash[..])
    .bind(stream)
    .optional(&mut *transaction)
    .await?
    .ok_or(RowError::Taken(Unique::StreamKey))
}

/// The stream's keys that are good, the newest first: [`KEYS_AT_MOST`], and those that expire.
pub async fn of_stream(
    db: &Database,
    stream: StreamId,
    now: Timestamp,
) -> Result<Vec<StreamKeyRow>, RowError> {
    query(
        "SELECT id, name, created_at, expires_at, last_used_at FROM stream_keys
         WHERE stream_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
         ORDER BY id DESC LIMIT $3",
    )
    .bind(stream)
    .bind(now)
    .bind(KEYS_AT_MOST)
    .all(db)
    .await
}

/// What has become of a stream's keys.
#[derive(Debug)]
pub struct KeyChanged {
    /// The key that was made, or revoked.
    pub key: StreamKeyRow,
    /// What is published after the commit.
    pub event: Event,
}

/// Gives the stream another key. [`RowError::TooMany`] when it has [`KEYS_AT_MOST`] that are
/// good.
pub async fn create(
    db: &Database,
    transaction: &mut Transaction,
    stream: StreamId,
    new: NewKey<'_>,
    now: Timestamp,
) -> Result<KeyChanged, RowError> {
    lock_stream(transaction, stream).await?;
    let (has,): (u64,) = query(
        "SELECT COUNT(*) FROM stream_keys
         WHERE stream_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)",
    )
    .bind(stream)
    .bind(now)
    .one(&mut *transaction)
    .await?;
    if has >= u64::from(KEYS_AT_MOST) {
        return Err(RowError::TooMany {
            what: "stream keys",
            limit: KEYS_AT_MOST.into(),
        });
    }
    let key = insert(transaction, stream, new, now).await?;
    let event = stream_events::tell(db, transaction, stream, StreamEvent::KeysChanged, now);
    Ok(KeyChanged {
        key,
        event: event.await?,
    })
}

/// Puts another key in the place of `old`, which is good until `until` still, if that is later
/// than `now`. The new one is called as it was. [`RowError::NotFound`] when the stream has no
/// such key that is good.
pub async fn rotate(
    db: &Database,
    transaction: &mut Transaction,
    stream: StreamId,
    old: StreamKeyId,
    key: &StreamKey,
    until: Timestamp,
    now: Timestamp,
) -> Result<KeyChanged, RowError> {
    lock_stream(transaction, stream).await?;
    // One that expires earlier does so: it was rotated before.
    let statement = match until > now {
        true => {
            "UPDATE stream_keys
             SET expires_at = CASE WHEN expires_at < $3 THEN expires_at ELSE $3 END
             WHERE id = $1 AND stream_id = $2 AND revoked_at IS NULL
                 AND (expires_at IS NULL OR expires_at > $4)
             RETURNING id, name, created_at, expires_at, last_used_at"
        }
        false => {
            "UPDATE stream_keys SET revoked_at = $4
             WHERE id = $1 AND stream_id = $2 AND revoked_at IS NULL
                 AND (expires_at IS NULL OR expires_at > $4) AND $3 <= $4
             RETURNING id, name, created_at, expires_at, last_used_at"
        }
    };
    let replaced: StreamKeyRow = query(statement)
        .bind(old)
        .bind(stream)
        .bind(until)
        .bind(now)
        .optional(&mut *transaction)
        .await?
        .ok_or(RowError::NotFound(Entity::StreamKey))?;
    let new = NewKey {
        key,
        name: &replaced.name,
    };
    // Of those that expire there are no more than rotations within their grace: they count too.
    create(db, transaction, stream, new, now).await
}

/// Revokes a key. [`RowError::NotFound`] when the stream has no such key that is good.
pub async fn revoke(
    db: &Database,
    transaction: &mut Transaction,
    stream: StreamId,
    id: StreamKeyId,
    now: Timestamp,
) -> Result<KeyChanged, RowError> {
    lock_stream(transaction, stream).await?;
    let key = query(
        "UPDATE stream_keys SET revoked_at = $3
         WHERE id = $1 AND stream_id = $2 AND revoked_at IS NULL
             AND (expires_at IS NULL OR expires_at > $3)
         RETURNING id, name, created_at, expires_at, last_used_at",
    )
    .bind(id)
    .bind(stream)
    .bind(now)
    .optional(&mut *transaction)
    .await?
    .ok_or(RowError::NotFound(Entity::StreamKey))?;
    let event = stream_events::tell(db, transaction, stream, StreamEvent::KeysChanged, now);
    Ok(KeyChanged {
        key,
        event: event.await?,
    })
}

/// Revokes all keys of a stream that is going.
pub(super) async fn revoke_all(
    transaction: &mut Transaction,
    stream: StreamId,
    now: Timestamp,
) -> Result<(), RowError> {
    query("UPDATE stream_keys SET revoked_at = $2 WHERE stream_id = $1 AND revoked_at IS NULL")
        .bind(stream)
        .bind(now)
        .execute(transaction)
        .await?;
    Ok(())
}

/// Notes that somebody publishes with the key, unless that was noted within
/// [`USE_NOTED_EVERY`].
pub async fn note_use(db: &Database, key: StreamKeyId, now: Timestamp) -> Result<(), RowError> {
    let mut transaction = db.write().await?;
    query(
        "UPDATE stream_keys SET last_used_at = $2
         WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $3)",
    )
    .bind(key)
    .bind(now)
    .bind(now - USE_NOTED_EVERY)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await
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

/// A key that was found, and the stream that it is of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FoundKey {
    /// The key.
    pub key: StreamKeyId,
    /// The stream.
    pub stream: StreamRow,
}

impl FromRow for FoundKey {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            key: row.get("key_id")?,
            stream: StreamRow::from_row(row)?,
        })
    }
}

/// What makes a key `k` of the stream `s` of the user `u` good at `$1`.
macro_rules! is_good {
    () => {
        "k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $1)
         AND s.deleted_at IS NULL AND u.suspended_at IS NULL AND u.deleted_at IS NULL"
    };
}

/// The stream whose key a publisher gave, stopped or not; none of an owner who is suspended or
/// deleted. A wrong key costs what a right one does: one hash and one lookup.
pub async fn find_stream_by_key(
    db: &Database,
    key: &str,
    now: Timestamp,
) -> Result<Option<FoundKey>, RowError> {
    query(concat!(
        "SELECT k.id AS key_id, ",
        stream_columns!(),
        " FROM stream_keys k
             JOIN streams s ON s.id = k.stream_id
             JOIN users u ON u.id = s.owner_id
         WHERE k.key_hash = $2 AND ",
        is_good!()
    ))
    .bind(now)
    .bind(hash(key))
    .optional(db)
    .await
}

/// Those of these keys that somebody may go on to publish with: they are good, and their streams
/// are not stopped.
pub async fn good_among(
    db: &Database,
    keys: &[StreamKeyId],
    now: Timestamp,
) -> Result<Vec<StreamKeyId>, RowError> {
    let text = format!(
        concat!(
            "SELECT k.id AS key_id
             FROM stream_keys k
                 JOIN streams s ON s.id = k.stream_id
                 JOIN users u ON u.id = s.owner_id
             WHERE k.id {} AND s.stopped_at IS NULL AND ",
            is_good!()
        ),
        db.engine().one_of("$2")
    );
    let keys: Vec<_> = keys.iter().map(|key| key.as_uuid()).collect();
    let good: Vec<(StreamKeyId,)> = query(AssertSqlSafe(text))
        .bind(now)
        .bind(keys)
        .all(db)
        .await?;
    Ok(good.into_iter().map(|(key,)| key).collect())
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
