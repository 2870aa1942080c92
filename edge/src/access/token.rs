//! A token on the wire: `1.KID.CLAIMS.SIGNATURE`.
//!
//! Claims and signature are base64url without padding. What is signed is everything before
//! the last point, as it stands.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;

use super::claims::Claims;
use super::denial::Denial;
use super::keys::is_key_id;

/// Bytes of the longest token.
pub(super) const MAX_TOKEN_BYTES: usize = 512;
/// What every token of this version begins with.
pub(super) const VERSION: &str = "1.";
/// Bytes of the longest signature, Ed25519's.
const MAX_SIGNATURE_BYTES: usize = 64;
/// What decoding it may need: whole groups of three bytes.
const SIGNATURE_ROOM: usize = MAX_SIGNATURE_BYTES.div_ceil(3) * 3;

/// A token taken apart, of which nothing is verified.
pub(super) struct Token<'a> {
    pub(super) key_id: &'a str,
    /// What is signed.
    pub(super) message: &'a str,
    claims: &'a str,
    signature: [u8; SIGNATURE_ROOM],
    signature_bytes: usize,
}

impl<'a> Token<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Denial> {
        Self::read(text).ok_or(Denial::Malformed)
    }

    fn read(text: &'a str) -> Option<Self> {
        if text.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let (message, encoded) = text.rsplit_once('.')?;
        let (key_id, claims) = message.strip_prefix(VERSION)?.split_once('.')?;
        let mut signature = [0; SIGNATURE_ROOM];
        let signature_bytes = BASE64URL.decode_slice(encoded, &mut signature).ok()?;
        is_key_id(key_id).then_some(Self {
            key_id,
            message,
            claims,
            signature,
            signature_bytes,
        })
    }

    pub(super) fn signature(&self) -> &[u8] {
        &self.signature[..self.signature_bytes]
    }

    /// Read after the signature is verified: only who has a key may have them read.
    pub(super) fn claims(&self) -> Result<Claims, Denial> {
        let bytes = BASE64URL.decode(self.claims).ok();
        bytes
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .and_then(|text| text.parse().ok())
            .ok_or(Denial::Malformed)
    }
}

/// What is to be signed.
pub(super) fn unsigned(key_id: &str, claims: &Claims) -> String {
    format!("{VERSION}{key_id}.{}", BASE64URL.encode(claims.to_string()))
}
