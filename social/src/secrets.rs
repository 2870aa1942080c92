//! Random texts that prove something, and what is stored of them.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::ServiceError;

/// A secret of 256 random bits: a refresh token, an API token, the token in a mail's link.
/// Its `Debug` form tells nothing.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// A new one, `prefix` and then base64url (RFC 4648 5).
    pub(crate) fn generate(prefix: &str) -> Result<Self, ServiceError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| ServiceError::internal("random numbers", error))?;
        Ok(Self(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// Its text, for whom it is made.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored.
    pub(crate) fn hash(&self) -> [u8; 32] {
        hash(&self.0)
    }
}

/// What is stored of a secret: its SHA-256. It has too many bits to be guessed, so that no
/// salt is needed.
pub(crate) fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_itself_to_nobody() {
        let secret = Secret::generate("nova_pat_").unwrap();
        assert_eq!(secret.reveal().len(), "nova_pat_".len() + 43);
        assert!(!format!("{secret:?}").contains("nova_pat_"));
        assert_ne!(secret, Secret::generate("nova_pat_").unwrap());
        assert_eq!(secret.hash(), hash(secret.reveal()));
    }
}
