//! Videos: what can be played that is not live.
//!
//! The recording of a broadcast has no segments of its own: its row is written by the
//! transaction that ends the session, and it plays what the stream keeps of it. What the
//! stream lets go, the video loses; when nothing is left, it is gone
//! ([`delete_gone_recordings`]). An imported file has renditions and segments of its own
//! ([`imports`]), as of a live stream with one epoch.

pub mod imports;
pub mod inventory;
pub mod owned;
pub mod playback;
pub mod recordings;

use std::fmt;
use std::str::FromStr;

use media::{Micros, SessionId, StreamId, Timestamp, UserId, VideoId};
use uuid::Uuid;

use super::sql::{FromRow, Row, query};
use super::{Database, RowError, Transaction};

/// Where a video is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum VideoState {
    /// Its segments are being made.
    Transcoding,
    /// It plays.
    Ready,
    /// It cannot be transcoded; its row says why.
    Failed,
    /// Nobody wants it any more: its objects go, then its row.
    Cancelled,
}

impl VideoState {
    /// As it stands in its column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transcoding => "transcoding",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for VideoState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no [`VideoState`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("video state {0:?} is not valid: expected transcoding, ready, failed or cancelled")]
pub struct InvalidVideoState(String);

impl FromStr for VideoState {
    type Err = InvalidVideoState;
    fn from_str(text: &str) -> Result<Self, InvalidVideoState> {
        match text {
            "transcoding" => Ok(Self::Transcoding),
            "ready" => Ok(Self::Ready),
            "failed" => Ok(Self::Failed),
            "cancelled" => Ok(Self::Cancelled),
            _ => Err(InvalidVideoState(text.to_owned())),
        }
    }
}

/// A video.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VideoRow {
    /// Id, which its URLs have.
    pub id: VideoId,
    /// Whose it is.
    pub owner: UserId,
    /// The broadcast that it is the recording of; `None`: imported.
    pub session: Option<SessionId>,
    /// What people read.
    pub title: String,
    /// Where it is.
    pub state: VideoState,
    /// Why it failed.
    pub error: Option<String>,
    /// Bytes of the imported file; `None`: a recording.
    pub original_size: Option<u64>,
    /// `None`: not known yet, or a recording.
    pub duration: Option<Micros>,
    /// Segments of all renditions that are to be made.
    pub segments_planned: Option<u64>,
    /// When it was imported, or its broadcast ended.
    pub created_at: Timestamp,
    /// When it could be played first.
    pub ready_at: Option<Timestamp>,
}

impl FromRow for VideoRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            owner: row.get("owner_id")?,
            session: row.get("live_session_id")?,
            title: row.get("title")?,
            state: row.parsed("state")?,
            error: row.get("error")?,
            original_size: row.get("original_size")?,
            duration: row.get("duration")?,
            segments_planned: row.get("segments_planned")?,
            created_at: row.get("created_at")?,
            ready_at: row.get("ready_at")?,
        })
    }
}

/// The columns of a [`VideoRow`].
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, owner_id, live_session_id, title, state, error, original_size,
                    duration, segments_planned, created_at, ready_at
             FROM videos ",
            $rest
        )
    };
}

/// The video, if there is one.
pub async fn get(db: &Database, id: VideoId) -> Result<Option<VideoRow>, RowError> {
    query(select!("WHERE id = $1")).bind(id).optional(db).await
}

/// Videos by id, which is the order of their making, those after `after`, at most `limit`.
pub async fn list(
    db: &Database,
    after: Option<VideoId>,
    limit: u32,
) -> Result<Vec<VideoRow>, RowError> {
    query(select!("WHERE id > $1 ORDER BY id LIMIT $2"))
        .bind(after.map_or(Uuid::nil(), VideoId::as_uuid))
        .bind(limit)
        .all(db)
        .await
}

/// What somebody has, by id, those after `after`, at most `limit`; none that is cancelled.
pub async fn of_owner(
    db: &Database,
    owner: UserId,
    after: Option<VideoId>,
    limit: u32,
) -> Result<Vec<VideoRow>, RowError> {
    query(select!(
        "WHERE owner_id = $1 AND id > $2 AND state <> 'cancelled' ORDER BY id LIMIT $3"
    ))
    .bind(owner)
    .bind(after.map_or(Uuid::nil(), VideoId::as_uuid))
    .bind(limit)
    .all(db)
    .await
}

/// Makes a video of the session that this transaction ends, if its stream is recorded: it
/// plays at once. One for each session, however often this is called.
pub(super) async fn record(
    transaction: &mut Transaction,
    session: SessionId,
    now: Timestamp,
) -> Result<(), RowError> {
    query(
        "INSERT INTO videos (id, owner_id, live_session_id, title, state, created_at, ready_at)
         SELECT $1, s.owner_id, l.id, s.name, 'ready', $3, $3
         FROM live_sessions l JOIN streams s ON s.id = l.stream_id
         WHERE l.id = $2 AND s.recording
         ON CONFLICT (live_session_id) DO NOTHING",
    )
    .bind(VideoId::new())
    .bind(session)
    .bind(now)
    .execute(transaction)
    .await?;
    Ok(())
}

/// Whether there is a recording of the stream.
pub async fn has_recordings(
    transaction: &mut Transaction,
    stream: StreamId,
) -> Result<bool, RowError> {
    query(
        "SELECT 1 FROM live_sessions l JOIN videos v ON v.live_session_id = l.id
         WHERE l.stream_id = $1 LIMIT 1",
    )
    .bind(stream)
    .exists(transaction)
    .await
}

/// Deletes recordings of which nothing is left and nothing will come, at most `limit`; how
/// many.
pub async fn delete_gone_recordings(db: &Database, limit: u32) -> Result<u64, RowError> {
    let mut transaction = db.write().await?;
    let deleted = query(
        "DELETE FROM videos WHERE id IN (
             SELECT v.id FROM videos v JOIN live_sessions l ON l.id = v.live_session_id
             WHERE l.settled_at IS NOT NULL
                 AND NOT EXISTS (SELECT 1 FROM epochs e WHERE e.session_id = l.id)
             ORDER BY v.id LIMIT $1)",
    )
    .bind(limit)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(deleted)
}
