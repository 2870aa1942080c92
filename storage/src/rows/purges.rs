//! Purges: what must not be served any more, in the order in which every cache obeys.
//!
//! A purge gets a position, which is drawn under a lock: whoever sees one sees all before it.
//! A node reads what has come [`since`] the last one that it has [`Seen`], obeys, and tells
//! with [`acknowledge`]. A purge has left every cache that serves once it is [`awaited`] by
//! none. [`delete_old`] keeps the table bounded; a node that was away for longer is told that
//! it has missed some.

use media::{NodeId, PurgeId, Timestamp};
use serde_json::json;
use uuid::Uuid;

use super::audit_log::Audited;
use super::edge_counters::{self, PURGE, PURGE_FLOOR};
use super::edge_nodes::Registration;
use super::error::check_size;
use super::idempotency_keys::Once;
use super::sql::{FromRow, Row, query};
use super::{Database, RowError, Transaction};

/// The longest text of a purge, in bytes: of a URL with its query.
pub const MAX_SUBJECT_BYTES: usize = 8_192;

/// The longest name of who asked for a purge, in bytes.
pub const MAX_REQUESTER_BYTES: usize = 255;

/// A purge to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewPurge<'a> {
    /// `url`, `prefix`, `pattern`, `tag` or `everything`.
    pub kind: &'a str,
    /// What of that kind. [`MAX_SUBJECT_BYTES`] at most.
    pub subject: &'a str,
    /// Whether what it selects is stale, not gone.
    pub soft: bool,
    /// Who asks. [`MAX_REQUESTER_BYTES`] at most.
    pub requested_by: &'a str,
}

/// A purge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PurgeRow {
    /// Id.
    pub id: PurgeId,
    /// The order in which purges are obeyed.
    pub position: u64,
    /// `url`, `prefix`, `pattern`, `tag` or `everything`.
    pub kind: String,
    /// What of that kind.
    pub subject: String,
    /// Whether what it selects is stale, not gone.
    pub soft: bool,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// Who asked.
    pub requested_by: String,
    /// When it was found to have left every node with a live lease.
    pub completed_at: Option<Timestamp>,
}

impl FromRow for PurgeRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            position: row.get("position")?,
            kind: row.get("kind")?,
            subject: row.get("subject")?,
            soft: row.get("is_soft")?,
            requested_at: row.get("requested_at")?,
            requested_by: row.get("requested_by")?,
            completed_at: row.get("completed_at")?,
        })
    }
}

/// The columns of a [`PurgeRow`].
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, position, kind, subject, is_soft, requested_at, requested_by,
                    completed_at
             FROM purges ",
            $rest
        )
    };
}

/// How far a node is: the last purge that it has obeyed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Seen {
    /// Its position; 0: none.
    pub position: u64,
    /// Its id. `None`: none, or its row was deleted before anybody looked.
    pub id: Option<PurgeId>,
}

impl From<&PurgeRow> for Seen {
    fn from(purge: &PurgeRow) -> Self {
        Self {
            position: purge.position,
            id: Some(purge.id),
        }
    }
}

/// What has come since a node looked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// These purges, in their order, and the position of the last one there is.
    Purges(Vec<PurgeRow>, u64),
    /// Nobody knows: the rows do not go back that far, or the database is not the one it was
    /// (a server took over without the last commits, a backup was restored). What the node
    /// has may have been purged; once it has nothing, it has seen this.
    Lost(Seen),
}

/// That a node has obeyed a purge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Acknowledgement {
    /// The node.
    pub node: NodeId,
    /// When, by its clock.
    pub at: Timestamp,
}

impl FromRow for Acknowledgement {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            node: row.get("node_id")?,
            at: row.get("acknowledged_at")?,
        })
    }
}

