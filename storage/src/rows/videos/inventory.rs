//! Which objects of imported videos the rows say there are, for comparing the two. Of
//! cancelled videos both are being deleted, and neither says anything about the other.

use media::{RenditionName, SegmentNumber, VideoId};
use uuid::Uuid;

use crate::rows::sql::{AssertSqlSafe, FromRow, Row, query};
use crate::rows::{Database, RowError};

/// A segment of a video that has an object, or a rendition's init segment.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct VideoObject {
    /// The video.
    pub video: VideoId,
    /// `None`: the init segment.
    pub number: Option<SegmentNumber>,
    /// The rendition.
    pub rendition: RenditionName,
    /// Bytes. Of an init segment no row says how many.
    pub size: Option<u64>,
}

impl FromRow for VideoObject {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            video: row.get("video_id")?,
            number: row.get("number")?,
            rendition: row.get("rendition")?,
            size: row.get("size")?,
        })
    }
}

/// Segments of videos that are no gaps, by video, number and rendition, those after
/// `after`, at most `limit`.
pub async fn segments(
    db: &Database,
    after: Option<&VideoObject>,
    limit: u32,
) -> Result<Vec<VideoObject>, RowError> {
    query(
        "SELECT g.video_id, g.number, g.rendition, g.size
         FROM video_segments g JOIN videos v ON v.id = g.video_id
         WHERE (g.video_id, g.number, g.rendition) > ($1, $2, $3)
             AND g.size > 0 AND v.state <> 'cancelled'
         ORDER BY g.video_id, g.number, g.rendition
         LIMIT $4",
    )
    .bind(after.map_or(Uuid::nil(), |after| after.video.as_uuid()))
    .bind(after.and_then(|after| after.number).unwrap_or_default())
    .bind(after.map_or("", |after| after.rendition.as_str()))
    .bind(limit)
    .all(db)
    .await
}

/// Renditions of videos, by video and name, those after `after`, at most `limit`.
pub async fn renditions(
    db: &Database,
    after: Option<&VideoObject>,
    limit: u32,
) -> Result<Vec<VideoObject>, RowError> {
    query(
        "SELECT r.video_id, CAST(NULL AS BIGINT) AS number, r.name AS rendition,
                CAST(NULL AS BIGINT) AS size
         FROM video_renditions r JOIN videos v ON v.id = r.video_id
         WHERE (r.video_id, r.name) > ($1, $2) AND v.state <> 'cancelled'
         ORDER BY r.video_id, r.name
         LIMIT $3",
    )
    .bind(after.map_or(Uuid::nil(), |after| after.video.as_uuid()))
    .bind(after.map_or("", |after| after.rendition.as_str()))
    .bind(limit)
    .all(db)
    .await
}

/// Those of a video's objects that have one of these numbers, and its init segments.
pub async fn objects_of(
    db: &Database,
    video: VideoId,
    numbers: Vec<i64>,
) -> Result<Vec<VideoObject>, RowError> {
    let numbered = db.engine().one_of("$2");
    query(AssertSqlSafe(format!(
        "SELECT video_id, number, rendition, size FROM video_segments
         WHERE video_id = $1 AND number {numbered} AND size > 0
         UNION ALL
         SELECT video_id, CAST(NULL AS BIGINT), name, CAST(NULL AS BIGINT)
         FROM video_renditions WHERE video_id = $1"
    )))
    .bind(video)
    .bind(numbers)
    .all(db)
    .await
}
