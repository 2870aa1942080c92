//! Somebody's videos, recordings and imported ones, as their owner sees them in a list.

use media::{Micros, SessionId, StreamName, Timestamp, UserId, VideoId};
use uuid::Uuid;

use super::VideoState;
use super::recordings::{RecordingRow, recording_columns};
use crate::rows::sql::{FromRow, Row, query};
use crate::rows::streams::Visibility;
use crate::rows::{Database, RowError};

/// A video of somebody's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnedVideo {
    /// Id, which its URLs have.
    pub id: VideoId,
    /// What people read.
    pub title: String,
    /// Where it is; not [`VideoState::Cancelled`].
    pub state: VideoState,
    /// `None`: not known yet, or a recording.
    pub duration: Option<Micros>,
    /// When it was imported, or its broadcast ended.
    pub created_at: Timestamp,
    /// What it is the recording of; `None`: imported.
    pub recorded: Option<Recorded>,
}

/// A recording, and its stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recorded {
    /// The stream's name.
    pub stream: StreamName,
    /// Whom the stream is for.
    pub visibility: Visibility,
    /// The recording.
    pub recording: RecordingRow,
}

impl FromRow for OwnedVideo {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        let session: Option<SessionId> = row.get("session_id")?;
        Ok(Self {
            id: row.get("id")?,
            title: row.get("title")?,
            state: row.parsed("state")?,
            duration: row.get("duration")?,
            created_at: row.get("created_at")?,
            recorded: match session {
                None => None,
                Some(_) => Some(Recorded::from_row(row)?),
            },
        })
    }
}

impl FromRow for Recorded {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            stream: row.get("stream")?,
            visibility: row.parsed("visibility")?,
            recording: RecordingRow::from_row(row)?,
        })
    }
}

/// `$1` is the owner, `$2` which video the page comes after.
pub(in crate::rows) const OWNED: &str = concat!(
    "SELECT ",
    recording_columns!(),
    ", v.state, v.duration, v.created_at, s.name AS stream, s.visibility
     FROM videos v
         LEFT JOIN live_sessions l ON l.id = v.live_session_id
         LEFT JOIN streams s ON s.id = l.stream_id
     WHERE v.owner_id = $1 AND v.id < $2 AND v.state <> 'cancelled' AND s.deleted_at IS NULL
     ORDER BY v.id DESC LIMIT $3"
);

/// Somebody's videos, the newest first, those before `before`, at most `limit`: none that is
/// cancelled, and no recording of a stream that was deleted, which goes.
pub async fn of_owner(
    db: &Database,
    owner: UserId,
    before: Option<VideoId>,
    limit: u32,
) -> Result<Vec<OwnedVideo>, RowError> {
    query(OWNED)
        .bind(owner)
        // Every id comes before the last UUID.
        .bind(before.map_or(Uuid::max(), VideoId::as_uuid))
        .bind(limit)
        .all(db)
        .await
}
