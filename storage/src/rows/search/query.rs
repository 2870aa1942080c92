//! What people type, read as a query. No IO.

use std::fmt;

use super::words::{Piece, fold, pairs, pieces, prefix, tag};

/// The longest text that is looked for, in characters.
pub const QUERY_CHARACTERS_AT_MOST: usize = 500;

/// The most words of a query; of a script without spaces, pairs of letters.
pub const QUERY_WORDS_AT_MOST: usize = 32;

/// Why a text is not looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidSearch {
    /// There is no word in it.
    #[error("there is no word to look for: expected a letter, a digit or a pictogram")]
    NoWord,
    /// It is too long.
    #[error("the text to look for is too long: {QUERY_CHARACTERS_AT_MOST} characters at most")]
    TooLong,
    /// It has too many words.
    #[error("too many words to look for: {QUERY_WORDS_AT_MOST} at most")]
    TooManyWords,
}

/// What somebody looks for. Any text is one, or is not within the limits: nothing that is typed
/// has a meaning to an engine.
///
/// All words must be there, in any order. The last one may be the beginning of a word when the
/// text ends in it, or in `*` right behind it: so a search can follow what is being typed.
#[derive(Clone, PartialEq, Eq)]
pub struct SearchQuery {
    /// What must be there; tags stand for the words in them.
    terms: Vec<Term>,
    /// The same as words only: names of people have no hashtags.
    words: Vec<Term>,
    /// The name of an account, if the whole text may be one.
    name: Option<Name>,
}

#[derive(Clone, PartialEq, Eq)]
struct Term {
    token: String,
    /// It is a word, and may begin another.
    is_word: bool,
    /// It may be meant as the beginning of one.
    may_go_on: bool,
}

#[derive(Clone, PartialEq, Eq)]
struct Name {
    /// With `@`, folded.
    tag: String,
    /// It was typed with `@`: nothing else is meant.
    is_tag: bool,
}

impl fmt::Debug for SearchQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What somebody looks for is theirs.
        f.debug_struct("SearchQuery")
            .field("terms", &self.terms.len())
            .finish_non_exhaustive()
    }
}

/// What an index is asked for: all of some words, and not another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Expression {
    pub(super) all: Vec<String>,
    pub(super) not: Option<String>,
}

impl SearchQuery {
    /// Reads what somebody typed.
    pub fn parse(text: &str) -> Result<Self, InvalidSearch> {
        if text.chars().nth(QUERY_CHARACTERS_AT_MOST).is_some() {
            return Err(InvalidSearch::TooLong);
        }
        let folded = fold(text);
        // A star says what the end of the text says anyway.
        let folded = folded.trim_end_matches('*');
        let (mut terms, mut words) = (Vec::new(), Vec::new());
        for placed in pieces(folded) {
            let term = |token: String, is_word| Term {
                token,
                is_word,
                may_go_on: is_word && placed.ends_text,
            };
            let mut found = Vec::new();
            let is_tag = matches!(placed.piece, Piece::Tag(_));
            match placed.piece {
                Piece::Word(word) => found.push(term(word, true)),
                Piece::Tag(tag) => found.push(term(tag, true)),
                Piece::Pictogram(c) => found.push(term(c.to_string(), false)),
                Piece::Unspaced(letters) if letters.len() == 1 => {
                    found.push(term(letters[0].to_string(), false));
                }
                Piece::Unspaced(letters) => {
                    found.extend(pairs(&letters).map(|pair| term(pair, false)));
                }
            }
            if !placed.in_tag {
                add(&mut terms, &found);
            }
            if !is_tag {
                add(&mut words, &found);
            }
        }
        if terms.len().max(words.len()) > QUERY_WORDS_AT_MOST {
            return Err(InvalidSearch::TooManyWords);
        }
        if terms.is_empty() {
            return Err(InvalidSearch::NoWord);
        }
        Ok(Self {
            terms,
            words,
            name: name(folded),
        })
    }

    /// Posts: those with the words before those with a word that begins like the last one.
    pub(super) fn of_posts(&self, shortest: usize) -> Vec<Expression> {
        whole_words_first(&self.terms, shortest)
    }

    /// Streams, likewise.
    pub(super) fn of_streams(&self, shortest: usize) -> Vec<Expression> {
        whole_words_first(&self.terms, shortest)
    }

    /// People: whose name it is, whose name begins so, and who has words that begin so in what
    /// they are shown as.
    pub(super) fn of_people(&self, shortest: usize) -> Vec<Expression> {
        let mut expressions = Vec::new();
        let mut begins = None;
        if let Some(name) = &self.name {
            let only = |token: String, not| Expression {
                all: vec![token],
                not,
            };
            expressions.push(only(name.tag.clone(), None));
            begins = prefix(&name.tag, shortest + 1);
            let others = begins
                .clone()
                .map(|begins| only(begins, Some(name.tag.clone())));
            expressions.extend(others);
            if name.is_tag {
                return expressions;
            }
        }
        let word = |term: &Term| match term.is_word {
            true => prefix(&term.token, shortest).unwrap_or_else(|| term.token.clone()),
            false => term.token.clone(),
        };
        if !self.words.is_empty() {
            expressions.push(Expression {
                all: self.words.iter().map(word).collect(),
                not: begins,
            });
        }
        expressions
    }
}

