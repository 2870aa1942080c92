//! What the API asks of the part of the server that runs the caches.

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use media::{AssetId, Micros, NodeId, PrewarmId, PurgeId, Timestamp};
use storage::rows::audit_log::Audited;
use storage::rows::edge_assets::AssetRow;
use storage::rows::edge_nodes::NodeRow;
use storage::rows::idempotency_keys::Once;
use storage::rows::prewarms::{PrewarmProgress, PrewarmRow, PrewarmState, Requester};
use storage::rows::purges::PurgeRow;

use crate::ServiceError;
use crate::streams::Viewing;

/// What an answer of the plane is.
pub type Planned<'a, T> = BoxFuture<'a, Result<T, ServiceError>>;

/// What caches are told, and what is known of them. Who may, the API has seen before it asks;
/// what is [`Audited`], and what is done [`Once`], is noted by the transaction that does it.
pub trait CachePlane: fmt::Debug + Send + Sync + 'static {
    /// The URL of a path.
    fn url<'a>(&'a self, wanted: WantedUrl<'a>) -> Planned<'a, MadeUrl>;

    /// Has what `purge` selects leave every cache, and waits for it.
    fn purge<'a>(&'a self, purge: Purge<'a>) -> Planned<'a, PurgeStatus>;

    /// Waits until no cache that serves has what was purged, or for `wait`.
    fn await_purge(&self, id: PurgeId, wait: Duration) -> Planned<'_, PurgeStatus>;

    /// How far a purge is.
    fn purge_status(&self, id: PurgeId) -> Planned<'_, PurgeStatus>;

    /// Has caches store what will be asked for. Returns at once.
    fn prewarm<'a>(&'a self, new: NewPrewarm<'a>) -> Planned<'a, PrewarmStatus>;

    /// How far a prewarm is.
    fn prewarm_status(&self, id: PrewarmId) -> Planned<'_, PrewarmStatus>;

    /// Ends a prewarm where it has not ended. What is stored stays.
    fn cancel_prewarm(&self, id: PrewarmId, audited: Option<Audited>)
    -> Planned<'_, PrewarmStatus>;

    /// Registers an asset.
    fn register_asset<'a>(
        &'a self,
        new: NewAsset,
        audited: Audited,
        once: Option<Once<'a>>,
    ) -> Planned<'a, AssetRow>;

    /// Changes an asset.
    fn change_asset(
        &self,
        id: AssetId,
        change: AssetChange,
        audited: Audited,
    ) -> Planned<'_, AssetRow>;

    /// An asset.
    fn asset(&self, id: AssetId) -> Planned<'_, AssetRow>;

    /// Removes an asset. What is cached of it stays.
    fn remove_asset(&self, id: AssetId, audited: Audited) -> Planned<'_, ()>;

    /// Assets in the order of their registration, those after `after`.
    fn assets(&self, after: Option<AssetId>, limit: u32) -> Planned<'_, Vec<AssetRow>>;

    /// Nodes by their ids, those after `after`.
    fn nodes(&self, after: Option<NodeId>, limit: u32) -> Planned<'_, Vec<NodeRow>>;

    /// Which configuration each node with a live lease has read.
    fn deployment(&self) -> Planned<'_, Deployment>;

    /// What all nodes with a live lease do together.
    fn figures(&self) -> Planned<'_, Figures>;
}

/// A URL as it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct WantedUrl<'a> {
    /// A path, and maybe a query.
    pub path: &'a str,
    /// How long a signature holds.
    pub ttl: Micros,
    /// Whether it is signed even where the configuration and the assets want no signature.
    pub is_signed: bool,
    /// Whose it is: by that a signature is taken back before it expires. `None`: it is not.
    pub viewing: Option<Viewing>,
}

/// A URL that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeUrl {
    /// The URL.
    pub url: String,
    /// Until when its signature holds; `None`: it has none.
    pub expires: Option<Timestamp>,
}

