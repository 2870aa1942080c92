//! What an answer to a method that changes things makes invalid (RFC 9111 4.4).

use http::header::{CONTENT_LOCATION, LOCATION};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, Method, StatusCode};
use url::Url;

use crate::key::CacheKey;

/// A stand-in for the host of a request that names none.
const UNNAMED: &str = "unnamed.invalid";

/// The keys that the answer makes invalid: the target's, and those of `Location` and
/// `Content-Location` on the same host. None of a safe method, and none of a failure.
pub(crate) fn keys(
    method: &Method,
    status: StatusCode,
    headers: &HeaderMap,
    target: &CacheKey,
    authority: Option<&Authority>,
) -> Vec<CacheKey> {
    if method.is_safe() || !(status.is_success() || status.is_redirection()) {
        return Vec::new();
    }
    let named = [LOCATION, CONTENT_LOCATION]
        .into_iter()
        .filter_map(|name| named(headers, &name, target, authority));
    std::iter::once(target.clone()).chain(named).collect()
}

/// Does `Content-Location` name the target itself?
pub(crate) fn is_its_own_location(
    headers: &HeaderMap,
    target: &CacheKey,
    authority: Option<&Authority>,
) -> bool {
    named(headers, &CONTENT_LOCATION, target, authority).is_some_and(|key| key == *target)
}

/// The key that a field with a reference names; None for another host's (RFC 9111 4.4: it
/// would let one origin invalidate another's).
fn named(
    headers: &HeaderMap,
    name: &HeaderName,
    target: &CacheKey,
    authority: Option<&Authority>,
) -> Option<CacheKey> {
    let reference = headers.get(name)?.to_str().ok()?;
    let host = authority.map_or(UNNAMED, Authority::as_str);
    let base = Url::parse(&format!("http://{host}{}", target.as_str())).ok()?;
    let url = base.join(reference).ok()?;
    if (url.host(), url.port()) != (base.host(), base.port()) {
        return None;
    }
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    CacheKey::of_general(path).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn invalid(method: &str, status: u16, fields: &[(HeaderName, &str)]) -> Vec<String> {
        let headers = fields
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()))
            .collect();
        keys(
            &method.parse().unwrap(),
            StatusCode::from_u16(status).unwrap(),
            &headers,
            &CacheKey::of_general("/a/b?c").unwrap(),
            Some(&"a.example:81".parse().unwrap()),
        )
        .iter()
        .map(CacheKey::to_string)
        .collect()
    }

    #[test]
    fn changes_invalidate_and_failures_do_not() {
        for method in ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH"] {
            assert_eq!(invalid(method, 204, &[]), ["/a/b?c"], "{method}");
            assert_eq!(invalid(method, 303, &[]), ["/a/b?c"], "{method}");
            assert!(invalid(method, 404, &[]).is_empty(), "{method}");
            assert!(invalid(method, 500, &[]).is_empty(), "{method}");
        }
        for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
            assert!(invalid(method, 200, &[]).is_empty(), "{method}");
        }
    }

    #[test]
    fn locations_on_the_same_host_are_invalid_too() {
        for (reference, key) in [
            ("d", "/a/d"),
            ("/d?e#f", "/d?e"),
            ("http://a.example:81/x", "/x"),
            ("//A.example:81/x", "/x"),
            ("?q", "/a/b?q"),
            ("", "/a/b?c"),
        ] {
            for name in [LOCATION, CONTENT_LOCATION] {
                let keys = invalid("POST", 201, &[(name, reference)]);
                assert_eq!(keys, ["/a/b?c", key], "{reference}");
            }
        }
        for foreign in [
            "http://a.example/x",
            "http://b.example:81/x",
            "mailto:a",
            "http://[",
        ] {
            assert_eq!(invalid("POST", 201, &[(LOCATION, foreign)]), ["/a/b?c"]);
        }
    }
}
