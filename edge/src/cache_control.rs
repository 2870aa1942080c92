//! The directives of answers (RFC 9111 5.2.2, RFC 5861, RFC 8246) and of requests (5.2.1).

use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName};

use crate::fields::{delta_seconds, list_members, split_list};
use crate::targeted;

/// How much of an answer a directive speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All of it.
    Answer,
    /// These fields only (RFC 9111 5.2.2.4 and 5.2.2.7, the qualified form).
    Fields(Vec<HeaderName>),
}

/// What an answer says about its storage and reuse. A number is in seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ResponseDirectives {
    /// They come from a targeted field, so that `Expires` says nothing (RFC 9213 2.2).
    pub(crate) targeted: bool,
    pub(crate) no_store: bool,
    pub(crate) no_cache: Option<Scope>,
    pub(crate) private: Option<Scope>,
    pub(crate) public: bool,
    pub(crate) must_revalidate: bool,
    pub(crate) proxy_revalidate: bool,
    pub(crate) must_understand: bool,
    pub(crate) immutable: bool,
    pub(crate) max_age: Option<i64>,
    pub(crate) s_maxage: Option<i64>,
    pub(crate) stale_if_error: Option<i64>,
    pub(crate) stale_while_revalidate: Option<i64>,
}

/// What a request asks of the caches on its way. A number is in seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RequestDirectives {
    pub(crate) no_cache: bool,
    pub(crate) no_store: bool,
    pub(crate) only_if_cached: bool,
    pub(crate) max_age: Option<i64>,
    /// `i64::MAX` for any staleness.
    pub(crate) max_stale: Option<i64>,
    pub(crate) min_fresh: Option<i64>,
}

impl ResponseDirectives {
    /// The directives of the first targeted field that counts, or of `Cache-Control`.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        targeted::directives(headers).unwrap_or_else(|| Self::of_cache_control(headers))
    }

    fn of_cache_control(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        for member in list_members(headers, &CACHE_CONTROL) {
            let (name, argument) = name_and_argument(member);
            found.add(&name, argument);
        }
        found
    }

    fn add(&mut self, name: &str, argument: Option<&[u8]>) {
        match name {
            "no-store" => self.no_store = true,
            "no-cache" => widen(&mut self.no_cache, argument),
            "private" => widen(&mut self.private, argument),
            "public" => self.public = true,
            "must-revalidate" => self.must_revalidate = true,
            "proxy-revalidate" => self.proxy_revalidate = true,
            "must-understand" => self.must_understand = true,
            "immutable" => self.immutable = true,
            "max-age" => tighten(&mut self.max_age, argument),
            "s-maxage" => tighten(&mut self.s_maxage, argument),
            "stale-if-error" => tighten(&mut self.stale_if_error, argument),
            "stale-while-revalidate" => tighten(&mut self.stale_while_revalidate, argument),
            _ => {}
        }
    }

    /// The fields that may be given only to whom the origin answered itself.
    pub(crate) fn withheld(&self) -> Vec<HeaderName> {
        [&self.no_cache, &self.private]
            .into_iter()
            .filter_map(|scope| match scope {
                Some(Scope::Fields(names)) => Some(names),
                _ => None,
            })
            .flatten()
            .cloned()
            .collect()
    }
}

impl RequestDirectives {
    /// RFC 9111 5.2.1. `Pragma` is deprecated (5.4) and says nothing.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        for member in list_members(headers, &CACHE_CONTROL) {
            let (name, argument) = name_and_argument(member);
            let seconds = argument.and_then(delta_seconds);
            match name.as_str() {
                "no-cache" => found.no_cache = true,
                "no-store" => found.no_store = true,
                "only-if-cached" => found.only_if_cached = true,
                // What cannot be read asks for nothing: these are wishes.
                "max-age" => found.max_age = seconds.or(found.max_age),
                "min-fresh" => found.min_fresh = seconds.or(found.min_fresh),
                "max-stale" if argument.is_none() => found.max_stale = Some(i64::MAX),
                "max-stale" => found.max_stale = seconds.or(found.max_stale),
                _ => {}
            }
        }
        found
    }
}

/// A directive's name in lower case, and its argument without quotes.
fn name_and_argument(member: &[u8]) -> (String, Option<&[u8]>) {
    let (name, argument) = match member.iter().position(|&byte| byte == b'=') {
        Some(at) => (&member[..at], Some(member[at + 1..].trim_ascii())),
        None => (member, None),
    };
    let name = String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase();
    // RFC 9111 5.2: both the token and the quoted form are to be read.
    let argument = argument.map(|text| {
        text.strip_prefix(b"\"")
            .and_then(|text| text.strip_suffix(b"\""))
            .unwrap_or(text)
    });
    (name, argument)
}

