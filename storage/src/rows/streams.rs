//! Streams: channels that can be live many times.

mod audience;
mod changes;
mod lists;
pub mod removal;
mod words;

use media::{StreamId, StreamName, Timestamp, UserId};

use super::error::missing_parent;
use super::sql::{FromRow, Row, query};
use super::stream_events::{self, StreamEvent};
use super::stream_keys::{self, NewKey, StreamKey, StreamKeyRow};
use super::{Database, Entity, RowError, Transaction, Unique, users};
use crate::events::Event;

pub(super) use audience::stream_shown;
pub use changes::{
    Change, Changed, change, encodings, set_encoder, set_engine, set_ladder, set_takeover, start,
    stop,
};
#[cfg(test)]
pub(super) use lists::LIVE;
pub use lists::{
    ListedStream, LivePage, LiveStream, ShownStream, Standing, find, list, live, of_owner, shown,
    standings,
};
pub(super) use lists::{counted_columns, listed_columns};
pub use removal::delete;
pub use words::{InvalidTakeoverPolicy, InvalidVisibility, TakeoverPolicy, Visibility};

/// The most streams of a user.
pub const STREAMS_AT_MOST: u32 = 100;

/// A stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamRow {
    /// Id.
    pub id: StreamId,
    /// Whose it is.
    pub owner: UserId,
    /// Name, unique.
    pub name: StreamName,
    /// What people read above it; empty: its name.
    pub title: String,
    /// What people read below it.
    pub description: String,
    /// Whom it is for.
    pub visibility: Visibility,
    /// What a second publisher meets.
    pub takeover: TakeoverPolicy,
    /// Whether going live makes a post; `None`: as the owner's preference says.
    pub post_when_live: Option<bool>,
    /// Whether more than its live window is kept.
    pub recording: bool,
    /// What it is encoded to, as the transcoder reads it; `None`: the installation's
    /// default.
    pub ladder: Option<String>,
    /// What that is done with.
    pub encoding: StoredEncoding,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when nobody may publish to it; `None`: whoever has a key may.
    pub stopped_at: Option<Timestamp>,
}

impl StreamRow {
    /// What it is called: its title, or its name where it has none.
    pub fn called(&self) -> &str {
        called(&self.title, &self.name)
    }
}

fn called<'a>(title: &'a str, name: &'a StreamName) -> &'a str {
    match title {
        "" => name.as_str(),
        title => title,
    }
}

impl FromRow for StreamRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            owner: row.get("owner_id")?,
            name: row.get("name")?,
            title: row.get("title")?,
            description: row.get("description")?,
            visibility: row.parsed("visibility")?,
            takeover: row.parsed("takeover")?,
            post_when_live: row.get("post_when_live")?,
            recording: row.get("recording")?,
            ladder: row.get("ladder")?,
            encoding: StoredEncoding::from_row(row)?,
            created_at: row.get("created_at")?,
            stopped_at: row.get("stopped_at")?,
        })
    }
}

/// The columns of a [`StreamRow`], of the table `s`, or of the one table that a statement has.
macro_rules! stream_columns {
    () => {
        "s.id, s.owner_id, s.name, s.title, s.description, s.visibility, s.takeover,
         s.post_when_live, s.recording, s.ladder, s.engine, s.encoder, s.created_at, s.stopped_at"
    };
    (alone) => {
        "id, owner_id, name, title, description, visibility, takeover, post_when_live, recording,
         ladder, engine, encoder, created_at, stopped_at"
    };
}
pub(super) use stream_columns;

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
    let created = make(&mut transaction, stream, now).await?;
    stream_keys::insert(&mut transaction, created.id, NewKey { key, name: "" }, now).await?;
    stream_events::tell(db, &mut transaction, created.id, StreamEvent::Created, now).await?;
    transaction.commit().await?;
    Ok(created)
}

/// A stream that was just made.
#[derive(Debug)]
pub struct Created {
    /// The stream, as `change` has made it.
    pub stream: StreamRow,
    /// Its first key, without its secret.
    pub key: StreamKeyRow,
    /// What is published after the commit.
    pub event: Event,
}

/// The same for somebody who may have [`STREAMS_AT_MOST`], in the transaction of whoever asks.
/// [`RowError::NotFound`] when they are suspended or deleted.
pub async fn create_owned(
    db: &Database,
    transaction: &mut Transaction,
    stream: NewStream<'_>,
    change: &Change<'_>,
    key: NewKey<'_>,
    now: Timestamp,
) -> Result<Created, RowError> {
    // Those of one owner take turns, so that they are counted.
    let owner = users::lock(transaction, stream.owner).await?.user;
    if !owner.is_active() {
        return Err(RowError::NotFound(Entity::User));
    }
    let (has,): (u64,) =
        query("SELECT COUNT(*) FROM streams WHERE owner_id = $1 AND deleted_at IS NULL")
            .bind(stream.owner)
            .one(&mut *transaction)
            .await?;
    if has >= u64::from(STREAMS_AT_MOST) {
        return Err(RowError::TooMany {
            what: "streams",
            limit: STREAMS_AT_MOST.into(),
        });
    }
    let made = make(transaction, stream, now).await?;
    let stream = changes::write(transaction, made.id, change).await?;
    let key = stream_keys::insert(transaction, made.id, key, now).await?;
    let event = stream_events::tell(db, transaction, made.id, StreamEvent::Created, now).await?;
    Ok(Created { stream, key, event })
}

async fn make(
    transaction: &mut Transaction,
    stream: NewStream<'_>,
    now: Timestamp,
) -> Result<StreamRow, RowError> {
    query(concat!(
        "INSERT INTO streams (id, owner_id, name, takeover, created_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (name) DO NOTHING
         RETURNING ",
        stream_columns!(alone)
    ))
    .bind(StreamId::new())
    .bind(stream.owner)
    .bind(stream.name.as_str())
    .bind(stream.takeover.as_str())
    .bind(now)
    .optional(transaction)
    .await
    .map_err(missing_parent(Entity::User))?
    .ok_or(RowError::Taken(Unique::StreamName))
}

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", stream_columns!(), " FROM streams s ", $rest)
    };
}

/// The stream with that id, unless it was deleted.
pub async fn by_id(db: &Database, id: StreamId) -> Result<Option<StreamRow>, RowError> {
    query(select!("WHERE s.id = $1 AND s.deleted_at IS NULL"))
        .bind(id)
        .optional(db)
        .await
}

/// The stream of that name, unless it was deleted.
pub async fn by_name(db: &Database, name: &StreamName) -> Result<Option<StreamRow>, RowError> {
    query(select!("WHERE s.name = $1 AND s.deleted_at IS NULL"))
        .bind(name.as_str())
        .optional(db)
        .await
}
