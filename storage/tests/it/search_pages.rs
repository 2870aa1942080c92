//! Pages of search behind an edit, and whatever people type.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use storage::rows::posts::Edit;
use storage::rows::search::{self, Cursor, InvalidSearch, SearchQuery};

use crate::fixtures::TestDatabase;
use crate::search::{all_found, indexed, one_page, parsed, says};

on_both_engines! {
    s01_an_edit_brings_nothing_twice,
    whatever_is_typed_is_no_error,
}

/// What has a meaning in some engine's query, or none in any.
const HOSTILE: [&str; 24] = [
    "\"",
    "'",
    "''",
    "a' | b",
    "\"a\" OR \"b",
    "a:*",
    "a*b*",
    "* : & | !",
    "a <-> b",
    "a AND",
    "NOT a",
    "NEAR(a b, 5)",
    "words:a",
    "^a",
    "-a",
    "{a b}: c",
    "\\",
    "a\\'b",
    "%_",
    "$1 ?1",
    "a\0b",
    "'; DROP TABLE posts; --",
    ":0:0",
    "日本\u{200d}語 🎉\u{fe0f}",
];

async fn whatever_is_typed_is_no_error(test: TestDatabase) {
    let ada = test.user("ada").await;
    says(
        &test,
        ada,
        "a b c words near and or not 日本語 🎉 posts drop table",
    )
    .await;
    indexed(&test).await;
    let mut runner = TestRunner::default();
    let piece = prop_oneof![
        any::<String>(),
        prop::sample::select(HOSTILE.to_vec()).prop_map(str::to_owned),
        "[ \\PC]{0,20}",
        "[#@^:*'\"&|!()<>\\\\a-c -]{0,12}",
    ];
    let texts = prop::collection::vec(piece, 1..4).prop_map(|pieces| pieces.join(" "));
    let typed = (0..150).map(|_| texts.new_tree(&mut runner).unwrap().current());
    let hostile = HOSTILE.iter().map(ToString::to_string);
    for text in hostile.chain(typed) {
        let query = match SearchQuery::parse(&text) {
            Ok(query) => query,
            Err(InvalidSearch::NoWord | InvalidSearch::TooLong | InvalidSearch::TooManyWords) => {
                continue;
            }
        };
        let posts = search::posts(&test.db, &query, None, None, 3).await;
        posts.unwrap_or_else(|error| panic!("{text:?}: {error}"));
        let users = search::users(&test.db, &query, Some(ada), None, 3).await;
        users.unwrap_or_else(|error| panic!("{text:?}: {error}"));
        let streams = search::streams(&test.db, &query, None, None, 3).await;
        streams.unwrap_or_else(|error| panic!("{text:?}: {error}"));
    }
    // Nor are cursors that nobody gave.
    for (rank, before, version) in [
        (0, 0, 0),
        (9, 5, 1),
        (0, i64::MIN, i64::MIN),
        (1, i64::MAX, i64::MAX),
    ] {
        let cursor = Cursor {
            rank,
            before,
            version,
        };
        one_page(&test, "a", Some(cursor), 3).await;
    }
}

/// A post that was seen by its word, and has only the beginning of it then.
async fn s01_an_edit_brings_nothing_twice(test: TestDatabase) {
    let ada = test.user("ada").await;
    let begun = says(&test, ada, "stonewall").await;
    let words = [
        says(&test, ada, "stone one").await,
        says(&test, ada, "stone two").await,
    ];
    indexed(&test).await;
    let query = parsed("stone");
    let page = async |after| {
        search::posts(&test.db, &query, None, after, 1)
            .await
            .unwrap()
    };
    let first = page(None).await;
    assert_eq!(first.items[0].1.id, words[1]);
    let edit = Edit {
        post: words[1],
        seen: 0,
        body: "stonewalls",
        mentions: &[],
        hashtags: &[],
    };
    crate::posts_edited::edit(&test, ada, &edit, 1).await;
    says(&test, ada, "stone three").await;
    indexed(&test).await;
    let second = page(first.next).await;
    assert_eq!(second.items[0].1.id, words[0]);
    let third = page(second.next).await;
    assert_eq!(third.items[0].1.id, begun);
    assert_eq!(third.next, None);
    // Who begins anew sees it as it is.
    let anew = all_found(1, async |after, limit| {
        search::posts(&test.db, &query, None, after, limit).await
    });
    let bodies: Vec<_> = anew.await.into_iter().map(|post| post.body).collect();
    assert_eq!(
        bodies,
        ["stone three", "stone one", "stonewalls", "stonewall"]
    );
}
