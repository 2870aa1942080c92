//! Tokens for playback: what the API signs for a viewer, and what the edges take back before a
//! token expires.

mod bars;
mod follower;
mod key;
mod viewing;

use edge::access::{Claims, PathScope, Policy, Rule, signed_target};
use media::Timestamp;
use social::ServiceError;
use social::streams::{InvalidLadder, MediaPlane, Viewing};
use transcode::Profile;

use crate::cdn::SigningKeys;

pub use bars::Bars;
pub use follower::{BarsParts, Follower};
pub use key::shared_key;
pub use viewing::name as session_name;

/// What the API asks of the media plane.
#[derive(Debug)]
pub struct Plane {
    keys: SigningKeys,
    /// What needs a token whatever stream it is of.
    policy: Policy,
}

impl Plane {
    /// One that signs with `keys`.
    pub fn new(keys: SigningKeys, policy: Policy) -> Self {
        Self { keys, policy }
    }
}

impl MediaPlane for Plane {
    fn ladder(&self, text: &str) -> Result<String, InvalidLadder> {
        let profile: Result<Profile, _> = text.parse();
        let profile = profile.map_err(|error| InvalidLadder(error.to_string()))?;
        Ok(profile.to_string())
    }

    fn playback_path(
        &self,
        path: &str,
        viewing: &Viewing,
        is_signed: bool,
        expires: Timestamp,
    ) -> Result<String, ServiceError> {
        if !is_signed && self.policy.rule(path) == Rule::Public {
            return Ok(path.to_owned());
        }
        let failed = |error: String| ServiceError::Internal {
            what: "playback token",
            detail: error,
        };
        // The stream's or the video's: what its manifests name is in it.
        let folder = path.rfind('/').map_or(path, |at| &path[..=at]);
        let scope: PathScope = folder
            .parse()
            .map_err(|error: edge::access::InvalidScope| failed(error.to_string()))?;
        let claims = Claims {
            session: Some(viewing::name(viewing)),
            ..Claims::new(scope, expires)
        };
        let token = self.keys.sign(&claims);
        let token = token.map_err(|error| failed(error.to_string()))?;
        Ok(signed_target(path, &token))
    }
}
