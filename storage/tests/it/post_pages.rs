//! Pages of posts: full, in order, without gaps or duplicates, and without what the reader may
//! not see.

use std::collections::BTreeSet;

use media::{PostId, UserId};
use storage::rows::posts::{self, AuthorPosts, NewPost, PostPage, PostRow};
use storage::rows::{blocks, mutes};

use crate::fixtures::TestDatabase;
use crate::people::block;
use crate::posts::{comment, create, delete, new, post, quote, share, try_create};
use crate::users::{at, write};

on_both_engines! {
    an_authors_posts_come_newest_first,
    a_thread_comes_oldest_first,
    answers_and_quotes_come_newest_first,
    a_hashtag_leaves_out_the_muted,
    a_page_is_full_whatever_is_left_out,
    s01_pages_have_no_gap_and_no_duplicate_while_others_write,
}

pub(crate) fn ids(rows: &[PostRow]) -> Vec<PostId> {
    rows.iter().map(|row| row.id).collect()
}

/// All pages of `limit`, one after the other.
pub(crate) async fn all_pages(
    limit: u32,
    page: impl AsyncFn(Option<PostId>, u32) -> PostPage,
) -> Vec<PostId> {
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let PostPage { rows, next } = page(after, limit).await;
        assert!(rows.len() <= limit as usize);
        seen.extend(ids(&rows));
        after = next.or(rows.last().map(|last| last.id));
        if after.is_none() {
            return seen;
        }
    }
}

async fn an_authors_posts_come_newest_first(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let bobs = post(&test, bob).await;
    let first = post(&test, ada).await;
    let answer = comment(&test, ada, bobs).await.id;
    let shared = share(&test, ada, bobs).await.id;
    let quoting = quote(&test, ada, bobs).await.id;
    let last = post(&test, ada).await;
    for limit in [1, 2, 9] {
        let page = async |which, before, limit| {
            let page = posts::of_author(&test.db, ada, which, Some(bob), before, limit).await;
            page.unwrap()
        };
        let without = all_pages(limit, async |before, limit| {
            page(AuthorPosts::WithoutComments, before, limit).await
        });
        assert_eq!(without.await, [last, quoting, shared, first]);
        let all = all_pages(limit, async |before, limit| {
            page(AuthorPosts::All, before, limit).await
        });
        assert_eq!(all.await, [last, quoting, shared, answer, first]);
    }
    // A share is gone from the page with what it shares.
    assert!(delete(&test, bobs, Some(bob)).await);
    let left = posts::of_author(&test.db, ada, AuthorPosts::WithoutComments, None, None, 9);
    assert_eq!(ids(&left.await.unwrap().rows), [last, quoting, first]);
}

async fn a_thread_comes_oldest_first(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let root = post(&test, ada).await;
    let first = comment(&test, bob, root).await.id;
    let second = comment(&test, ada, first).await.id;
    let third = comment(&test, bob, root).await.id;
    let fourth = comment(&test, ada, second).await.id;
    comment(&test, ada, post(&test, bob).await).await;
    let thread = async |limit| {
        all_pages(limit, async |after, limit| {
            let page = posts::thread(&test.db, root, None, after, limit).await;
            page.unwrap()
        })
        .await
    };
    for limit in [1, 3, 9] {
        assert_eq!(thread(limit).await, [first, second, third, fourth]);
    }
    // What was deleted is not seen, what answers it is; also the root.
    assert!(delete(&test, second, Some(ada)).await);
    assert_eq!(thread(2).await, [first, third, fourth]);
    assert!(delete(&test, root, Some(ada)).await);
    assert_eq!(thread(2).await, [first, third, fourth]);
    // Nobody answers what was deleted, and the thread goes on.
    let answer = NewPost {
        parent: Some(root),
        ..new(bob)
    };
    assert!(try_create(&test.db, &answer, 0).await.is_err());
    let fifth = comment(&test, bob, first).await;
    assert_eq!(fifth.root, Some(root));
    block(&test, ada, bob).await;
    let page = posts::thread(&test.db, root, Some(bob), None, 9).await;
    // One's own is always seen.
    assert_eq!(ids(&page.unwrap().rows), [first, third, fifth.id]);
}

async fn answers_and_quotes_come_newest_first(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let root = post(&test, ada).await;
    let (mut answers, mut quotes) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let answer = comment(&test, bob, root).await.id;
        comment(&test, ada, answer).await;
        answers.insert(0, answer);
        quotes.insert(0, quote(&test, bob, root).await.id);
    }
    for limit in [1, 3, 9] {
        let seen = all_pages(limit, async |before, limit| {
            let page = posts::comments_of(&test.db, root, Some(ada), before, limit).await;
            page.unwrap()
        });
        assert_eq!(seen.await, answers);
        let seen = all_pages(limit, async |before, limit| {
            let page = posts::quotes_of(&test.db, root, Some(ada), before, limit).await;
            page.unwrap()
        });
        assert_eq!(seen.await, quotes);
    }
}

