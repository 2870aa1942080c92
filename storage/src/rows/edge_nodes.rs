//! The registry of caches: where they are, how they are, and until when a purge waits for
//! them.
//!
//! A node is a data directory that a cache runs on. Its process [`register`]s, and renews its
//! lease with each heartbeat. One that cannot must stop giving what it has stored by itself,
//! before its lease ends: from then on no purge waits for it.

use media::{Micros, NodeId, Timestamp};
use uuid::Uuid;

use super::origins::Listed;
use super::sql::{FromRow, Row, query};
use super::{Database, RowError};

/// What a node says of itself when it registers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewNode {
    /// Its data directory's id.
    pub id: NodeId,
    /// This process, as [`super::leases::this_process`] names it.
    pub instance: String,
    /// Its roles, joined by commas.
    pub roles: String,
    /// What its URLs begin with; empty: not known.
    pub url: String,
    /// Where it is; empty: not told.
    pub region: String,
    /// Its version.
    pub version: String,
    /// It fills from other nodes: these obey purges first.
    pub has_shields: bool,
    /// Where other edges reach it as a shield; empty: they do not, or not yet.
    pub shield_url: String,
}

/// What a node says of itself with each heartbeat.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct NodeState {
    /// Open connections.
    pub connections: u64,
    /// Requests since its start.
    pub requests: u64,
    /// Requests a second, lately.
    pub requests_per_second: u64,
    /// Bytes that it has stored in memory.
    pub memory_bytes: u64,
    /// What is wrong with it; empty: nothing.
    pub health: String,
    /// The configuration that it has read.
    pub configuration: u64,
    /// Where other edges reach it as a shield; empty: they do not, or not yet.
    pub shield_url: String,
}

/// A node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeRow {
    /// Its data directory's id.
    pub id: NodeId,
    /// Its roles, joined by commas.
    pub roles: String,
    /// What its URLs begin with; empty: not known.
    pub url: String,
    /// Where it is; empty: not told.
    pub region: String,
    /// Its version.
    pub version: String,
    /// When its process registered.
    pub started_at: Timestamp,
    /// When it was last heard of.
    pub heartbeat_at: Timestamp,
    /// Until then a purge waits for it.
    pub lease_until: Timestamp,
    /// What it said then.
    pub state: NodeState,
    /// It gives nothing that a purge up to this position selects.
    pub purge_position: u64,
}

impl NodeRow {
    /// Whether purges wait for it.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.lease_until > now
    }
}

impl FromRow for NodeRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            roles: row.get("roles")?,
            url: row.get("url")?,
            region: row.get("region")?,
            version: row.get("version")?,
            started_at: row.get("started_at")?,
            heartbeat_at: row.get("heartbeat_at")?,
            lease_until: row.get("lease_until")?,
            state: NodeState {
                connections: row.get("connections")?,
                requests: row.get("requests")?,
                requests_per_second: row.get("requests_per_second")?,
                memory_bytes: row.get("memory_bytes")?,
                health: row.get("health")?,
                configuration: row.get("configuration")?,
                shield_url: row.get("shield_url")?,
            },
            purge_position: row.get("purge_position")?,
        })
    }
}

/// The right to write a node's row. Another process that registers as the node ends it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registration {
    id: NodeId,
    instance: String,
}

impl Registration {
    /// The node.
    pub fn id(&self) -> NodeId {
        self.id
    }

    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    pub(super) fn lost(&self) -> RowError {
        RowError::LeaseLost {
            name: format!("edge node {}", self.id),
        }
    }
}

