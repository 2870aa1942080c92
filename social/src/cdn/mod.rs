//! What is asked of the caches: by administrators of all there is, by others of their own streams
//! and videos.

mod assets;
mod nodes;
mod plane;
mod prewarms;
mod purges;
mod reach;
mod urls;
mod usage;

use std::str::FromStr;

use media::UserId;

use crate::caller::Caller;
use crate::limits::Key;
use crate::operation::Actor;
use crate::people::is_administrator;
use crate::{ServiceError, Services};

pub use plane::{
    AssetChange, CachePlane, Deployment, Figures, MadeUrl, NewAsset, NewPrewarm, NodeReply,
    Planned, PrewarmNodeStatus, PrewarmStatus, Purge, PurgeStatus, Reply, WantedUrl,
};

/// Nodes that an answer names: of what is asked of all, it tells how many there are.
const NODES_NAMED: usize = 100;

impl Services {
    fn caches(&self) -> Result<&dyn CachePlane, ServiceError> {
        self.caches.as_deref().ok_or_else(|| ServiceError::NotHere {
            code: "no-caches",
            detail: "this server runs no caches, and knows none that are run".to_owned(),
        })
    }

    /// Counts what every cache will read, of whoever does not run them.
    fn count_order(&self, caller: &Caller, actor: Actor) -> Result<(), ServiceError> {
        if is_administrator(caller) {
            return Ok(());
        }
        let orders = &self.limiter.cache_orders;
        orders.take(Key::User(actor.user), &caller.standings)
    }
}

/// How rows name a user who asked for something.
fn requester(user: UserId) -> String {
    format!("user:{user}")
}

/// An id as it was given. What is no id is nobody's.
fn read_id<T: FromStr>(id: &str, what: &'static str) -> Result<T, ServiceError> {
    id.parse().map_err(|_| ServiceError::NotFound(what.into()))
}
