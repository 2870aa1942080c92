//! Prewarms: what edges are to have before anybody asks for it, and how far each is.
//!
//! With a prewarm come the rows of the nodes that are to do it. So a node finds its work in them
//! ([`open`]), writes down that it begins ([`begin`]) and how far it is ([`report`]), and learns
//! from what these say whether somebody has ended it meanwhile ([`cancel`]).

mod work;

use std::collections::BTreeSet;

use media::{Micros, NodeId, PrewarmId, Timestamp};
use serde_json::json;
use uuid::Uuid;

pub use super::words::InvalidWord;
pub use work::{begin, open, order, report};

use super::audit_log::Audited;
use super::error::check_size;
use super::idempotency_keys::Once;
use super::sql::{FromRow, Row, query};
use super::words::words;
use super::{Database, Entity, RowError, Transaction};

/// The longest subject of a prewarm, in bytes: paths with line ends between them.
pub const MAX_SUBJECT_BYTES: usize = 2 << 20;

/// The longest names of renditions, in bytes, with commas between them.
pub const MAX_RENDITIONS_BYTES: usize = 1_024;

/// The longest name of who asks for a prewarm, in bytes.
pub const MAX_REQUESTER_BYTES: usize = 255;

/// The longest account of what failed, in bytes.
pub const MAX_ERRORS_BYTES: usize = 4_096;

/// How long after its request a prewarm is begun, and done: what has not ended by then has
/// failed.
pub const OPEN_FOR: Micros = Micros::from_secs(24 * 3_600);

/// Prewarms that nodes with a live lease have not ended, of all nodes together.
pub const MAX_OPEN: u64 = 256;

/// Among all turns of the database: who adds a prewarm.
const ADDING: i64 = i64::from_be_bytes(*b"prewarms");

words! {
    /// What is prewarmed.
    PrewarmKind, "urls, video or playlist":
    /// Paths.
    Urls = "urls",
    /// A video.
    Video = "video",
    /// What a playlist names.
    Playlist = "playlist"
}

words! {
    /// Where a node is with a prewarm.
    PrewarmState, "waiting, running, done, failed or cancelled":
    /// It has not begun.
    Waiting = "waiting",
    /// It fetches.
    Running = "running",
    /// It has all.
    Done = "done",
    /// It has gone through all, or given up, and has not all.
    Failed = "failed",
    /// Somebody has cancelled it.
    Cancelled = "cancelled"
}

/// What is to be prewarmed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PrewarmOrder {
    /// What `subject` is.
    pub kind: PrewarmKind,
    /// A video's id, a playlist's path, or paths with line ends between them.
    /// [`MAX_SUBJECT_BYTES`] at most.
    pub subject: String,
    /// Segments of each rendition; none: all.
    pub depth: Option<u32>,
    /// Renditions; none: all. [`MAX_RENDITIONS_BYTES`] at most.
    pub renditions: Vec<String>,
}

/// Who asks for a prewarm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Requester<'a> {
    /// What they are called. [`MAX_REQUESTER_BYTES`] at most.
    pub name: &'a str,
    /// Prewarms of theirs that nodes with a live lease have not ended, at most. `None`: they have
    /// the room that all have together.
    pub at_most: Option<u64>,
    /// What is noted of it; `None`: nothing.
    pub audited: Option<Audited>,
    /// The key that they ask under; `None`: under none.
    pub once: Option<Once<'a>>,
}

impl<'a> Requester<'a> {
    /// Whoever has no bound of their own, and of whom nothing is noted.
    pub fn named(name: &'a str) -> Self {
        Self {
            name,
            at_most: None,
            audited: None,
            once: None,
        }
    }
}

/// A prewarm and how far all its nodes are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PrewarmRow {
    /// Id.
    pub id: PrewarmId,
    /// What is prewarmed. Of paths, none is here.
    pub order: PrewarmOrder,
    /// How many paths there are; of other kinds 0.
    pub urls: u64,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// Who asked.
    pub requested_by: String,
    /// Where all nodes are together.
    pub state: PrewarmState,
    /// What they have done together.
    pub progress: PrewarmProgress,
}

/// How much is done. Of objects.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PrewarmProgress {
    /// Those that are known of.
    pub total: u64,
    /// Those that are there.
    pub done: u64,
    /// Those that cannot be.
    pub failed: u64,
    /// Bytes of those that are there.
    pub bytes: u64,
}

