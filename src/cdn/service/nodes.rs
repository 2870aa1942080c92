//! Nodes: where they are, how they are, and what they have read.

use media::NodeId;
use social::cdn::{Deployment, Figures};
use storage::rows::edge_nodes::{self, NodeRow};
use storage::rows::{Database, edge_assets};

use super::{Cdn, CdnError, MAX_PAGE};

impl Cdn {
    /// Nodes by their ids, those after `after`.
    pub async fn nodes(&self, after: Option<NodeId>, limit: u32) -> Result<Vec<NodeRow>, CdnError> {
        let limit = limit.clamp(1, MAX_PAGE);
        Ok(edge_nodes::list(self.database()?, after, limit).await?)
    }

    /// The time by which leases are judged.
    pub fn now(&self) -> media::Timestamp {
        self.0.clock.now()
    }

    /// Which configuration each node with a live lease has read.
    pub async fn deployment(&self) -> Result<Deployment, CdnError> {
        let database = self.database()?;
        Ok(Deployment {
            wanted: edge_assets::generation(database).await?,
            nodes: self.live_nodes(database).await?,
        })
    }

    /// What all nodes with a live lease do together.
    pub async fn figures(&self) -> Result<Figures, CdnError> {
        let mut sum = Figures::default();
        for node in self.live_nodes(self.database()?).await? {
            sum.nodes += 1;
            sum.unwell += u64::from(!node.state.health.is_empty());
            sum.connections += node.state.connections;
            sum.requests_per_second += node.state.requests_per_second;
            sum.requests += node.state.requests;
            sum.memory_bytes += node.state.memory_bytes;
        }
        Ok(sum)
    }

    async fn live_nodes(&self, database: &Database) -> Result<Vec<NodeRow>, CdnError> {
        let now = self.0.clock.now();
        let (mut live, mut after) = (Vec::new(), None);
        loop {
            let page = edge_nodes::list(database, after, MAX_PAGE).await?;
            let is_last = (page.len() as u32) < MAX_PAGE;
            after = page.last().map(|node| node.id);
            live.extend(page.into_iter().filter(|node| node.is_live(now)));
            if is_last {
                return Ok(live);
            }
        }
    }
}
