//! Caches that nobody runs: what they are told is in the rows, and in a list.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use media::{AssetId, Clock, ManualClock, Micros, NodeId, PrewarmId, PurgeId};
use social::ServiceError;
use social::cdn::{
    AssetChange, CachePlane, Deployment, Figures, MadeUrl, NewAsset, NewPrewarm, Planned,
    PrewarmStatus, Purge, PurgeStatus, WantedUrl,
};
use storage::Database;
use storage::rows::audit_log::Audited;
use storage::rows::edge_assets::{self, AssetRow, AssetRules};
use storage::rows::edge_nodes::{self, NewNode, NodeRow};
use storage::rows::idempotency_keys::Once;
use storage::rows::prewarms::{self, PrewarmOrder};
use storage::rows::purges::{self, NewPurge};
use storage::rows::{Entity, RowError};

/// Nodes that are looked at.
const PAGE: u32 = 100;

/// The tag of which a purge never ends.
pub(crate) const NEVER: &str = "never";

/// Signs with the owner's id, or `nobody`; purges are complete as soon as they are waited for.
#[derive(Debug, Clone)]
pub(crate) struct TestCaches {
    database: Database,
    clock: Arc<ManualClock>,
    told: Arc<Mutex<Vec<String>>>,
}

impl TestCaches {
    pub(crate) fn new(database: Database, clock: Arc<ManualClock>) -> Self {
        Self {
            database,
            clock,
            told: Arc::default(),
        }
    }

    /// What they were told.
    pub(crate) fn told(&self) -> Vec<String> {
        self.lock().clone()
    }

    fn tell(&self, what: String) {
        self.lock().push(what);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn prewarmed(&self, id: PrewarmId) -> Result<PrewarmStatus, ServiceError> {
        let row = prewarms::get(&self.database, id, self.clock.now()).await?;
        Ok(PrewarmStatus {
            row: row.ok_or(RowError::NotFound(Entity::Prewarm))?,
            nodes: Vec::new(),
        })
    }

    async fn purged(&self, id: PurgeId) -> Result<PurgeStatus, ServiceError> {
        let row = purges::get(&self.database, id).await?;
        let row = row.ok_or(RowError::NotFound(Entity::Purge))?;
        Ok(PurgeStatus {
            is_complete: row.completed_at.is_some(),
            row: Some(row),
            nodes: Vec::new(),
        })
    }
}

/// An edge that is live for an hour.
pub(crate) async fn live_edge(database: &Database, clock: &ManualClock) -> NodeId {
    let id = NodeId::new();
    let node = NewNode {
        id,
        instance: "test".to_owned(),
        roles: "edge".to_owned(),
        url: "https://edge.example.org".to_owned(),
        region: "north".to_owned(),
        version: "1".to_owned(),
        has_shields: false,
        shield_url: String::new(),
    };
    let lease = Micros::from_secs(3_600);
    edge_nodes::register(database, &node, 0, lease, clock.now())
        .await
        .unwrap();
    id
}

impl CachePlane for TestCaches {
    fn url<'a>(&'a self, wanted: WantedUrl<'a>) -> Planned<'a, MadeUrl> {
        Box::pin(async move {
            let owner = wanted.viewing.map(|viewing| viewing.owner.to_string());
            let owner = owner.unwrap_or("nobody".to_owned());
            Ok(match wanted.is_signed {
                true => MadeUrl {
                    url: format!("{}?signed-by={owner}", wanted.path),
                    expires: Some(self.clock.now() + wanted.ttl),
                },
                false => MadeUrl {
                    url: wanted.path.to_owned(),
                    expires: None,
                },
            })
        })
    }

    fn purge<'a>(&'a self, purge: Purge<'a>) -> Planned<'a, PurgeStatus> {
        Box::pin(async move {
            self.tell(format!("purge {} {}", purge.kind, purge.subject));
            // Rows have those of paths and tags.
            let (kind, subject) = match purge.kind {
                "stream" => ("prefix", format!("/live/{}/", purge.subject)),
                "video" => ("prefix", format!("/vod/{}/", purge.subject)),
                kind => (kind, purge.subject.to_owned()),
            };
            let new = NewPurge {
                kind,
                subject: &subject,
                soft: purge.soft,
                requested_by: purge.requested_by,
            };
            let (audited, once, now) = (purge.audited, purge.once, self.clock.now());
            let row = purges::request(&self.database, &new, audited, once, now).await?;
            self.purged(row.id).await
        })
    }

