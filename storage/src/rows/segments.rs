//! Epochs, renditions and segments: what a live window is restored from, and what says
//! which objects there are.

use std::collections::BTreeMap;

use bytes::Bytes;
use media::{
    AacConfig, AvcConfig, Codec, CodecError, EpochNumber, HevcConfig, Rendition, RenditionName,
    Segment, SegmentNumber, SessionId, Shape, StreamId, Timestamp,
};

use super::error::missing_parent;
use super::sql::{FromRow, Row, query};
use super::{Database, Entity, RowError, Transaction};

/// An epoch of a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EpochRow {
    /// Its number in the stream.
    pub number: EpochNumber,
    /// The session it belongs to.
    pub session: SessionId,
    /// The number of its first segment.
    pub first_segment: SegmentNumber,
    /// Presentation time of its first frame.
    pub started_at: Timestamp,
    /// `EXT-X-TARGETDURATION` in seconds.
    pub target_duration: u32,
}

impl FromRow for EpochRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            number: row.get("number")?,
            session: row.get("session_id")?,
            first_segment: row.get("first_segment")?,
            started_at: row.get("started_at")?,
            target_duration: row.get("target_duration")?,
        })
    }
}

/// A segment of one rendition. With the stream's name it gives the object's key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentRow {
    /// The epoch it belongs to.
    pub epoch: EpochNumber,
    /// The rendition it belongs to.
    pub rendition: RenditionName,
    /// The segment. A gap has no object.
    pub segment: Segment,
}

impl FromRow for SegmentRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            epoch: row.get("epoch")?,
            rendition: row.get("rendition")?,
            segment: Segment {
                number: row.get("number")?,
                start: row.get("start")?,
                duration: row.get("duration")?,
                size: row.get("size")?,
            },
        })
    }
}

/// A rendition and the epoch that it belongs to.
pub(super) struct RenditionRow {
    pub(super) epoch: EpochNumber,
    pub(super) rendition: Rendition,
}

impl FromRow for RenditionRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        let config: Bytes = row.get("codec_config")?;
        let codec = match row.get::<String>("kind")?.as_str() {
            "video" if row.get::<String>("codecs")?.starts_with("hvc1") => {
                HevcConfig::parse(config).map(Codec::Hevc)
            }
            "video" => AvcConfig::parse(config).map(Codec::Avc),
            "audio" => AacConfig::parse(config).map(Codec::Aac),
            _ => Err(CodecError::Avc("the row is of no kind we know".into())),
        };
        Ok(Self {
            epoch: row.get("epoch")?,
            rendition: Rendition::new(
                row.get("name")?,
                codec.map_err(|error| Row::undecodable("codec_config", error))?,
                row.get("bit_rate")?,
                row.get("frame_duration_us")?,
            ),
        })
    }
}

/// An epoch with its renditions.
#[derive(Clone, PartialEq, Debug)]
pub struct StoredEpoch {
    /// The epoch.
    pub epoch: EpochRow,
    /// Its renditions, by name.
    pub renditions: Vec<Rendition>,
}

/// The newest segments of a session, and what is needed to play them.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct StoredWindow {
    /// Every epoch from the oldest segment's on, the oldest first.
    pub epochs: Vec<StoredEpoch>,
    /// The segments by number, then by rendition.
    pub segments: Vec<SegmentRow>,
}

/// Adds an epoch and takes its number if [`super::numbering::reserve_epoch`] has not.
/// [`RowError::NumberTaken`] when the stream has an epoch of that number.
pub async fn insert_epoch(
    db: &Database,
    stream: StreamId,
    epoch: &EpochRow,
) -> Result<(), RowError> {
    let mut transaction = db.write().await?;
    let inserted = query(
        "INSERT INTO epochs
             (stream_id, number, session_id, first_segment, started_at, target_duration)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (stream_id, number) DO NOTHING",
    )
    .bind(stream)
    .bind(epoch.number)
    .bind(epoch.session)
    .bind(epoch.first_segment)
    .bind(epoch.started_at)
    .bind(epoch.target_duration)
    .execute(&mut transaction)
    .await
    .map_err(missing_parent(Entity::Parent))?;
    if inserted == 0 {
        return Err(RowError::NumberTaken {
            what: "epoch",
            number: epoch.number.0.into(),
        });
    }
    query("UPDATE streams SET next_epoch = $2 WHERE id = $1 AND next_epoch < $2")
        .bind(stream)
        .bind(i64::from(epoch.number.0) + 1)
        .execute(&mut transaction)
        .await?;
    transaction.commit().await
}

