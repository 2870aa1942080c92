//! Conditional requests (RFC 9110 13), answered from a stored or arriving head.

use http::HeaderMap;
use http::header::{DATE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED};

use crate::config::OriginKind;
use crate::fields::{http_date, list_members};

/// RFC 9110 13.2.2, steps 3 and 4: is the client's copy good? `If-Match` and
/// `If-Unmodified-Since` are for the origin to judge (RFC 9111 4.3.2).
pub(crate) fn is_not_modified(kind: OriginKind, request: &HeaderMap, answer: &HeaderMap) -> bool {
    if request.contains_key(IF_NONE_MATCH) {
        let current = answer.get(ETAG).map(|tag| opaque(tag.as_bytes()));
        return list_members(request, &IF_NONE_MATCH)
            .any(|tag| tag == b"*" || current.is_some_and(|current| opaque(tag) == current));
    }
    // First, since most requests have none.
    let Some(since) = http_date(request, &IF_MODIFIED_SINCE) else {
        return false;
    };
    // RFC 9111 4.3.2: without `Last-Modified`, `Date` may stand in for it. Not of media: a
    // playlist changes several times in the second that a date can tell.
    let modified = match kind {
        OriginKind::General if !answer.contains_key(LAST_MODIFIED) => http_date(answer, &DATE),
        _ => http_date(answer, &LAST_MODIFIED),
    };
    modified.is_some_and(|modified| modified <= since)
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
    current == Some(condition) && is_strong(condition)
}

/// The strong validator of an answer, by which parts of one representation are told from
/// those of another (RFC 9110 15.3.7.3).
pub(crate) fn strong_validator(answer: &HeaderMap) -> Option<&[u8]> {
    answer
        .get(ETAG)
        .map(|tag| tag.as_bytes().trim_ascii())
        .filter(|tag| is_strong(tag))
}

/// RFC 9110 8.8.3: is it a tag without `W/`?
pub(crate) fn is_strong(tag: &[u8]) -> bool {
    !tag.starts_with(b"W/")
}

/// Weak comparison (8.8.3.2) looks at the opaque tag only.
pub(crate) fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue, header};

    use super::*;

    const GENERAL: OriginKind = OriginKind::General;

    // Shadows the field's name, which the tests call `header::DATE`.
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
            assert_eq!(is_not_modified(GENERAL, &request, &answer), same, "{tags}");
        }
    }

    #[test]
    fn e10_modified_since_compares_dates() {
        let answer = headers(&[(LAST_MODIFIED, LATER)]);
        let dated = headers(&[(header::DATE, LATER)]);
        for (since, same) in [(LATER, true), (DATE, false), ("never", false)] {
            let request = headers(&[(IF_MODIFIED_SINCE, since)]);
            for kind in [GENERAL, OriginKind::Media] {
                assert_eq!(is_not_modified(kind, &request, &answer), same, "{since}");
            }
            assert_eq!(is_not_modified(GENERAL, &request, &dated), same, "{since}");
            assert!(!is_not_modified(OriginKind::Media, &request, &dated));
        }
        let invalid = headers(&[(LAST_MODIFIED, "never"), (header::DATE, DATE)]);
        let request = headers(&[(IF_MODIFIED_SINCE, LATER)]);
        assert!(!is_not_modified(GENERAL, &request, &invalid));
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
