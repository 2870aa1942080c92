//! Takes it off a request.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue};

use super::{FIELDS, PARAMETER};

/// The value of the query's first parameter `CMCD`, percent-encoded.
pub(super) fn parameter(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| {
        let value = pair.strip_prefix(PARAMETER)?;
        value.strip_prefix('=')
    })
}

fn is_parameter(pair: &str) -> bool {
    pair.strip_prefix(PARAMETER)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

/// A path and query without the parameter.
pub(crate) fn without_parameter(target: &str) -> Cow<'_, str> {
    let Some((path, query)) = target.split_once('?') else {
        return Cow::Borrowed(target);
    };
    if !query.split('&').any(is_parameter) {
        return Cow::Borrowed(target);
    }
    let mut kept = String::with_capacity(target.len());
    kept.push_str(path);
    for (at, pair) in query
        .split('&')
        .filter(|pair| !is_parameter(pair))
        .enumerate()
    {
        kept.push(if at == 0 { '?' } else { '&' });
        kept.push_str(pair);
    }
    Cow::Owned(kept)
}

/// Has the request any of the fields? Most have none, and few fields at all.
pub(super) fn has_fields(headers: &HeaderMap) -> bool {
    headers
        .keys()
        .any(|name| name.as_str().starts_with("cmcd-"))
}

/// Removes the fields.
pub(crate) fn remove_fields(headers: &mut HeaderMap) {
    if has_fields(headers) {
        for name in &FIELDS {
            headers.remove(name);
        }
    }
}

/// The fields alone, where there are any.
pub(crate) fn fields_of(headers: &HeaderMap) -> Option<Box<HeaderMap>> {
    if !has_fields(headers) {
        return None;
    }
    let mut fields = HeaderMap::<HeaderValue>::new();
    for name in &FIELDS {
        for line in headers.get_all(name) {
            fields.append(name, line.clone());
        }
    }
    Some(Box::new(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e07_the_parameter_is_taken_off_and_nothing_else() {
        for (target, expected) in [
            ("/a", "/a"),
            ("/a?", "/a?"),
            ("/a?x=1&&y", "/a?x=1&&y"),
            ("/a?CMCD=bl%3D1", "/a"),
            ("/a?CMCD", "/a"),
            ("/a?x=1&CMCD=bl%3D1&y=2", "/a?x=1&y=2"),
            ("/a?CMCD=1&x&CMCD=2", "/a?x"),
            ("/a?CMCDX=1&cmcd=2&xCMCD=3", "/a?CMCDX=1&cmcd=2&xCMCD=3"),
            ("/CMCD=1?x=CMCD", "/CMCD=1?x=CMCD"),
        ] {
            assert_eq!(without_parameter(target), expected);
        }
    }
}
