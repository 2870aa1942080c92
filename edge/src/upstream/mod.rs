//! What an edge fills from: a shield or an origin, one or several as a [`Pool`].
//!
//! What decides is pure and takes the time as an argument: `health` (may a member be
//! asked?), `choice` (which of several?), `retry_budget`, and `board`, which puts them
//! together. `pool`, `asking`, `attempt` and `checks` wait.

mod affinity;
mod asking;
mod attempt;
mod board;
mod by_path;
mod checks;
mod choice;
mod error;
mod health;
mod http;
mod member;
mod place;
mod pool;
mod retry_budget;
mod rolling;
mod service;
mod tls;

pub(crate) use asking::ask;
pub use board::MemberState;
pub use by_path::{ByPath, PathTable};
pub use checks::CheckRules;
pub(crate) use checks::{NOVA_UPSTREAMS, OUT};
pub use error::{FillError, UpstreamError};
pub use health::HealthRules;
pub use http::{HttpUpstream, HttpUpstreamConfig, InvalidBase};
pub use member::{Member, MemberKind};
pub use place::PoolBody;
pub use pool::{Pool, PoolConfig};
pub use service::Upstream;
pub use tls::{TlsError, UpstreamTls};
