//! Prewarms: asked for, looked at, cancelled.

mod local;

use edge::{OriginKind, PrewarmOrder};
use media::PrewarmId;
use social::cdn::{NewPrewarm, PrewarmNodeStatus, PrewarmStatus};
use storage::rows::audit_log::Audited;
use storage::rows::prewarms::{self, PrewarmKind, PrewarmOrder as OrderRow, PrewarmRow};
use storage::rows::{Entity, RowError};

use super::{Cdn, CdnError, MAX_PAGE};
use crate::edge_node;

pub use local::LocalPrewarms;

/// Nodes that a prewarm may name.
const MAX_NODES: usize = 1_000;

impl Cdn {
    /// Has edges store what will be asked for. Returns at once.
    pub async fn prewarm(&self, new: NewPrewarm<'_>) -> Result<PrewarmStatus, CdnError> {
        let origin = OriginKind::Media;
        let order = PrewarmOrder::parse(origin, new.kind, new.subject, new.depth, new.renditions)?;
        if new.nodes.len() > MAX_NODES {
            let most =
                format!("the nodes of a prewarm are not valid: expected {MAX_NODES} at most");
            return Err(CdnError::Invalid(most));
        }
        let row = OrderRow {
            kind: kind_of(&order),
            subject: order.subject(),
            depth: new.depth,
            renditions: new.renditions.to_vec(),
        };
        let now = self.now();
        let Some(database) = &self.0.database else {
            let edge = self.0.edge.as_ref().ok_or(CdnError::NoDatabase)?;
            if !new.nodes.is_empty() {
                return Err(CdnError::NoDatabase);
            }
            let begun = self
                .0
                .local
                .begin(&edge.prewarmer, order, row, new.requester.name, now);
            return begun.ok_or(CdnError::TooManyPrewarms(local::AT_ONCE as u64));
        };
        let (nodes, by) = (new.nodes, new.requester);
        let requested = prewarms::request(database, &row, nodes, by, now).await;
        let id = requested.map_err(|error| match error {
            RowError::NotFound(Entity::Node) if nodes.is_empty() => CdnError::NoEdge,
            RowError::TooLarge { .. } => CdnError::Invalid(error.to_string()),
            RowError::TooManyPrewarms(most) => CdnError::TooManyPrewarms(most),
            error => error.into(),
        })?;
        edge_node::prewarms::tell(&*self.0.bus).await;
        self.prewarm_status(id).await
    }

    /// How far a prewarm is.
    pub async fn prewarm_status(&self, id: PrewarmId) -> Result<PrewarmStatus, CdnError> {
        let unknown = RowError::NotFound(Entity::Prewarm);
        let Some(database) = self.rows_of_prewarms()? else {
            return Ok(self.0.local.get(id).ok_or(unknown)?);
        };
        let now = self.now();
        let row = prewarms::get(database, id, now).await?.ok_or(unknown)?;
        let nodes = prewarms::nodes(database, id, now).await?.into_iter();
        let nodes = nodes.map(|told| PrewarmNodeStatus {
            node: Some(told.node),
            state: told.state,
            is_live: told.is_live,
            progress: told.progress,
            errors: told.errors,
            updated_at: told.updated_at,
        });
        Ok(PrewarmStatus {
            row,
            nodes: nodes.collect(),
        })
    }

    /// Prewarms, the newest first, those before `before`.
    pub async fn prewarms(
        &self,
        before: Option<PrewarmId>,
        limit: u32,
    ) -> Result<Vec<PrewarmRow>, CdnError> {
        let limit = limit.clamp(1, MAX_PAGE);
        match self.rows_of_prewarms()? {
            Some(database) => Ok(prewarms::list(database, before, limit, self.now()).await?),
            None => Ok(self.0.local.list(before, limit)),
        }
    }

    /// Ends a prewarm where it has not ended, and notes that in the audit log, if it is to be noted.
    /// What is stored stays.
    pub async fn cancel_prewarm(
        &self,
        id: PrewarmId,
        audited: Option<Audited>,
    ) -> Result<PrewarmStatus, CdnError> {
        match self.rows_of_prewarms()? {
            Some(database) => {
                prewarms::cancel(database, id, audited, self.now()).await?;
                edge_node::prewarms::tell(&*self.0.bus).await;
            }
            None => self.0.local.cancel(id, self.now()),
        }
        self.prewarm_status(id).await
    }

    /// None: they are those of the edge in this process.
    fn rows_of_prewarms(&self) -> Result<Option<&storage::rows::Database>, CdnError> {
        match (&self.0.database, &self.0.edge) {
            (Some(database), _) => Ok(Some(database)),
            (None, Some(_)) => Ok(None),
            (None, None) => Err(CdnError::NoDatabase),
        }
    }
}

fn kind_of(order: &PrewarmOrder) -> PrewarmKind {
    match order.kind() {
        "urls" => PrewarmKind::Urls,
        "video" => PrewarmKind::Video,
        _ => PrewarmKind::Playlist,
    }
}
