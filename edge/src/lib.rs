//! The HTTP cache between viewers and an origin.
//!
//! [`Edge`] is a `tower_service::Service`. A request becomes a cache key; a
//! fresh stored answer is served from memory; otherwise the request joins the one
//! fill of its key, which is a task of the edge's own and never a client's. A fill
//! streams: its readers see bytes as they arrive, each at a pace of its own.
//!
//! What decides (key, freshness, ranges, conditions) is pure and takes `now` as an
//! argument; what waits is in `fill`, `fetch` and `service`.

pub mod access;
mod age;
mod body;
mod budget;
mod cache_control;
mod cache_status;
mod changes;
pub mod cmcd;
mod coalesce;
mod conditional;
mod config;
mod control;
mod cors;
mod disk;
mod disk_tier;
mod edge_future;
mod era;
mod fences;
mod fetch;
mod fields;
mod fill;
#[cfg(test)]
mod formulas;
mod freshness;
mod gather;
mod head;
mod hits;
mod invalidation;
mod keep;
mod key;
mod large;
mod lookup;
mod node;
mod pour;
mod prewarm;
mod promote;
mod purge;
mod push;
mod question;
mod range;
mod reader;
mod refusal;
mod request;
mod request_body;
mod respond;
pub mod server;
mod service;
mod shared;
mod slice_fill;
mod slices;
mod stale_alarm;
mod store;
mod targeted;
mod tee;
mod upstream;
pub mod usage;
mod validation;
mod vary;
mod waiter;

pub use body::EdgeBody;
pub use config::{EdgeConfig, OriginKind};
pub use control::{EdgeControl, EdgeLoad, Obeyed};
#[doc(hidden)]
pub use disk::read_any_bytes;
pub use disk::{Disk, DiskConfig, DiskError, DiskStatus};
pub use edge_future::EdgeFuture;
pub use node::{InvalidNodeId, NodeId};
#[doc(hidden)]
pub use prewarm::read_any_playlist;
pub use prewarm::{
    InvalidPrewarm, MAX_PREWARM_PATHS, PrewarmConfig, PrewarmEnd, PrewarmFigures, PrewarmOrder,
    PrewarmProgress, Prewarmer,
};
pub use purge::{
    InvalidSelector, MAX_PATTERN_BYTES, MAX_TAG_BYTES, Pattern, PatternFault, PurgeRule, Selector,
};
pub use push::PushConfig;
pub use request_body::RequestBody;
pub use service::Edge;
pub use upstream::{
    ByPath, CheckRules, FillError, HealthRules, HttpUpstream, HttpUpstreamConfig, InvalidBase,
    Member, MemberKind, MemberState, PathTable, Pool, PoolBody, PoolConfig, TlsError, Upstream,
    UpstreamError, UpstreamTls,
};
