//! Who watches: sessions of viewers that beat, and how many watched when.
//!
//! Viewers are the larger of two numbers: the sessions that beat lately, and what the edges served
//! in a minute ([`super::usage`]). Pages are in both, other players in the second only. The number
//! is taken by who has the stream, with what it measures ([`super::stream_status::keep`]), so that
//! whoever reads it counts nothing.

mod said;

use std::collections::HashMap;

use media::{Micros, StreamId, Timestamp};

pub use said::{Saying, Turn, Watcher, note};

use super::sql::{AssertSqlSafe, FromRow, Row, query};
use super::usage::Period;
use super::{Database, RowError, Transaction};

/// How often a session is to beat.
pub const BEAT: Micros = Micros::from_secs(30);

/// A session that has not beaten for so long is over.
pub const SILENT: Micros = Micros::from_secs(75);

/// The most sessions of a stream.
pub const SESSIONS_AT_MOST: u64 = 100_000;

const MINUTE: Micros = Micros::from_secs(60);

/// Whether the stream has [`SESSIONS_AT_MOST`], as they were counted last.
pub async fn is_full(db: &Database, stream: StreamId) -> Result<bool, RowError> {
    query("SELECT 1 FROM stream_status WHERE stream_id = $1 AND sessions >= $2")
        .bind(stream)
        .bind(SESSIONS_AT_MOST)
        .exists(db)
        .await
}

/// Deletes sessions that are over, at most `limit`; how many.
pub async fn delete_silent(db: &Database, now: Timestamp, limit: u32) -> Result<u64, RowError> {
    let mut transaction = db.write().await?;
    // One that beats meanwhile stays, and is not waited for.
    let over = db.engine().one_unlocked_of(
        "SELECT id FROM viewer_sessions WHERE seen_at <= $1 ORDER BY seen_at LIMIT $2",
    );
    let deleted = query(AssertSqlSafe(format!(
        "DELETE FROM viewer_sessions WHERE id {over}"
    )))
    .bind(now - SILENT)
    .bind(limit)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(deleted)
}

/// How many watch, by each way of counting.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// Sessions that beat lately.
    pub sessions: u64,
    /// Viewers that the edges served in this minute or in the last, whichever were more.
    pub served: u64,
}

impl Count {
    /// Who watches.
    pub fn viewers(self) -> u64 {
        self.sessions.max(self.served)
    }
}

/// How many watch these streams at `now`. Those that nobody watches are left out.
pub async fn count(
    db: &Database,
    streams: &[StreamId],
    now: Timestamp,
) -> Result<HashMap<StreamId, Count>, RowError> {
    let mut counts: HashMap<StreamId, Count> = HashMap::new();
    if streams.is_empty() {
        return Ok(counts);
    }
    let ids: Vec<_> = streams.iter().map(|stream| stream.as_uuid()).collect();
    let one_of = db.engine().one_of("$2");
    let sessions: Vec<(StreamId, u64)> = query(AssertSqlSafe(format!(
        "SELECT stream_id, COUNT(*) FROM viewer_sessions
         WHERE seen_at > $1 AND stream_id {one_of} GROUP BY stream_id"
    )))
    .bind(now - SILENT)
    .bind(ids.clone())
    .all(db)
    .await?;
    let served: Vec<(StreamId, u64)> = query(AssertSqlSafe(format!(
        "SELECT m.subject_id, MAX(m.viewers)
         FROM (SELECT u.subject_id, u.minute_at, CAST(SUM(u.viewers) AS BIGINT) AS viewers
               FROM usage_minutes u
               WHERE u.minute_at >= $1 AND u.kind = 'stream' AND u.subject_id {one_of}
               GROUP BY u.subject_id, u.minute_at) AS m
         GROUP BY m.subject_id"
    )))
    .bind(minute_of(now) - MINUTE)
    .bind(ids)
    .all(db)
    .await?;
    for (stream, sessions) in sessions {
        counts.entry(stream).or_default().sessions = sessions;
    }
    for (stream, served) in served {
        counts.entry(stream).or_default().served = served;
    }
    Ok(counts)
}