/// Adds a purge, and notes that in the audit log, if it is to be noted; under a key once.
/// [`RowError::TooLarge`] when its text or the name of who asks is.
pub async fn request(
    db: &Database,
    purge: &NewPurge<'_>,
    audited: Option<Audited>,
    once: Option<Once<'_>>,
    now: Timestamp,
) -> Result<PurgeRow, RowError> {
    check_size("purge", purge.subject.len(), MAX_SUBJECT_BYTES)?;
    let by = purge.requested_by;
    check_size("name of who purges", by.len(), MAX_REQUESTER_BYTES)?;
    let mut transaction = db.write().await?;
    let row = request_in(&mut transaction, purge, now).await?;
    if let Some(audited) = audited {
        let detail = json!({ "kind": row.kind, "subject": row.subject, "soft": row.soft });
        let id = row.id.as_uuid();
        audited
            .note(&mut transaction, "purge", id, &detail, now)
            .await?;
    }
    if let Some(once) = once {
        once.keep_id(&mut transaction, row.id.as_uuid(), now)
            .await?;
    }
    transaction.commit().await?;
    Ok(row)
}

/// The same in the transaction of whoever asks. Nobody else purges until it ends: it comes last.
pub(super) async fn request_in(
    transaction: &mut Transaction,
    purge: &NewPurge<'_>,
    now: Timestamp,
) -> Result<PurgeRow, RowError> {
    let position = edge_counters::next(transaction, PURGE).await?;
    query(
        "INSERT INTO purges (id, position, kind, subject, is_soft, requested_at, requested_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         RETURNING id, position, kind, subject, is_soft, requested_at, requested_by,
                   completed_at",
    )
    .bind(PurgeId::new())
    .bind(position)
    .bind(purge.kind)
    .bind(purge.subject)
    .bind(purge.soft)
    .bind(now)
    .bind(purge.requested_by)
    .one(transaction)
    .await
}

/// The purge, if there is one.
pub async fn get(db: &Database, id: PurgeId) -> Result<Option<PurgeRow>, RowError> {
    query(select!("WHERE id = $1")).bind(id).optional(db).await
}

/// Purges, the newest first, those made before `before`, at most `limit`.
pub async fn list(
    db: &Database,
    before: Option<PurgeId>,
    limit: u32,
) -> Result<Vec<PurgeRow>, RowError> {
    query(select!("WHERE id < $1 ORDER BY id DESC LIMIT $2"))
        // Every id comes before the last UUID.
        .bind(before.map_or(Uuid::max(), PurgeId::as_uuid))
        .bind(limit)
        .all(db)
        .await
}

/// The purges since `seen`, at most `limit`.
pub async fn since(db: &Database, seen: Seen, limit: u32) -> Result<News, RowError> {
    let mut snapshot = db.snapshot().await?;
    let last = edge_counters::last(&mut snapshot, PURGE).await?;
    let floor = edge_counters::last(&mut snapshot, PURGE_FLOOR).await?;
    // With the one that was seen, to know it again.
    let mut purges: Vec<PurgeRow> =
        query(select!("WHERE position >= $1 ORDER BY position LIMIT $2"))
            .bind(seen.position)
            .bind(u64::from(limit) + 1)
            .all(&mut snapshot)
            .await?;
    let known = match purges.first() {
        Some(first) if first.position == seen.position => Some(purges.remove(0)),
        _ => None,
    };
    let is_same = match known {
        Some(known) => seen.id.is_none_or(|id| id == known.id),
        None => seen.position == floor,
    };
    if is_same && seen.position <= last {
        purges.truncate(limit as usize);
        return Ok(News::Purges(purges, last));
    }
    let id: Option<(PurgeId,)> = query("SELECT id FROM purges WHERE position = $1")
        .bind(last)
        .optional(&mut snapshot)
        .await?;
    Ok(News::Lost(Seen {
        position: last,
        id: id.map(|(id,)| id),
    }))
}