fn add(terms: &mut Vec<Term>, found: &[Term]) {
    for term in found {
        // It matters how the last one ends.
        terms.retain(|other| other.token != term.token);
        terms.push(term.clone());
    }
}

/// The text as the name of an account.
fn name(folded: &str) -> Option<Name> {
    let text = folded.trim();
    let (is_tag, name) = match text.strip_prefix('@') {
        Some(name) => (true, name),
        None => (false, text),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let has_letter = name.contains(|c: char| c.is_ascii_alphanumeric());
    (has_letter && name.chars().all(is_name)).then(|| Name {
        tag: tag(&format!("@{name}")),
        is_tag,
    })
}

fn whole_words_first(terms: &[Term], shortest: usize) -> Vec<Expression> {
    let tokens = |terms: &[Term]| terms.iter().map(|term| term.token.clone()).collect();
    let mut expressions = vec![Expression {
        all: tokens(terms),
        not: None,
    }];
    if let Some((last, others)) = terms.split_last()
        && last.may_go_on
    {
        let signs = usize::from(last.token.starts_with(['#', '@']));
        let begins = prefix(&last.token, shortest + signs);
        expressions.extend(begins.map(|begins| Expression {
            all: tokens(others).into_iter().chain([begins]).collect(),
            not: Some(last.token.clone()),
        }));
    }
    expressions
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(expressions: Vec<Expression>) -> Vec<String> {
        let one = |Expression { all, not }: Expression| {
            let not = not.map(|not| format!(" -{not}")).unwrap_or_default();
            format!("{}{not}", all.join(" "))
        };
        expressions.into_iter().map(one).collect()
    }

    fn posts(text: &str) -> Vec<String> {
        shown(SearchQuery::parse(text).unwrap().of_posts(2))
    }

    fn people(text: &str) -> Vec<String> {
        shown(SearchQuery::parse(text).unwrap().of_people(1))
    }

    #[test]
    fn the_last_word_may_go_on() {
        assert_eq!(posts("Hello Wör"), ["hello wor", "hello ^wor -wor"]);
        assert_eq!(posts("hello wor "), ["hello wor"]);
        assert_eq!(posts("\"hello wor\""), ["hello wor"]);
        assert_eq!(posts("wor*"), ["wor", "^wor -wor"]);
        assert_eq!(posts("vitamin c"), ["vitamin c"]);
        assert_eq!(
            posts("to be or not to"),
            ["be or not to", "be or not ^to -to"]
        );
        assert_eq!(posts("#Rus"), ["#rus", "^#rus -#rus"]);
        assert_eq!(posts("#r"), ["#r"]);
        assert_eq!(posts("日本語"), ["日本 本語"]);
        assert_eq!(posts("語"), ["語"]);
        assert_eq!(posts("🎉"), ["🎉"]);
    }

    #[test]
    fn nothing_that_is_typed_is_an_operator() {
        assert_eq!(posts("a AND NOT (b) OR \"c"), ["a and not b or c"]);
        assert_eq!(posts("col:x^2 + -y ~'z' <-> :* & | !"), ["col x 2 y z"]);
    }

    #[test]
    fn people_are_asked_for_by_name_first() {
        assert_eq!(people("Ada"), ["@ada", "^@ada -@ada", "^ada -^@ada"]);
        assert_eq!(people("@Ada"), ["@ada", "^@ada -@ada"]);
        assert_eq!(
            people("ada-l"),
            ["@ada-l", "^@ada-l -@ada-l", "^ada ^l -^@ada-l"]
        );
        assert_eq!(people("Ada Lovel"), ["^ada ^lovel"]);
        assert_eq!(people("@ada love"), ["^ada ^love"]);
        assert_eq!(people("日本"), ["日本"]);
        assert_eq!(people("#x"), ["^x"]);
    }

    #[test]
    fn limits_are_told() {
        let error = |text: &str| SearchQuery::parse(text).unwrap_err();
        assert_eq!(error(""), InvalidSearch::NoWord);
        assert_eq!(error(" \"*\" \0 -- '"), InvalidSearch::NoWord);
        assert_eq!(error(&"x".repeat(10_000)), InvalidSearch::TooLong);
        let words: Vec<String> = (0..33).map(|n| n.to_string()).collect();
        assert_eq!(error(&words.join(" ")), InvalidSearch::TooManyWords);
        assert!(SearchQuery::parse(&words[1..].join(" ")).is_ok());
        let han: String = ('\u{4e00}'..'\u{4e30}').collect();
        assert_eq!(error(&han), InvalidSearch::TooManyWords);
        assert!(SearchQuery::parse(&"x ".repeat(250)).is_ok());
    }

    proptest! {
        #[test]
        fn whatever_is_typed_is_read(text in any::<String>()) {
            if let Ok(query) = SearchQuery::parse(&text) {
                for expressions in [query.of_posts(2), query.of_streams(1), query.of_people(1)] {
                    prop_assert!(!expressions.is_empty() && expressions.len() <= 3);
                    prop_assert!(expressions.iter().all(|e| !e.all.is_empty()));
                }
            }
        }
    }
}
