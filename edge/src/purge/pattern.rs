//! Patterns that select paths.

use std::fmt;
use std::str::FromStr;

/// Bytes of the longest pattern.
pub const MAX_PATTERN_BYTES: usize = 256;

/// States of a pattern: one before each of its bytes, and the end.
const STATES: usize = MAX_PATTERN_BYTES + 1;

/// A pattern over whole paths: `*` is any text within one segment, `**` any text at all, `\`
/// makes `*` and `\` themselves. Everything else is itself. It begins with `/` or `*`, and has
/// [`MAX_PATTERN_BYTES`] at most.
///
/// A match takes time in proportion to the path, times what the pattern may be at.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: Box<str>,
    tokens: Box<[Token]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Token {
    Byte(u8),
    /// `*`
    InSegment,
    /// `**`
    Anything,
}

/// What is wrong with the text of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternFault {
    /// It is too long.
    #[error("it has more than {MAX_PATTERN_BYTES} bytes")]
    TooLong,
    /// It would select no path.
    #[error("it does not begin with '/' or '*'")]
    NotAPath,
    /// Spaces, control characters, and all that is not ASCII.
    #[error("a path cannot have the character {0:?}")]
    BadCharacter(char),
    /// `\` before another character than `*` and `\`, or at the end.
    #[error("'\\' stands before '*' or '\\' only")]
    BadEscape,
}

impl FromStr for Pattern {
    type Err = PatternFault;

    fn from_str(text: &str) -> Result<Self, PatternFault> {
        if text.len() > MAX_PATTERN_BYTES {
            return Err(PatternFault::TooLong);
        }
        if !text.starts_with(['/', '*']) {
            return Err(PatternFault::NotAPath);
        }
        if let Some(bad) = text.chars().find(|c| !c.is_ascii_graphic()) {
            return Err(PatternFault::BadCharacter(bad));
        }
        let mut tokens = Vec::with_capacity(text.len());
        let mut bytes = text.bytes().peekable();
        while let Some(byte) = bytes.next() {
            tokens.push(match byte {
                b'*' if bytes.next_if_eq(&b'*').is_some() => Token::Anything,
                b'*' => Token::InSegment,
                b'\\' => match bytes.next() {
                    Some(escaped @ (b'*' | b'\\')) => Token::Byte(escaped),
                    _ => return Err(PatternFault::BadEscape),
                },
                byte => Token::Byte(byte),
            });
        }
        Ok(Self {
            text: text.into(),
            tokens: tokens.into(),
        })
    }
}

