//! The key that all nodes of a database share, so that tokens can be signed without any
//! configuration.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use storage::RowError;
use storage::rows::playback_keys::{self, PlaybackKey};

use crate::serve::Foundation;

/// Bytes of its secret.
const SECRET: usize = 32;
/// Bytes of its id, which is chosen by chance: no configured key should have it.
const ID: usize = 6;

/// The key, as `access.keys` has keys. Whoever comes first makes it.
pub async fn shared_key(foundation: &Foundation) -> Result<String, RowError> {
    let (mut id, mut secret) = ([0_u8; ID], [0_u8; SECRET]);
    for bits in [&mut id[..], &mut secret[..]] {
        getrandom::fill(bits).map_err(|error| RowError::Unusable {
            database: "the key of playback tokens".to_owned(),
            reason: error.to_string(),
            advice: "the system has to give random numbers".to_owned(),
        })?;
    }
    let new = PlaybackKey {
        kid: format!("nova-{}", BASE64URL.encode(id)),
        secret: secret.to_vec(),
    };
    let now = foundation.clock.now();
    let key = playback_keys::take(&foundation.database, &new, now).await?;
    let secret = BASE64URL.encode(key.secret);
    Ok(format!("{}:hmac-sha256:{secret}", key.kid))
}
