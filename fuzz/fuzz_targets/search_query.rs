//! What people type into a search: any text is a query within its limits, or is refused with a
//! reason.
#![no_main]

use libfuzzer_sys::fuzz_target;
use storage::rows::search::{InvalidSearch, QUERY_CHARACTERS_AT_MOST, SearchQuery};

fuzz_target!(|text: &str| {
    let is_long = text.chars().count() > QUERY_CHARACTERS_AT_MOST;
    let read = SearchQuery::parse(text);
    assert_eq!(read == Err(InvalidSearch::TooLong), is_long);
    if let Ok(query) = read {
        // What is not part of a word changes nothing, except that the last one has ended.
        let spaced = SearchQuery::parse(&format!("\"{text}\" "));
        if let Ok(spaced) = spaced {
            assert_eq!(SearchQuery::parse(&format!(" \"{text}\" ")), Ok(spaced));
        }
        assert_eq!(SearchQuery::parse(text), Ok(query));
    }
});
