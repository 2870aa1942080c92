//! What caches are to store before anybody asks for it.

use media::{NodeId, PrewarmId};
use storage::rows::audit_log::Audited;
use storage::rows::prewarms::Requester;

use super::reach::{Folder, Right, not_an_administrator};
use super::{NODES_NAMED, NewPrewarm, PrewarmNodeStatus, PrewarmStatus, read_id, requester};
use crate::caller::Caller;
use crate::idempotency::{Made, Repeatable};
use crate::model::{Prewarm, PrewarmInput, PrewarmNode};
use crate::operation::{Actor, Operation};
use crate::people::is_administrator;
use crate::{ServiceError, Services};

/// URLs of one prewarm.
const MAX_URLS: usize = 500;
/// Prewarms of one user that have not ended, unless they administer the installation: all together
/// have room for so many.
const MAX_OPEN: u64 = 8;

/// What is to be stored, as the caches spell it.
struct Order {
    kind: &'static str,
    subject: String,
}

impl Services {
    /// Has caches store something. Returns at once.
    pub async fn prewarm(
        &self,
        caller: &Caller,
        input: PrewarmInput,
        idempotency_key: Option<&str>,
    ) -> Result<Prewarm, ServiceError> {
        let operation = Operation::Prewarm;
        let actor = self.begin_known(caller, operation)?;
        let request = Repeatable::new(actor.user, idempotency_key, operation, &input)?;
        let request = request.as_ref();
        let (order, right) = self.prewarm_order(caller, actor, &input).await?;
        if right == Right::Owner && !input.nodes.is_empty() {
            return Err(not_an_administrator(actor));
        }
        let nodes: Vec<NodeId> = input
            .nodes
            .iter()
            .map(|id| read_id(id, "node"))
            .collect::<Result<_, _>>()?;
        if let Some(Made { id }) = self.earlier(request).await? {
            let made = self.find_prewarm(caller, actor, &id).await?;
            return Ok(shown(made, caller));
        }
        self.count_order(caller, actor)?;
        let requested_by = requester(actor.user);
        let new = NewPrewarm {
            kind: order.kind,
            subject: &order.subject,
            depth: input.depth,
            renditions: &input.renditions,
            nodes: &nodes,
            requester: Requester {
                name: &requested_by,
                at_most: (right == Right::Owner).then_some(MAX_OPEN),
                audited: audited(actor, right, "prewarm"),
                once: self.once(request),
            },
        };
        let status = match self.caches()?.prewarm(new).await {
            Ok(status) => status,
            Err(refused) => {
                let Made { id } = self.faster(request, refused).await?;
                self.find_prewarm(caller, actor, &id).await?
            }
        };
        Ok(shown(status, caller))
    }

    /// What is asked for, and by which right.
    async fn prewarm_order(
        &self,
        caller: &Caller,
        actor: Actor,
        input: &PrewarmInput,
    ) -> Result<(Order, Right), ServiceError> {
        let order = |kind, subject| Order { kind, subject };
        match (&input.urls, &input.video, &input.playlist) {
            (Some(urls), None, None) => {
                if !(1..=MAX_URLS).contains(&urls.len()) {
                    let expected = format!("expected 1 to {MAX_URLS}");
                    return Err(ServiceError::invalid("urls", expected));
                }
                let is_line =
                    |url: &String| !url.trim().is_empty() && !url.contains(char::is_control);
                if !urls.iter().all(is_line) {
                    let expected = "expected URLs without control characters, none of them empty";
                    return Err(ServiceError::invalid("urls", expected));
                }
                let paths = urls.iter().map(String::as_str);
                let right = self.right_to_paths(caller, actor, "urls", paths).await?;
                Ok((order("urls", urls.join("\n")), right))
            }
            (None, Some(video), None) => {
                let folder = Folder::Video(read_id(video, "video")?);
                let right = self.right_to(caller, actor, &folder).await?;
                Ok((order("video", video.to_string()), right))
            }
            (None, None, Some(playlist)) => {
                let path = [playlist.as_str()];
                let right = self.right_to_paths(caller, actor, "playlist", path).await?;
                Ok((order("playlist", playlist.clone()), right))
            }
            _ => {
                let expected = "expected one of urls, video and playlist";
                Err(ServiceError::invalid("", expected))
            }
        }
    }

    /// How far a prewarm is that the caller asked for; any, for administrators.
    pub async fn get_prewarm(&self, caller: &Caller, id: &str) -> Result<Prewarm, ServiceError> {
        let actor = self.begin_known(caller, Operation::GetPrewarm)?;
        let status = self.find_prewarm(caller, actor, id).await?;
        Ok(shown(status, caller))
    }

    /// Ends one. What is stored stays.
    pub async fn cancel_prewarm(&self, caller: &Caller, id: &str) -> Result<Prewarm, ServiceError> {
        let actor = self.begin_known(caller, Operation::CancelPrewarm)?;
        let found = self.find_prewarm(caller, actor, id).await?;
        let right = match found.row.requested_by == requester(actor.user) {
            true => Right::Owner,
            false => Right::Administrator,
        };
        let audited = audited(actor, right, "cancel-prewarm");
        let status = self.caches()?.cancel_prewarm(found.row.id, audited).await?;
        Ok(shown(status, caller))
    }

    async fn find_prewarm(
        &self,
        caller: &Caller,
        actor: Actor,
        id: &str,
    ) -> Result<PrewarmStatus, ServiceError> {
        let id: PrewarmId = read_id(id, "prewarm")?;
        let status = self.caches()?.prewarm_status(id).await?;
        match is_administrator(caller) || status.row.requested_by == requester(actor.user) {
            true => Ok(status),
            false => Err(ServiceError::NotFound("prewarm".into())),
        }
    }
}

/// What is done to what is one's own is nobody's business.
fn audited(actor: Actor, right: Right, action: &'static str) -> Option<Audited> {
    (right == Right::Administrator).then_some(Audited {
        actor: actor.user,
        action,
    })
}

fn shown(status: PrewarmStatus, caller: &Caller) -> Prewarm {
    let row = status.row;
    let nodes = is_administrator(caller).then(|| {
        let nodes = status.nodes.into_iter();
        nodes.filter_map(shown_node).take(NODES_NAMED).collect()
    });
    Prewarm {
        id: row.id.to_string().into(),
        kind: row.order.kind.to_string(),
        subject: row.order.subject,
        urls: row.urls,
        depth: row.order.depth,
        renditions: row.order.renditions,
        requested_at: row.requested_at.into(),
        state: row.state.into(),
        total: row.progress.total,
        done: row.progress.done,
        failed: row.progress.failed,
        bytes: row.progress.bytes,
        nodes,
    }
}

/// `None`: it is in no registry.
fn shown_node(node: PrewarmNodeStatus) -> Option<PrewarmNode> {
    Some(PrewarmNode {
        node: node.node?.to_string().into(),
        state: node.state.into(),
        is_live: node.is_live,
        total: node.progress.total,
        done: node.progress.done,
        failed: node.progress.failed,
        bytes: node.progress.bytes,
        errors: node.errors,
        updated_at: node.updated_at.into(),
    })
}
