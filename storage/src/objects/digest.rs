//! SHA-256 of a body: what a client says it sends, and what came.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use sha2::Digest;

use super::ObjectError;

/// Bodies up to this size are hashed where they are: a task change costs more.
const HASHED_AT_ONCE: usize = 64 * 1024;

/// A SHA-256: 32 bytes, shown as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// Of `data`. Takes about a second for 500 MB: not for an async task.
    pub fn of(data: &[u8]) -> Self {
        Self(sha2::Sha256::digest(data).into())
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({self})")
    }
}

/// The text is not 64 hexadecimal digits.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256: expected 64 hexadecimal digits")]
pub struct NotSha256;

impl FromStr for Sha256 {
    type Err = NotSha256;

    fn from_str(text: &str) -> Result<Self, NotSha256> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(NotSha256);
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(NotSha256);
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            // Two digits make at most 255.
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        Ok(Self(hash))
    }
}

/// Hashes a body when somebody said what its hash must be.
#[derive(Debug)]
pub(super) struct Verifier(Option<(Sha256, sha2::Sha256)>);

impl Verifier {
    pub(super) fn expecting(expected: Option<Sha256>) -> Self {
        Self(expected.map(|hash| (hash, sha2::Sha256::new())))
    }

    pub(super) fn update(&mut self, data: &[u8]) {
        if let Some((_, hasher)) = &mut self.0 {
            hasher.update(data);
        }
    }

    pub(super) fn finish(self, key: &str) -> Result<(), ObjectError> {
        let Some((expected, hasher)) = self.0 else {
            return Ok(());
        };
        let actual = Sha256(hasher.finalize().into());
        if actual == expected {
            return Ok(());
        }
        Err(ObjectError::Sha256Mismatch {
            key: key.to_owned(),
            expected,
            actual,
        })
    }
}

/// Refuses a body that is not what its sender said.
pub(super) fn verify(key: &str, data: &[u8], expected: Option<Sha256>) -> Result<(), ObjectError> {
    let mut verifier = Verifier::expecting(expected);
    verifier.update(data);
    verifier.finish(key)
}

/// [`verify`] for an async task: large bodies are hashed on another thread.
pub(super) async fn verify_apart(
    key: &str,
    data: &Bytes,
    expected: Option<Sha256>,
) -> Result<(), ObjectError> {
    if expected.is_none() || data.len() <= HASHED_AT_ONCE {
        return verify(key, data, expected);
    }
    let (key, data) = (key.to_owned(), data.clone());
    let hashing = tokio::task::spawn_blocking(move || verify(&key, &data, expected));
    hashing.await.map_err(ObjectError::task)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_hashes_round_trip() {
        let hash = Sha256::of(b"abc");
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash.to_string(), text);
        assert_eq!(text.parse(), Ok(hash));
        assert_eq!(text.to_uppercase().parse(), Ok(hash));
        for bad in [
            "",
            "ba",
            &text[1..],
            &text.replace('b', "g"),
            &"é".repeat(32),
        ] {
            assert_eq!(bad.parse::<Sha256>(), Err(NotSha256), "{bad}");
        }
    }

    #[test]
    fn a_wrong_hash_is_named() {
        assert!(verify("a", b"abc", None).is_ok());
        assert!(verify("a", b"abc", Some(Sha256::of(b"abc"))).is_ok());
        let error = verify("a", b"abd", Some(Sha256::of(b"abc"))).unwrap_err();
        assert!(
            matches!(&error, ObjectError::Sha256Mismatch { key, actual, .. }
                if key == "a" && *actual == Sha256::of(b"abd")),
            "{error}"
        );
    }
}
