//! What a client asks for, reduced to what an edge acts on.

use http::header::{AUTHORIZATION, COOKIE, IF_MATCH, IF_UNMODIFIED_SINCE, MAX_FORWARDS, RANGE};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, request};

use crate::cache_control::RequestDirectives;
use crate::cmcd;
use crate::config::OriginKind;
use crate::fields::remove_hop_by_hop;
use crate::key::CacheKey;
use crate::push::is_feed;
use crate::range::ByteRange;
use crate::refusal::Refusal;

/// A request that is answered with what is stored or filled, or passed to the origin.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// What it is asked of.
    pub(crate) kind: OriginKind,
    pub(crate) key: CacheKey,
    pub(crate) method: Method,
    /// Of a general origin without what belongs to the connection, of media all.
    pub(crate) headers: HeaderMap,
    /// The single range of a GET.
    pub(crate) range: Option<ByteRange>,
    /// What it wants of caches; of media nothing.
    pub(crate) wishes: RequestDirectives,
    /// The host it was sent to, where its target says it.
    pub(crate) authority: Option<Authority>,
    /// Why only the origin can answer it.
    pub(crate) passes: Option<Pass>,
    /// How often a large object became another before its first byte was sent.
    pub(crate) changes: u8,
    /// No viewer asks: it is stored ahead of its time.
    pub(crate) prewarms: bool,
}

/// Why a request goes to the origin as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Another method than GET and HEAD.
    Method,
    /// A condition or a body that only the origin understands.
    Request,
}

/// What is answered without looking anything up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aside {
    /// An `OPTIONS` request, of media.
    Preflight,
    /// An `OPTIONS` request that may go no further (RFC 9110 7.6.2).
    LastHop,
    Refused(Refusal),
}

impl From<Refusal> for Aside {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Asked {
    /// Reads a request to an edge in front of `kind`.
    pub(crate) fn read(
        kind: OriginKind,
        parts: request::Parts,
        has_body: bool,
    ) -> Result<Self, Aside> {
        match kind {
            OriginKind::Media => Self::of_media(parts, has_body),
            OriginKind::General => Self::of_general(parts, has_body),
        }
    }

    fn of_media(mut parts: request::Parts, has_body: bool) -> Result<Self, Aside> {
        match parts.method {
            Method::GET | Method::HEAD => {}
            Method::OPTIONS if has_body => return Err(Refusal::RequestBody.into()),
            Method::OPTIONS if max_forwards(&parts.headers) == Some(0) => {
                return Err(Aside::LastHop);
            }
            Method::OPTIONS => return Err(Aside::Preflight),
            _ => return Err(Refusal::Method.into()),
        }
        if has_body {
            return Err(Refusal::RequestBody.into());
        }
        cmcd::remove_fields(&mut parts.headers);
        let kind = OriginKind::Media;
        let key = CacheKey::of(kind, &parts.uri).map_err(Refusal::Target)?;
        // Whoever may have one has been given it.
        if is_feed(key.path()) {
            return Err(Refusal::NoFeed.into());
        }
        let wishes = RequestDirectives::default();
        Ok(Self::new(kind, key, parts, wishes, None))
    }

    fn of_general(mut parts: request::Parts, has_body: bool) -> Result<Self, Aside> {
        // RFC 9110 9.3.8: a TRACE would show what a cache adds to one client's request.
        if matches!(parts.method, Method::CONNECT | Method::TRACE) {
            return Err(Refusal::NotImplemented.into());
        }
        // Before anything is read: what the origin is not sent, its answer does not depend on.
        remove_hop_by_hop(&mut parts.headers);
        cmcd::remove_fields(&mut parts.headers);
        join_cookies(&mut parts.headers);
        if parts.method == Method::OPTIONS
            && let Some(forwards) = max_forwards(&parts.headers)
        {
            let Some(left) = forwards.checked_sub(1) else {
                return Err(Aside::LastHop);
            };
            parts.headers.insert(MAX_FORWARDS, left.into());
        }
        let kind = OriginKind::General;
        let key = CacheKey::of(kind, &parts.uri).map_err(Refusal::Target)?;
        let wishes = RequestDirectives::of(&parts.headers);
        let passes = if !matches!(parts.method, Method::GET | Method::HEAD) {
            Some(Pass::Method)
        } else if has_body
            || parts.headers.contains_key(IF_MATCH)
            || parts.headers.contains_key(IF_UNMODIFIED_SINCE)
        {
            // RFC 9111 4.3.2: such conditions are the origin's to judge.
            Some(Pass::Request)
        } else {
            None
        };
        Ok(Self::new(kind, key, parts, wishes, passes))
    }

    fn new(
        kind: OriginKind,
        key: CacheKey,
        parts: request::Parts,
        wishes: RequestDirectives,
        passes: Option<Pass>,
    ) -> Self {
        // RFC 9110 14.2: a range is defined for GET only.
        let range = match parts.method == Method::GET && passes.is_none() {
            true => ByteRange::of(&parts.headers),
            false => None,
        };
        Self {
            authority: parts.uri.authority().cloned(),
            kind,
            key,
            method: parts.method,
            headers: parts.headers,
            range,
            wishes,
            passes,
            changes: 0,
            prewarms: false,
        }
    }

    /// Everything but the body.
    pub(crate) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }

    pub(crate) fn is_authorised(&self) -> bool {
        self.headers.contains_key(AUTHORIZATION)
    }

    /// Has it a range, of whatever unit and form, that is for the origin to answer if
    /// nothing is stored? Of media all is asked for.
    pub(crate) fn forwards_range(&self) -> bool {
        self.kind == OriginKind::General
            && self.method == Method::GET
            && self.headers.contains_key(RANGE)
    }

    /// Is its answer for no other request, unless the answer itself says so?
    pub(crate) fn is_alone(&self) -> bool {
        self.is_authorised()
            || self.passes.is_some()
            || self.wishes.only_if_cached
            || (self.kind == OriginKind::General
                && (self.method != Method::GET || self.wishes.no_store))
    }
}

/// RFC 9113 8.2.3: HTTP/2 may send cookies in several lines, HTTP/1.1 has them in one.
fn join_cookies(headers: &mut HeaderMap) {
    let lines: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if lines.len() > 1
        && let Ok(line) = HeaderValue::from_bytes(&lines.join(&b"; "[..]))
    {
        headers.insert(COOKIE, line);
    }
}

/// How often a request may still be forwarded. None for what is no number: it is passed on.
fn max_forwards(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(MAX_FORWARDS)?.to_str().ok()?;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}
