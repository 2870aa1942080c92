//! Streams: channels that can be live many times.

use std::fmt;
use std::str::FromStr;

use media::{SessionId, StreamId, StreamName, Timestamp, UserId};

use super::error::missing_parent;
use super::outbox::{self, NewEvent};
use super::posts::{author_shown, viewer_id};
use super::sql::{AssertSqlSafe, FromRow, Row, query};
use super::stream_keys::{self, StreamKey};
use super::{Database, Entity, RowError, Transaction, Unique};
use crate::events::Subject;

/// What happens when somebody publishes with a valid key to a stream that has a
/// publisher.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TakeoverPolicy {
    /// The new publisher takes over: the usual reason is that the old one's connection
    /// is dead and nobody knows yet.
    #[default]
    Takeover,
    /// The new publisher is rejected.
    Reject,
}

impl TakeoverPolicy {
    /// As it stands in its column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Takeover => "takeover",
            Self::Reject => "reject",
        }
    }
}

impl fmt::Display for TakeoverPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no [`TakeoverPolicy`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("takeover policy {0:?} is not valid: expected takeover or reject")]
pub struct InvalidTakeoverPolicy(String);

impl FromStr for TakeoverPolicy {
    type Err = InvalidTakeoverPolicy;
    fn from_str(text: &str) -> Result<Self, InvalidTakeoverPolicy> {
        match text {
            "takeover" => Ok(Self::Takeover),
            "reject" => Ok(Self::Reject),
            _ => Err(InvalidTakeoverPolicy(text.to_owned())),
        }
    }
}

/// A stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamRow {
    /// Id.
    pub id: StreamId,
    /// Whose it is.
    pub owner: UserId,
    /// Name, unique.
    pub name: StreamName,
    /// What a second publisher meets.
    pub takeover: TakeoverPolicy,
    /// What it is encoded to, as the transcoder reads it; `None`: the installation's
    /// default.
    pub ladder: Option<String>,
    /// What that is done with.
    pub encoding: StoredEncoding,
    /// When it was made.
    pub created_at: Timestamp,
}

impl FromRow for StreamRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            owner: row.get("owner_id")?,
            name: row.get("name")?,
            takeover: row.parsed("takeover")?,
            ladder: row.get("ladder")?,
            encoding: StoredEncoding::from_row(row)?,
            created_at: row.get("created_at")?,
        })
    }
}

/// What a stream is decoded and encoded with, as the transcoder reads it; `None`: the
/// installation's default.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StoredEncoding {
    /// What decodes, scales and encodes it.
    pub engine: Option<String>,
    /// What encodes its H.264.
    pub encoder: Option<String>,
}

impl FromRow for StoredEncoding {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            engine: row.get("engine")?,
            encoder: row.get("encoder")?,
        })
    }
}

/// A stream in a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedStream {
    /// The stream.
    pub stream: StreamRow,
    /// Its owner's name.
    pub owner_name: String,
    /// Whether it has an open session.
    pub live: bool,
}

impl FromRow for ListedStream {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            stream: StreamRow::from_row(row)?,
            owner_name: row.get("owner_name")?,
            live: row.get("live")?,
        })
    }
}

/// The columns of a [`ListedStream`]: of the stream `s`, and of its owner `u`. `$live` says whether
/// it has an open session, where that is known.
macro_rules! listed_columns {
    () => {
        $crate::rows::streams::listed_columns!(
            "EXISTS (SELECT 1 FROM live_sessions l
                     WHERE l.stream_id = s.id AND l.ended_at IS NULL)"
        )
    };
    ($live:literal) => {
        concat!(
            "s.id, s.owner_id, s.name, s.takeover, s.ladder, s.engine, s.encoder, s.created_at,
             u.name AS owner_name, ",
            $live,
            " AS live"
        )
    };
}

pub(super) use listed_columns;

/// A stream that is live.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LiveStream {
    /// The stream's id.
    pub stream: StreamId,
    /// The stream's name.
    pub name: StreamName,
    /// Its open session.
    pub session: SessionId,
    /// When the session started.
    pub started_at: Timestamp,
}

impl FromRow for LiveStream {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            stream: row.get("stream_id")?,
            name: row.get("name")?,
            session: row.get("session_id")?,
            started_at: row.get("started_at")?,
        })
    }
}

/// A stream to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewStream<'a> {
    /// Whose it is.
    pub owner: UserId,
    /// Name.
    pub name: &'a StreamName,
    /// What a second publisher meets.
    pub takeover: TakeoverPolicy,
}

/// Makes a stream with its first key: both, or neither. [`RowError::Taken`] when another
/// stream has the name or the key.
pub async fn create(
    db: &Database,
    stream: NewStream<'_>,
    key: &StreamKey,
    now: Timestamp,
) -> Result<StreamRow, RowError> {
    let mut transaction = db.write().await?;
    let created: StreamRow = query(
        "INSERT INTO streams (id, owner_id, name, takeover, created_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (name) DO NOTHING
         RETURNING id, owner_id, name, takeover, ladder, engine, encoder, created_at",
    )
    .bind(StreamId::new())
    .bind(stream.owner)
    .bind(stream.name.as_str())
    .bind(stream.takeover.as_str())
    .bind(now)
    .optional(&mut transaction)
    .await
    .map_err(missing_parent(Entity::User))?
    .ok_or(RowError::Taken(Unique::StreamName))?;
    stream_keys::insert(&mut transaction, created.id, key, now).await?;
    tell_created(db, &mut transaction, created.id, now).await?;
    transaction.commit().await?;
    Ok(created)
}