/// RFC 9111 4.2.1: of a repeated directive the most restrictive counts, and what is not
/// a number makes the answer stale.
fn tighten(slot: &mut Option<i64>, argument: Option<&[u8]>) {
    let seconds = argument.and_then(delta_seconds).unwrap_or(0);
    *slot = Some(slot.map_or(seconds, |known| known.min(seconds)));
}

/// The unqualified form covers the qualified one, and so does a list of names that
/// cannot be read.
fn widen(slot: &mut Option<Scope>, argument: Option<&[u8]>) {
    let scope = argument.map_or(Scope::Answer, field_names);
    let known = slot.take();
    *slot = Some(match (known, scope) {
        (Some(Scope::Fields(mut known)), Scope::Fields(more)) => {
            known.extend(more);
            Scope::Fields(known)
        }
        (None, scope) => scope,
        _ => Scope::Answer,
    });
}

/// The names in the argument of `no-cache` or `private`.
pub(crate) fn field_names(argument: &[u8]) -> Scope {
    let names: Result<Vec<_>, _> = split_list(argument).map(HeaderName::from_bytes).collect();
    match names {
        Ok(names) if !names.is_empty() => Scope::Fields(names),
        _ => Scope::Answer,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        let line = |line: &&str| (CACHE_CONTROL, HeaderValue::from_str(line).unwrap());
        lines.iter().map(line).collect()
    }

    fn of(line: &str) -> ResponseDirectives {
        ResponseDirectives::of(&headers(&[line]))
    }

    #[test]
    fn names_have_no_case_and_numbers_may_be_quoted() {
        assert_eq!(of("MaX-aGe=\"7\"").max_age, Some(7));
        assert!(of("nO-StOrE").no_store);
        assert_eq!(of("max-age=9, max-age=4").max_age, Some(4));
        assert_eq!(
            ResponseDirectives::of(&headers(&["max-age=4", "max-age=9"])).max_age,
            Some(4)
        );
        for stale in ["max-age", "max-age=x", "max-age=-1", "max-age='9'"] {
            assert_eq!(of(stale).max_age, Some(0), "{stale}");
        }
    }

    #[test]
    fn a_quoted_string_is_one_argument() {
        let found = of("ext=\"a, no-store, max-age=9\", max-age=5");
        assert_eq!((found.no_store, found.max_age), (false, Some(5)));
    }

    #[test]
    fn the_qualified_form_names_fields_and_the_plain_one_covers_it() {
        let fields = |names: &[&'static str]| {
            let names = names.iter().map(|name| HeaderName::from_static(name));
            Some(Scope::Fields(names.collect()))
        };
        assert_eq!(of("no-cache=\"A, b\"").no_cache, fields(&["a", "b"]));
        assert_eq!(of("private=x").private, fields(&["x"]));
        assert_eq!(
            of("private=\"a\", private=\"b\"").private,
            fields(&["a", "b"])
        );
        for all in [
            "no-cache",
            "no-cache=\"a\", no-cache",
            "no-cache, no-cache=\"a\"",
            "no-cache=\"\"",
            "no-cache=\"a b\"",
        ] {
            assert_eq!(of(all).no_cache, Some(Scope::Answer), "{all}");
        }
        let found = of("no-cache=\"a\", private=\"b\", max-age=1");
        assert_eq!(found.withheld(), ["a", "b"]);
    }

    #[test]
    fn requests_wish_and_what_cannot_be_read_is_no_wish() {
        let wish = |line: &str| RequestDirectives::of(&headers(&[line]));
        let found = wish("max-age=5, min-fresh=2, max-stale, no-store, only-if-cached");
        assert_eq!(
            (found.max_age, found.min_fresh, found.max_stale),
            (Some(5), Some(2), Some(i64::MAX))
        );
        assert!(found.no_store && found.only_if_cached && !found.no_cache);
        assert_eq!(wish("max-stale=3").max_stale, Some(3));
        assert_eq!(wish("max-age=x, max-stale=y"), RequestDirectives::default());
    }

    proptest! {
        #[test]
        fn max_age_is_found_between_other_directives(
            before in "([a-z]{1,8}(=\"[^\"\\\\]{0,8}\")?, ){0,3}",
            seconds in 0i64..1_000_000,
        ) {
            let value = format!("{before}x-max-age=1, max-age={seconds}");
            prop_assume!(HeaderValue::from_str(&value).is_ok());
            prop_assert_eq!(of(&value).max_age, Some(seconds));
        }
    }
}
