//! The recordings of a stream, and what is kept of them.

use media::{Micros, SegmentNumber, SessionId, StreamId, Timestamp, VideoId};
use uuid::Uuid;

use crate::rows::sql::{AssertSqlSafe, Engine, FromRow, Row, query};
use crate::rows::{Database, RowError};

/// The recording of a broadcast.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordingRow {
    /// Id, which its URLs have.
    pub id: VideoId,
    /// The broadcast.
    pub session: SessionId,
    /// What people read.
    pub title: String,
    /// When the broadcast began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Whether nothing is added to it any more.
    pub is_settled: bool,
    /// The lowest number that is kept of it; `None`: nothing is.
    pub kept_from: Option<SegmentNumber>,
}

impl FromRow for RecordingRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        let first: Option<SegmentNumber> = row.get("first_segment")?;
        let floor: SegmentNumber = row.get("kept_from")?;
        Ok(Self {
            id: row.get("id")?,
            session: row.get("session_id")?,
            title: row.get("title")?,
            started_at: row.get("started_at")?,
            ended_at: row.get("ended_at")?,
            is_settled: row.get("is_settled")?,
            kept_from: first.map(|first| first.max(floor)),
        })
    }
}

/// The columns of a [`RecordingRow`], of the video `v`, its broadcast `l` and its stream `s`.
macro_rules! recording_columns {
    () => {
        "v.id, l.id AS session_id, v.title, l.started_at,
         COALESCE(l.ended_at, v.created_at) AS ended_at,
         l.settled_at IS NOT NULL AS is_settled, s.kept_from,
         (SELECT MIN(e.first_segment) FROM epochs e
          WHERE e.stream_id = l.stream_id AND e.session_id = l.id) AS first_segment"
    };
}
pub(super) use recording_columns;

/// The stream's recordings, the newest first, those before `before`, at most `limit`.
pub async fn of_stream(
    db: &Database,
    stream: StreamId,
    before: Option<VideoId>,
    limit: u32,
) -> Result<Vec<RecordingRow>, RowError> {
    query(concat!(
        "SELECT ",
        recording_columns!(),
        " FROM live_sessions l
             JOIN streams s ON s.id = l.stream_id
             JOIN videos v ON v.live_session_id = l.id
         WHERE l.stream_id = $1 AND v.id < $2 AND v.state = 'ready'
         ORDER BY v.id DESC LIMIT $3"
    ))
    .bind(stream)
    // Every id comes before the last UUID.
    .bind(before.map_or(Uuid::max(), VideoId::as_uuid))
    .bind(limit)
    .all(db)
    .await
}

/// What is kept of a broadcast.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Kept {
    /// Bytes of its segments, in all renditions.
    pub size: u64,
    /// How long it plays.
    pub duration: Micros,
}

/// The sessions `$1`, those of which something is kept, with its size and its duration; `$2` comes
/// after every segment.
pub(in crate::rows) fn kept_text(engine: Engine) -> String {
    // An epoch ends where the next begins. By the floor alone (`+ 0`: it is not looked up by), SQLite
    // would read all that the stream keeps.
    format!(
        "SELECT p.session_id, CAST(SUM(p.size) AS BIGINT) AS size,
                CAST(SUM(p.duration) AS BIGINT) AS duration
         FROM (SELECT e.session_id, SUM(g.size) AS size,
                      MAX(g.start + g.duration) - MIN(g.start) AS duration
               FROM epochs e
                   JOIN streams s ON s.id = e.stream_id
                   JOIN segments g ON g.stream_id = e.stream_id AND g.epoch = e.number
                       AND g.number >= e.first_segment AND g.number < COALESCE(
                           (SELECT n.first_segment FROM epochs n
                            WHERE n.stream_id = e.stream_id AND n.number > e.number
                            ORDER BY n.number LIMIT 1), $2)
               WHERE e.session_id {} AND g.size > 0 AND g.number + 0 >= s.kept_from
               GROUP BY e.session_id, e.stream_id, e.number) AS p
         GROUP BY p.session_id",
        engine.one_of("$1")
    )
}

/// What is kept of these broadcasts. Those of which nothing is are left out. Reads all of their
/// segments.
pub async fn kept(
    db: &Database,
    sessions: &[SessionId],
) -> Result<Vec<(SessionId, Kept)>, RowError> {
    let sessions: Vec<_> = sessions.iter().map(|session| session.as_uuid()).collect();
    let rows: Vec<(SessionId, u64, Micros)> = query(AssertSqlSafe(kept_text(db.engine())))
        .bind(sessions)
        .bind(i64::MAX)
        .all(db)
        .await?;
    let kept = rows
        .into_iter()
        .map(|(session, size, duration)| (session, Kept { size, duration }));
    Ok(kept.collect())
}
