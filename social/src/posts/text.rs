//! What people write: plain text, in which accounts, hashtags and links are found.
//!
//! Nothing here is markup. A text is kept as it was written, and shown piece by piece: whoever
//! shows it makes a link of a piece that is one, and text of the rest.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use url::Url;

use crate::accounts::UserName;

/// The longest text, in characters.
pub const MAX_TEXT: usize = 5_000;
/// The longest hashtag, in characters, without its `#`.
pub const MAX_HASHTAG: usize = 100;
/// The longest address that a text links to, in bytes.
pub const MAX_LINK: usize = 2_000;

/// Why something cannot be a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// It is too long.
    #[error("expected at most {MAX_TEXT} characters")]
    TooLong,
    /// It has a control character other than a line feed.
    #[error("expected no control character but the line feed: there is U+{:04X}", u32::from(*.0))]
    Control(char),
    /// It has a character that turns the direction of what comes after it.
    #[error("expected no character that turns the direction of text: there is U+{:04X}", u32::from(*.0))]
    Direction(char),
}

/// Refuses what cannot be shown anywhere as it was written.
pub fn check(text: &str) -> Result<(), InvalidText> {
    if text.chars().count() > MAX_TEXT {
        return Err(InvalidText::TooLong);
    }
    for c in text.chars() {
        if c.is_control() && c != '\n' {
            return Err(InvalidText::Control(c));
        }
    }
    check_direction(text)
}

/// Refuses what turns the direction of a text, which may be shown beside others.
pub(crate) fn check_direction(text: &str) -> Result<(), InvalidText> {
    let found = text.chars().find(|c| turns_direction(*c));
    found.map_or(Ok(()), |c| Err(InvalidText::Direction(c)))
}

/// The property `Bidi_Control` (UAX #9 2): with these a text reads as another than it is.
fn turns_direction(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece<'a> {
    /// As it was written.
    pub text: &'a str,
    /// What it is.
    pub kind: Kind<'a>,
}

/// What a piece is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind<'a> {
    /// Text.
    Plain,
    /// What may be the name of an account.
    Mention(&'a str),
    /// A hashtag, as it is looked up.
    Hashtag(String),
    /// An address on the web, normalised.
    Link(String),
}

/// The text in pieces, which are the text when they are put together. Each character is looked
/// at a bounded number of times.
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut plain_from = 0;
    let mut at = 0;
    let mut before: Option<char> = None;
    while let Some(next) = text[at..].chars().next() {
        let (length, kind) = match before.is_some_and(is_word) {
            true => (next.len_utf8(), Kind::Plain),
            false => read(&text[at..], next),
        };
        let end = at + length;
        if kind != Kind::Plain {
            push_plain(&mut pieces, &text[plain_from..at]);
            pieces.push(Piece {
                text: &text[at..end],
                kind,
            });
            plain_from = end;
        }
        before = text[at..end].chars().next_back();
        at = end;
    }
    push_plain(&mut pieces, &text[plain_from..]);
    pieces
}

fn push_plain<'a>(pieces: &mut Vec<Piece<'a>>, text: &'a str) {
    if !text.is_empty() {
        let kind = Kind::Plain;
        pieces.push(Piece { text, kind });
    }
}

/// What `rest` begins with, and how many bytes of it that is. What only looks like something is
/// plain as a whole, so that it is not looked at again.
fn read(rest: &str, first: char) -> (usize, Kind<'_>) {
    match first {
        '@' => mention(rest),
        '#' => hashtag(rest),
        'h' | 'H' if has_scheme(rest) => link(rest),
        _ => (first.len_utf8(), Kind::Plain),
    }
}

/// What words are made of, in any script.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || is_combining_mark(c)
}

fn mention(rest: &str) -> (usize, Kind<'_>) {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let name = &rest[1..];
    let end = name.find(|c| !is_of_name(c)).unwrap_or(name.len());
    let (name, after) = name.split_at(end);
    // An address of mail or of another server, or a word that only begins like a name.
    let goes_on = after.starts_with(|c| c == '@' || is_word(c));
    match name.parse::<UserName>() {
        Ok(_) if !goes_on => (1 + end, Kind::Mention(name)),
        _ => (1 + end, Kind::Plain),
    }
}

fn hashtag(rest: &str) -> (usize, Kind<'_>) {
    let word = &rest[1..];
    let end = word.find(|c| !is_word(c)).unwrap_or(word.len());
    let kind = fold_hashtag(&word[..end]).map_or(Kind::Plain, Kind::Hashtag);
    (1 + end, kind)
}

