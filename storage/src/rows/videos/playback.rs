//! What a video's manifests are made of, read at one instant.

use media::{EpochNumber, Rendition, SessionId, StreamId, StreamName, Timestamp, VideoId};

use super::VideoState;
use crate::rows::segments::{RenditionRow, SegmentRow};
use crate::rows::sql::{FromRow, Row, query};
use crate::rows::streams::Visibility;
use crate::rows::{Database, RowError, Transaction};

/// An imported file has one epoch, of this number.
pub const IMPORT_EPOCH: EpochNumber = EpochNumber(0);

/// A video that plays.
#[derive(Clone, PartialEq, Debug)]
pub struct StoredVideo {
    /// Whether media time is the time of day: of a recording it is.
    pub is_dated: bool,
    /// Whether nothing is added to it any more.
    pub is_final: bool,
    /// Its epochs that have renditions, the oldest first.
    pub epochs: Vec<PlayedEpoch>,
    /// Its segments by number, then by rendition; gaps too.
    pub segments: Vec<SegmentRow>,
    /// Whether there are more segments than were asked for.
    pub is_cut: bool,
}

/// An epoch of a video.
#[derive(Clone, PartialEq, Debug)]
pub struct PlayedEpoch {
    /// Its number.
    pub number: EpochNumber,
    /// Seconds; `None`: whatever its segments last.
    pub target_duration: Option<u32>,
    /// Its renditions, by name.
    pub renditions: Vec<Rendition>,
}

/// What there is to play of a video.
#[derive(Clone, PartialEq, Debug)]
pub enum Playback {
    /// There is no such video.
    Unknown,
    /// Not yet, or not any more.
    NotReady(VideoState),
    /// This.
    Ready(StoredVideo),
}

/// Where the objects of a video's epoch are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MediaPlace {
    /// They are this stream's.
    Stream(StreamId),
    /// They are the video's own.
    Own,
}

struct Head {
    state: VideoState,
    recording: Option<(SessionId, StreamId)>,
    settled_at: Option<Timestamp>,
}

impl FromRow for Head {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        let session: Option<SessionId> = row.get("live_session_id")?;
        let stream: Option<StreamId> = row.get("stream_id")?;
        Ok(Self {
            state: row.parsed("state")?,
            recording: session.zip(stream),
            settled_at: row.get("settled_at")?,
        })
    }
}

/// A video with its first `limit` segments, of all renditions together.
pub async fn load(db: &Database, video: VideoId, limit: u32) -> Result<Playback, RowError> {
    let mut snapshot = db.snapshot().await?;
    let head: Option<Head> = query(
        "SELECT v.state, v.live_session_id, l.stream_id, l.settled_at
         FROM videos v LEFT JOIN live_sessions l ON l.id = v.live_session_id
         WHERE v.id = $1",
    )
    .bind(video)
    .optional(&mut snapshot)
    .await?;
    let Some(head) = head else {
        return Ok(Playback::Unknown);
    };
    if head.state != VideoState::Ready {
        return Ok(Playback::NotReady(head.state));
    }
    let (epochs, mut segments) = match head.recording {
        Some((session, stream)) => recording(&mut snapshot, session, stream, limit).await?,
        None => import(&mut snapshot, video, limit).await?,
    };
    let is_cut = segments.len() as u64 > u64::from(limit);
    segments.truncate(limit as usize);
    Ok(Playback::Ready(StoredVideo {
        is_dated: head.recording.is_some(),
        is_final: head.recording.is_none() || head.settled_at.is_some(),
        epochs,
        segments,
        is_cut,
    }))
}

