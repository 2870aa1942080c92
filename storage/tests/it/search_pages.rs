//! Pages of search while others write, and whatever people type.

use std::collections::BTreeSet;

use media::PostId;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use storage::rows::blocks;
use storage::rows::posts::{self, Edit, NewPost};
use storage::rows::search::{self, Cursor, InvalidSearch, SearchQuery};

use crate::fixtures::TestDatabase;
use crate::posts::{new, try_create};
use crate::search::{all_found, deliver, indexed, one_page, parsed, says};
use crate::users::at;

on_both_engines! {
    s01_search_has_no_gap_and_no_duplicate_while_others_write,
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

async fn s01_search_has_no_gap_and_no_duplicate_while_others_write(test: TestDatabase) {
    let viewer = test.user("viewer").await;
    let mut people = Vec::new();
    for n in 0..4 {
        people.push(test.user(&format!("u{n}")).await);
    }
    let (mut stays, mut leaves) = (BTreeSet::new(), Vec::new());
    for n in 0..60 {
        // By the word, or by its beginning only.
        let body = ["a stone", "a stonewall"][n / 7 % 2];
        let post = says(&test, people[n % 4], body).await;
        // The last of the people is blocked and unblocked meanwhile.
        match n % 5 {
            0 => leaves.push((post, people[n % 4])),
            _ if n % 4 != 3 => drop(stays.insert(post)),
            _ => {}
        }
    }
    indexed(&test).await;
    let other = test.another_handle().await;
    let writer = async {
        for (n, (post, author)) in leaves.into_iter().enumerate() {
            let mut transaction = other.write().await.unwrap();
            if n % 2 == 0 {
                posts::delete(&other, &mut transaction, post, Some(author), at(1))
                    .await
                    .unwrap();
                blocks::block(&other, &mut transaction, viewer, people[3], at(1))
                    .await
                    .unwrap();
            } else {
                // From one rank to the other.
                let edit = Edit {
                    post,
                    seen: 0,
                    body: ["a stonewall", "a stone"][n / 2 % 2],
                    mentions: &[],
                    hashtags: &[],
                };
                posts::edit(&other, &mut transaction, author, &edit, at(1))
                    .await
                    .unwrap();
                blocks::unblock(&mut transaction, viewer, people[3])
                    .await
                    .unwrap();
            }
            transaction.commit().await.unwrap();
            let new = NewPost {
                body: "a stone and a stonewall",
                ..new(people[n % 3])
            };
            try_create(&other, &new, 1).await.unwrap();
            deliver(&other).await.unwrap();
        }
    };
    let query = parsed("sto");
    let one_word = parsed("stone");
    let reader = async {
        for limit in 1..12 {
            for query in [&query, &one_word] {
                let seen = all_found(limit, async |after, limit| {
                    search::posts(&test.db, query, Some(viewer), after, limit).await
                });
                let seen: Vec<PostId> = seen.await.iter().map(|post| post.id).collect();
                let distinct: BTreeSet<_> = seen.iter().copied().collect();
                assert_eq!(distinct.len(), seen.len(), "a duplicate");
                assert!(distinct.is_superset(&stays), "a gap");
            }
        }
    };
    tokio::join!(writer, reader);
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
    crate::posts::edit(&test, ada, &edit, 1).await;
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