/// A purge as it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Purge<'a> {
    /// `url`, `prefix`, `pattern`, `tag`, `stream`, `video` or `everything`.
    pub kind: &'a str,
    /// What of that kind.
    pub subject: &'a str,
    /// What it selects is stale, not gone.
    pub soft: bool,
    /// Who asks.
    pub requested_by: &'a str,
    /// What is noted of it; `None`: nothing.
    pub audited: Option<Audited>,
    /// The key that it is asked under; `None`: under none.
    pub once: Option<Once<'a>>,
    /// How long it is waited for.
    pub wait: Duration,
}

/// How far a purge is.
#[derive(Debug, Clone)]
pub struct PurgeStatus {
    /// The purge. `None`: it was for the edge in this process, and is done.
    pub row: Option<PurgeRow>,
    /// Every node that has obeyed, or is awaited, or was given up.
    pub nodes: Vec<NodeReply>,
    /// No node that serves has what was purged.
    pub is_complete: bool,
}

/// What is known of one node and a purge.
#[derive(Debug, Clone, Copy)]
pub struct NodeReply {
    /// The node.
    pub node: NodeId,
    /// What it says.
    pub reply: Reply,
}

/// What a node says of a purge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// It has obeyed, then.
    Acknowledged(Timestamp),
    /// It has obeyed as part of something that left nothing.
    Passed,
    /// Its lease lives, and it has not answered yet.
    Awaited,
    /// It has no lease: it gives nothing unasked, and will obey before it does.
    Away,
}

/// A prewarm as it is asked for.
#[derive(Debug, Clone)]
pub struct NewPrewarm<'a> {
    /// `urls`, `video` or `playlist`.
    pub kind: &'a str,
    /// URLs or paths, a line each; a video's id; a playlist's URL or path.
    pub subject: &'a str,
    /// Segments of each rendition. None: all.
    pub depth: Option<u32>,
    /// None: all.
    pub renditions: &'a [String],
    /// None: all that are live.
    pub nodes: &'a [NodeId],
    /// Who asks.
    pub requester: Requester<'a>,
}

/// How far a prewarm is.
#[derive(Debug, Clone)]
pub struct PrewarmStatus {
    /// It, and all its nodes together.
    pub row: PrewarmRow,
    /// Each of them.
    pub nodes: Vec<PrewarmNodeStatus>,
}

/// How far a node is.
#[derive(Debug, Clone)]
pub struct PrewarmNodeStatus {
    /// `None`: the edge in this process, which is in no registry.
    pub node: Option<NodeId>,
    /// Where it is.
    pub state: PrewarmState,
    /// Whether its lease lives.
    pub is_live: bool,
    /// What it has done.
    pub progress: PrewarmProgress,
    /// What failed first.
    pub errors: Vec<String>,
    /// When it told so.
    pub updated_at: Timestamp,
}

/// An asset as it is registered.
#[derive(Debug, Clone)]
pub struct NewAsset {
    /// What is said of it, as text.
    pub name: String,
    /// All paths that begin with it.
    pub path_prefix: String,
    /// `live`, `vod` or `other`.
    pub kind: String,
    /// What is asked for it, `http(s)://HOST:PORT`; empty: the origin of the installation.
    pub origin: String,
    /// `signed`, or `public`: what `[access]` says.
    pub access: String,
    /// A purge of one of them selects all paths of the asset.
    pub tags: Vec<String>,
}

/// What is changed of an asset; what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct AssetChange {
    /// See [`NewAsset`].
    pub name: Option<String>,
    /// See [`NewAsset`].
    pub path_prefix: Option<String>,
    /// See [`NewAsset`].
    pub kind: Option<String>,
    /// See [`NewAsset`].
    pub origin: Option<String>,
    /// See [`NewAsset`].
    pub access: Option<String>,
    /// See [`NewAsset`].
    pub tags: Option<Vec<String>>,
}

/// Which configuration is wanted, and where it is.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// The generation of the assets.
    pub wanted: u64,
    /// Nodes with a live lease.
    pub nodes: Vec<NodeRow>,
}

/// What all nodes with a live lease do together.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Their number.
    pub nodes: u64,
    /// Those with something wrong.
    pub unwell: u64,
    /// Open connections.
    pub connections: u64,
    /// Requests a second.
    pub requests_per_second: u64,
    /// Requests since each one's start.
    pub requests: u64,
    /// Bytes stored in memory.
    pub memory_bytes: u64,
}