/// How far a node is with a prewarm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PrewarmNode {
    /// The node.
    pub node: NodeId,
    /// Where it is.
    pub state: PrewarmState,
    /// Whether its lease lives. One without begins, or begins anew, when it is back.
    pub is_live: bool,
    /// What it has done.
    pub progress: PrewarmProgress,
    /// What failed first.
    pub errors: Vec<String>,
    /// When it told so.
    pub updated_at: Timestamp,
}

impl FromRow for PrewarmOrder {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        let renditions: String = row.get("renditions")?;
        let renditions = renditions.split(',').filter(|name| !name.is_empty());
        Ok(Self {
            kind: row.parsed("kind")?,
            subject: row.get("subject")?,
            depth: row.get("depth")?,
            renditions: renditions.map(str::to_owned).collect(),
        })
    }
}

impl FromRow for PrewarmProgress {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            total: row.get("total")?,
            done: row.get("done")?,
            failed: row.get("failed")?,
            bytes: row.get("bytes")?,
        })
    }
}

impl FromRow for PrewarmRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        let counted = |column: &str| row.get::<u64>(column).map(|count| count > 0);
        let progress = PrewarmProgress::from_row(row)?;
        // Who is away is waited for by nobody, and has not done it.
        let state = if counted("running_nodes")? {
            PrewarmState::Running
        } else if counted("waiting_nodes")? {
            match progress.total {
                0 => PrewarmState::Waiting,
                // Of another node, which has ended.
                _ => PrewarmState::Running,
            }
        } else if counted("undone_nodes")? {
            // By those that live, too, if it is too late.
            PrewarmState::Failed
        } else if counted("cancelled_nodes")? {
            PrewarmState::Cancelled
        } else {
            PrewarmState::Done
        };
        Ok(Self {
            id: row.get("id")?,
            order: PrewarmOrder::from_row(row)?,
            urls: row.get("urls")?,
            requested_at: row.get("requested_at")?,
            requested_by: row.get("requested_by")?,
            state,
            progress,
        })
    }
}

impl FromRow for PrewarmNode {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        let errors: String = row.get("errors")?;
        Ok(Self {
            node: row.get("node_id")?,
            state: row.parsed("state")?,
            is_live: row.get("is_live")?,
            progress: PrewarmProgress::from_row(row)?,
            errors: errors.lines().map(str::to_owned).collect(),
            updated_at: row.get("updated_at")?,
        })
    }
}

/// The columns of a [`PrewarmRow`]; `$1` is now, and what was requested until `$2` is not done
/// any more.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT p.id, p.kind, CASE WHEN p.kind = 'urls' THEN '' ELSE p.subject END AS subject,
                    p.urls, p.depth, p.renditions, p.requested_at, p.requested_by,
                    CAST(COALESCE(SUM(n.total), 0) AS BIGINT) AS total,
                    CAST(COALESCE(SUM(n.done), 0) AS BIGINT) AS done,
                    CAST(COALESCE(SUM(n.failed), 0) AS BIGINT) AS failed,
                    CAST(COALESCE(SUM(n.bytes), 0) AS BIGINT) AS bytes,
                    COUNT(CASE WHEN e.lease_until > $1 AND p.requested_at > $2
                                    AND n.state = 'running' THEN 1 END)
                        AS running_nodes,
                    COUNT(CASE WHEN e.lease_until > $1 AND p.requested_at > $2
                                    AND n.state = 'waiting' THEN 1 END)
                        AS waiting_nodes,
                    COUNT(CASE WHEN n.state IN ('failed', 'waiting', 'running') THEN 1 END)
                        AS undone_nodes,
                    COUNT(CASE WHEN n.state = 'cancelled' THEN 1 END) AS cancelled_nodes
             FROM prewarms p
             LEFT JOIN prewarm_nodes n ON n.prewarm_id = p.id
             LEFT JOIN edge_nodes e ON e.id = n.node_id ",
            $rest
        )
    };
}

