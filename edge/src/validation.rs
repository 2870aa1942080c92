//! Asking whether a stored answer is still good, and making it new by what the origin
//! says (RFC 9111 4.3).

use std::slice;
use std::sync::Arc;

use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::conditional::{is_strong, opaque};
use crate::store::Stored;

/// RFC 9111 3.2: fields that describe the stored bytes, which a 304 does not change.
const OF_THE_BYTES: [HeaderName; 3] = [CONTENT_LENGTH, CONTENT_ENCODING, CONTENT_RANGE];

/// The conditions under which the origin may answer 304 for `stored`, which the request
/// selects (RFC 9111 4.3.1). Empty where it has no validator.
pub(crate) fn conditions(stored: &Arc<Stored>) -> HeaderMap {
    let mut conditions = any_of(slice::from_ref(stored));
    if let Some(modified) = stored.head.headers.get(LAST_MODIFIED) {
        conditions.insert(IF_MODIFIED_SINCE, modified.clone());
    }
    conditions
}

/// The conditions under which the origin may answer 304 for any of `stored`, which other
/// requests select. By tags only: what was modified at the same time may be something else.
pub(crate) fn any_of(stored: &[Arc<Stored>]) -> HeaderMap {
    let mut conditions = HeaderMap::new();
    let tags: Vec<&[u8]> = stored
        .iter()
        .filter_map(|stored| stored.head.headers.get(ETAG))
        .map(HeaderValue::as_bytes)
        .collect();
    if let Ok(tags) = HeaderValue::from_bytes(&tags.join(&b", "[..]))
        && !tags.is_empty()
    {
        conditions.insert(IF_NONE_MATCH, tags);
    }
    conditions
}

/// The candidate that a 304 with these fields speaks of (RFC 9111 4.3.4).
pub(crate) fn confirmed<'a>(
    candidates: &'a [Arc<Stored>],
    not_modified: &HeaderMap,
) -> Option<&'a Arc<Stored>> {
    if let Some(tag) = not_modified.get(ETAG).map(HeaderValue::as_bytes) {
        return candidates.iter().find(|stored| {
            let known = stored.head.headers.get(ETAG).map(HeaderValue::as_bytes);
            // One that was asked about by its date has no tag yet.
            known.map_or(candidates.len() == 1, |known| match is_strong(tag) {
                true => known == tag,
                false => opaque(known) == opaque(tag),
            })
        });
    }
    match candidates {
        [only] => match not_modified.get(LAST_MODIFIED) {
            // With a tag of its own it was that which the origin compared.
            Some(modified) if !only.head.headers.contains_key(ETAG) => {
                (only.head.headers.get(LAST_MODIFIED) == Some(modified)).then_some(only)
            }
            _ => Some(only),
        },
        _ => None,
    }
}

/// The fields of a stored answer, each replaced by what `update` has of it (RFC 9111 3.2).
/// `update` is free of what belongs to its connection.
pub(crate) fn updated(stored: &HeaderMap, update: &HeaderMap) -> HeaderMap {
    let mut headers = stored.clone();
    for name in update.keys() {
        if OF_THE_BYTES.contains(name) {
            continue;
        }
        headers.remove(name);
        for value in update.get_all(name) {
            headers.append(name.clone(), value.clone());
        }
    }
    headers
}

/// Does the 200 to a HEAD with these fields speak of another representation than the
/// stored answer (RFC 9111 4.3.5)? A validator that comes must be the one that is stored. Of
/// an answer that is no 200 it always does.
pub(crate) fn is_of_another(stored: &Stored, heard: &HeaderMap) -> bool {
    let differs = |name: &HeaderName| {
        let (known, heard) = (stored.head.headers.get(name), heard.get(name));
        heard.is_some() && known != heard
    };
    let length = heard.get(CONTENT_LENGTH).map(HeaderValue::as_bytes);
    let other_length = match (length, stored.whole) {
        (Some(length), Some(whole)) => length != whole.to_string().as_bytes(),
        _ => false,
    };
    stored.head.status != StatusCode::OK
        || differs(&ETAG)
        || differs(&LAST_MODIFIED)
        || other_length
}