/// Adds a rendition whose init segment is stored to an epoch, or replaces what is known of
/// it. [`RowError::SessionSettled`] when nothing is added to its session any more; not when
/// an earlier call, whose answer was lost, has added it before.
pub async fn insert_rendition(
    db: &Database,
    stream: StreamId,
    epoch: EpochNumber,
    rendition: &Rendition,
) -> Result<(), RowError> {
    let (kind, config) = match &rendition.codec {
        Codec::Avc(avc) => ("video", &avc.record),
        Codec::Hevc(hevc) => ("video", &hevc.record),
        Codec::Aac(aac) => ("audio", &aac.config),
    };
    let (video, audio) = match rendition.shape {
        Shape::Video(video) => (Some(video), None),
        Shape::Audio(audio) => (None, Some(audio)),
    };
    let mut transaction = db.write().await?;
    lock_stream(&mut transaction, stream).await?;
    if is_settled(&mut transaction, stream, epoch).await? {
        let is_there = query(
            "SELECT 1 FROM renditions
             WHERE stream_id = $1 AND epoch = $2 AND name = $3 AND codec_config = $4",
        )
        .bind(stream)
        .bind(epoch)
        .bind(rendition.name.as_str())
        .bind(&config[..])
        .exists(&mut transaction)
        .await?;
        return is_there.then_some(()).ok_or(RowError::SessionSettled);
    }
    query(
        "INSERT INTO renditions
             (stream_id, epoch, name, kind, codecs, codec_config, width, height,
              sample_rate, channels, bit_rate, frame_duration_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (stream_id, epoch, name) DO UPDATE SET
             kind = excluded.kind, codecs = excluded.codecs,
             codec_config = excluded.codec_config,
             width = excluded.width, height = excluded.height,
             sample_rate = excluded.sample_rate, channels = excluded.channels,
             bit_rate = excluded.bit_rate, frame_duration_us = excluded.frame_duration_us",
    )
    .bind(stream)
    .bind(epoch)
    .bind(rendition.name.as_str())
    .bind(kind)
    .bind(rendition.codec.rfc6381())
    .bind(&config[..])
    .bind(video.map(|v| i64::from(v.width)))
    .bind(video.map(|v| i64::from(v.height)))
    .bind(audio.map(|a| i64::from(a.sample_rate)))
    .bind(audio.map(|a| i64::from(a.channels)))
    .bind(rendition.bit_rate)
    .bind(rendition.frame_duration)
    .execute(&mut transaction)
    .await
    .map_err(missing_parent(Entity::Parent))?;
    transaction.commit().await
}

/// Adds a segment whose object is stored, or a gap. [`RowError::NumberTaken`] when the
/// rendition has a segment of that number, maybe from an earlier call whose answer was
/// lost; [`RowError::NotFound`] or [`RowError::SessionSettled`] when nobody wants it any
/// more and no row names it: its object has to go.
pub async fn insert_segment(
    db: &Database,
    stream: StreamId,
    row: &SegmentRow,
) -> Result<(), RowError> {
    let segment = &row.segment;
    let mut transaction = db.write().await?;
    lock_stream(&mut transaction, stream).await?;
    if is_settled(&mut transaction, stream, row.epoch).await? {
        let is_there =
            query("SELECT 1 FROM segments WHERE stream_id = $1 AND number = $2 AND rendition = $3")
                .bind(stream)
                .bind(segment.number)
                .bind(row.rendition.as_str())
                .exists(&mut transaction)
                .await?;
        return Err(match is_there {
            true => number_taken(segment.number),
            false => RowError::SessionSettled,
        });
    }
    let inserted = query(
        "INSERT INTO segments (stream_id, number, rendition, epoch, start, duration, size)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (stream_id, number, rendition) DO NOTHING",
    )
    .bind(stream)
    .bind(segment.number)
    .bind(row.rendition.as_str())
    .bind(row.epoch)
    .bind(segment.start)
    .bind(segment.duration)
    .bind(segment.size)
    .execute(&mut transaction)
    .await
    .map_err(missing_parent(Entity::Parent))?;
    if inserted == 0 {
        return Err(number_taken(segment.number));
    }
    query("UPDATE streams SET media_end = $2 WHERE id = $1 AND media_end < $2")
        .bind(stream)
        .bind((segment.start + segment.duration).as_micros())
        .execute(&mut transaction)
        .await?;
    transaction.commit().await
}

/// Locks the stream's row until the end of the transaction: nobody settles a session of it
/// meanwhile.
pub(super) async fn lock_stream(
    transaction: &mut Transaction,
    stream: StreamId,
) -> Result<(), RowError> {
    let locked = query("UPDATE streams SET kept_from = kept_from WHERE id = $1")
        .bind(stream)
        .execute(transaction)
        .await?;
    match locked {
        0 => Err(RowError::NotFound(Entity::Stream)),
        _ => Ok(()),
    }
}

/// Whether nothing is added to the session of the epoch any more.
async fn is_settled(
    transaction: &mut Transaction,
    stream: StreamId,
    epoch: EpochNumber,
) -> Result<bool, RowError> {
    query(
        "SELECT 1 FROM epochs e JOIN live_sessions l ON l.id = e.session_id
         WHERE e.stream_id = $1 AND e.number = $2 AND l.settled_at IS NOT NULL",
    )
    .bind(stream)
    .bind(epoch)
    .exists(transaction)
    .await
}

fn number_taken(number: SegmentNumber) -> RowError {
    RowError::NumberTaken {
        what: "segment",
        number: number.0,
    }
}

/// The segments with the last `limit` numbers of a session, and the epochs and renditions
/// they need: what a live window is restored from. Nothing below the stream's floor, and
/// the epochs that began after all segments too. Read at one instant.
pub async fn latest_segments(
    db: &Database,
    stream: StreamId,
    session: SessionId,
    limit: u32,
) -> Result<StoredWindow, RowError> {
    let mut snapshot = db.snapshot().await?;
    let segments: Vec<SegmentRow> = query(
        "WITH own (epoch) AS (
             SELECT number FROM epochs WHERE stream_id = $1 AND session_id = $2
         ), newest (number) AS (
             SELECT number FROM segments
             WHERE stream_id = $1 AND epoch IN (SELECT epoch FROM own)
             ORDER BY number DESC
             LIMIT 1
         )
         SELECT epoch, rendition, number, start, duration, size
         FROM segments
         WHERE stream_id = $1 AND epoch IN (SELECT epoch FROM own)
             AND number > (SELECT number FROM newest) - $3
             AND number >= (SELECT kept_from FROM streams WHERE id = $1)
         ORDER BY number, rendition",
    )
    .bind(stream)
    .bind(session)
    .bind(limit)
    .all(&mut snapshot)
    .await?;
    let oldest = segments.iter().map(|s| s.epoch).min();
    let Some(oldest) = oldest else {
        return Ok(StoredWindow::default());
    };
    let epochs: Vec<EpochRow> = query(
        "SELECT number, session_id, first_segment, started_at, target_duration
         FROM epochs
         WHERE stream_id = $1 AND session_id = $2 AND number >= $3
         ORDER BY number",
    )
    .bind(stream)
    .bind(session)
    .bind(oldest)
    .all(&mut snapshot)
    .await?;
    let renditions: Vec<RenditionRow> = query(
        "SELECT epoch, name, kind, codecs, codec_config, bit_rate, frame_duration_us
         FROM renditions
         WHERE stream_id = $1 AND epoch >= $2
         ORDER BY epoch, name",
    )
    .bind(stream)
    .bind(oldest)
    .all(&mut snapshot)
    .await?;
    Ok(StoredWindow {
        epochs: with_renditions(epochs, renditions),
        segments,
    })
}