/// A hashtag, without its `#`, as it is looked up: composed and in lower case. `None`: it is
/// none. One is of letters, digits and underscores, with a letter among them, and does not
/// begin with a mark.
pub fn fold_hashtag(word: &str) -> Option<String> {
    let is_hashtag = word.chars().all(is_word)
        && word.contains(char::is_alphabetic)
        && !word.starts_with(is_combining_mark)
        && word.chars().count() <= MAX_HASHTAG;
    let fold = || {
        let composed: String = word.nfc().collect();
        composed.to_lowercase().nfc().collect::<String>()
    };
    let most = storage::rows::posts::HASHTAG_BYTES_AT_MOST;
    is_hashtag.then(fold).filter(|folded| folded.len() <= most)
}

fn has_scheme(rest: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| {
        let start = rest.as_bytes().get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
    })
}

fn link(rest: &str) -> (usize, Kind<'_>) {
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let written = without_punctuation(&rest[..end]);
    match address(written) {
        Some(address) => (written.len(), Kind::Link(address)),
        None => (end, Kind::Plain),
    }
}

/// Where a link goes. Nobody is logged in by one: what looks like a name of a site before an
/// `@` is none.
fn address(written: &str) -> Option<String> {
    let url = Url::parse(written).ok()?;
    let is_address = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.as_str().len() <= MAX_LINK;
    is_address.then(|| url.into())
}

/// What ends a sentence, or what stands around an address, is not of it.
const PUNCTUATION: &str = ".,;:!?'\"…‘’“”«»‹›<>。、，．；：！？」』】）｡､";

