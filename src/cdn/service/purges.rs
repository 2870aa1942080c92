//! Purges: asked for, waited for, looked at.

use std::collections::BTreeMap;
use std::time::Duration;

use edge::{OriginKind, PurgeRule, Selector};
use media::{NodeId, PurgeId};
use social::cdn::{NodeReply, Purge, PurgeStatus, Reply};
use storage::rows::purges::{self, NewPurge, PurgeRow};
use storage::rows::{Database, Entity, RowError, edge_nodes};
use tokio::time::{Instant, sleep};

use super::{Cdn, CdnError, MAX_PAGE};
use crate::edge_node::PURGED;
use crate::wake;

/// The longest that a request waits for nodes. A node that is not heard of any more is waited
/// for until its lease ends, which is sooner.
pub const MAX_WAIT: Duration = Duration::from_secs(30);
/// From one look at the rows to the next, at first and at most.
const LOOKS: (Duration, Duration) = (Duration::from_millis(4), Duration::from_millis(200));

impl Cdn {
    /// Has what `purge` selects leave every cache, and waits for it, no longer than [`MAX_WAIT`].
    pub async fn purge(&self, purge: Purge<'_>) -> Result<PurgeStatus, CdnError> {
        let selector = Selector::parse(OriginKind::Media, purge.kind, purge.subject)?;
        let Some(database) = &self.0.database else {
            return self.purge_here(selector, purge.soft).await;
        };
        let new = NewPurge {
            kind: selector.kind(),
            subject: selector.text(),
            soft: purge.soft,
            requested_by: purge.requested_by,
        };
        let (audited, once) = (purge.audited, purge.once);
        let row = purges::request(database, &new, audited, once, self.now()).await?;
        wake::all(&*self.0.bus, PURGED).await;
        self.wait(database, &row, purge.wait).await?;
        self.purge_status(row.id).await
    }

    async fn purge_here(&self, selector: Selector, soft: bool) -> Result<PurgeStatus, CdnError> {
        let edge = self.0.edge.as_ref().ok_or(CdnError::NoDatabase)?;
        edge.control.purge(&PurgeRule { selector, soft });
        edge.control
            .note_purges()
            .await
            .map_err(CdnError::NotNoted)?;
        Ok(PurgeStatus {
            row: None,
            nodes: Vec::new(),
            is_complete: true,
        })
    }

    /// Waits until no node with a live lease has it, or for `wait`.
    async fn wait(
        &self,
        database: &Database,
        purge: &PurgeRow,
        wait: Duration,
    ) -> Result<(), RowError> {
        let deadline = Instant::now() + wait.min(MAX_WAIT);
        let (mut pause, longest) = LOOKS;
        loop {
            let now = self.0.clock.now();
            if purges::awaited(database, purge.position, now)
                .await?
                .is_empty()
            {
                return purges::complete(database, purge.id, now).await;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            sleep(pause.min(left)).await;
            pause = (pause * 3 / 2).min(longest);
        }
    }

    /// Waits until no node that serves has what was purged, no longer than `wait` and [`MAX_WAIT`].
    pub async fn await_purge(&self, id: PurgeId, wait: Duration) -> Result<PurgeStatus, CdnError> {
        let database = self.database()?;
        let row = purges::get(database, id).await?;
        let row = row.ok_or(RowError::NotFound(Entity::Purge))?;
        self.wait(database, &row, wait).await?;
        self.purge_status(id).await
    }

    /// How far a purge is.
    pub async fn purge_status(&self, id: PurgeId) -> Result<PurgeStatus, CdnError> {
        let database = self.database()?;
        let row = purges::get(database, id).await?;
        let mut row = row.ok_or(RowError::NotFound(Entity::Purge))?;
        let now = self.0.clock.now();
        let acknowledged = purges::acknowledgements(database, id).await?;
        let mut replies: BTreeMap<NodeId, Reply> = acknowledged
            .into_iter()
            .map(|told| (told.node, Reply::Acknowledged(told.at)))
            .collect();
        let mut after = None;
        loop {
            let nodes = edge_nodes::list(database, after, MAX_PAGE).await?;
            for node in &nodes {
                let reply = match (node.purge_position >= row.position, node.is_live(now)) {
                    (true, _) => Reply::Passed,
                    (false, true) => Reply::Awaited,
                    (false, false) => Reply::Away,
                };
                replies.entry(node.id).or_insert(reply);
            }
            match nodes.last() {
                Some(last) if nodes.len() as u32 == MAX_PAGE => after = Some(last.id),
                _ => break,
            }
        }
        let is_awaited = replies.values().any(|reply| *reply == Reply::Awaited);
        if row.completed_at.is_none() && !is_awaited {
            purges::complete(database, id, now).await?;
            row.completed_at = Some(now);
        }
        let nodes = replies.into_iter();
        Ok(PurgeStatus {
            is_complete: row.completed_at.is_some(),
            row: Some(row),
            nodes: nodes
                .map(|(node, reply)| NodeReply { node, reply })
                .collect(),
        })
    }

    /// Purges, the newest first, those before `before`.
    pub async fn purges(
        &self,
        before: Option<PurgeId>,
        limit: u32,
    ) -> Result<Vec<PurgeRow>, CdnError> {
        let limit = limit.clamp(1, MAX_PAGE);
        Ok(purges::list(self.database()?, before, limit).await?)
    }
}