/// How long `viewers` watch together who watch for `span`.
pub(super) fn watched(viewers: u64, span: Micros) -> Micros {
    let viewers = i64::try_from(viewers).unwrap_or(i64::MAX);
    Micros::new(span.as_micros().saturating_mul(viewers))
}

/// Notes that `viewers` watch, and for how long they have since that was last noted.
pub(super) async fn add_to_minute(
    transaction: &mut Transaction,
    stream: StreamId,
    viewers: u64,
    watched: Micros,
    now: Timestamp,
) -> Result<(), RowError> {
    query(
        "INSERT INTO viewer_minutes (stream_id, minute_at, viewers, watched)
         VALUES ($1, $2, $3, $4)
         ON CONFLICT (stream_id, minute_at) DO UPDATE SET
             viewers = CASE WHEN viewer_minutes.viewers > excluded.viewers
                            THEN viewer_minutes.viewers ELSE excluded.viewers END,
             watched = viewer_minutes.watched + excluded.watched",
    )
    .bind(stream)
    .bind(minute_of(now))
    .bind(viewers)
    .bind(watched)
    .execute(transaction)
    .await?;
    Ok(())
}

fn minute_of(at: Timestamp) -> Timestamp {
    at - Micros::new(at.as_micros().rem_euclid(MINUTE.as_micros()))
}

/// A minute in which a stream was live.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ViewerMinute {
    /// When it began.
    pub minute: Timestamp,
    /// The most viewers at once.
    pub viewers: u64,
    /// How long all of them watched.
    pub watched: Micros,
}

impl FromRow for ViewerMinute {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            minute: row.get("minute_at")?,
            viewers: row.get("viewers")?,
            watched: row.get("watched")?,
        })
    }
}

/// The minutes that begin in `period`, in order, at most `limit`.
pub async fn minutes(
    db: &Database,
    stream: StreamId,
    period: Period,
    limit: u32,
) -> Result<Vec<ViewerMinute>, RowError> {
    query(
        "SELECT minute_at, viewers, watched FROM viewer_minutes
         WHERE stream_id = $1 AND minute_at >= $2 AND minute_at < $3
         ORDER BY minute_at LIMIT $4",
    )
    .bind(stream)
    .bind(period.from)
    .bind(period.to)
    .bind(limit)
    .all(db)
    .await
}

/// How often and how long a stream was live.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Broadcasts {
    /// Broadcasts that went on in the period.
    pub count: u64,
    /// How long, within it.
    pub live: Micros,
}

impl FromRow for Broadcasts {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            count: row.get("broadcasts")?,
            live: row.get("live")?,
        })
    }
}

/// How often and how long the stream was live in `period`, as is known at `now`.
pub async fn broadcasts(
    db: &Database,
    stream: StreamId,
    period: Period,
    now: Timestamp,
) -> Result<Broadcasts, RowError> {
    // What goes on has lasted until now, and what will be is not known.
    let to = period.to.min(now);
    query(
        "SELECT COUNT(*) AS broadcasts,
                COALESCE(CAST(SUM(CASE WHEN b.ended_at < $3 THEN b.ended_at ELSE $3 END
                         - CASE WHEN b.started_at > $2 THEN b.started_at ELSE $2 END)
                    AS BIGINT), 0) AS live
         FROM (SELECT started_at, COALESCE(ended_at, $3) AS ended_at
               FROM live_sessions WHERE stream_id = $1) AS b
         WHERE b.started_at < $3 AND b.ended_at > $2",
    )
    .bind(stream)
    .bind(period.from)
    .bind(to)
    .one(db)
    .await
}

/// Deletes minutes that began before `before`, the oldest first, at most `limit`; how many.
pub async fn delete_minutes_before(
    db: &Database,
    before: Timestamp,
    limit: u32,
) -> Result<u64, RowError> {
    let mut transaction = db.write().await?;
    let deleted = query(
        "DELETE FROM viewer_minutes WHERE (stream_id, minute_at) IN (
             SELECT stream_id, minute_at FROM viewer_minutes
             WHERE minute_at < $1
             ORDER BY minute_at LIMIT $2)",
    )
    .bind(before)
    .bind(limit)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(deleted)
}