/// Adds `stream.{id}.created` to the outbox, under the stream's id. The payload is JSON:
/// `stream`, and `at` in microseconds since 1970.
async fn tell_created(
    db: &Database,
    transaction: &mut Transaction,
    stream: StreamId,
    now: Timestamp,
) -> Result<(), RowError> {
    let stream = stream.to_string();
    let payload = serde_json::json!({ "stream": stream, "at": now.as_micros() });
    let event = NewEvent {
        subject: &Subject::new(&format!("stream.{stream}.created"))?,
        key: &stream,
        payload: payload.to_string().into(),
    };
    outbox::append(db, transaction, &event, now).await?;
    Ok(())
}

/// Changes what a second publisher meets, from the next one on.
pub async fn set_takeover(
    db: &Database,
    stream: StreamId,
    takeover: TakeoverPolicy,
) -> Result<(), RowError> {
    let statement = "UPDATE streams SET takeover = $2 WHERE id = $1";
    set(db, statement, stream, Some(takeover.as_str())).await
}

/// Changes what the stream is encoded to, from its next epoch on; `None`: the
/// installation's default.
pub async fn set_ladder(
    db: &Database,
    stream: StreamId,
    ladder: Option<&str>,
) -> Result<(), RowError> {
    let statement = "UPDATE streams SET ladder = $2 WHERE id = $1";
    set(db, statement, stream, ladder).await
}

/// Changes what decodes, scales and encodes the stream, like [`set_ladder`].
pub async fn set_engine(
    db: &Database,
    stream: StreamId,
    engine: Option<&str>,
) -> Result<(), RowError> {
    let statement = "UPDATE streams SET engine = $2 WHERE id = $1";
    set(db, statement, stream, engine).await
}

/// Changes what encodes the stream's H.264, like [`set_ladder`].
pub async fn set_encoder(
    db: &Database,
    stream: StreamId,
    encoder: Option<&str>,
) -> Result<(), RowError> {
    let statement = "UPDATE streams SET encoder = $2 WHERE id = $1";
    set(db, statement, stream, encoder).await
}

async fn set(
    db: &Database,
    statement: &'static str,
    stream: StreamId,
    value: Option<&str>,
) -> Result<(), RowError> {
    let mut transaction = db.write().await?;
    let updated = query(statement)
        .bind(stream)
        .bind(value)
        .execute(&mut transaction)
        .await?;
    transaction.commit().await?;
    match updated {
        0 => Err(RowError::NotFound(Entity::Stream)),
        _ => Ok(()),
    }
}

/// The engines and encoders that streams have of their own, each pair once, at most `limit`.
pub async fn encodings(db: &Database, limit: u32) -> Result<Vec<StoredEncoding>, RowError> {
    query(
        "SELECT DISTINCT engine, encoder FROM streams
         WHERE engine IS NOT NULL OR encoder IS NOT NULL
         LIMIT $1",
    )
    .bind(limit)
    .all(db)
    .await
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, owner_id, name, takeover, ladder, engine, encoder, created_at
             FROM streams ",
            $rest
        )
    };
}

/// The stream with that id.
pub async fn by_id(db: &Database, id: StreamId) -> Result<Option<StreamRow>, RowError> {
    query(select!("WHERE id = $1")).bind(id).optional(db).await
}

/// The stream of that name.
pub async fn by_name(db: &Database, name: &StreamName) -> Result<Option<StreamRow>, RowError> {
    query(select!("WHERE name = $1"))
        .bind(name.as_str())
        .optional(db)
        .await
}

/// Streams by name, those after `after`, at most `limit`.
pub async fn list(
    db: &Database,
    after: Option<&StreamName>,
    limit: u32,
) -> Result<Vec<ListedStream>, RowError> {
    query(concat!(
        "SELECT ",
        listed_columns!(),
        " FROM streams s JOIN users u ON u.id = s.owner_id
         WHERE s.name > $1
         ORDER BY s.name
         LIMIT $2"
    ))
    // Every name comes after the empty text.
    .bind(after.map_or("", StreamName::as_str))
    .bind(limit)
    .all(db)
    .await
}

/// Streams with an open session, the newest session first, at most `limit`.
pub async fn live_streams(db: &Database, limit: u32) -> Result<Vec<LiveStream>, RowError> {
    query(
        "SELECT l.stream_id, s.name, l.id AS session_id, l.started_at
         FROM live_sessions l JOIN streams s ON s.id = l.stream_id
         WHERE l.ended_at IS NULL
         ORDER BY l.started_at DESC, s.name
         LIMIT $1",
    )
    .bind(limit)
    .all(db)
    .await
}

/// A stream as a post shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShownStream {
    /// Which.
    pub id: StreamId,
    /// Its name.
    pub name: StreamName,
    /// Its owner's name.
    pub owner: String,
    /// Whether it has an open session.
    pub is_live: bool,
}

impl FromRow for ShownStream {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            owner: row.get("owner_name")?,
            is_live: row.get("live")?,
        })
    }
}

/// These streams, in no order, as `viewer` may see them: not those whose owner is suspended or
/// deleted, or blocks the viewer or is blocked by them.
pub async fn shown(
    db: &Database,
    ids: &[StreamId],
    viewer: Option<UserId>,
) -> Result<Vec<ShownStream>, RowError> {
    let text = format!(
        concat!(
            "SELECT s.id, s.name, u.name AS owner_name,
                    EXISTS (SELECT 1 FROM live_sessions l
                            WHERE l.stream_id = s.id AND l.ended_at IS NULL) AS live
             FROM streams s JOIN users u ON u.id = s.owner_id
             WHERE s.id {} AND ",
            author_shown!("s.owner_id")
        ),
        db.engine().one_of("$2")
    );
    let ids: Vec<_> = ids.iter().map(|id| id.as_uuid()).collect();
    query(AssertSqlSafe(text))
        .bind(viewer_id(viewer))
        .bind(ids)
        .all(db)
        .await
}
