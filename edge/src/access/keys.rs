//! The keys that tokens are signed with.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use ring::{error::Unspecified, hmac};

use super::claims::Claims;
use super::denial::Denial;
use super::token::{self, MAX_TOKEN_BYTES, Token};

/// Bytes of the longest key id.
const MAX_KEY_ID_BYTES: usize = 32;
/// Keys of a ring.
const MAX_KEYS: usize = 64;
/// Bytes of a secret of HMAC-SHA256: at least as many as the hash has (RFC 2104 3).
const MIN_SECRET_BYTES: usize = 32;
const MAX_SECRET_BYTES: usize = 128;
/// Bytes of an Ed25519 seed, and of a public key (RFC 8032 5.1.5).
const ED25519_BYTES: usize = 32;

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RFC 2104 with SHA-256: who verifies can sign.
    HmacSha256,
    /// RFC 8032: who verifies needs the public key only.
    Ed25519,
}

impl Algorithm {
    /// Its name in a key ring.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::Ed25519 => "ed25519",
        }
    }
}

impl FromStr for Algorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::HmacSha256, Self::Ed25519]
            .into_iter()
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or_else(|| format!("{text:?} is not an algorithm: expected hmac-sha256 or ed25519"))
    }
}

/// The name of an Ed25519 key that verifies only.
const ED25519_PUBLIC: &str = "ed25519-public";

/// Keys by their ids. All verify, the first that can sign does so. The algorithm is the
/// key's: a token does not choose it.
///
/// As a text: `KID:ALGORITHM:KEY`, separated by space or commas, `#` to the end of a line a
/// comment. The algorithm is `hmac-sha256`, `ed25519` (the seed) or `ed25519-public`, the
/// key in base64url without padding.
#[derive(Default)]
pub struct KeyRing {
    keys: Vec<Key>,
}

struct Key {
    id: Box<str>,
    material: Material,
}

enum Material {
    Hmac(hmac::Key),
    Pair(Box<Ed25519KeyPair>),
    Public(UnparsedPublicKey<[u8; ED25519_BYTES]>),
}

/// Why a text is no key ring. Says nothing of the keys but their ids.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// Not three texts with colons between them.
    #[error("key {0} is not of the form KID:ALGORITHM:KEY")]
    Form(usize),
    /// The id.
    #[error("key {0} has an id that is not 1 to 32 letters, digits, - or _")]
    Id(usize),
    /// Two keys with one id.
    #[error("there are two keys {0:?}")]
    Twice(Box<str>),
    /// The algorithm.
    #[error(
        "key {id:?} has the algorithm {given:?}: expected hmac-sha256, ed25519 or ed25519-public"
    )]
    Algorithm {
        /// The key.
        id: Box<str>,
        /// What was given.
        given: Box<str>,
    },
    /// The key itself is not base64url.
    #[error("key {0:?} is not base64url without padding")]
    Encoding(Box<str>),
    /// The key itself is too short or too long.
    #[error("key {id:?} has {given} bytes: expected {expected}")]
    Length {
        /// The key.
        id: Box<str>,
        /// Its bytes.
        given: usize,
        /// How many there should be.
        expected: &'static str,
    },
    /// More than a ring has.
    #[error("there are more than 64 keys")]
    TooMany,
}

/// Why nothing was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The ring has public keys only, or none.
    #[error("there is no key to sign with: expected one of hmac-sha256 or ed25519")]
    NoKey,
    /// The claims are too long.
    #[error("the token would be longer than 512 bytes; sign a shorter path")]
    TooLong,
}

impl FromStr for KeyRing {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let entries = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default())
            .flat_map(|line| line.split([',', ' ', '\t', '\r']))
            .filter(|entry| !entry.is_empty());
        let mut keys: Vec<Key> = Vec::new();
        for (index, entry) in entries.enumerate() {
            if index == MAX_KEYS {
                return Err(InvalidKey::TooMany);
            }
            let key = Key::parse(index + 1, entry)?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(InvalidKey::Twice(key.id));
            }
            keys.push(key);
        }
        Ok(Self { keys })
    }
}

impl KeyRing {
    /// Are there no keys?
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// A token of these claims, by the first key that can sign.
    pub fn sign(&self, claims: &Claims) -> Result<String, SignError> {
        let signer = |key: &&Key| !matches!(key.material, Material::Public(_));
        let key = self.keys.iter().find(signer).ok_or(SignError::NoKey)?;
        let mut text = token::unsigned(&key.id, claims);
        let signature = match &key.material {
            Material::Hmac(secret) => BASE64URL.encode(hmac::sign(secret, text.as_bytes())),
            Material::Pair(pair) => BASE64URL.encode(pair.sign(text.as_bytes())),
            Material::Public(_) => return Err(SignError::NoKey),
        };
        text.push('.');
        text.push_str(&signature);
        match text.len() <= MAX_TOKEN_BYTES {
            true => Ok(text),
            false => Err(SignError::TooLong),
        }
    }