/// The address without the punctuation behind it. A bracket that closes one in the address is
/// of it.
fn without_punctuation(mut written: &str) -> &str {
    let count = |c: char| written.matches(c).count();
    let mut unopened = [('(', ')'), ('[', ']'), ('{', '}')]
        .map(|(open, close)| (close, count(close).saturating_sub(count(open))));
    while let Some(last) = written.chars().next_back() {
        let bracket = unopened.iter_mut().find(|(close, _)| *close == last);
        let is_behind = match bracket {
            Some((_, more)) if *more > 0 => {
                *more -= 1;
                true
            }
            Some(_) => false,
            None => PUNCTUATION.contains(last),
        };
        if !is_behind {
            break;
        }
        written = &written[..written.len() - last.len_utf8()];
    }
    written
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pieces as `[@name]`, `[#folded]`, `[address]` or the text.
    fn told(text: &str) -> String {
        let tell = |piece: Piece<'_>| match piece.kind {
            Kind::Plain => piece.text.to_owned(),
            Kind::Mention(name) => format!("[@{name}]"),
            Kind::Hashtag(folded) => format!("[#{folded}]"),
            Kind::Link(address) => format!("[{address}]"),
        };
        pieces(text).into_iter().map(tell).collect()
    }

    #[track_caller]
    fn assert_told(cases: &[(&str, &str)]) {
        for (text, expected) in cases {
            assert_eq!(told(text), *expected, "{text:?}");
        }
    }

    #[test]
    fn mentions() {
        assert_told(&[
            ("@ada", "[@ada]"),
            ("Hi @Ada, @bob!", "Hi [@Ada], [@bob]!"),
            ("(@ada)", "([@ada])"),
            ("@ada's", "[@ada]'s"),
            ("ada@example.org", "ada@example.org"),
            ("é@ada", "é@ada"),
            ("e\u{301}@ada", "e\u{301}@ada"),
            ("@ada@example.org", "@ada@example.org"),
            ("@adaé", "@adaé"),
            ("@", "@"),
            ("@@ada", "@[@ada]"),
            ("@-ada", "@-ada"),
            ("日本@ada", "日本@ada"),
            ("日本、@ada", "日本、[@ada]"),
        ]);
        let long = format!("@{}", "a".repeat(33));
        assert_eq!(told(&long), long);
    }

    #[test]
    fn hashtags() {
        assert_told(&[
            ("#Rust", "[#rust]"),
            ("#rust!", "[#rust]!"),
            ("#1 #2nd #2_b", "#1 [#2nd] [#2_b]"),
            ("#a#b", "[#a]#b"),
            ("C#4 a#b", "C#4 a#b"),
            ("#_ ##x", "#_ #[#x]"),
            ("#日本語。", "[#日本語]。"),
            ("#CAFÉ #cafe\u{301}", "[#café] [#café]"),
            ("#हिन्दी", "[#हिन्दी]"),
            ("#ΟΔΟΣ #οδος", "[#οδος] [#οδος]"),
            ("#\u{301}a", "#\u{301}a"),
            ("#\u{fe0f}\u{20e3}", "#\u{fe0f}\u{20e3}"),
        ]);
        let long = format!("#{}", "a".repeat(MAX_HASHTAG + 1));
        assert_eq!(told(&long), long);
    }

    #[test]
    fn links() {
        assert_told(&[
            ("https://example.org", "[https://example.org/]"),
            ("HTTP://Example.ORG/A", "[http://example.org/A]"),
            ("see https://x.y/a?b#c.", "see [https://x.y/a?b#c]."),
            ("(https://x.y/a_(b))", "([https://x.y/a_(b)])"),
            (
                "<https://x.y/>, \"https://x.y\"",
                "<[https://x.y/]>, \"[https://x.y/]\"",
            ),
            ("https://x.y/@ada#rust", "[https://x.y/@ada#rust]"),
            ("https://x.y…\nb", "[https://x.y/]…\nb"),
            ("https://пример.рф", "[https://xn--e1afmkfd.xn--p1ai/]"),
            ("ahttps://x.y", "ahttps://x.y"),
            ("https://", "https://"),
            ("https://...", "https://..."),
            ("http://[", "http://["),
            (
                "https://bank.example@evil.example/",
                "https://bank.example@evil.example/",
            ),
            ("javascript:alert(1)", "javascript:alert(1)"),
            (
                "data:text/html,x ftp://x.y //x.y",
                "data:text/html,x ftp://x.y //x.y",
            ),
            ("<script>alert(1)</script>", "<script>alert(1)</script>"),
            ("https://x.y/\"onclick=\"a", "[https://x.y/%22onclick=%22a]"),
        ]);
        let long = format!("https://x.y/{}", "a".repeat(MAX_LINK));
        assert_eq!(told(&long), long);
    }

    #[test]
    fn what_cannot_be_shown_as_it_was_written_is_refused() {
        for good in ["", "a\nb", "é\u{200d}👩‍🚀", "שלום", &"é".repeat(MAX_TEXT)] {
            assert_eq!(check(good), Ok(()), "{good:?}");
        }
        for (bad, why) in [
            ("a\0", InvalidText::Control('\0')),
            ("a\tb", InvalidText::Control('\t')),
            ("a\r\nb", InvalidText::Control('\r')),
            ("a\u{85}", InvalidText::Control('\u{85}')),
            ("a\u{202e}b", InvalidText::Direction('\u{202e}')),
            ("a\u{2066}b", InvalidText::Direction('\u{2066}')),
            ("a\u{200f}b", InvalidText::Direction('\u{200f}')),
            (&"é".repeat(MAX_TEXT + 1), InvalidText::TooLong),
        ] {
            assert_eq!(check(bad), Err(why), "{bad:?}");
        }
        let told = InvalidText::Direction('\u{202e}').to_string();
        assert!(told.contains("U+202E"), "{told}");
    }

    /// A text that is looked at again and again from the middle would never be read to its end.
    #[test]
    fn texts_of_any_length_are_read_in_one_go() {
        let times = 200_000;
        for part in [
            "http://[",
            "https://a(",
            "@",
            "#",
            "@a",
            "#1",
            "http://a@",
            ")",
            "h",
        ] {
            let text = part.repeat(times);
            assert!(!pieces(&text).is_empty());
        }
    }

    /// Texts in which something is often found.
    fn texts() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            Just("@ada".to_owned()),
            Just("#tag".to_owned()),
            Just("https://x.y/".to_owned()),
            Just("http://".to_owned()),
            "[ \n()@#.,_:/é\u{301}-]{0,4}",
            any::<String>(),
        ];
        prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn pieces_are_the_text_and_links_go_to_the_web(text in texts()) {
            let pieces = pieces(&text);
            let joined: String = pieces.iter().map(|piece| piece.text).collect();
            prop_assert_eq!(&joined, &text);
            for piece in pieces {
                prop_assert!(!piece.text.is_empty());
                match piece.kind {
                    Kind::Plain => {}
                    Kind::Mention(name) => {
                        prop_assert!(name.parse::<UserName>().is_ok());
                        prop_assert_eq!(piece.text, format!("@{name}"));
                    }
                    Kind::Hashtag(folded) => {
                        prop_assert_eq!(fold_hashtag(&folded), Some(folded));
                    }
                    Kind::Link(address) => {
                        let url = Url::parse(&address).unwrap();
                        prop_assert!(matches!(url.scheme(), "http" | "https"));
                        prop_assert_eq!(url.as_str(), address);
                    }
                }
            }
        }
    }
}
