//! `Vary` and what it selects by: nobody is given what was selected by something else, and who
//! asks the same again is given the same.
#![no_main]

use fuzz::{Origin, ask, fields, get, house, is_hit, run};
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_LANGUAGE, COOKIE, USER_AGENT,
    VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

const NAMES: [HeaderName; 6] = [
    ACCEPT,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    COOKIE,
    USER_AGENT,
    HeaderName::from_static("a"),
];

#[derive(Debug, Arbitrary)]
struct Variants<'a> {
    /// By which of the names it varies, and how that is spelled.
    vary: Vec<(u8, bool)>,
    anything: &'a [u8],
    language: &'a [u8],
    first: Vec<(u8, &'a [u8])>,
    second: Vec<(u8, &'a [u8])>,
}

/// What is left of a field when all that might mean nothing is gone.
fn essence(request: &HeaderMap, name: &HeaderName) -> Option<Vec<u8>> {
    request.contains_key(name).then(|| {
        let lines = request.get_all(name).iter();
        let mut essence: Vec<u8> = lines
            .flat_map(|line| line.as_bytes())
            .filter(|byte| !byte.is_ascii_whitespace() && !b",;".contains(byte))
            .map(u8::to_ascii_lowercase)
            .collect();
        essence.sort_unstable();
        essence
    })
}

fuzz_target!(|variants: Variants<'_>| {
    let named: Vec<HeaderName> = variants
        .vary
        .iter()
        .map(|(name, _)| NAMES[usize::from(*name) % NAMES.len()].clone())
        .collect();
    let spelled = named.iter().zip(&variants.vary);
    let spelled: Vec<String> = spelled
        .map(|(name, (_, upper))| match upper {
            true => name.as_str().to_ascii_uppercase(),
            false => name.to_string(),
        })
        .collect();
    let mut answered = HeaderMap::new();
    answered.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
    answered.insert(VARY, spelled.join(" ,, ").try_into().expect("tokens"));
    if let Ok(value) = HeaderValue::from_bytes(variants.anything) {
        answered.append(VARY, value);
    }
    if let Ok(value) = HeaderValue::from_bytes(variants.language) {
        answered.insert(CONTENT_LANGUAGE, value);
    }
    let (first, second) = (
        fields(&NAMES, &variants.first),
        fields(&NAMES, &variants.second),
    );
    let origin = Origin::fixed(200, answered, b"x");
    let (mut edge, _) = house(true, &origin);
    run(async {
        ask(&mut edge, get(first.clone())).await;
        let is_stored = is_hit(&ask(&mut edge, get(first.clone())).await.0);
        let is_given = is_hit(&ask(&mut edge, get(second.clone())).await.0);
        assert!(
            is_stored || !variants.anything.is_empty(),
            "it could be stored"
        );
        let others = named.iter().filter(|name| {
            // The first choice of languages stands for the rest.
            *name != ACCEPT_LANGUAGE && essence(&first, name) != essence(&second, name)
        });
        let others: Vec<_> = others.collect();
        assert!(
            others.is_empty() || !is_given,
            "selected by another {others:?}"
        );
        let is_given_again = is_hit(&ask(&mut edge, get(second)).await.0);
        assert!(
            is_given_again == is_stored,
            "each variant is stored or none is"
        );
    });
});
