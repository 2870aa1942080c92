//! The words of a text, as they are indexed and looked for. No IO.
//!
//! Both engines are given these words and make none themselves: so a text is found by the same
//! words on either, whatever its language and whatever its engine knows of Unicode.
//!
//! - Upper and lower case are the same, and so are a letter and the same letter with a
//!   diacritic; compatible forms (`ﬁ`, full width) are what they stand for.
//! - A word is letters and digits in a row. An apostrophe within it is nothing.
//! - Scripts that are written without spaces (Han, kana, Thai and its neighbours) are indexed by
//!   letters and by pairs of letters.
//! - A pictogram is a word.
//! - A hashtag or a mention is a word of its own beside the words in it.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A longer word is known by its first letters.
pub(super) const WORD_LETTERS_AT_MOST: usize = 64;

/// A longer beginning of a word is known by its first letters.
pub(super) const PREFIX_LETTERS_AT_MOST: usize = 16;

/// The words of a text that are indexed.
pub(super) const WORDS_AT_MOST: usize = 2_560;

/// A piece of a folded text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Piece {
    /// A word between what is none.
    Word(String),
    /// Letters of a script that has no spaces, in a row.
    Unspaced(Vec<char>),
    /// A pictogram.
    Pictogram(char),
    /// A hashtag or a mention, with its sign.
    Tag(String),
}

/// A piece, and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Placed {
    pub(super) piece: Piece,
    /// Within a hashtag or a mention, which is a piece too.
    pub(super) in_tag: bool,
    /// The last letter of the text is its last one.
    pub(super) ends_text: bool,
}

/// A text with all that is the same made the same.
pub(super) fn fold(text: &str) -> String {
    let letters = text.nfkd().flat_map(char::to_lowercase);
    let letters = letters.filter(|c| !is_diacritic(*c) && !is_invisible(*c));
    let mut folded = String::with_capacity(text.len());
    for letter in letters {
        match plain(letter) {
            Some(plain) => folded.push_str(plain),
            None => folded.push(letter),
        }
    }
    folded.nfc().collect()
}

/// Letters that Unicode does not take apart, as people type them without their keys.
fn plain(letter: char) -> Option<&'static str> {
    Some(match letter {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'ı' => "i",
        'ς' => "σ",
        _ => return None,
    })
}

/// A mark over or under a letter that may as well be left out. Marks that tell syllables apart,
/// as in Devanagari, Thai and kana, are none.
fn is_diacritic(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}'
        | '\u{591}'..='\u{5c7}'
        | '\u{610}'..='\u{61a}'
        | '\u{64b}'..='\u{65f}'
        | '\u{670}'
        | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}'
        | '\u{fe20}'..='\u{fe2f}')
}

/// What joins or varies what is beside it, and is not seen itself: also colours of skin.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2060}'..='\u{2064}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{1f3fb}'..='\u{1f3ff}'
        | '\u{e0000}'..='\u{e01ef}')
}

fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}'
        | '\u{1000}'..='\u{109f}'
        | '\u{1780}'..='\u{17ff}'
        | '\u{3005}'..='\u{3007}'
        | '\u{3041}'..='\u{3096}'
        | '\u{3099}' | '\u{309a}'
        | '\u{30a1}'..='\u{30fa}'
        | '\u{30fc}'
        | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

fn is_pictogram(c: char) -> bool {
    matches!(c, '\u{2600}'..='\u{27bf}' | '\u{2b50}' | '\u{2b55}' | '\u{1f000}'..='\u{1faff}')
}

/// A letter or a digit of a word between spaces.
fn is_spaced(c: char) -> bool {
    !is_unspaced(c) && (c.is_alphanumeric() || is_combining_mark(c))
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}' | '\u{2bc}')
}

fn is_of_tag(sign: char, c: char) -> bool {
    is_spaced(c) || is_unspaced(c) || c == '_' || sign == '@' && c == '-'
}