/// Writes down that the node has obeyed all purges up to `position`.
/// [`RowError::LeaseLost`] when another process is registered as this node.
pub async fn acknowledge(
    db: &Database,
    node: &Registration,
    position: u64,
    now: Timestamp,
) -> Result<(), RowError> {
    let mut transaction = db.write().await?;
    // Locks the node first, as whoever deletes it does.
    let before: Option<(u64,)> = query(
        "UPDATE edge_nodes SET instance = instance WHERE id = $1 AND instance = $2
         RETURNING purge_position",
    )
    .bind(node.id())
    .bind(node.instance())
    .optional(&mut transaction)
    .await?;
    let Some((before,)) = before else {
        return Err(node.lost());
    };
    query(
        "INSERT INTO purge_acknowledgements (purge_id, node_id, acknowledged_at)
         SELECT id, $1, $2 FROM purges WHERE position > $3 AND position <= $4
         ON CONFLICT (purge_id, node_id) DO NOTHING",
    )
    .bind(node.id())
    .bind(now)
    .bind(before)
    .bind(position)
    .execute(&mut transaction)
    .await?;
    query("UPDATE edge_nodes SET purge_position = $2 WHERE id = $1")
        .bind(node.id())
        .bind(position)
        .execute(&mut transaction)
        .await?;
    transaction.commit().await
}

/// Nodes that serve, by their leases, and have not obeyed all purges up to `position`; the
/// first 1,000.
pub async fn awaited(
    db: &Database,
    position: u64,
    now: Timestamp,
) -> Result<Vec<NodeId>, RowError> {
    let nodes: Vec<(NodeId,)> = query(
        "SELECT id FROM edge_nodes WHERE lease_until > $1 AND purge_position < $2
         ORDER BY id LIMIT 1000",
    )
    .bind(now)
    .bind(position)
    .all(db)
    .await?;
    Ok(nodes.into_iter().map(|(node,)| node).collect())
}

/// Are there nodes that others fill from, that serve, and have not obeyed all purges up to
/// `position`?
pub async fn awaits_shields(
    db: &Database,
    position: u64,
    now: Timestamp,
) -> Result<bool, RowError> {
    let node: Option<(NodeId,)> = query(
        "SELECT id FROM edge_nodes
         WHERE lease_until > $1 AND purge_position < $2 AND NOT has_shields LIMIT 1",
    )
    .bind(now)
    .bind(position)
    .optional(db)
    .await?;
    Ok(node.is_some())
}

/// Who has obeyed the purge, the first 10,000 by their ids.
pub async fn acknowledgements(
    db: &Database,
    purge: PurgeId,
) -> Result<Vec<Acknowledgement>, RowError> {
    query(
        "SELECT node_id, acknowledged_at FROM purge_acknowledgements
         WHERE purge_id = $1 ORDER BY node_id LIMIT 10000",
    )
    .bind(purge)
    .all(db)
    .await
}

/// Writes down that no node with a live lease is awaited any more; the first time counts.
pub async fn complete(db: &Database, purge: PurgeId, now: Timestamp) -> Result<(), RowError> {
    let mut transaction = db.write().await?;
    query("UPDATE purges SET completed_at = $2 WHERE id = $1 AND completed_at IS NULL")
        .bind(purge)
        .bind(now)
        .execute(&mut transaction)
        .await?;
    transaction.commit().await
}

/// Deletes purges that were requested before `before`, and all but the newest `keep`, at
/// most `limit`; how many.
pub async fn delete_old(
    db: &Database,
    before: Timestamp,
    keep: u64,
    limit: u32,
) -> Result<u64, RowError> {
    let mut transaction = db.write().await?;
    let last = edge_counters::last(&mut transaction, PURGE).await?;
    let highest: Option<(u64,)> = query(
        "SELECT MAX(position) FROM
             (SELECT position FROM purges ORDER BY position LIMIT $1) AS oldest
         WHERE position <= COALESCE(
                   (SELECT MIN(position) - 1 FROM purges WHERE requested_at >= $2), $3)
            OR position <= $4
         HAVING MAX(position) IS NOT NULL",
    )
    .bind(limit)
    .bind(before)
    .bind(last)
    .bind(last.saturating_sub(keep))
    .optional(&mut transaction)
    .await?;
    let Some((highest,)) = highest else {
        return Ok(0);
    };
    edge_counters::raise(&mut transaction, PURGE_FLOOR, highest).await?;
    let deleted = query("DELETE FROM purges WHERE position <= $1")
        .bind(highest)
        .execute(&mut transaction)
        .await?;
    transaction.commit().await?;
    Ok(deleted)
}