impl Pattern {
    /// What all paths begin with that it matches.
    pub(crate) fn beginning(&self) -> String {
        let bytes = self.tokens.iter().map_while(|token| match token {
            Token::Byte(byte) => Some(char::from(*byte)),
            Token::InSegment | Token::Anything => None,
        });
        bytes.collect()
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it selects `path`, from end to end.
    pub fn matches(&self, path: &str) -> bool {
        let mut states = States::default();
        self.enter(&mut states, 0);
        for byte in path.bytes() {
            let mut next = States::default();
            for state in states.iter() {
                match self.tokens.get(state) {
                    Some(Token::Byte(wanted)) if *wanted == byte => {
                        self.enter(&mut next, state + 1)
                    }
                    Some(Token::InSegment) if byte != b'/' => self.enter(&mut next, state),
                    Some(Token::Anything) => self.enter(&mut next, state),
                    _ => {}
                }
            }
            if next.is_empty() {
                return false;
            }
            states = next;
        }
        states.has(self.tokens.len())
    }

    /// Adds `state`, and those behind wildcards that are nothing.
    fn enter(&self, states: &mut States, mut state: usize) {
        loop {
            states.add(state);
            match self.tokens.get(state) {
                Some(Token::InSegment | Token::Anything) => state += 1,
                _ => return,
            }
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Places in a pattern.
#[derive(Default)]
struct States([u64; STATES.div_ceil(64)]);

impl States {
    fn add(&mut self, state: usize) {
        self.0[state / 64] |= 1 << (state % 64);
    }

    fn has(&self, state: usize) -> bool {
        self.0[state / 64] & (1 << (state % 64)) != 0
    }

    fn is_empty(&self) -> bool {
        self.0 == Self::default().0
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(index, &word)| {
            let mut left = word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
                left &= left - 1;
                Some(index * 64 + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    /// The definition, tried in every way.
    fn naive(pattern: &[u8], path: &[u8]) -> bool {
        match pattern {
            [] => path.is_empty(),
            [b'*', b'*', rest @ ..] => (0..=path.len()).any(|n| naive(rest, &path[n..])),
            [b'*', rest @ ..] => (0..=path.len())
                .take_while(|&n| !path[..n].contains(&b'/'))
                .any(|n| naive(rest, &path[n..])),
            [b'\\', byte, rest @ ..] | [byte, rest @ ..] => {
                path.first() == Some(byte) && naive(rest, &path[1..])
            }
        }
    }

    #[test]
    fn wildcards_stop_at_segments_or_do_not() {
        for (text, selected, others) in [
            ("/a", &["/a"][..], &["/", "/ab", "/a/", "/A"][..]),
            (
                "/live/*/index.m3u8",
                &["/live/a/index.m3u8"],
                &["/live/a/b/index.m3u8"],
            ),
            (
                "/live/**.m4s",
                &["/live/a/0/v/1.m4s", "/live/.m4s"],
                &["/vod/a/1.m4s"],
            ),
            ("/a/*", &["/a/", "/a/b"], &["/a", "/a/b/"]),
            ("**", &["/", "/a/b?c"], &[]),
            ("*/b", &["/b"], &["/a/b"]),
            (r"/a\*", &["/a*"], &["/ab", "/a"]),
            ("/*/*.*.m4s", &["/v/1.2.m4s"], &["/v/1.m4s"]),
        ] {
            let pattern = pattern(text);
            for (paths, expected) in [(selected, true), (others, false)] {
                for path in paths {
                    assert_eq!(pattern.matches(path), expected, "{text} {path}");
                }
            }
        }
    }

    #[test]
    fn every_fault_has_its_name() {
        let too_long = format!("/{}", "a".repeat(MAX_PATTERN_BYTES));
        for (text, fault) in [
            (too_long.as_str(), PatternFault::TooLong),
            ("", PatternFault::NotAPath),
            ("a", PatternFault::NotAPath),
            ("/a b", PatternFault::BadCharacter(' ')),
            ("/ä", PatternFault::BadCharacter('ä')),
            (r"/\a", PatternFault::BadEscape),
            (r"/\", PatternFault::BadEscape),
        ] {
            assert_eq!(text.parse::<Pattern>(), Err(fault), "{text}");
        }
    }

    #[test]
    fn the_worst_pattern_takes_no_longer_than_its_size_says() {
        let worst = pattern(&format!("/{}", "*a".repeat(127)));
        let path = format!("/{}b", "a".repeat(8_000));
        assert!(!worst.matches(&path));
    }

    proptest! {
        #[test]
        fn it_matches_as_the_definition_says(
            text in r"[/*](\*|\\\*|[ab/]){0,8}",
            path in "/[ab/*]{0,10}",
        ) {
            let expected = naive(text.as_bytes(), path.as_bytes());
            prop_assert_eq!(pattern(&text).matches(&path), expected);
        }

        #[test]
        fn a_path_selects_itself(path in "/[ -~]{0,40}") {
            let escaped = path.replace('\\', r"\\").replace('*', r"\*");
            match escaped.parse::<Pattern>() {
                Ok(pattern) => prop_assert!(pattern.matches(&path)),
                Err(fault) => prop_assert_eq!(fault, PatternFault::BadCharacter(' ')),
            }
        }
    }
}