async fn tagged(test: &TestDatabase, author: UserId, tag: &str) -> PostId {
    let hashtags = [tag.to_owned()];
    let new = NewPost {
        hashtags: &hashtags,
        ..new(author)
    };
    create(test, &new).await.id
}

async fn a_hashtag_leaves_out_the_muted(test: TestDatabase) {
    let (ada, bob, eve) = (
        test.user("ada").await,
        test.user("bob").await,
        test.user("eve").await,
    );
    let one = tagged(&test, ada, "rust").await;
    let two = tagged(&test, bob, "rust").await;
    tagged(&test, bob, "rusty").await;
    let three = tagged(&test, ada, "rust").await;
    let page = async |viewer| {
        let page = posts::with_hashtag(&test.db, "rust", viewer, None, 9).await;
        ids(&page.unwrap().rows)
    };
    assert_eq!(page(None).await, [three, two, one]);
    let after = posts::with_hashtag(&test.db, "rust", None, Some(three), 1).await;
    assert_eq!(ids(&after.unwrap().rows), [two]);
    let mut transaction = write(&test).await;
    mutes::mute(&mut transaction, eve, bob, at(0))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(page(Some(eve)).await, [three, one]);
    assert_eq!(page(Some(bob)).await, [three, two, one]);
    // Who is muted is seen where one looks for them.
    let theirs = posts::of_author(&test.db, bob, AuthorPosts::All, Some(eve), None, 9).await;
    assert_eq!(theirs.unwrap().rows.len(), 2);
    block(&test, ada, eve).await;
    assert_eq!(page(Some(eve)).await, []);
}

async fn a_page_is_full_whatever_is_left_out(test: TestDatabase) {
    let (ada, viewer) = (test.user("ada").await, test.user("viewer").await);
    let root = post(&test, ada).await;
    let mut shown = Vec::new();
    for n in 0..20 {
        let user = test.user(&format!("u{n}")).await;
        let answer = comment(&test, user, root).await.id;
        match n % 5 {
            0 => assert!(block(&test, viewer, user).await),
            1 => assert!(block(&test, user, viewer).await),
            2 => assert!(delete(&test, answer, Some(user)).await),
            _ => shown.push(answer),
        }
    }
    let mut page = Vec::new();
    for (n, chunk) in shown.chunks(3).enumerate() {
        let after = page.last().copied();
        let rows = posts::thread(&test.db, root, Some(viewer), after, 3).await;
        page = ids(&rows.unwrap().rows);
        assert_eq!(page, chunk, "page {n}");
    }
}

async fn s01_pages_have_no_gap_and_no_duplicate_while_others_write(test: TestDatabase) {
    let (ada, viewer) = (test.user("ada").await, test.user("viewer").await);
    let root = post(&test, ada).await;
    let mut people = Vec::new();
    for n in 0..4 {
        people.push(test.user(&format!("u{n}")).await);
    }
    let (mut stays, mut leaves) = (BTreeSet::new(), Vec::new());
    for n in 0..48 {
        let answer = comment(&test, people[n % 4], root).await.id;
        // The last of the people is blocked and unblocked meanwhile.
        if n % 3 == 0 {
            leaves.push((answer, people[n % 4]));
        } else if n % 4 != 3 {
            stays.insert(answer);
        }
    }
    let other = test.another_handle().await;
    let writer = async {
        for (n, (leaving, author)) in leaves.into_iter().enumerate() {
            let mut transaction = other.write().await.unwrap();
            let deleted = posts::delete(&other, &mut transaction, leaving, Some(author), at(1));
            assert!(deleted.await.unwrap());
            transaction.commit().await.unwrap();
            let answer = NewPost {
                parent: Some(root),
                ..new(people[n % 3])
            };
            try_create(&other, &answer, 1).await.unwrap();
            let mut transaction = other.write().await.unwrap();
            if n % 2 == 0 {
                blocks::block(&other, &mut transaction, viewer, people[3], at(1))
                    .await
                    .unwrap();
            } else {
                blocks::unblock(&mut transaction, viewer, people[3])
                    .await
                    .unwrap();
            }
            transaction.commit().await.unwrap();
        }
    };
    let reader = async {
        for limit in 1..12 {
            let oldest_first = all_pages(limit, async |after, limit| {
                let page = posts::thread(&test.db, root, Some(viewer), after, limit).await;
                page.unwrap()
            })
            .await;
            let newest_first = all_pages(limit, async |before, limit| {
                let page = posts::comments_of(&test.db, root, Some(viewer), before, limit).await;
                page.unwrap()
            })
            .await;
            for seen in [oldest_first, newest_first] {
                let distinct: BTreeSet<_> = seen.iter().copied().collect();
                assert_eq!(distinct.len(), seen.len(), "a duplicate");
                assert!(distinct.is_superset(&stays), "a gap");
            }
        }
    };
    tokio::join!(writer, reader);
}
