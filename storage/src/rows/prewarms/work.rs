//! What a node does about prewarms.

use media::{NodeId, PrewarmId, Timestamp};

use super::super::edge_nodes::Registration;
use super::super::sql::{FromRow, Row, query};
use super::super::{Database, RowError};
use super::{MAX_ERRORS_BYTES, PrewarmOrder, PrewarmProgress, PrewarmState};

/// All of what is to be prewarmed, and when that was asked for.
pub async fn order(
    db: &Database,
    id: PrewarmId,
) -> Result<Option<(PrewarmOrder, Timestamp)>, RowError> {
    let order =
        query("SELECT kind, subject, depth, renditions, requested_at FROM prewarms WHERE id = $1");
    let row: Option<Requested> = order.bind(id).optional(db).await?;
    Ok(row.map(|Requested(order, at)| (order, at)))
}

struct Requested(PrewarmOrder, Timestamp);

impl FromRow for Requested {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self(PrewarmOrder::from_row(row)?, row.get("requested_at")?))
    }
}

/// What the node has not ended, in the order in which it was asked for, at most `limit`.
pub async fn open(db: &Database, node: NodeId, limit: u32) -> Result<Vec<PrewarmId>, RowError> {
    let open: Vec<(PrewarmId,)> = query(
        "SELECT prewarm_id FROM prewarm_nodes
         WHERE node_id = $1 AND state IN ('waiting', 'running')
         ORDER BY prewarm_id LIMIT $2",
    )
    .bind(node)
    .bind(limit)
    .all(db)
    .await?;
    Ok(open.into_iter().map(|(id,)| id).collect())
}

/// Writes down that the node begins, or begins anew. False when it must not: somebody has
/// cancelled it, or another process is registered as this node.
pub async fn begin(
    db: &Database,
    node: &Registration,
    id: PrewarmId,
    now: Timestamp,
) -> Result<bool, RowError> {
    let progress = PrewarmProgress::default();
    report(db, node, id, PrewarmState::Running, &progress, &[], now).await
}

/// Writes down how far the node is, and what failed first; of that so much as
/// [`MAX_ERRORS_BYTES`] have room for. False as with [`begin`].
pub async fn report(
    db: &Database,
    node: &Registration,
    id: PrewarmId,
    state: PrewarmState,
    progress: &PrewarmProgress,
    errors: &[String],
    now: Timestamp,
) -> Result<bool, RowError> {
    let mut transaction = db.write().await?;
    let written = query(
        "UPDATE prewarm_nodes
         SET state = $4, total = $5, done = $6, failed = $7, bytes = $8, errors = $9,
             updated_at = $10
         WHERE prewarm_id = $1 AND node_id = $2 AND state IN ('waiting', 'running')
             AND EXISTS (SELECT 1 FROM edge_nodes WHERE id = $2 AND instance = $3)",
    )
    .bind(id)
    .bind(node.id())
    .bind(node.instance())
    .bind(state.to_string())
    .bind(progress.total)
    .bind(progress.done)
    .bind(progress.failed)
    .bind(progress.bytes)
    .bind(lines(errors))
    .bind(now)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(written > 0)
}

/// Each on a line of its own, as many as there is room for.
fn lines(errors: &[String]) -> String {
    let mut text = String::new();
    for error in errors {
        if text.len() + error.len() >= MAX_ERRORS_BYTES {
            break;
        }
        // Neither engine is to be asked what it does with the others: one refuses NUL.
        text.push_str(&error.replace(char::is_control, " "));
        text.push('\n');
    }
    text
}
