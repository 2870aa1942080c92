//! How an answer was come by: `Cache-Status` (RFC 9211), and the label of its count.

use std::fmt::{self, Write};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use sfv::{List, Parser};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Removes what the origin sent if it is no structured list (RFC 9211 2): behind it nobody
/// could read what is said here.
pub(crate) fn keep_list(headers: &mut HeaderMap) {
    let lines: Vec<&[u8]> = headers
        .get_all(CACHE_STATUS)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if lines.is_empty() {
        return;
    }
    let list: Result<List, _> = Parser::new(&lines.join(&b", "[..])).parse();
    // An empty list has no line.
    if list.map_or(true, |list| list.is_empty()) {
        headers.remove(CACHE_STATUS);
    }
}

/// RFC 9211 2.2: why a request went on to the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forward {
    /// Nothing stored.
    Miss,
    /// Something stored, for requests that `Vary` tells from this one.
    VaryMiss,
    /// Something stored, but no longer fresh.
    Stale,
    /// Bytes stored, but not all that were asked for.
    Partial,
    /// The request wants it so: `Authorization`, a condition, a wish.
    Request,
    /// Another method than GET and HEAD.
    Method,
}

/// How an answer was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Fresh, from memory.
    Hit,
    /// From disk.
    HitOnDisk,
    /// From the origin, through a fill.
    Forwarded {
        why: Forward,
        /// Somebody else's request began the fill.
        collapsed: bool,
        /// What became of storing it.
        stored: Result<(), &'static str>,
        /// What the origin answered, where it is not what the client is answered.
        status: Option<StatusCode>,
    },
    /// From memory, while it is asked for anew.
    Revalidated,
    /// From memory, past its lifetime, because the origin failed so.
    StaleOnError { detail: &'static str },
    /// The origin gave nothing to pass on.
    Failed {
        why: Forward,
        collapsed: bool,
        detail: &'static str,
    },
    /// Answered here without asking anybody.
    Refused { detail: &'static str },
    /// The answer to `OPTIONS`.
    Preflight,
    /// A feed for another edge.
    Feed,
}

impl Outcome {
    /// The `result` label of `nova_edge_requests_total`.
    pub(crate) fn label(self, status: StatusCode) -> &'static str {
        match self {
            Self::Refused { .. } if status.is_client_error() => "rejected",
            Self::Failed { .. } | Self::Refused { .. } => "error",
            Self::Forwarded { .. } if status.is_server_error() => "error",
            Self::Hit => "hit",
            Self::HitOnDisk => "disk_hit",
            Self::Forwarded {
                collapsed: true, ..
            } => "collapsed",
            Self::Forwarded { .. } => "miss",
            Self::StaleOnError { .. } | Self::Revalidated => "stale",
            Self::Preflight => "preflight",
            Self::Feed => "feed",
        }
    }

    /// Why it is not as it was asked for, where there is a reason.
    pub(crate) fn detail(self) -> Option<&'static str> {
        match self {
            Self::Forwarded { stored, .. } => stored.err(),
            Self::StaleOnError { detail } | Self::Failed { detail, .. } => Some(detail),
            Self::Refused { detail } => Some(detail),
            Self::Hit | Self::HitOnDisk | Self::Revalidated | Self::Preflight | Self::Feed => None,
        }
    }

    /// Appends this cache's member; those of caches nearer to the origin stay before
    /// it (RFC 9211 2). `ttl` is the rest of the lifetime in seconds.
    pub(crate) fn write(self, headers: &mut HeaderMap, ttl: Option<i64>) {
        if matches!(self, Self::Preflight | Self::Feed) {
            return;
        }
        let mut text = String::with_capacity(64);
        // Writing to a String does not fail.
        let _ = self.spell(&mut text, ttl);
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.append(CACHE_STATUS, value);
        }
    }

    fn spell(self, out: &mut String, ttl: Option<i64>) -> fmt::Result {
        out.push_str("nova");
        match self {
            Self::Hit | Self::Revalidated => out.push_str("; hit"),
            Self::HitOnDisk => out.push_str("; hit; detail=disk"),
            Self::Forwarded {
                why,
                collapsed,
                stored,
                status,
            } => {
                write!(out, "; fwd={why}")?;
                if let Some(status) = status {
                    write!(out, "; fwd-status={}", status.as_u16())?;
                }
                if stored.is_ok() {
                    out.push_str("; stored");
                }
                if collapsed {
                    out.push_str("; collapsed");
                }
                if let Err(reason) = stored {
                    write!(out, "; detail={reason}")?;
                }
            }
            Self::StaleOnError { detail } => write!(out, "; fwd=stale; detail={detail}")?,
            Self::Failed {
                why,
                collapsed,
                detail,
            } => {
                write!(out, "; fwd={why}")?;
                if collapsed {
                    out.push_str("; collapsed");
                }
                write!(out, "; detail={detail}")?;
            }
            Self::Refused { detail } => write!(out, "; detail={detail}")?,
            Self::Preflight | Self::Feed => {}
        }
        if let Some(ttl) = ttl {
            write!(out, "; ttl={ttl}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Miss => "miss",
            Self::VaryMiss => "vary-miss",
            Self::Stale => "stale",
            Self::Partial => "partial",
            Self::Request => "request",
            Self::Method => "method",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_rfc_9211_members_after_those_of_others() {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_STATUS, HeaderValue::from_static("shield; hit"));
        let miss = Outcome::Forwarded {
            why: Forward::Miss,
            collapsed: true,
            stored: Ok(()),
            status: None,
        };
        let validated = Outcome::Forwarded {
            why: Forward::Stale,
            collapsed: false,
            stored: Ok(()),
            status: Some(StatusCode::NOT_MODIFIED),
        };
        for (outcome, ttl) in [
            (Outcome::Hit, Some(4)),
            (miss, Some(6)),
            (validated, Some(6)),
            (
                Outcome::StaleOnError {
                    detail: "origin-timeout",
                },
                Some(-2),
            ),
            (Outcome::Refused { detail: "method" }, None),
            (Outcome::Preflight, None),
        ] {
            outcome.write(&mut headers, ttl);
        }
        let members: Vec<&str> = headers
            .get_all(CACHE_STATUS)
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect();
        let expected = [
            "shield; hit",
            "nova; hit; ttl=4",
            "nova; fwd=miss; stored; collapsed; ttl=6",
            "nova; fwd=stale; fwd-status=304; stored; ttl=6",
            "nova; fwd=stale; detail=origin-timeout; ttl=-2",
            "nova; detail=method",
        ];
        assert_eq!(members, expected);
    }

    #[test]
    fn what_is_no_list_does_not_stay_before_it() {
        for (lines, stay) in [
            (&["shield; hit"][..], true),
            (&["shield; hit, far; fwd=miss", "near; hit"], true),
            (&[""], false),
            (&["shield; hit", ""], false),
            (&["shield; hit ="], false),
            (&["\u{fc}"], false),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                let line = HeaderValue::from_bytes(line.as_bytes()).unwrap();
                headers.append(CACHE_STATUS, line);
            }
            keep_list(&mut headers);
            let left = headers.get_all(CACHE_STATUS).iter().count();
            assert_eq!(left, if stay { lines.len() } else { 0 }, "{lines:?}");
        }
    }
}