async fn recording(
    snapshot: &mut Transaction,
    session: SessionId,
    stream: StreamId,
    limit: u32,
) -> Result<(Vec<PlayedEpoch>, Vec<SegmentRow>), RowError> {
    let epochs: Vec<(EpochNumber, u32)> = query(
        "SELECT number, target_duration FROM epochs
         WHERE stream_id = $1 AND session_id = $2 ORDER BY number",
    )
    .bind(stream)
    .bind(session)
    .all(&mut *snapshot)
    .await?;
    let renditions: Vec<RenditionRow> = query(
        "SELECT r.epoch, r.name, r.kind, r.codecs, r.codec_config, r.bit_rate, r.frame_duration_us
         FROM renditions r JOIN epochs e ON e.stream_id = r.stream_id AND e.number = r.epoch
         WHERE e.stream_id = $1 AND e.session_id = $2
         ORDER BY r.epoch, r.name",
    )
    .bind(stream)
    .bind(session)
    .all(&mut *snapshot)
    .await?;
    let segments = query(
        "SELECT epoch, rendition, number, start, duration, size
         FROM segments
         WHERE stream_id = $1
             AND epoch IN (SELECT number FROM epochs WHERE stream_id = $1 AND session_id = $2)
             AND number >= (SELECT kept_from FROM streams WHERE id = $1)
         ORDER BY number, rendition
         LIMIT $3",
    )
    .bind(stream)
    .bind(session)
    .bind(i64::from(limit) + 1)
    .all(&mut *snapshot)
    .await?;
    let mut played: Vec<_> = epochs
        .into_iter()
        .map(|(number, target_duration)| PlayedEpoch {
            number,
            target_duration: Some(target_duration),
            renditions: Vec::new(),
        })
        .collect();
    for row in renditions {
        if let Some(epoch) = played.iter_mut().find(|epoch| epoch.number == row.epoch) {
            epoch.renditions.push(row.rendition);
        }
    }
    Ok((played, segments))
}

async fn import(
    snapshot: &mut Transaction,
    video: VideoId,
    limit: u32,
) -> Result<(Vec<PlayedEpoch>, Vec<SegmentRow>), RowError> {
    let renditions = super::imports::renditions_in(snapshot, video).await?;
    let segments = query(
        "SELECT CAST(0 AS BIGINT) AS epoch, rendition, number, start, duration, size
         FROM video_segments WHERE video_id = $1
         ORDER BY number, rendition
         LIMIT $2",
    )
    .bind(video)
    .bind(i64::from(limit) + 1)
    .all(&mut *snapshot)
    .await?;
    let epoch = PlayedEpoch {
        number: IMPORT_EPOCH,
        target_duration: None,
        renditions,
    };
    Ok((vec![epoch], segments))
}

/// For whom a video is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Audience {
    /// The stream that it is a recording of; `None`: it was imported.
    pub recording_of: Option<StreamName>,
    /// Whether players need a token: its stream is not for everybody.
    pub is_signed: bool,
}

impl FromRow for Audience {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        let visibility: Option<String> = row.get("visibility")?;
        Ok(Self {
            recording_of: row.get("name")?,
            is_signed: visibility.is_some_and(|text| text != Visibility::Public.as_str()),
        })
    }
}

/// For whom the video is. `None`: there is no such video, or nobody sees it: its stream was
/// deleted, or its owner is suspended or was deleted.
pub async fn audience(db: &Database, video: VideoId) -> Result<Option<Audience>, RowError> {
    query(
        "SELECT s.name, s.visibility
         FROM videos v
             JOIN users u ON u.id = v.owner_id
             LEFT JOIN live_sessions l ON l.id = v.live_session_id
             LEFT JOIN streams s ON s.id = l.stream_id
         WHERE v.id = $1 AND u.suspended_at IS NULL AND u.deleted_at IS NULL
             AND s.deleted_at IS NULL",
    )
    .bind(video)
    .optional(db)
    .await
}

/// Where the objects of an epoch of a video that plays are. `None`: there is no such video
/// or it has no such epoch.
pub async fn media_place(
    db: &Database,
    video: VideoId,
    epoch: EpochNumber,
) -> Result<Option<MediaPlace>, RowError> {
    let found: Option<(Option<SessionId>, Option<StreamId>)> = query(
        "SELECT v.live_session_id, e.stream_id
         FROM videos v LEFT JOIN epochs e ON e.session_id = v.live_session_id AND e.number = $2
         WHERE v.id = $1 AND v.state = 'ready'",
    )
    .bind(video)
    .bind(epoch)
    .optional(db)
    .await?;
    Ok(match found {
        Some((Some(_), Some(stream))) => Some(MediaPlace::Stream(stream)),
        Some((None, _)) if epoch == IMPORT_EPOCH => Some(MediaPlace::Own),
        _ => None,
    })
}
