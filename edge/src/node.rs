//! Which edge this is, and whether a request has been here before (RFC 8586).

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::str::FromStr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::fields::list_members;

/// RFC 8586 2.
pub(crate) const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// Caches that a request may have passed before. More than any tree of shields is deep.
const MAX_HOPS: usize = 8;

/// The name of one edge among all, for `CDN-Loop`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NodeId(Arc<str>);

/// Why a text is no name of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a node's name: expected 1 to 64 of A-Z, a-z, 0-9, '-', '.' and '_'")]
pub struct InvalidNodeId;

impl NodeId {
    /// One that no other has, most likely.
    pub fn random() -> Self {
        // Its keys are the system's randomness.
        let number = || RandomState::new().build_hasher().finish();
        Self(format!("{:016x}", number()).into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// This node's member of `CDN-Loop`.
    pub(crate) fn loop_member(&self) -> HeaderValue {
        // Its characters are those of a token.
        HeaderValue::from_str(&format!("nova; id={}", self.0))
            .unwrap_or(HeaderValue::from_static("nova"))
    }

    /// Has a request come back, or passed more caches than make sense?
    pub(crate) fn is_looped(&self, headers: &HeaderMap) -> bool {
        let mut hops = 0;
        let mine = list_members(headers, &CDN_LOOP).any(|member| {
            hops += 1;
            is_nova(member)
                && parameters(member).any(|(name, value)| {
                    name.eq_ignore_ascii_case(b"id") && unquoted(value) == self.0.as_bytes()
                })
        });
        mine || hops >= MAX_HOPS
    }
}

impl FromStr for NodeId {
    type Err = InvalidNodeId;

    fn from_str(text: &str) -> Result<Self, InvalidNodeId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        match (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            true => Ok(Self(text.into())),
            false => Err(InvalidNodeId),
        }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Does a request come from another edge of Nova's?
pub(crate) fn is_from_edge(headers: &HeaderMap) -> bool {
    list_members(headers, &CDN_LOOP).any(is_nova)
}

fn is_nova(member: &[u8]) -> bool {
    let id = member.split(|&byte| byte == b';').next().unwrap_or(member);
    id.trim_ascii().eq_ignore_ascii_case(b"nova")
}

fn parameters(member: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    member.split(|&byte| byte == b';').skip(1).map(|parameter| {
        let at = parameter.iter().position(|&byte| byte == b'=');
        let (name, value) = parameter.split_at(at.unwrap_or(parameter.len()));
        (
            name.trim_ascii(),
            value.strip_prefix(b"=").unwrap_or(value).trim_ascii(),
        )
    })
}

fn unquoted(value: &[u8]) -> &[u8] {
    value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(lines: &[&str]) -> HeaderMap {
        let line = |line: &&str| (CDN_LOOP, HeaderValue::from_str(line).unwrap());
        lines.iter().map(line).collect()
    }

    #[test]
    fn a_request_that_was_here_is_known_again() {
        let here: NodeId = "edge-1".parse().unwrap();
        assert!(here.is_looped(&passed(&[here.loop_member().to_str().unwrap()])));
        for known in [
            "Nova;ID=\"edge-1\"",
            "other, nova; a=b ; id=edge-1",
            "a, b, c, d, e, f, g, h",
        ] {
            assert!(here.is_looped(&passed(&[known])), "{known}");
        }
        for unknown in [
            "",
            "nova",
            "nova; id=edge-2",
            "nova; id=edge-11, nova; id",
            "other; id=edge-1",
            "a, b, c, d, e, f, g",
        ] {
            assert!(!here.is_looped(&passed(&[unknown])), "{unknown}");
        }
        assert!(here.is_looped(&passed(&["nova; id=edge-2", "nova; id=edge-1"])));
        assert!(!here.is_looped(&HeaderMap::new()));
    }

    #[test]
    fn a_name_is_a_token() {
        for good in ["a", "edge-1.example_2", &"x".repeat(64)] {
            assert_eq!(good.parse::<NodeId>().unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a;b", "a\r\n", "ü", &"x".repeat(65)] {
            assert_eq!(bad.parse::<NodeId>(), Err(InvalidNodeId), "{bad}");
        }
        assert_ne!(NodeId::random(), NodeId::random());
        assert!(NodeId::random().as_str().parse::<NodeId>().is_ok());
    }

    #[test]
    fn edges_are_told_from_other_caches() {
        assert!(is_from_edge(&passed(&["x, nova; id=1"])));
        assert!(!is_from_edge(&passed(&["novax, x; nova"])));
    }
}