/// The pieces of a folded text.
pub(super) fn pieces(folded: &str) -> Vec<Placed> {
    let letters: Vec<char> = folded.chars().collect();
    let end = |from: usize, is_in: &dyn Fn(char) -> bool| {
        let rest = &letters[from..];
        from + rest.iter().position(|c| !is_in(*c)).unwrap_or(rest.len())
    };
    let mut pieces = Vec::new();
    let (mut at, mut tag_end) = (0, 0);
    while at < letters.len() {
        let c = letters[at];
        let is_after_word = at > 0 && is_of_tag('#', letters[at - 1]);
        let (piece, next) = if matches!(c, '#' | '@') && !is_after_word {
            tag_end = end(at + 1, &|other| is_of_tag(c, other));
            let text: String = letters[at..tag_end].iter().collect();
            let text = tag(&text);
            let piece = (text.len() > 1).then_some(Piece::Tag(text));
            let placed = piece.map(|piece| Placed {
                piece,
                in_tag: false,
                ends_text: tag_end == letters.len(),
            });
            pieces.extend(placed);
            at += 1;
            continue;
        } else if is_unspaced(c) {
            let next = end(at, &is_unspaced);
            (Piece::Unspaced(letters[at..next].to_vec()), next)
        } else if is_pictogram(c) {
            (Piece::Pictogram(c), at + 1)
        } else if c.is_alphanumeric() && is_spaced(c) {
            let (word, next) = word(&letters, at);
            (Piece::Word(word), next)
        } else {
            at += 1;
            continue;
        };
        pieces.push(Placed {
            piece,
            in_tag: at < tag_end,
            ends_text: next == letters.len(),
        });
        at = next;
    }
    pieces
}

/// The word that begins at `from`, and where it ends.
fn word(letters: &[char], from: usize) -> (String, usize) {
    let mut word = String::new();
    let (mut at, mut length) = (from, 0);
    while let Some(&c) = letters.get(at) {
        let goes_on = || letters.get(at + 1).is_some_and(|c| is_spaced(*c));
        if is_spaced(c) {
            if length < WORD_LETTERS_AT_MOST {
                word.push(c);
            }
            length += 1;
        } else if !(is_apostrophe(c) && goes_on()) {
            break;
        }
        at += 1;
    }
    (word, at)
}

/// The first letters of a text.
fn first(text: &str, letters: usize) -> &str {
    match text.char_indices().nth(letters) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

/// What stands in an index for every word that begins so; `None`: it is too short for that.
pub(super) fn prefix(word: &str, shortest: usize) -> Option<String> {
    (word.chars().count() >= shortest).then(|| format!("^{}", first(word, PREFIX_LETTERS_AT_MOST)))
}

/// What stands in an index for pairs of letters, or for a single one.
pub(super) fn pairs(letters: &[char]) -> impl Iterator<Item = String> + '_ {
    letters.windows(2).map(|pair| pair.iter().collect())
}

/// Adds what stands in an index for a text; beginnings of words from `shortest` letters on.
pub(super) fn index(text: &str, shortest: usize, into: &mut BTreeSet<String>) {
    let mut left = WORDS_AT_MOST;
    for placed in pieces(&fold(text)) {
        if left == 0 {
            return;
        }
        left -= 1;
        match placed.piece {
            Piece::Word(word) => index_word(word, shortest, into),
            // Its sign is no letter.
            Piece::Tag(tag) => index_word(tag, shortest + 1, into),
            Piece::Pictogram(c) => {
                into.insert(c.to_string());
            }
            Piece::Unspaced(letters) => {
                let letters = &letters[..letters.len().min(left + 1)];
                left = (left + 1).saturating_sub(letters.len());
                into.extend(letters.iter().map(char::to_string));
                into.extend(pairs(letters));
            }
        }
    }
}

/// The hashtag or the mention that a folded text is as a whole, with its sign.
pub(super) fn tag(folded: &str) -> String {
    first(folded.trim_end_matches('-'), WORD_LETTERS_AT_MOST).to_owned()
}

/// Adds what stands in an index for a mention, with its sign.
pub(super) fn index_tag(text: &str, shortest: usize, into: &mut BTreeSet<String>) {
    index_word(tag(&fold(text)), shortest + 1, into);
}