    fn await_purge(&self, id: PurgeId, wait: Duration) -> Planned<'_, PurgeStatus> {
        Box::pin(async move {
            let purged = self.purged(id).await?;
            if purged.row.is_some_and(|row| row.subject == NEVER) {
                tokio::time::sleep(wait).await;
            } else {
                purges::complete(&self.database, id, self.clock.now()).await?;
            }
            self.purged(id).await
        })
    }

    fn purge_status(&self, id: PurgeId) -> Planned<'_, PurgeStatus> {
        Box::pin(self.purged(id))
    }

    fn prewarm<'a>(&'a self, new: NewPrewarm<'a>) -> Planned<'a, PrewarmStatus> {
        Box::pin(async move {
            self.tell(format!("prewarm {} {}", new.kind, new.subject));
            let order = PrewarmOrder {
                kind: new.kind.parse().unwrap(),
                subject: new.subject.to_owned(),
                depth: new.depth,
                renditions: new.renditions.to_vec(),
            };
            let (by, now) = (new.requester, self.clock.now());
            let requested = prewarms::request(&self.database, &order, new.nodes, by, now).await;
            let id = requested.map_err(|error| match error {
                RowError::NotFound(Entity::Node) => ServiceError::NotHere {
                    code: "no-edge",
                    detail: "no edge is live".to_owned(),
                },
                error => error.into(),
            })?;
            self.prewarmed(id).await
        })
    }

    fn prewarm_status(&self, id: PrewarmId) -> Planned<'_, PrewarmStatus> {
        Box::pin(self.prewarmed(id))
    }

    fn cancel_prewarm(
        &self,
        id: PrewarmId,
        audited: Option<Audited>,
    ) -> Planned<'_, PrewarmStatus> {
        Box::pin(async move {
            prewarms::cancel(&self.database, id, audited, self.clock.now()).await?;
            self.prewarmed(id).await
        })
    }

    fn register_asset<'a>(
        &'a self,
        new: NewAsset,
        audited: Audited,
        once: Option<Once<'a>>,
    ) -> Planned<'a, AssetRow> {
        Box::pin(async move {
            let rules = AssetRules {
                name: new.name,
                path_prefix: new.path_prefix,
                kind: new.kind.parse().unwrap(),
                origin: new.origin,
                access: new.access.parse().unwrap(),
                tags: new.tags,
            };
            let now = self.clock.now();
            let registered =
                edge_assets::register(&self.database, &rules, Some(audited), once, now).await;
            registered.map_err(|error| match error {
                edge_assets::RegisterError::Rows(error) => error.into(),
                error => ServiceError::refused(error.to_string()),
            })
        })
    }

    fn change_asset(
        &self,
        id: AssetId,
        change: AssetChange,
        audited: Audited,
    ) -> Planned<'_, AssetRow> {
        Box::pin(async move {
            let change = |rules: &mut AssetRules| {
                if let Some(name) = change.name {
                    rules.name = name;
                }
                if let Some(tags) = change.tags {
                    rules.tags = tags;
                }
            };
            let now = self.clock.now();
            Ok(edge_assets::update(&self.database, id, change, Some(audited), now).await?)
        })
    }

    fn asset(&self, id: AssetId) -> Planned<'_, AssetRow> {
        Box::pin(async move {
            let asset = edge_assets::get(&self.database, id).await?;
            Ok(asset.ok_or(RowError::NotFound(Entity::Asset))?)
        })
    }

    fn remove_asset(&self, id: AssetId, audited: Audited) -> Planned<'_, ()> {
        Box::pin(async move {
            let now = self.clock.now();
            match edge_assets::remove(&self.database, id, Some(audited), now).await? {
                true => Ok(()),
                false => Err(RowError::NotFound(Entity::Asset).into()),
            }
        })
    }

    fn assets(&self, after: Option<AssetId>, limit: u32) -> Planned<'_, Vec<AssetRow>> {
        Box::pin(async move { Ok(edge_assets::list(&self.database, after, limit).await?) })
    }

    fn nodes(&self, after: Option<NodeId>, limit: u32) -> Planned<'_, Vec<NodeRow>> {
        Box::pin(async move { Ok(edge_nodes::list(&self.database, after, limit).await?) })
    }

    fn deployment(&self) -> Planned<'_, Deployment> {
        Box::pin(async move {
            Ok(Deployment {
                wanted: edge_assets::generation(&self.database).await?,
                nodes: edge_nodes::list(&self.database, None, PAGE).await?,
            })
        })
    }

    fn figures(&self) -> Planned<'_, Figures> {
        Box::pin(async move {
            let nodes = edge_nodes::list(&self.database, None, PAGE).await?;
            Ok(Figures {
                nodes: nodes.len() as u64,
                ..Figures::default()
            })
        })
    }
}
