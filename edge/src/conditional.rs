//! Conditional requests (RFC 9110 13), answered from a stored or arriving head.

use http::HeaderMap;
use http::header::{ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED};

use crate::freshness::{http_date, list_members};

/// RFC 9110 13.2.2, steps 3 and 4: is the client's copy good? `If-Match` and
/// `If-Unmodified-Since` are for changes; 13.1.1 lets a cache ignore them.
pub(crate) fn is_not_modified(request: &HeaderMap, answer: &HeaderMap) -> bool {
    if request.contains_key(IF_NONE_MATCH) {
        let Some(current) = answer.get(ETAG).and_then(|tag| tag.to_str().ok()) else {
            return list_members(request, &IF_NONE_MATCH).any(|tag| tag.trim() == "*");
        };
        return list_members(request, &IF_NONE_MATCH)
            .any(|tag| tag.trim() == "*" || opaque(tag.trim()) == opaque(current.trim()));
    }
    match (
        http_date(request, &IF_MODIFIED_SINCE),
        http_date(answer, &LAST_MODIFIED),
    ) {
        (Some(since), Some(modified)) => modified <= since,
        _ => false,
    }
}

/// RFC 9110 13.1.5: may a range be given, or has the representation changed? Tags
/// compare strongly; a date must be the very date of the answer.
pub(crate) fn is_range_current(request: &HeaderMap, answer: &HeaderMap) -> bool {
    let Some(condition) = request.get(IF_RANGE) else {
        return true;
    };
    let condition = condition.as_bytes().trim_ascii();
    let field = if condition.ends_with(b"\"") {
        ETAG
    } else {
        LAST_MODIFIED
    };
    let current = answer.get(field).map(|value| value.as_bytes().trim_ascii());
    current == Some(condition) && !condition.starts_with(b"W/")
}

/// Weak comparison (8.8.3.2) looks at the opaque tag only.
fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    const DATE: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
    const LATER: &str = "Tue, 14 Nov 2023 22:13:21 GMT";

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let pair = |(name, value): &(HeaderName, &str)| {
            (name.clone(), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn e10_none_match_compares_weakly_and_goes_before_dates() {
        let answer = headers(&[(ETAG, "\"a,b\""), (LAST_MODIFIED, DATE)]);
        for (tags, same) in [
            ("\"a,b\"", true),
            ("W/\"a,b\"", true),
            ("\"x\", \"a,b\"", true),
            ("*", true),
            ("\"a\"", false),
            ("", false),
        ] {
            let request = headers(&[(IF_NONE_MATCH, tags), (IF_MODIFIED_SINCE, LATER)]);
            assert_eq!(is_not_modified(&request, &answer), same, "{tags}");
        }
    }

    #[test]
    fn e10_modified_since_compares_dates() {
        let answer = headers(&[(LAST_MODIFIED, LATER)]);
        for (since, same) in [(LATER, true), (DATE, false), ("never", false)] {
            let request = headers(&[(IF_MODIFIED_SINCE, since)]);
            assert_eq!(is_not_modified(&request, &answer), same, "{since}");
        }
    }

    #[test]
    fn e10_if_range_compares_strongly() {
        let answer = headers(&[(ETAG, "\"a\""), (LAST_MODIFIED, DATE)]);
        for (condition, current) in [
            ("\"a\"", true),
            ("W/\"a\"", false),
            ("\"b\"", false),
            (DATE, true),
            (LATER, false),
        ] {
            let request = headers(&[(IF_RANGE, condition)]);
            assert_eq!(is_range_current(&request, &answer), current, "{condition}");
        }
        let weak = headers(&[(ETAG, "W/\"a\"")]);
        assert!(!is_range_current(&headers(&[(IF_RANGE, "W/\"a\"")]), &weak));
        assert!(is_range_current(&headers(&[]), &weak));
    }
}