fn index_word(word: String, shortest: usize, into: &mut BTreeSet<String>) {
    let ends = word.char_indices().map(|(at, c)| at + c.len_utf8());
    let prefixes = ends.take(PREFIX_LETTERS_AT_MOST).skip(shortest - 1);
    into.extend(prefixes.map(|end| format!("^{}", &word[..end])));
    into.insert(word);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> Vec<Piece> {
        let pieces = pieces(&fold(text)).into_iter();
        pieces.map(|placed| placed.piece).collect()
    }

    fn word(text: &str) -> Piece {
        Piece::Word(text.to_owned())
    }

    #[test]
    fn what_reads_the_same_is_the_same() {
        for (one, other) in [
            ("Café", "cafe"),
            ("CAFE\u{301}", "cafe"),
            ("Straße", "STRASSE"),
            ("Ærø", "aero"),
            ("ﬁne", "fine"),
            ("ＮＯＶＡ", "nova"),
            ("İstanbul", "istanbul"),
            ("ΟΔΟΣ", "οδος"),
            ("Łódź", "lodz"),
            ("Việt", "viet"),
            ("ё", "е"),
            ("مُحَمَّد", "محمد"),
            ("👍🏽", "👍"),
        ] {
            assert_eq!(fold(one), fold(other), "{one}");
        }
        // These marks are no decoration.
        for (one, other) in [("か", "が"), ("कि", "की"), ("ก็", "กา")] {
            assert_ne!(fold(one), fold(other), "{one}");
        }
    }

    #[test]
    fn a_text_falls_into_words() {
        assert_eq!(
            words("Don't -- stop: it’s 4.5, o_O"),
            ["dont", "stop", "its", "4", "5", "o", "o"].map(word)
        );
        assert_eq!(words("हिन्दी में"), ["हिन्दी", "में"].map(word));
        assert_eq!(words("' \" * ^ - & | ! ( ) : \0"), []);
        let unspaced = |text: &str| Piece::Unspaced(text.chars().collect());
        assert_eq!(
            words("rust日本語🎉ok"),
            [
                word("rust"),
                unspaced("日本語"),
                Piece::Pictogram('🎉'),
                word("ok")
            ]
        );
    }

    #[test]
    fn a_tag_is_a_word_beside_its_words() {
        let tag = |text: &str| Piece::Tag(text.to_owned());
        assert_eq!(
            words("#Rust_lang @Ada-L. a#b c@d.org # @- ##x"),
            [
                tag("#rust_lang"),
                word("rust"),
                word("lang"),
                tag("@ada-l"),
                word("ada"),
                word("l"),
                word("a"),
                word("b"),
                word("c"),
                word("d"),
                word("org"),
                tag("#x"),
                word("x"),
            ]
        );
        let placed = pieces("#ab c");
        let places: Vec<_> = placed.iter().map(|p| (p.in_tag, p.ends_text)).collect();
        assert_eq!(places, [(false, false), (true, false), (false, true)]);
    }

    #[test]
    fn what_is_indexed_has_words_and_their_beginnings() {
        let indexed = |text, shortest| {
            let mut words = BTreeSet::new();
            index(text, shortest, &mut words);
            words.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(
            indexed("Hello a", 2),
            ["^he", "^hel", "^hell", "^hello", "a", "hello"]
        );
        assert_eq!(
            indexed("#ab", 2),
            ["#ab", "^#ab", "^ab", "ab"],
            "the sign is no letter"
        );
        assert_eq!(indexed("日本語", 1), ["日", "日本", "本", "本語", "語"]);
        let long = indexed(&"x".repeat(1_000), 2);
        assert_eq!(long.len(), 16);
        assert_eq!(
            long.iter().map(String::len).max(),
            Some(WORD_LETTERS_AT_MOST)
        );
        assert_eq!(prefix("x", 2), None);
        assert_eq!(
            prefix(&"x".repeat(99), 2),
            Some(format!("^{}", "x".repeat(16)))
        );
    }

    #[test]
    fn a_text_without_end_has_no_words_without_end() {
        let all = |text: String| {
            let mut words = BTreeSet::new();
            index(&text, 2, &mut words);
            words.len()
        };
        let many: Vec<String> = (0..20_000).map(|n| n.to_string()).collect();
        assert!(all(many.join(" ")) < WORDS_AT_MOST * 6);
        let many = ('\u{4e00}'..'\u{9fff}').collect();
        assert_eq!(all(many), 2 * WORDS_AT_MOST - 1);
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(text in any::<String>()) {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }

        /// What separates words in an index, or has a meaning in an engine's query, is in none.
        #[test]
        fn a_word_has_letters_only(text in any::<String>()) {
            let mut words = BTreeSet::new();
            index(&text, 2, &mut words);
            for word in words {
                let is_good = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "^#@_-".contains(c);
                prop_assert!(!word.is_empty() && word.chars().all(is_good), "{word:?}");
                prop_assert!(word.len() <= 4 * (WORD_LETTERS_AT_MOST + 1));
                prop_assert!(!word.contains(char::is_whitespace), "{word:?}");
            }
        }
    }
}