/// Adds a prewarm for `nodes`, or for all with a live lease. [`RowError::NotFound`] when one
/// is not in the registry, or none lives; [`RowError::TooLarge`] when a text is;
/// [`RowError::TooManyPrewarms`] when [`MAX_OPEN`] have not ended, or as many of who asks as they
/// may have.
pub async fn request(
    db: &Database,
    order: &PrewarmOrder,
    nodes: &[NodeId],
    requester: Requester<'_>,
    now: Timestamp,
) -> Result<PrewarmId, RowError> {
    let renditions = order.renditions.join(",");
    check_size("prewarm", order.subject.len(), MAX_SUBJECT_BYTES)?;
    check_size("list of renditions", renditions.len(), MAX_RENDITIONS_BYTES)?;
    check_size(
        "name of who asks",
        requester.name.len(),
        MAX_REQUESTER_BYTES,
    )?;
    let id = PrewarmId::new();
    let urls = match order.kind {
        PrewarmKind::Urls => order.subject.lines().count() as u64,
        PrewarmKind::Video | PrewarmKind::Playlist => 0,
    };
    let mut transaction = db.write().await?;
    // What is counted is so until this one is among them.
    query(db.engine().take_turn())
        .bind(ADDING)
        .execute(&mut transaction)
        .await?;
    let (open, theirs): (u64, u64) = query(
        "SELECT COUNT(*), COUNT(CASE WHEN p.requested_by = $3 THEN 1 END) FROM prewarms p
         WHERE p.requested_at > $1 AND EXISTS (
             SELECT 1 FROM prewarm_nodes n
             JOIN edge_nodes e ON e.id = n.node_id AND e.lease_until > $2
             WHERE n.prewarm_id = p.id AND n.state IN ('waiting', 'running'))",
    )
    .bind(now - OPEN_FOR)
    .bind(now)
    .bind(requester.name)
    .one(&mut transaction)
    .await?;
    if requester.at_most.is_some_and(|most| theirs >= most) {
        return Err(RowError::TooManyPrewarms(theirs));
    }
    if open >= MAX_OPEN {
        return Err(RowError::TooManyPrewarms(MAX_OPEN));
    }
    query(
        "INSERT INTO prewarms (id, kind, subject, urls, depth, renditions, requested_at,
                               requested_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(id)
    .bind(order.kind.to_string())
    .bind(&order.subject)
    .bind(urls)
    .bind(order.depth)
    .bind(renditions)
    .bind(now)
    .bind(requester.name)
    .execute(&mut transaction)
    .await?;
    if nodes.is_empty() {
        let live = query(
            "INSERT INTO prewarm_nodes (prewarm_id, node_id, state, total, done, failed, bytes,
                                        errors, updated_at)
             SELECT $1, id, 'waiting', 0, 0, 0, 0, '', $2 FROM edge_nodes WHERE lease_until > $2",
        )
        .bind(id)
        .bind(now)
        .execute(&mut transaction)
        .await?;
        if live == 0 {
            return Err(RowError::NotFound(Entity::Node));
        }
    }
    // One that is named twice does it once.
    for node in nodes.iter().collect::<BTreeSet<_>>() {
        let found = query(
            "INSERT INTO prewarm_nodes (prewarm_id, node_id, state, total, done, failed, bytes,
                                        errors, updated_at)
             SELECT $1, id, 'waiting', 0, 0, 0, 0, '', $2 FROM edge_nodes WHERE id = $3",
        )
        .bind(id)
        .bind(now)
        .bind(*node)
        .execute(&mut transaction)
        .await?;
        if found == 0 {
            return Err(RowError::NotFound(Entity::Node));
        }
    }
    let subject = match order.kind {
        // There may be thousands.
        PrewarmKind::Urls => "",
        PrewarmKind::Video | PrewarmKind::Playlist => &order.subject,
    };
    let noted = (order.kind.to_string(), subject.to_owned(), urls);
    note(&mut transaction, requester.audited, id, noted, now).await?;
    if let Some(once) = requester.once {
        once.keep_id(&mut transaction, id.as_uuid(), now).await?;
    }
    transaction.commit().await?;
    Ok(id)
}

/// Notes what is done to a prewarm: of its kind, subject and paths.
async fn note(
    transaction: &mut Transaction,
    audited: Option<Audited>,
    id: PrewarmId,
    (kind, subject, urls): (String, String, u64),
    now: Timestamp,
) -> Result<(), RowError> {
    let Some(audited) = audited else {
        return Ok(());
    };
    let detail = json!({ "kind": kind, "subject": subject, "urls": urls });
    audited
        .note(transaction, "prewarm", id.as_uuid(), &detail, now)
        .await
}

