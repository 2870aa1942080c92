//! What the API asks of the part of the server that handles media.

use std::fmt;

use media::{Timestamp, UserId};
use uuid::Uuid;

use crate::ServiceError;

/// What streams are encoded to, and who may play them, which is not the API's to know.
pub trait MediaPlane: fmt::Debug + Send + Sync + 'static {
    /// `text` as streams keep it, if they can be encoded to it.
    fn ladder(&self, text: &str) -> Result<String, InvalidLadder>;

    /// The path of what is at `path` for one viewer, who may play it until `expires`. With a token
    /// in it where the edges want one, or where `is_signed`.
    fn playback_path(
        &self,
        path: &str,
        viewing: &Viewing,
        is_signed: bool,
        expires: Timestamp,
    ) -> Result<String, ServiceError>;
}

/// Streams cannot be encoded to it; says why, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidLadder(pub String);

/// Who is let in to play something, and when: by that a token is taken back before it expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewing {
    /// Whose it is.
    pub owner: UserId,
    /// Who plays it; `None`: somebody.
    pub viewer: Option<UserId>,
    /// The login session or the API token by which they asked.
    pub shown: Option<Uuid>,
    /// When they were let in.
    pub at: Timestamp,
}