    /// Is it signed by the key that it names? Takes as long wherever a signature differs.
    pub(super) fn verify(&self, token: &Token<'_>) -> Result<(), Denial> {
        let named = |key: &&Key| *key.id == *token.key_id;
        let key = self.keys.iter().find(named).ok_or(Denial::UnknownKey)?;
        let (message, signature) = (token.message.as_bytes(), token.signature());
        let verified = match &key.material {
            Material::Hmac(secret) => hmac::verify(secret, message, signature),
            Material::Pair(pair) => {
                UnparsedPublicKey::new(&ED25519, pair.public_key()).verify(message, signature)
            }
            Material::Public(public) => public.verify(message, signature),
        };
        verified.map_err(|Unspecified| Denial::BadSignature)
    }
}

impl Key {
    fn parse(number: usize, entry: &str) -> Result<Self, InvalidKey> {
        let mut texts = entry.split(':');
        let (Some(id), Some(algorithm), Some(key), None) =
            (texts.next(), texts.next(), texts.next(), texts.next())
        else {
            return Err(InvalidKey::Form(number));
        };
        if !is_key_id(id) {
            return Err(InvalidKey::Id(number));
        }
        let id: Box<str> = id.into();
        let bytes = BASE64URL
            .decode(key)
            .map_err(|_| InvalidKey::Encoding(id.clone()))?;
        let length = |expected| InvalidKey::Length {
            id: id.clone(),
            given: bytes.len(),
            expected,
        };
        let material = match algorithm {
            "hmac-sha256" if (MIN_SECRET_BYTES..=MAX_SECRET_BYTES).contains(&bytes.len()) => {
                Material::Hmac(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
            }
            "hmac-sha256" => return Err(length("32 to 128")),
            "ed25519" => Ed25519KeyPair::from_seed_unchecked(&bytes)
                .map(|pair| Material::Pair(Box::new(pair)))
                .map_err(|_| length("32"))?,
            ED25519_PUBLIC => <[u8; ED25519_BYTES]>::try_from(&bytes[..])
                .map(|key| Material::Public(UnparsedPublicKey::new(&ED25519, key)))
                .map_err(|_| length("32"))?,
            given => {
                return Err(InvalidKey::Algorithm {
                    given: given.into(),
                    id,
                });
            }
        };
        Ok(Self { id, material })
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.keys.iter().map(|key| &key.id))
            .finish()
    }
}

pub(super) fn is_key_id(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=MAX_KEY_ID_BYTES).contains(&text.len()) && text.bytes().all(allowed)
}

/// Why there is no new key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// The id.
    #[error("{0:?} is not the id of a key: expected 1 to 32 letters, digits, - or _")]
    Id(Box<str>),
    /// The system's.
    #[error("the system gives no random numbers")]
    Random,
}

/// A new key as a key ring has it; of Ed25519 also the one that verifies only.
pub fn generate_key(
    id: &str,
    algorithm: Algorithm,
) -> Result<(String, Option<String>), GenerateError> {
    if !is_key_id(id) {
        return Err(GenerateError::Id(id.into()));
    }
    let mut bytes = [0; ED25519_BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|Unspecified| GenerateError::Random)?;
    let text = |name: &str, bytes: &[u8]| format!("{id}:{name}:{}", BASE64URL.encode(bytes));
    let public = match algorithm {
        Algorithm::HmacSha256 => None,
        // Any 32 bytes are a seed.
        Algorithm::Ed25519 => Ed25519KeyPair::from_seed_unchecked(&bytes)
            .ok()
            .map(|pair| text(ED25519_PUBLIC, pair.public_key().as_ref())),
    };
    Ok((text(algorithm.as_str(), &bytes), public))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_a_text() {
        let (hmac, none) = generate_key("a", Algorithm::HmacSha256).unwrap();
        let (pair, public) = generate_key("b", Algorithm::Ed25519).unwrap();
        let public = public.unwrap().replace("b:", "c:");
        assert_eq!(none, None);
        let text = format!("# ours\n{pair} # signs\r\n\n{hmac},{public}\n");
        let ring: KeyRing = text.parse().unwrap();
        assert_eq!(format!("{ring:?}"), "[\"b\", \"a\", \"c\"]");
        assert!("".parse::<KeyRing>().unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_with_a_key_is_said_without_the_key() {
        let secret = "c2VjcmV0";
        let long = BASE64URL.encode([7; 33]);
        for (text, wanted) in [
            (secret.to_owned(), "key 1 is not of the form"),
            (
                format!("a:hmac-sha256:{secret}"),
                "has 6 bytes: expected 32 to 128",
            ),
            (format!("a:ed25519:{long}"), "has 33 bytes: expected 32"),
            (
                format!("a:ed25519-public:{long}"),
                "has 33 bytes: expected 32",
            ),
            (format!("a:rs256:{long}"), "\"rs256\""),
            (format!("a:hmac-sha256:{secret}=="), "base64url"),
            (format!("a.b:hmac-sha256:{long}"), "key 1 has an id"),
            (format!(":hmac-sha256:{long}"), "key 1 has an id"),
            (
                format!("a:hmac-sha256:{long} a:hmac-sha256:{long}"),
                "two keys \"a\"",
            ),
            (
                (0..65)
                    .map(|n| format!("k{n}:hmac-sha256:{long} "))
                    .collect(),
                "more than 64",
            ),
        ] {
            let error = text.parse::<KeyRing>().unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
            assert!(!error.contains(secret) && !error.contains(&long), "{error}");
        }
    }
}
