//! What an operator may do with the caches of an installation.

mod assets;
mod nodes;
mod plane;
mod prewarms;
mod purges;
mod usage;

use std::ops::Deref;
use std::sync::Arc;

use edge::access::SignError;
use edge::{EdgeControl, InvalidPrewarm, InvalidSelector, Prewarmer};
use media::Clock;
use social::ServiceError;
use social::cdn::{MadeUrl, WantedUrl};
use storage::RowError;
use storage::events::Bus;
use storage::rows::Database;

use super::{UrlError, Urls};
use crate::playback::session_name;

use prewarms::LocalPrewarms;

pub use assets::MAX_ASSET_ORIGINS;
pub use purges::MAX_WAIT;

/// Items of the longest page.
pub const MAX_PAGE: u32 = 500;

/// What the operations need.
#[derive(Debug)]
pub struct CdnParts {
    /// The rows. `None`: this process has none, and purges are its own edge's.
    pub database: Option<Database>,
    /// What tells nodes of purges.
    pub bus: Arc<dyn Bus>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// The edge in this process, if it has one.
    pub edge: Option<EdgeHandles>,
    /// What makes URLs.
    pub urls: Urls,
}

/// What an edge is operated by.
#[derive(Debug, Clone)]
pub struct EdgeHandles {
    /// Purges.
    pub control: EdgeControl,
    /// Prewarms.
    pub prewarmer: Prewarmer,
}

/// The operations. Clones are the same.
#[derive(Debug, Clone)]
pub struct Cdn(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    given: CdnParts,
    /// Prewarms of the edge in this process, where there are no rows.
    local: LocalPrewarms,
}

impl Deref for Parts {
    type Target = CdnParts;

    fn deref(&self) -> &CdnParts {
        &self.given
    }
}

/// Why an operation was not done.
#[derive(Debug, thiserror::Error)]
pub enum CdnError {
    /// What was asked for cannot be; a sentence.
    #[error("{0}")]
    Invalid(String),
    /// This process has no rows.
    #[error("this process has no database: set database.url, or ask one that has")]
    NoDatabase,
    /// Nobody is there to prewarm.
    #[error("no edge is live in the registry of nodes, see nova node list")]
    NoEdge,
    /// As many prewarms as may have not ended.
    #[error("too many prewarms: {0} have not ended; wait for one, or cancel one")]
    TooManyPrewarms(u64),
    /// A signature is needed, and nobody makes one.
    #[error(
        "the path needs a signature, and no key of this process can make one: set access.keys or access.keys_file"
    )]
    NoSigner,
    /// A purge is in force, but not noted on disk.
    #[error(
        "what was purged is gone, but a restart now may bring it back: it cannot be noted on disk: {0}"
    )]
    NotNoted(std::io::Error),
    /// The rows, or what is in them.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

impl From<RowError> for CdnError {
    fn from(error: RowError) -> Self {
        Self::Service(error.into())
    }
}

impl From<InvalidSelector> for CdnError {
    fn from(error: InvalidSelector) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<InvalidPrewarm> for CdnError {
    fn from(error: InvalidPrewarm) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl Cdn {
    /// The operations on these parts.
    pub fn new(parts: CdnParts) -> Self {
        Self(Arc::new(Parts {
            given: parts,
            local: LocalPrewarms::default(),
        }))
    }

    fn database(&self) -> Result<&Database, CdnError> {
        self.0.database.as_ref().ok_or(CdnError::NoDatabase)
    }

    /// The URL of a path, signed for `ttl` if it is protected, an asset says so, or that is wanted.
    pub async fn url(&self, wanted: WantedUrl<'_>) -> Result<MadeUrl, CdnError> {
        let path = wanted.path;
        let is_path = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_path || path.len() > 1_024 {
            return Err(CdnError::Invalid(
                "a path is not valid: expected 1 to 1,024 visible ASCII characters, the first '/'"
                    .to_owned(),
            ));
        }
        let is_signed = match &self.0.database {
            Some(_) => wanted.is_signed || self.is_signed(path).await?,
            None => wanted.is_signed,
        };
        let expires = self.0.clock.now() + wanted.ttl;
        let session = wanted.viewing.as_ref().map(session_name);
        let made = self.0.urls.url(path, is_signed, session, expires);
        made.map_err(|error| match error {
            UrlError::Sign(SignError::NoKey) => CdnError::NoSigner,
            error => CdnError::Invalid(error.to_string()),
        })
    }
}
