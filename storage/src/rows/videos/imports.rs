//! Imported files on their way to being played.
//!
//! What is added while a video is transcoded goes through here, and is refused once it is
//! not being transcoded any more: whoever cancels a video needs to wait for nobody. An
//! object is stored before its row; what was refused as [`Added::Unwanted`] has to be deleted
//! by whoever put it.

use bytes::Bytes;
use media::{Codec, Micros, Rendition, RenditionName, Segment, SegmentNumber, Shape};
use media::{Timestamp, UserId, VideoId};

use crate::rows::error::missing_parent;
use crate::rows::segments::RenditionRow;
use crate::rows::sql::{FromRow, Row, query};
use crate::rows::{Database, Entity, RowError, Transaction};

/// The queue of the jobs that transcode videos. A job's unique key is its video's id.
pub const QUEUE: &str = "vod";

/// A file that was put into the object store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewImport<'a> {
    /// The video's id, which its objects are named after.
    pub id: VideoId,
    /// Whose it is.
    pub owner: UserId,
    /// What people read.
    pub title: &'a str,
    /// Bytes of the file.
    pub original_size: u64,
}

/// A stretch of a video that one worker transcodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChunkRow {
    /// Its place in the video, from 0.
    pub number: u32,
    /// Its first segment.
    pub first_segment: SegmentNumber,
    /// How many it has.
    pub segments: u32,
}

impl FromRow for ChunkRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            number: row.get("number")?,
            first_segment: row.get("first_segment")?,
            segments: row.get("segments")?,
        })
    }
}

/// How a video is cut.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewPlan<'a> {
    /// The pipeline's own document.
    pub document: Bytes,
    /// How long the video is.
    pub duration: Micros,
    /// Segments of all renditions.
    pub segments: u64,
    /// What workers do.
    pub chunks: &'a [ChunkRow],
}

/// What became of a row that was to be added.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Added {
    /// It is there now.
    New,
    /// It was there.
    Already,
    /// The video was cancelled, or is gone: what was put for it has to go.
    Unwanted,
    /// Another attempt has brought the video to its end: what is there is its.
    Ended,
}

/// What [`cancel`] has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VideoCancellation {
    /// Nothing more is added to it, and it goes.
    Cancelled,
    /// It plays, or is a recording.
    TooLate,
}

/// Adds a video that is being transcoded. [`RowError::NotFound`] without its owner.
pub async fn create(
    transaction: &mut Transaction,
    new: NewImport<'_>,
    now: Timestamp,
) -> Result<(), RowError> {
    query(
        "INSERT INTO videos (id, owner_id, title, state, original_size, created_at)
         VALUES ($1, $2, $3, 'transcoding', $4, $5)",
    )
    .bind(new.id)
    .bind(new.owner)
    .bind(new.title)
    .bind(new.original_size)
    .bind(now)
    .execute(transaction)
    .await
    .map_err(missing_parent(Entity::User))?;
    Ok(())
}

/// How the video is cut; `None`: nobody has looked at it yet.
pub async fn plan(db: &Database, video: VideoId) -> Result<Option<Bytes>, RowError> {
    let found: Option<(Option<Bytes>,)> = query("SELECT plan FROM videos WHERE id = $1")
        .bind(video)
        .optional(db)
        .await?;
    Ok(found.and_then(|(plan,)| plan))
}

/// Keeps how the video is cut. The first plan stays.
pub async fn set_plan(db: &Database, video: VideoId, plan: NewPlan<'_>) -> Result<Added, RowError> {
    let mut transaction = db.write().await?;
    if let Some(refused) = lock_transcoding(&mut transaction, video).await? {
        return Ok(refused);
    }
    let set = query(
        "UPDATE videos SET plan = $2, duration = $3, segments_planned = $4
         WHERE id = $1 AND plan IS NULL",
    )
    .bind(video)
    .bind(plan.document)
    .bind(plan.duration)
    .bind(plan.segments)
    .execute(&mut transaction)
    .await?;
    if set == 0 {
        return Ok(Added::Already);
    }
    for chunk in plan.chunks {
        query(
            "INSERT INTO video_chunks (video_id, number, first_segment, segments)
             VALUES ($1, $2, $3, $4)",
        )
        .bind(video)
        .bind(chunk.number)
        .bind(chunk.first_segment)
        .bind(chunk.segments)
        .execute(&mut transaction)
        .await?;
    }
    transaction.commit().await?;
    Ok(Added::New)
}

/// The chunks that are not finished, in order.
pub async fn unfinished_chunks(db: &Database, video: VideoId) -> Result<Vec<ChunkRow>, RowError> {
    query(
        "SELECT number, first_segment, segments FROM video_chunks
         WHERE video_id = $1 AND finished_at IS NULL ORDER BY number",
    )
    .bind(video)
    .all(db)
    .await
}