/// Registers the process as its node, whoever was registered as that before, until `ttl` from
/// `now`. What it has stored is free of purges up to `purge_position`.
pub async fn register(
    db: &Database,
    node: &NewNode,
    purge_position: u64,
    ttl: Micros,
    now: Timestamp,
) -> Result<Registration, RowError> {
    let mut transaction = db.write().await?;
    query(
        "INSERT INTO edge_nodes (id, instance, roles, url, region, version, started_at,
                                 heartbeat_at, lease_until, connections, requests,
                                 requests_per_second, memory_bytes, health, configuration,
                                 purge_position, has_shields, shield_url)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, 0, 0, 0, 0, '', 0, $9, $10, $11)
         ON CONFLICT (id) DO UPDATE
             SET instance = excluded.instance, roles = excluded.roles, url = excluded.url,
                 region = excluded.region, version = excluded.version,
                 started_at = excluded.started_at, heartbeat_at = excluded.heartbeat_at,
                 lease_until = excluded.lease_until, connections = 0, requests = 0,
                 requests_per_second = 0, memory_bytes = 0, health = '', configuration = 0,
                 purge_position = excluded.purge_position,
                 has_shields = excluded.has_shields, shield_url = excluded.shield_url",
    )
    .bind(node.id)
    .bind(&node.instance)
    .bind(&node.roles)
    .bind(&node.url)
    .bind(&node.region)
    .bind(&node.version)
    .bind(now)
    .bind(now + ttl)
    .bind(purge_position)
    .bind(node.has_shields)
    .bind(&node.shield_url)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(Registration {
        id: node.id,
        instance: node.instance.clone(),
    })
}

impl Registration {
    /// Keeps the lease until `ttl` from `now`, and tells how the node is.
    /// [`RowError::LeaseLost`] when another process has registered as it, or its row is gone.
    pub async fn renew(
        &self,
        db: &Database,
        state: &NodeState,
        ttl: Micros,
        now: Timestamp,
    ) -> Result<(), RowError> {
        let mut transaction = db.write().await?;
        let held = query(
            "UPDATE edge_nodes
             SET heartbeat_at = $3, lease_until = $4, connections = $5, requests = $6,
                 requests_per_second = $7, memory_bytes = $8, health = $9, configuration = $10,
                 shield_url = $11
             WHERE id = $1 AND instance = $2",
        )
        .bind(self.id)
        .bind(&self.instance)
        .bind(now)
        .bind(now + ttl)
        .bind(state.connections)
        .bind(state.requests)
        .bind(state.requests_per_second)
        .bind(state.memory_bytes)
        .bind(&state.health)
        .bind(state.configuration)
        .bind(&state.shield_url)
        .execute(&mut transaction)
        .await?;
        transaction.commit().await?;
        match held {
            0 => Err(self.lost()),
            _ => Ok(()),
        }
    }

    /// Ends the lease: no purge waits for the node any more. Nothing happens if another
    /// process has registered as it.
    pub async fn leave(&self, db: &Database) -> Result<(), RowError> {
        let mut transaction = db.write().await?;
        query("UPDATE edge_nodes SET lease_until = 0 WHERE id = $1 AND instance = $2")
            .bind(self.id)
            .bind(&self.instance)
            .execute(&mut transaction)
            .await?;
        transaction.commit().await
    }
}

/// Nodes, by their ids, those after `after`, at most `limit`.
pub async fn list(
    db: &Database,
    after: Option<NodeId>,
    limit: u32,
) -> Result<Vec<NodeRow>, RowError> {
    query(
        "SELECT id, roles, url, region, version, started_at, heartbeat_at, lease_until,
                connections, requests, requests_per_second, memory_bytes, health,
                configuration, purge_position, shield_url
         FROM edge_nodes WHERE id > $1 ORDER BY id LIMIT $2",
    )
    .bind(after.map_or(Uuid::nil(), NodeId::as_uuid))
    .bind(limit)
    .all(db)
    .await
}

/// Shields with a lease, by their ids: at most `limit`, those whose leases last longest.
pub async fn shields(db: &Database, now: Timestamp, limit: u32) -> Result<Vec<Listed>, RowError> {
    query(
        "SELECT url, lease_until FROM
             (SELECT id, shield_url AS url, lease_until FROM edge_nodes
              WHERE shield_url <> '' AND lease_until > $1
              ORDER BY lease_until DESC, id LIMIT $2) AS listed
         ORDER BY id",
    )
    .bind(now)
    .bind(limit)
    .all(db)
    .await
}

/// Deletes nodes that were not heard of since `before`, at most `limit`; how many.
pub async fn delete_silent(db: &Database, before: Timestamp, limit: u32) -> Result<u64, RowError> {
    let mut transaction = db.write().await?;
    let deleted = query(
        "DELETE FROM edge_nodes WHERE id IN
             (SELECT id FROM edge_nodes WHERE heartbeat_at < $1 AND lease_until < $1
              ORDER BY heartbeat_at, id LIMIT $2)",
    )
    .bind(before)
    .bind(limit)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(deleted)
}
