//! The HTTP cache between viewers and an origin.
//!
//! [`Edge`] is a `tower_service::Service`. A request becomes a cache key; a
//! fresh stored answer is served from memory; otherwise the request joins the one
//! fill of its key, which is a task of the edge's own and never a client's. A fill
//! streams: its readers see bytes as they arrive, each at a pace of its own.
//!
//! What decides (key, freshness, ranges, conditions) is pure and takes `now` as an
//! argument; what waits is in `fill`, `fetch` and `service`.

mod age;
mod body;
mod budget;
mod cache_control;
mod cache_status;
mod coalesce;
mod conditional;
mod config;
mod cors;
mod fences;
mod fetch;
mod fields;
mod fill;
mod freshness;
mod head;
mod invalidation;
mod key;
mod lookup;
mod node;
mod question;
mod range;
mod reader;
mod refusal;
mod request;
mod request_body;
mod respond;
mod service;
mod shared;
mod stale_alarm;
mod store;
mod targeted;
mod upstream;
mod validation;
mod vary;
mod waiter;

pub use body::EdgeBody;
pub use config::{EdgeConfig, OriginKind};
pub use node::{InvalidNodeId, NodeId};
pub use request_body::RequestBody;
pub use service::{Edge, EdgeFuture};
pub use upstream::{
    CheckRules, FillError, HealthRules, HttpUpstream, HttpUpstreamConfig, InvalidBase, Member,
    MemberKind, MemberState, Pool, PoolBody, PoolConfig, TlsError, UpstreamError, UpstreamTls,
};