/// Every segment of the chunk is there.
pub async fn finish_chunk(
    db: &Database,
    video: VideoId,
    chunk: u32,
    now: Timestamp,
) -> Result<(), RowError> {
    let mut transaction = db.write().await?;
    query(
        "UPDATE video_chunks SET finished_at = $3
         WHERE video_id = $1 AND number = $2 AND finished_at IS NULL",
    )
    .bind(video)
    .bind(chunk)
    .bind(now)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await
}

/// Adds a rendition whose init segment is stored. The first one of a name stays:
/// [`renditions`] tells what it is.
pub async fn insert_rendition(
    db: &Database,
    video: VideoId,
    rendition: &Rendition,
) -> Result<Added, RowError> {
    let (kind, config) = match &rendition.codec {
        Codec::Avc(avc) => ("video", &avc.record),
        Codec::Hevc(hevc) => ("video", &hevc.record),
        Codec::Aac(aac) => ("audio", &aac.config),
    };
    let (picture, sound) = match rendition.shape {
        Shape::Video(shape) => (Some(shape), None),
        Shape::Audio(shape) => (None, Some(shape)),
    };
    let mut transaction = db.write().await?;
    if let Some(refused) = lock_transcoding(&mut transaction, video).await? {
        return Ok(refused);
    }
    let inserted = query(
        "INSERT INTO video_renditions
             (video_id, name, kind, codecs, codec_config, width, height, sample_rate,
              channels, bit_rate, frame_duration_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT (video_id, name) DO NOTHING",
    )
    .bind(video)
    .bind(&rendition.name)
    .bind(kind)
    .bind(rendition.codec.rfc6381())
    .bind(&config[..])
    .bind(picture.map(|shape| shape.width))
    .bind(picture.map(|shape| shape.height))
    .bind(sound.map(|shape| shape.sample_rate))
    .bind(sound.map(|shape| shape.channels))
    .bind(rendition.bit_rate)
    .bind(rendition.frame_duration)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(if inserted == 0 {
        Added::Already
    } else {
        Added::New
    })
}

/// A video's renditions, by name.
pub async fn renditions(db: &Database, video: VideoId) -> Result<Vec<Rendition>, RowError> {
    let mut snapshot = db.snapshot().await?;
    renditions_in(&mut snapshot, video).await
}

pub(super) async fn renditions_in(
    snapshot: &mut Transaction,
    video: VideoId,
) -> Result<Vec<Rendition>, RowError> {
    let rows: Vec<RenditionRow> = query(
        "SELECT CAST(0 AS BIGINT) AS epoch, name, kind, codecs, codec_config, bit_rate,
                frame_duration_us
         FROM video_renditions WHERE video_id = $1 ORDER BY name",
    )
    .bind(video)
    .all(snapshot)
    .await?;
    Ok(rows.into_iter().map(|row| row.rendition).collect())
}

/// Adds a segment whose object is stored.
pub async fn insert_segment(
    db: &Database,
    video: VideoId,
    rendition: &RenditionName,
    segment: &Segment,
) -> Result<Added, RowError> {
    let mut transaction = db.write().await?;
    if let Some(refused) = lock_transcoding(&mut transaction, video).await? {
        return Ok(refused);
    }
    let inserted = query(
        "INSERT INTO video_segments (video_id, number, rendition, start, duration, size)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (video_id, number, rendition) DO NOTHING",
    )
    .bind(video)
    .bind(segment.number)
    .bind(rendition)
    .bind(segment.start)
    .bind(segment.duration)
    .bind(segment.size)
    .execute(&mut transaction)
    .await
    .map_err(missing_parent(Entity::Parent))?;
    transaction.commit().await?;
    Ok(if inserted == 0 {
        Added::Already
    } else {
        Added::New
    })
}

/// Which renditions have which of the numbers from `from` on, `count` of them.
pub async fn finished_segments(
    db: &Database,
    video: VideoId,
    from: SegmentNumber,
    count: u32,
) -> Result<Vec<(SegmentNumber, RenditionName)>, RowError> {
    query(
        "SELECT number, rendition FROM video_segments
         WHERE video_id = $1 AND number >= $2 AND number < $3 ORDER BY number, rendition",
    )
    .bind(video)
    .bind(from)
    .bind(SegmentNumber(from.0.saturating_add(count.into())))
    .all(db)
    .await
}

/// How many segments the video has, of all renditions. It only grows while the video is
/// transcoded.
pub async fn segment_count(db: &Database, video: VideoId) -> Result<u64, RowError> {
    let (count,) = query("SELECT COUNT(*) FROM video_segments WHERE video_id = $1")
        .bind(video)
        .one(db)
        .await?;
    Ok(count)
}

/// The video plays from now on. False: it is not being transcoded any more.
pub async fn finish(
    transaction: &mut Transaction,
    video: VideoId,
    now: Timestamp,
) -> Result<bool, RowError> {
    let finished = query(
        "UPDATE videos SET state = 'ready', ready_at = $2, plan = NULL
         WHERE id = $1 AND state = 'transcoding'",
    )
    .bind(video)
    .bind(now)
    .execute(&mut *transaction)
    .await?;
    query("DELETE FROM video_chunks WHERE video_id = $1")
        .bind(video)
        .execute(transaction)
        .await?;
    Ok(finished > 0)
}

/// The video cannot be transcoded. False: it is not being transcoded any more.
pub async fn fail(
    transaction: &mut Transaction,
    video: VideoId,
    error: &str,
) -> Result<bool, RowError> {
    let failed = query(
        "UPDATE videos SET state = 'failed', error = $2 WHERE id = $1 AND state = 'transcoding'",
    )
    .bind(video)
    // PostgreSQL's text cannot hold a zero.
    .bind(error.replace('\0', " "))
    .execute(transaction)
    .await?;
    Ok(failed > 0)
}

/// Cancels a video that is being transcoded or has failed: from here on nothing is added to
/// it. [`RowError::NotFound`] without one.
pub async fn cancel(
    transaction: &mut Transaction,
    video: VideoId,
) -> Result<VideoCancellation, RowError> {
    let cancelled = query(
        "UPDATE videos SET state = 'cancelled'
         WHERE id = $1 AND state IN ('transcoding', 'failed', 'cancelled')",
    )
    .bind(video)
    .execute(&mut *transaction)
    .await?;
    if cancelled > 0 {
        return Ok(VideoCancellation::Cancelled);
    }
    let exists = query("SELECT 1 FROM videos WHERE id = $1")
        .bind(video)
        .exists(transaction)
        .await?;
    match exists {
        true => Ok(VideoCancellation::TooLate),
        false => Err(RowError::NotFound(Entity::Video)),
    }
}

/// Cancelled videos that no worker is busy with any more, at most `limit`.
pub async fn cancelled(db: &Database, limit: u32) -> Result<Vec<VideoId>, RowError> {
    let rows: Vec<(VideoId,)> = query(
        "SELECT v.id FROM videos v
         WHERE v.state = 'cancelled'
             AND NOT EXISTS (SELECT 1 FROM jobs j
                             WHERE j.queue = $1 AND j.unique_key = CAST(v.id AS TEXT)
                                 AND j.state = 'running')
         ORDER BY v.id LIMIT $2",
    )
    .bind(QUEUE)
    .bind(limit)
    .all(db)
    .await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Deletes the rows of a cancelled video whose objects are gone.
pub async fn delete(transaction: &mut Transaction, video: VideoId) -> Result<(), RowError> {
    for statement in [
        "DELETE FROM video_segments WHERE video_id = $1",
        "DELETE FROM video_renditions WHERE video_id = $1",
        "DELETE FROM videos WHERE id = $1 AND state = 'cancelled'",
    ] {
        query(statement)
            .bind(video)
            .execute(&mut *transaction)
            .await?;
    }
    Ok(())
}

/// `None`: the video is being transcoded, and stays so until the transaction ends. Else
/// what becomes of what was to be added.
async fn lock_transcoding(
    transaction: &mut Transaction,
    video: VideoId,
) -> Result<Option<Added>, RowError> {
    let locked = query("UPDATE videos SET title = title WHERE id = $1 AND state = 'transcoding'")
        .bind(video)
        .execute(&mut *transaction)
        .await?;
    if locked > 0 {
        return Ok(None);
    }
    let has_ended = query("SELECT 1 FROM videos WHERE id = $1 AND state <> 'cancelled'")
        .bind(video)
        .exists(transaction)
        .await?;
    Ok(Some(match has_ended {
        true => Added::Ended,
        false => Added::Unwanted,
    }))
}

/// Videos whose job has come to its end without them, because its last worker died: they
/// have failed, for the job's reason. At most `limit`; how many.
pub async fn fail_abandoned(db: &Database, limit: u32) -> Result<u64, RowError> {
    let mut transaction = db.write().await?;
    let failed = query(
        "UPDATE videos SET state = 'failed', error = COALESCE(
             (SELECT j.error FROM jobs j
              WHERE j.queue = $1 AND j.unique_key = CAST(videos.id AS TEXT)
              ORDER BY j.id DESC LIMIT 1),
             'its job is gone')
         WHERE id IN (
             SELECT v.id FROM videos v
             WHERE v.state = 'transcoding'
                 AND NOT EXISTS (SELECT 1 FROM jobs j
                                 WHERE j.queue = $1 AND j.unique_key = CAST(v.id AS TEXT)
                                     AND j.state IN ('ready', 'running'))
             ORDER BY v.id LIMIT $2)",
    )
    .bind(QUEUE)
    .bind(limit)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(failed)
}
