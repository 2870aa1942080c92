//! Targeted cache control (RFC 9213): a field that speaks to one kind of cache, and
//! hides `Cache-Control` and `Expires` from it.

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use crate::cache_control::{ResponseDirectives, Scope, field_names};
use crate::fields::MAX_DELTA_SECONDS;

/// The fields that speak to this cache, the most specific first (RFC 9213 2.1).
const TARGETS: [HeaderName; 2] = [
    HeaderName::from_static("nova-cache-control"),
    HeaderName::from_static("cdn-cache-control"),
];

/// The directives of the first of them that is there and valid. None when there is none:
/// an empty field, and one that cannot be parsed, counts as absent (RFC 9213 2.2).
pub(crate) fn directives(headers: &HeaderMap) -> Option<ResponseDirectives> {
    TARGETS.iter().find_map(|name| {
        let lines: Vec<&[u8]> = headers
            .get_all(name)
            .iter()
            .map(|line| line.as_bytes())
            .collect();
        if lines.is_empty() {
            return None;
        }
        let dictionary: Dictionary = Parser::new(&lines.join(&b", "[..])).parse().ok()?;
        read(&dictionary)
    })
}

/// None where a directive has a value of the wrong type.
fn read(dictionary: &Dictionary) -> Option<ResponseDirectives> {
    if dictionary.is_empty() {
        return None;
    }
    let mut found = ResponseDirectives {
        targeted: true,
        ..ResponseDirectives::default()
    };
    for (name, value) in dictionary {
        match name.as_str() {
            "no-store" => found.no_store = flag(value)?,
            "no-cache" => found.no_cache = scope(value)?,
            "private" => found.private = scope(value)?,
            "public" => found.public = flag(value)?,
            "must-revalidate" => found.must_revalidate = flag(value)?,
            "proxy-revalidate" => found.proxy_revalidate = flag(value)?,
            "must-understand" => found.must_understand = flag(value)?,
            "immutable" => found.immutable = flag(value)?,
            "max-age" => found.max_age = Some(seconds(value)?),
            "s-maxage" => found.s_maxage = Some(seconds(value)?),
            "stale-if-error" => found.stale_if_error = Some(seconds(value)?),
            "stale-while-revalidate" => found.stale_while_revalidate = Some(seconds(value)?),
            _ => {}
        }
    }
    Some(found)
}

fn item(value: &ListEntry) -> Option<&BareItem> {
    match value {
        ListEntry::Item(item) => Some(&item.bare_item),
        ListEntry::InnerList(_) => None,
    }
}

fn flag(value: &ListEntry) -> Option<bool> {
    match item(value)? {
        BareItem::Boolean(set) => Some(*set),
        _ => None,
    }
}

fn seconds(value: &ListEntry) -> Option<i64> {
    match item(value)? {
        BareItem::Integer(number) => Some(i64::from(*number).clamp(0, MAX_DELTA_SECONDS)),
        _ => None,
    }
}

fn scope(value: &ListEntry) -> Option<Option<Scope>> {
    match item(value)? {
        BareItem::Boolean(set) => Some(set.then_some(Scope::Answer)),
        BareItem::String(names) => Some(Some(field_names(names.as_str().as_bytes()))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(pairs: &[(&'static str, &str)]) -> ResponseDirectives {
        let headers = pairs
            .iter()
            .map(|(name, value)| {
                let value = HeaderValue::from_str(value).unwrap();
                (HeaderName::from_static(name), value)
            })
            .collect();
        ResponseDirectives::of(&headers)
    }

    #[test]
    fn the_most_specific_field_that_is_valid_counts() {
        let general = ("cache-control", "max-age=1");
        let all = of(&[
            general,
            ("cdn-cache-control", "max-age=2"),
            ("nova-cache-control", "max-age=3"),
        ]);
        assert_eq!((all.max_age, all.targeted), (Some(3), true));
        let broken = of(&[
            general,
            ("cdn-cache-control", "max-age=2"),
            ("nova-cache-control", "max-age=3, &&"),
        ]);
        assert_eq!(broken.max_age, Some(2));
        for ignored in [
            "",
            "max-age=\"2\"",
            "max-age=2.5",
            "max-age",
            "MaX-aGe=2",
            "max-age =2",
            "max-age= 2",
            "no-store=1",
        ] {
            let found = of(&[general, ("cdn-cache-control", ignored)]);
            assert_eq!(
                (found.max_age, found.targeted),
                (Some(1), false),
                "{ignored}"
            );
        }
    }

    #[test]
    fn values_have_the_types_of_structured_fields() {
        let found = of(&[(
            "cdn-cache-control",
            "foobar, max-age=99999999999, no-cache=\"a, b\", public=?0, immutable;x=1",
        )]);
        assert_eq!(found.max_age, Some(MAX_DELTA_SECONDS));
        assert_eq!(found.withheld(), ["a", "b"]);
        assert!(!found.public && found.immutable);
        assert_eq!(of(&[("cdn-cache-control", "max-age=-5")]).max_age, Some(0));
        let lines = of(&[
            ("cdn-cache-control", "max-age=5"),
            ("cdn-cache-control", "private"),
        ]);
        assert_eq!(lines.private, Some(Scope::Answer));
    }
}
