//! Which requests a stored answer was made for (RFC 9111 4.1).

use std::fmt::Write;

use http::header::{
    ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONTENT_LANGUAGE, VARY,
};
use http::{HeaderMap, HeaderName};

use crate::fields::list_members;

/// The fields that an answer's `Vary` names, with what its request had in them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selecting(Vec<(HeaderName, Option<Vec<u8>>)>);

/// `Vary: *`: no other request will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VaryAny;

impl Selecting {
    /// Does every request select it?
    pub(crate) fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// What the answer with these fields was selected by in `request`. A name that is none
    /// counts as `*`, since nobody can tell what the answer depends on.
    pub(crate) fn of(answer: &HeaderMap, request: &HeaderMap) -> Result<Self, VaryAny> {
        let mut names = Vec::new();
        for member in list_members(answer, &VARY) {
            if member == b"*" {
                return Err(VaryAny);
            }
            names.push(HeaderName::from_bytes(member).map_err(|_| VaryAny)?);
        }
        names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        names.dedup();
        let pair = |name| {
            let value = normalised(&name, request);
            (name, value)
        };
        Ok(Self(names.into_iter().map(pair).collect()))
    }

    /// What [`Selecting::fields`] gave once.
    pub(crate) fn revived(fields: Vec<(HeaderName, Option<Vec<u8>>)>) -> Self {
        Self(fields)
    }

    /// The fields, and what the request had in them.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&HeaderName, Option<&[u8]>)> {
        self.0.iter().map(|(name, value)| (name, value.as_deref()))
    }

    /// Would `request` be given the answer with the fields `answer`?
    pub(crate) fn matches(&self, request: &HeaderMap, answer: &HeaderMap) -> bool {
        self.0.iter().all(|(name, value)| {
            normalised(name, request) == *value
                || (name == ACCEPT_LANGUAGE && is_first_choice(request, answer))
        })
    }

    /// What `request` has in these fields, as a text. Who has the same text most likely
    /// selects the same, so that it asks together; the answer says whether it does. Another
    /// text may still select the same, by the first choice of languages.
    pub(crate) fn key_of(&self, request: &HeaderMap) -> String {
        let mut key = String::new();
        for (name, _) in &self.0 {
            // Writing to a String does not fail.
            let _ = match normalised(name, request) {
                Some(value) => write!(key, "{name}={};", value.escape_ascii()),
                None => write!(key, "{name};"),
            };
        }
        key
    }

    /// Bytes this takes in memory, nearly.
    pub(crate) fn weight(&self) -> u64 {
        self.0
            .iter()
            .map(|(name, value)| name.as_str().len() + value.as_ref().map_or(0, Vec::len) + 64)
            .sum::<usize>() as u64
    }
}

/// RFC 9111 4.1: lines are joined, and space around members goes. In the fields of content
/// negotiation neither order nor, but for media types, case means anything (RFC 9110 12.5).
fn normalised(name: &HeaderName, request: &HeaderMap) -> Option<Vec<u8>> {
    if !request.contains_key(name) {
        return None;
    }
    let negotiates = [ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE].contains(name);
    let mut members: Vec<Vec<u8>> = list_members(request, name)
        .map(|member| match negotiates {
            true => member
                .iter()
                .filter(|byte| !byte.is_ascii_whitespace())
                .map(u8::to_ascii_lowercase)
                .collect(),
            false => member.to_vec(),
        })
        .collect();
    if negotiates || name == ACCEPT {
        members.sort_unstable();
    }
    Some(members.join(&b","[..]))
}

/// Is the answer in the one language that the request would have before all others? Then
/// an origin that has it gives it, whatever else the request would take.
fn is_first_choice(request: &HeaderMap, answer: &HeaderMap) -> bool {
    let mut languages = list_members(answer, &CONTENT_LANGUAGE);
    let (Some(language), None) = (languages.next(), languages.next()) else {
        return false;
    };
    let mut first: Option<(&[u8], u32)> = None;
    let mut is_shared = false;
    for member in list_members(request, &ACCEPT_LANGUAGE) {
        let Some((range, quality)) = weighted(member) else {
            return false;
        };
        match first {
            Some((_, best)) if quality < best => {}
            Some((_, best)) if quality == best => is_shared = true,
            _ => (first, is_shared) = (Some((range, quality)), false),
        }
    }
    first.is_some_and(|(range, quality)| {
        quality > 0 && !is_shared && range.eq_ignore_ascii_case(language)
    })
}

/// A language range and its weight in thousandths (RFC 9110 12.4.2).
fn weighted(member: &[u8]) -> Option<(&[u8], u32)> {
    let mut parts = member.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    let range = parts.next()?;
    let Some(parameter) = parts.next() else {
        return Some((range, 1_000));
    };
    let weight = parameter
        .strip_prefix(b"q=")
        .or_else(|| parameter.strip_prefix(b"Q="))?;
    let weight: f32 = std::str::from_utf8(weight).ok()?.parse().ok()?;
    // At most three decimals, so that rounding loses nothing.
    ((0.0..=1.0).contains(&weight) && parts.next().is_none())
        .then_some((range, (weight * 1_000.0).round() as u32))
}

