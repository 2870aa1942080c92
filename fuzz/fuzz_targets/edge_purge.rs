//! What selects the answers to purge: patterns match as they are defined, and what was read is
//! read back the same.
#![no_main]

use edge::{OriginKind, Pattern, Selector};
use libfuzzer_sys::fuzz_target;

const KINDS: [&str; 7] = ["url", "prefix", "pattern", "tag", "stream", "video", "everything"];

fuzz_target!(|input: (u8, bool, &str, &str)| {
    let (kind, general, text, path) = input;
    let kind = KINDS[usize::from(kind) % KINDS.len()];
    let origin = match general {
        true => OriginKind::General,
        false => OriginKind::Media,
    };
    if let Ok(selector) = Selector::parse(origin, kind, text) {
        let again = Selector::parse(origin, selector.kind(), selector.text());
        assert_eq!(again.as_ref(), Ok(&selector));
    }
    if let Ok(pattern) = text.parse::<Pattern>()
        && path.len() <= 4_096
    {
        assert_eq!(pattern.matches(path), defined(text.as_bytes(), path.as_bytes()));
    }
});

/// The definition, by a table: may the first `i` bytes of the pattern be the first `j` of the
/// path?
fn defined(pattern: &[u8], path: &[u8]) -> bool {
    let mut may = vec![false; path.len() + 1];
    may[0] = true;
    let mut rest = pattern;
    while let Some((token, after)) = next(rest) {
        let mut then = vec![false; path.len() + 1];
        for at in 0..=path.len() {
            then[at] = match token {
                Token::Byte(byte) => at > 0 && may[at - 1] && path[at - 1] == byte,
                Token::InSegment => may[at] || (at > 0 && then[at - 1] && path[at - 1] != b'/'),
                Token::Anything => may[at] || (at > 0 && then[at - 1]),
            };
        }
        may = then;
        rest = after;
    }
    may[path.len()]
}

enum Token {
    Byte(u8),
    InSegment,
    Anything,
}

fn next(pattern: &[u8]) -> Option<(Token, &[u8])> {
    Some(match pattern {
        [] => return None,
        [b'*', b'*', rest @ ..] => (Token::Anything, rest),
        [b'*', rest @ ..] => (Token::InSegment, rest),
        [b'\\', byte, rest @ ..] | [byte, rest @ ..] => (Token::Byte(*byte), rest),
    })
}