/// The renditions of an epoch that have media for the segment of this number, by name. None
/// below the stream's floor.
pub async fn renditions_of(
    db: &Database,
    stream: StreamId,
    epoch: EpochNumber,
    number: SegmentNumber,
) -> Result<Vec<Rendition>, RowError> {
    let rows: Vec<RenditionRow> = query(
        "SELECT r.epoch, r.name, r.kind, r.codecs, r.codec_config, r.bit_rate,
             r.frame_duration_us
         FROM segments s
         JOIN renditions r
             ON r.stream_id = s.stream_id AND r.epoch = s.epoch AND r.name = s.rendition
         WHERE s.stream_id = $1 AND s.epoch = $2 AND s.number = $3 AND s.size > 0
             AND s.number >= (SELECT kept_from FROM streams WHERE id = $1)
         ORDER BY r.name",
    )
    .bind(stream)
    .bind(epoch)
    .bind(number)
    .all(db)
    .await?;
    Ok(rows.into_iter().map(|row| row.rendition).collect())
}

fn with_renditions(epochs: Vec<EpochRow>, renditions: Vec<RenditionRow>) -> Vec<StoredEpoch> {
    let mut by_epoch: BTreeMap<EpochNumber, Vec<Rendition>> = BTreeMap::new();
    for row in renditions {
        by_epoch.entry(row.epoch).or_default().push(row.rendition);
    }
    epochs
        .into_iter()
        .map(|epoch| StoredEpoch {
            renditions: by_epoch.remove(&epoch.number).unwrap_or_default(),
            epoch,
        })
        .collect()
}
