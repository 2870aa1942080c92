//! Who watches: sessions of viewers that beat, and how many watched when.
//!
//! Viewers are the larger of two numbers: the sessions that beat lately, and what the edges served
//! in a minute ([`super::usage`]). Pages are in both, other players in the second only. The number
//! is taken by who has the stream, with what it measures ([`super::stream_status::keep`]), so that
//! whoever reads it counts nothing.

use std::collections::{BTreeMap, HashMap};

use media::{Micros, StreamId, Timestamp, ViewerId};
use uuid::Uuid;

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

/// Who joins, as a hash that says only whether it is the same again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Watcher {
    /// An account: all that it begins in one stream is one session.
    Account(i64),
    /// A network of who has not logged in, and how many sessions it has in one stream at most.
    Network(i64, u32),
}

impl Watcher {
    fn hash(self) -> i64 {
        match self {
            Self::Account(hash) | Self::Network(hash, _) => hash,
        }
    }
}

/// What somebody who watches says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Saying {
    /// What they watch.
    pub stream: StreamId,
    /// Their session.
    pub viewer: ViewerId,
    /// What becomes of it.
    pub turn: Turn,
}

impl Saying {
    fn join(&self) -> Option<(Watcher, &Self)> {
        match self.turn {
            Turn::Join(watcher) => Some((watcher, self)),
            Turn::Beat | Turn::Leave => None,
        }
    }
}

/// What becomes of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// It begins, or an account's goes on that is there.
    Join(Watcher),
    /// It beats.
    Beat,
    /// It ends.
    Leave,
}

/// Writes what viewers say at `now`, all or nothing. By the session that each names, the one that
/// was there, or is now. One that beats and has none is not known; one that joins and has none is
/// of a network that has as many as it may.
pub async fn note(
    db: &Database,
    said: &[Saying],
    now: Timestamp,
) -> Result<HashMap<ViewerId, ViewerId>, RowError> {
    let mut transaction = db.write().await?;
    let mut joins: Vec<_> = said.iter().filter_map(Saying::join).collect();
    joins.sort_unstable_by_key(|(watcher, _)| watcher.hash());
    // All turns before any row, and both in one order: nobody who has one waits for another.
    for (watcher, _) in &joins {
        query(db.engine().take_turn())
            .bind(watcher.hash())
            .execute(&mut transaction)
            .await?;
    }
    let mut found = HashMap::new();
    let mut beats = by_stream(said, Turn::Beat);
    let mut again = Vec::new();
    for (watcher, saying) in joins {
        let (stream, viewer) = (saying.stream, saying.viewer);
        if let Some(theirs) = session_of(&mut transaction, watcher, now).await? {
            beats.entry(stream).or_default().push(theirs.as_uuid());
            again.push((viewer, theirs));
        } else if begin(&mut transaction, watcher, saying, now).await? {
            found.insert(viewer, viewer);
        }
    }
    let one_of = db.engine().one_of("$2");
    // By their ids, of which there are few: not by the stream, which has them all.
    let theirs = format!("id {one_of} AND COALESCE(stream_id, $1) = $1 RETURNING id");
    let beat = format!(
        "UPDATE viewer_sessions SET seen_at = CASE WHEN seen_at > $3 THEN seen_at ELSE $3 END
         WHERE seen_at > $4 AND {theirs}"
    );
    for (stream, mut viewers) in beats {
        viewers.sort_unstable();
        let query = query(AssertSqlSafe(beat.clone())).bind(stream);
        let query = query.bind(viewers).bind(now).bind(now - SILENT);
        let beaten: Vec<(ViewerId,)> = query.all(&mut transaction).await?;
        found.extend(beaten.into_iter().map(|(viewer,)| (viewer, viewer)));
    }
    again.retain(|(_, theirs)| found.contains_key(theirs));
    found.extend(again);
    let leave = format!("DELETE FROM viewer_sessions WHERE {theirs}");
    for (stream, mut viewers) in by_stream(said, Turn::Leave) {
        viewers.sort_unstable();
        let query = query(AssertSqlSafe(leave.clone())).bind(stream);
        let left: Vec<(ViewerId,)> = query.bind(viewers).all(&mut transaction).await?;
        found.extend(left.into_iter().map(|(viewer,)| (viewer, viewer)));
    }
    transaction.commit().await?;
    Ok(found)
}

fn by_stream(said: &[Saying], turn: Turn) -> BTreeMap<StreamId, Vec<Uuid>> {
    let mut by_stream: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for saying in said.iter().filter(|saying| saying.turn == turn) {
        let viewers = by_stream.entry(saying.stream).or_default();
        viewers.push(saying.viewer.as_uuid());
    }
    by_stream
}

/// The session of an account that is there.
async fn session_of(
    transaction: &mut Transaction,
    watcher: Watcher,
    now: Timestamp,
) -> Result<Option<ViewerId>, RowError> {
    let Watcher::Account(account) = watcher else {
        return Ok(None);
    };
    let there: Option<(ViewerId,)> =
        query("SELECT id FROM viewer_sessions WHERE joined_by = $1 AND seen_at > $2")
            .bind(account)
            .bind(now - SILENT)
            .optional(transaction)
            .await?;
    Ok(there.map(|(viewer,)| viewer))
}

/// Begins a session; false when there are as many as may be.
async fn begin(
    transaction: &mut Transaction,
    watcher: Watcher,
    saying: &Saying,
    now: Timestamp,
) -> Result<bool, RowError> {
    let at_most = match watcher {
        Watcher::Account(_) => 1,
        Watcher::Network(_, at_most) => at_most,
    };
    let begun = query(
        "INSERT INTO viewer_sessions (id, stream_id, seen_at, joined_by)
         SELECT $1, $2, $3, $4
         WHERE (SELECT COUNT(*) FROM viewer_sessions WHERE joined_by = $4 AND seen_at > $5) < $6",
    )
    .bind(saying.viewer)
    .bind(saying.stream)
    .bind(now)
    .bind(watcher.hash())
    .bind(now - SILENT)
    .bind(at_most)
    .execute(transaction)
    .await?;
    Ok(begun > 0)
}

/// Deletes sessions that are over, at most `limit`; how many.
pub async fn delete_silent(db: &Database, now: Timestamp, limit: u32) -> Result<u64, RowError> {
    let mut transaction = db.write().await?;
    // One that beats meanwhile stays, and is not waited for.
    let text = format!(
        "DELETE FROM viewer_sessions WHERE id IN (
             SELECT id FROM viewer_sessions WHERE seen_at <= $1 ORDER BY seen_at LIMIT $2 {})",
        db.engine().skip_locked()
    );
    let deleted = query(AssertSqlSafe(text))
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