/// Leaves the members of `Vary` out that `drop` names.
pub(crate) fn without(headers: &mut HeaderMap, drop: &HeaderName) {
    let kept: Vec<Vec<u8>> = list_members(headers, &VARY)
        .filter(|member| !member.eq_ignore_ascii_case(drop.as_str().as_bytes()))
        .map(<[u8]>::to_vec)
        .collect();
    headers.remove(VARY);
    if let Ok(value) = http::HeaderValue::from_bytes(&kept.join(&b", "[..]))
        && !kept.is_empty()
    {
        headers.insert(VARY, value);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            (HeaderName::from_static(name), value)
        };
        pairs.iter().map(pair).collect()
    }

    fn same(vary: &str, stored: &[(&'static str, &str)], asked: &[(&'static str, &str)]) -> bool {
        let answer = headers(&[("vary", vary), ("content-language", "de")]);
        let selecting = Selecting::of(&answer, &headers(stored)).unwrap();
        let matches = selecting.matches(&headers(asked), &HeaderMap::new());
        let keys = [stored, asked].map(|pairs| selecting.key_of(&headers(pairs)));
        assert_eq!(matches, keys[0] == keys[1]);
        matches
    }

    #[test]
    fn e11_all_named_fields_must_match() {
        let one = ("foo", "1");
        assert!(same("Foo", &[one, ("other", "2")], &[one, ("other", "3")]));
        assert!(!same("Foo", &[one], &[("foo", "2")]));
        assert!(!same("Foo", &[one], &[]));
        assert!(!same("Foo", &[], &[one]));
        assert!(!same("Foo", &[], &[("foo", "")]));
        assert!(same("Foo, Bar, Baz", &[one], &[one]));
        assert!(!same(
            "Foo, Bar",
            &[one, ("bar", "a")],
            &[one, ("bar", "ab")]
        ));
        assert!(same("", &[one], &[]));
    }

    #[test]
    fn e11_what_means_the_same_is_the_same() {
        assert!(same(
            "Foo",
            &[("foo", "1, 2")],
            &[("foo", "1"), ("foo", "2")]
        ));
        assert!(same("Foo", &[("foo", "1,2")], &[("foo", " 1, 2 ")]));
        assert!(!same("Foo", &[("foo", "1, 2")], &[("foo", "2, 1")]));
        assert!(!same("Foo", &[("foo", "\"1, 2\"")], &[("foo", "\"1,2\"")]));
        let language = |value| [("accept-language", value)];
        for value in ["de, en", "eN, De", " en ,   de"] {
            assert!(same(
                "Accept-Language",
                &language("en, de"),
                &language(value)
            ));
        }
        assert!(!same(
            "Accept-Language",
            &language("en, de"),
            &language("en, de;q=0.5")
        ));
    }

    #[test]
    fn e11_an_answer_in_the_first_choice_of_languages_will_do() {
        let will_do = |asked: &str, content: &str| {
            let answer = headers(&[("vary", "Accept-Language"), ("content-language", content)]);
            let stored = headers(&[("accept-language", "en, de")]);
            let selecting = Selecting::of(&answer, &stored).unwrap();
            selecting.matches(&headers(&[("accept-language", asked)]), &answer)
        };
        for (asked, expected) in [
            ("fr;q=0.5, de;q=1.0", true),
            ("de, fr;q=0.9", true),
            ("DE", true),
            ("fr, de", false),
            ("fr;q=1, de;q=0.9", false),
            ("de;q=0", false),
            ("de;q=x", false),
            ("", false),
        ] {
            assert_eq!(will_do(asked, "de"), expected, "{asked}");
        }
        assert!(!will_do("de", "de, en"));
    }

    #[test]
    fn e11_a_star_anywhere_or_what_is_no_name_selects_nothing() {
        for vary in ["*", "*, *", ", *", "*, Foo", "Foo, *", "a b"] {
            let answer = headers(&[("vary", vary)]);
            assert_eq!(Selecting::of(&answer, &HeaderMap::new()), Err(VaryAny));
        }
        let lines = headers(&[("vary", ""), ("vary", "*")]);
        assert_eq!(Selecting::of(&lines, &HeaderMap::new()), Err(VaryAny));
    }

    proptest! {
        #[test]
        fn a_request_matches_what_it_was_answered(
            vary in "[ -~]{0,30}",
            value in "[ -~]{0,30}",
            language in "[ -~]{0,30}",
        ) {
            let answer = headers(&[("vary", &format!("{vary}, x, accept-language"))]);
            let request = headers(&[("x", &value), ("accept-language", &language)]);
            if let Ok(selecting) = Selecting::of(&answer, &request) {
                prop_assert!(selecting.matches(&request, &answer));
            }
        }
    }
}