/// The prewarm, if there is one.
pub async fn get(
    db: &Database,
    id: PrewarmId,
    now: Timestamp,
) -> Result<Option<PrewarmRow>, RowError> {
    query(select!("WHERE p.id = $3 GROUP BY p.id"))
        .bind(now)
        .bind(now - OPEN_FOR)
        .bind(id)
        .optional(db)
        .await
}

/// Prewarms, the newest first, those made before `before`, at most `limit`.
pub async fn list(
    db: &Database,
    before: Option<PrewarmId>,
    limit: u32,
    now: Timestamp,
) -> Result<Vec<PrewarmRow>, RowError> {
    query(select!(
        "WHERE p.id < $3 GROUP BY p.id ORDER BY p.id DESC LIMIT $4"
    ))
    .bind(now)
    .bind(now - OPEN_FOR)
    // Every id comes before the last UUID.
    .bind(before.map_or(Uuid::max(), PrewarmId::as_uuid))
    .bind(limit)
    .all(db)
    .await
}

/// How far its nodes are, the first 10,000 by their ids.
pub async fn nodes(
    db: &Database,
    id: PrewarmId,
    now: Timestamp,
) -> Result<Vec<PrewarmNode>, RowError> {
    query(
        "SELECT n.node_id, n.state, n.total, n.done, n.failed, n.bytes, n.errors, n.updated_at,
                e.lease_until IS NOT NULL AND e.lease_until > $2 AS is_live
         FROM prewarm_nodes n LEFT JOIN edge_nodes e ON e.id = n.node_id
         WHERE n.prewarm_id = $1 ORDER BY n.node_id LIMIT 10000",
    )
    .bind(id)
    .bind(now)
    .all(db)
    .await
}

/// Ends the prewarm on all nodes that have not ended it. If there was such a node, it notes that in
/// the audit log, if it is to be noted. [`RowError::NotFound`] when there is no such prewarm.
pub async fn cancel(
    db: &Database,
    id: PrewarmId,
    audited: Option<Audited>,
    now: Timestamp,
) -> Result<(), RowError> {
    let mut transaction = db.write().await?;
    let known: (String, String, u64) = query(
        "SELECT kind, CASE WHEN kind = 'urls' THEN '' ELSE subject END, urls
         FROM prewarms WHERE id = $1",
    )
    .bind(id)
    .optional(&mut transaction)
    .await?
    .ok_or(RowError::NotFound(Entity::Prewarm))?;
    let ended = query(
        "UPDATE prewarm_nodes SET state = 'cancelled', updated_at = $2
         WHERE prewarm_id = $1 AND state IN ('waiting', 'running')",
    )
    .bind(id)
    .bind(now)
    .execute(&mut transaction)
    .await?;
    if ended > 0 {
        note(&mut transaction, audited, id, known, now).await?;
    }
    transaction.commit().await
}

/// Deletes prewarms that were requested before `before`, and of all but the newest `keep` those
/// that have ended, or that no node with a live lease has to do; at most `limit`. How many.
pub async fn delete_old(
    db: &Database,
    before: Timestamp,
    keep: u32,
    limit: u32,
    now: Timestamp,
) -> Result<u64, RowError> {
    let mut transaction = db.write().await?;
    let deleted = query(
        "DELETE FROM prewarms WHERE id IN
             (SELECT id FROM prewarms
              WHERE requested_at < $1
                 OR (id NOT IN (SELECT id FROM prewarms ORDER BY id DESC LIMIT $2)
                     AND (requested_at <= $4 OR NOT EXISTS (
                         SELECT 1 FROM prewarm_nodes n
                         JOIN edge_nodes e ON e.id = n.node_id AND e.lease_until > $5
                         WHERE n.prewarm_id = prewarms.id AND n.state IN ('waiting', 'running'))))
              ORDER BY id LIMIT $3)",
    )
    .bind(before)
    .bind(keep)
    .bind(limit)
    .bind(now - OPEN_FOR)
    .bind(now)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(deleted)
}
