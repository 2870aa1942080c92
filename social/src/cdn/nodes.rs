//! The caches: where they are, and how they are.

use media::Timestamp;
use storage::rows::edge_nodes::NodeRow;

use super::NODES_NAMED;
use crate::caller::Caller;
use crate::model::{EdgeDeployment, EdgeMetrics, EdgeNode, NodeBehind};
use crate::operation::Operation;
use crate::paging::{PageRequest, Paged};
use crate::{ServiceError, Services};

impl Services {
    /// The caches, by their ids.
    pub async fn list_edge_nodes(
        &self,
        caller: &Caller,
        page: PageRequest,
    ) -> Result<Paged<EdgeNode>, ServiceError> {
        self.begin_known(caller, Operation::ListEdgeNodes)?;
        let nodes = self.caches()?.nodes(page.after(), page.limit()).await?;
        let now = self.now();
        let place = |node: &NodeRow| node.id.as_uuid();
        Ok(page.page(nodes, place, |node| shown(node, now)))
    }

    /// Which configuration is wanted, and who does not have it.
    pub async fn get_edge_deployment(
        &self,
        caller: &Caller,
    ) -> Result<EdgeDeployment, ServiceError> {
        self.begin_known(caller, Operation::GetEdgeDeployment)?;
        let deployment = self.caches()?.deployment().await?;
        let wanted = deployment.wanted;
        let is_behind = |node: &&NodeRow| node.state.configuration < wanted;
        let behind = deployment.nodes.iter().filter(is_behind).take(NODES_NAMED);
        let behind: Vec<_> = behind
            .map(|node| NodeBehind {
                node: node.id.to_string().into(),
                configuration: node.state.configuration,
            })
            .collect();
        Ok(EdgeDeployment {
            configuration: wanted,
            is_complete: behind.is_empty(),
            nodes: deployment.nodes.len() as u64,
            behind,
        })
    }

    /// What the caches that are live do together.
    pub async fn get_edge_metrics(&self, caller: &Caller) -> Result<EdgeMetrics, ServiceError> {
        self.begin_known(caller, Operation::GetEdgeMetrics)?;
        let figures = self.caches()?.figures().await?;
        Ok(EdgeMetrics {
            nodes: figures.nodes,
            unwell: figures.unwell,
            connections: figures.connections,
            requests: figures.requests,
            requests_per_second: figures.requests_per_second,
            memory_bytes: figures.memory_bytes,
        })
    }
}

fn shown(node: NodeRow, now: Timestamp) -> EdgeNode {
    EdgeNode {
        id: node.id.to_string().into(),
        is_live: node.is_live(now),
        roles: node.roles.split(',').map(str::to_owned).collect(),
        url: node.url,
        region: node.region,
        version: node.version,
        health: node.state.health,
        started_at: node.started_at.into(),
        heartbeat_at: node.heartbeat_at.into(),
        connections: node.state.connections,
        requests: node.state.requests,
        requests_per_second: node.state.requests_per_second,
        memory_bytes: node.state.memory_bytes,
        configuration: node.state.configuration,
        purge_position: node.purge_position,
    }
}
