//! Search: posts, people and streams by the words in them.
//!
//! An index of each is kept by a consumer of the outbox, see [`run`]; it has the words that this
//! module makes of texts, the same on both engines. What people type is read as a
//! [`SearchQuery`]: all words must be there, and the last may be the beginning of one.
//!
//! **The order is total and stands still.** What is found has a rank (the words themselves,
//! before what only begins like them), and within a rank a position, which a row keeps for its
//! life. The engines' own scores are not used: they differ, and change with every other row. A
//! [`Cursor`] names rank, position and the version of the index that the first page was made of.
//! What was written since, or edited since, is left out of the pages that follow: so nothing
//! comes twice, and nothing that stays as it is is passed over.
//!
//! **The work does not grow with how common a word is**: an index is read from where a page
//! begins, and no further than the page is long. A page may be short, and its cursor goes on.

mod documents;
mod index;
mod indexer;
mod pages;
#[cfg(test)]
mod plans;
mod query;
mod windows;
mod words;
mod writing;

use std::fmt;
use std::str::FromStr;

pub use indexer::{CONSUMER, Indexer, ROWS_AT_ONCE, catch_up, run};
pub use pages::{posts, streams, users};
pub use query::{InvalidSearch, QUERY_CHARACTERS_AT_MOST, QUERY_WORDS_AT_MOST, SearchQuery};

pub(super) use indexer::begin_again;

/// A page of what is found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found<T> {
    /// What was found, best first.
    pub items: Vec<T>,
    /// Where the next page goes on, which may be empty; `None`: there is no more.
    pub next: Option<Cursor>,
}

/// Where a page ended. As text it is what `Display` writes and `FromStr` reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor {
    /// How well what came last fits, from 0: the best.
    rank: u8,
    /// Its position: only lower ones follow.
    before: i64,
    /// Of the index, when the first page was made.
    version: i64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rank,
            before,
            version,
        } = self;
        write!(f, "{rank}.{before}.{version}")
    }
}

/// The text is no [`Cursor`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the cursor is not valid: expected one that a page has given")]
pub struct InvalidCursor;

impl FromStr for Cursor {
    type Err = InvalidCursor;
    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let mut parts = text.split('.');
        let mut part = || parts.next().and_then(|part| part.parse::<i64>().ok());
        let (Some(rank), Some(before), Some(version)) = (part(), part(), part()) else {
            return Err(InvalidCursor);
        };
        let rank = u8::try_from(rank).map_err(|_| InvalidCursor)?;
        let cursor = Self {
            rank,
            before,
            version,
        };
        match cursor.to_string() == text {
            true => Ok(cursor),
            false => Err(InvalidCursor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        for text in ["0.1.0", "2.-77.9", "255.9223372036854775807.1"] {
            assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
        }
        for text in [
            "", "1", "1.2", "1.2.3.4", "256.0.0", "-1.0.0", "+1.0.0", "01.0.0", "x.y.z",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(InvalidCursor), "{text}");
        }
    }
}
