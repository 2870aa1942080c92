//! What is measured of live streams: one row each, written every few seconds by the process that
//! has the stream, and gone with its broadcast. What a process that was killed has left is old.

mod measured;

use media::{Micros, NodeId, SessionId, StreamId, Timestamp};

use super::sql::{AssertSqlSafe, FromRow, Row, query};
use super::{Database, RowError, Transaction, origins, viewers};

pub use measured::{
    AudioIngest, Gop, Ingest, Measured, MeasuredRendition, RenditionKind, RenditionState,
    VideoIngest, Worker, WorkerState,
};

/// What was measured longer ago says nothing of now.
pub const STALE: Micros = Micros::from_secs(20);

/// The longest time for which viewers are counted who were counted once.
const COUNTED_FOR: Micros = STALE;

/// What was measured of a live stream.
#[derive(Clone, PartialEq, Debug)]
pub struct Sample {
    /// The stream.
    pub stream: StreamId,
    /// Its broadcast.
    pub session: SessionId,
    /// The origin that has it.
    pub node: NodeId,
    /// What was measured.
    pub measured: Measured,
    /// The time since the sample before, for which those watched who watch now. None before the
    /// first.
    pub elapsed: Micros,
}

/// Writes what was measured at `now`, and counts who watches: all or nothing. A stream is left out
/// whose broadcast has ended, or that another origin has: a process that was stopped for a while
/// measures on until it learns of that.
pub async fn keep(db: &Database, samples: &[Sample], now: Timestamp) -> Result<(), RowError> {
    let ids: Vec<_> = samples.iter().map(|sample| sample.stream).collect();
    let counts = viewers::count(db, &ids, now).await?;
    let mut transaction = db.write().await?;
    // In one order, whoever has the streams: two who take them from each other wait, and go on.
    let mut samples: Vec<_> = samples.iter().collect();
    samples.sort_unstable_by_key(|sample| sample.stream);
    for sample in samples {
        let count = counts.get(&sample.stream).copied().unwrap_or_default();
        let measured = serde_json::to_string(&sample.measured)
            .map_err(|error| RowError::Engine(sqlx::Error::Encode(Box::new(error))))?;
        let kept = query(
            "INSERT INTO stream_status (stream_id, session_id, node_id, measured_at, viewers,
                                        sessions, measured)
             SELECT $1, $2, $3, $4, $5, $6, $7
             WHERE EXISTS (SELECT 1 FROM live_sessions WHERE id = $2 AND ended_at IS NULL)
                 AND NOT EXISTS (SELECT 1 FROM leases
                                 WHERE name = $8 AND owner <> $9 AND expires_at > 0)
             ON CONFLICT (stream_id) DO UPDATE SET
                 session_id = excluded.session_id, node_id = excluded.node_id,
                 measured_at = excluded.measured_at, viewers = excluded.viewers,
                 sessions = excluded.sessions, measured = excluded.measured
             WHERE stream_status.measured_at <= excluded.measured_at",
        )
        .bind(sample.stream)
        .bind(sample.session)
        .bind(sample.node)
        .bind(now)
        .bind(count.viewers())
        .bind(count.sessions)
        .bind(measured)
        .bind(origins::lease_name(sample.stream))
        .bind(sample.node.to_string())
        .execute(&mut transaction)
        .await?;
        if kept > 0 {
            let elapsed = sample.elapsed.clamp(Micros::ZERO, COUNTED_FOR);
            let watched = viewers::watched(count.viewers(), elapsed);
            viewers::add_to_minute(
                &mut transaction,
                sample.stream,
                count.viewers(),
                watched,
                now,
            )
            .await?;
        }
    }
    transaction.commit().await
}

/// The broadcast has ended: nothing is measured of it any more.
pub(super) async fn forget(
    transaction: &mut Transaction,
    session: SessionId,
    stream: StreamId,
) -> Result<(), RowError> {
    query("DELETE FROM stream_status WHERE stream_id = $1 AND session_id = $2")
        .bind(stream)
        .bind(session)
        .execute(transaction)
        .await?;
    Ok(())
}

/// The last broadcast of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LastBroadcast {
    /// When it began.
    pub started_at: Timestamp,
    /// Since when it has no publisher; `None`: it has one, as far as is known.
    pub publisher_left_at: Option<Timestamp>,
    /// When it ended; `None`: it goes on.
    pub ended_at: Option<Timestamp>,
}

impl FromRow for LastBroadcast {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            started_at: row.get("started_at")?,
            publisher_left_at: row.get("publisher_left_at")?,
            ended_at: row.get("ended_at")?,
        })
    }
}

/// What was measured last.
#[derive(Clone, PartialEq, Debug)]
pub struct StatusRow {
    /// The broadcast it was measured of.
    pub session: SessionId,
    /// The origin that has measured.
    pub node: NodeId,
    /// When.
    pub measured_at: Timestamp,
    /// Who watched.
    pub viewers: u64,
    /// What was measured; `None`: another version has written it, so that it cannot be read.
    pub measured: Option<Measured>,
}

impl FromRow for StatusRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        let measured: String = row.get("measured")?;
        let read = serde_json::from_str(&measured);
        Ok(Self {
            session: row.get("session_id")?,
            node: row.get("node_id")?,
            measured_at: row.get("measured_at")?,
            viewers: row.get("viewers")?,
            measured: read
                .inspect_err(|error| tracing::debug!(%error, "what was measured is not read"))
                .ok(),
        })
    }
}

/// How a stream stands.
#[derive(Clone, PartialEq, Debug)]
pub struct StreamStatus {
    /// Its last broadcast; `None`: it has had none that is known.
    pub broadcast: Option<LastBroadcast>,
    /// What was measured of the broadcast that goes on, unless that is [`STALE`].
    pub measured: Option<StatusRow>,
}

/// How the stream stands at `now`, read at one instant.
pub async fn status(
    db: &Database,
    stream: StreamId,
    now: Timestamp,
) -> Result<StreamStatus, RowError> {
    let mut snapshot = db.snapshot().await?;
    let broadcast = query(
        "SELECT started_at, publisher_left_at, ended_at FROM live_sessions
         WHERE stream_id = $1 ORDER BY id DESC LIMIT 1",
    )
    .bind(stream)
    .optional(&mut snapshot)
    .await?;
    let measured = query(
        "SELECT m.session_id, m.node_id, m.measured_at, m.viewers, m.measured
         FROM stream_status m JOIN live_sessions l ON l.id = m.session_id
         WHERE m.stream_id = $1 AND m.measured_at >= $2 AND l.ended_at IS NULL",
    )
    .bind(stream)
    .bind(now - STALE)
    .optional(&mut snapshot)
    .await?;
    Ok(StreamStatus {
        broadcast,
        measured,
    })
}

/// Deletes rows that processes have left which were killed, at most `limit`; how many.
pub async fn delete_stale(db: &Database, now: Timestamp, limit: u32) -> Result<u64, RowError> {
    let mut transaction = db.write().await?;
    // What is being written is not stale, and is not waited for.
    let stale = db.engine().one_unlocked_of(
        "SELECT stream_id FROM stream_status WHERE measured_at < $1
         ORDER BY measured_at LIMIT $2",
    );
    let deleted = query(AssertSqlSafe(format!(
        "DELETE FROM stream_status WHERE stream_id {stale}"
    )))
    .bind(now - STALE)
    .bind(limit)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(deleted)
}
