//! Why a service did not do what it was asked.

use storage::RowError;
use storage::rows::{Entity, Unique};

/// Why a service did not do what it was asked. Every face maps it; what is wrong with
/// the text of an input is told before, by the type that parses it.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Somebody else has what must be one of a kind.
    #[error("{0} is taken")]
    Taken(Unique),
    /// There is no such thing.
    #[error("no such {0}")]
    NotFound(Entity),
    /// Too much is going on; worth a retry.
    #[error("the server is busy")]
    Busy,
    /// A fault of ours, told to the log and not to the client.
    #[error("{what}: {detail}")]
    Internal {
        /// What was being done.
        what: &'static str,
        /// What went wrong.
        detail: String,
    },
}

impl ServiceError {
    pub(crate) fn internal(what: &'static str, error: impl std::fmt::Display) -> Self {
        let detail = error.to_string();
        Self::Internal { what, detail }
    }
}

impl From<RowError> for ServiceError {
    fn from(error: RowError) -> Self {
        match error {
            RowError::Taken(what) => Self::Taken(what),
            RowError::NotFound(what) => Self::NotFound(what),
            RowError::Busy => Self::Busy,
            error => Self::internal("database", error),
        }
    }
}
