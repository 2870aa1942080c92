//! Caches: where they are, how they are, and what is registered to be cached.

use async_graphql::{Enum, ID, InputObject, SimpleObject};
use serde::{Deserialize, Serialize};
use storage::rows::edge_assets as rows;
use utoipa::ToSchema;

use super::Moment;

/// A cache: where it is, and how it is.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct EdgeNode {
    /// Id.
    #[schema(value_type = String, format = "uuid")]
    pub id: ID,
    /// Its roles.
    pub roles: Vec<String>,
    /// What its URLs begin with; empty: not known.
    pub url: String,
    /// Where it is; empty: not told.
    pub region: String,
    /// Its version.
    pub version: String,
    /// Whether purges wait for it.
    pub is_live: bool,
    /// What is wrong with it; empty: nothing.
    pub health: String,
    /// When it started.
    #[schema(value_type = String, format = "date-time")]
    pub started_at: Moment,
    /// When it was last heard of.
    #[schema(value_type = String, format = "date-time")]
    pub heartbeat_at: Moment,
    /// Open connections.
    pub connections: u64,
    /// Requests since its start.
    pub requests: u64,
    /// Requests a second, lately.
    pub requests_per_second: u64,
    /// Bytes that it has in memory.
    pub memory_bytes: u64,
    /// The generation of the configuration that it has read.
    pub configuration: u64,
    /// The position of the last purge that it has obeyed.
    pub purge_position: u64,
}

/// Which configuration is wanted, and whether all caches have it.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct EdgeDeployment {
    /// The generation that all should have.
    pub configuration: u64,
    /// Whether all that are live have it.
    pub is_complete: bool,
    /// How many are live.
    pub nodes: u64,
    /// Those that do not have it, 100 at most.
    pub behind: Vec<NodeBehind>,
}

/// A cache that does not have the configuration yet.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct NodeBehind {
    /// The node.
    #[schema(value_type = String, format = "uuid")]
    pub node: ID,
    /// The generation that it has.
    pub configuration: u64,
}

/// What all caches that are live do together.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct EdgeMetrics {
    /// Their number.
    pub nodes: u64,
    /// Those with something wrong.
    pub unwell: u64,
    /// Open connections.
    pub connections: u64,
    /// Requests since each one's start.
    pub requests: u64,
    /// Requests a second, lately.
    pub requests_per_second: u64,
    /// Bytes in memory.
    pub memory_bytes: u64,
}

/// What an asset is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AssetKind {
    /// A live stream.
    Live,
    /// A video on demand.
    Vod,
    /// Something else.
    Other,
}

/// Who may have an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AssetAccess {
    /// Everybody, where nothing else protects it.
    Public,
    /// Who has a signed URL.
    Signed,
}

/// What is registered to be cached.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct EdgeAsset {
    /// Id.
    #[schema(value_type = String, format = "uuid")]
    pub id: ID,
    /// What it is called.
    pub name: String,
    /// All paths that begin with it.
    pub path_prefix: String,
    /// What it is.
    pub kind: AssetKind,
    /// What is asked for it; empty: the origin of the installation.
    pub origin: String,
    /// Who may have it.
    pub access: AssetAccess,
    /// A purge of one of them selects all its paths.
    pub tags: Vec<String>,
    /// When it was registered.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Moment,
    /// When it was last changed.
    #[schema(value_type = String, format = "date-time")]
    pub updated_at: Moment,
}

/// An asset to be registered.
#[derive(Debug, Clone, Serialize, Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterAssetInput {
    /// What it is called: at most 200 bytes.
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
    /// All paths that begin with it.
    #[schema(min_length = 1, max_length = 1024, pattern = "^/.*")]
    pub path_prefix: String,
    /// What it is.
    pub kind: AssetKind,
    /// What is asked for it, `http(s)://HOST:PORT`; empty: the origin of the installation.
    #[serde(default)]
    #[graphql(default)]
    #[schema(required = false)]
    pub origin: String,
    /// Who may have it.
    pub access: AssetAccess,
    /// A purge of one of them selects all its paths.
    #[serde(default)]
    #[graphql(default)]
    #[schema(required = false, max_items = 16)]
    pub tags: Vec<String>,
}

/// What is to be another about an asset; what is left out stays.
#[derive(Debug, Clone, Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateAssetInput {
    /// What it is called: at most 200 bytes.
    #[schema(min_length = 1, max_length = 200)]
    pub name: Option<String>,
    /// All paths that begin with it.
    #[schema(min_length = 1, max_length = 1024, pattern = "^/.*")]
    pub path_prefix: Option<String>,
    /// What it is.
    pub kind: Option<AssetKind>,
    /// What is asked for it, `http(s)://HOST:PORT`; empty: the origin of the installation.
    pub origin: Option<String>,
    /// Who may have it.
    pub access: Option<AssetAccess>,
    /// A purge of one of them selects all its paths.
    #[schema(max_items = 16)]
    pub tags: Option<Vec<String>>,
}

impl From<AssetKind> for rows::AssetKind {
    fn from(kind: AssetKind) -> Self {
        match kind {
            AssetKind::Live => Self::Live,
            AssetKind::Vod => Self::Vod,
            AssetKind::Other => Self::Other,
        }
    }
}

impl From<rows::AssetKind> for AssetKind {
    fn from(kind: rows::AssetKind) -> Self {
        match kind {
            rows::AssetKind::Live => Self::Live,
            rows::AssetKind::Vod => Self::Vod,
            rows::AssetKind::Other => Self::Other,
        }
    }
}

impl From<AssetAccess> for rows::AssetAccess {
    fn from(access: AssetAccess) -> Self {
        match access {
            AssetAccess::Public => Self::Public,
            AssetAccess::Signed => Self::Signed,
        }
    }
}

impl From<rows::AssetAccess> for AssetAccess {
    fn from(access: rows::AssetAccess) -> Self {
        match access {
            rows::AssetAccess::Public => Self::Public,
            rows::AssetAccess::Signed => Self::Signed,
        }
    }
}
