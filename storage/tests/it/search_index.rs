//! How the indexes of search are kept: by events that come twice, late or after a crash, and by
//! the walk over what was there before.

use std::cmp::Reverse;
use std::sync::Arc;

use media::{PostId, SystemClock, UserId};
use storage::objects::MemoryStore;
use storage::rows::erasure::{self, Step};
use storage::rows::outbox::{Deliver, lag};
use storage::rows::posts::{Edit, removal};
use storage::rows::search::{self, CONSUMER, Indexer, ROWS_AT_ONCE};
use storage::rows::sql::{AssertSqlSafe, Engine};
use storage::rows::{Transaction, copy, sql, users};
use tokio_util::sync::CancellationToken;

use crate::children::eventually;
use crate::fixtures::{NOW, TestDatabase};
use crate::posts::delete;
use crate::posts_edited::edit;
use crate::search::{deliver, events, indexed, one_page, posts_found, says};
use crate::users::{at, write};

on_both_engines! {
    an_edit_and_a_deletion_are_followed,
    events_come_twice_late_and_after_a_crash,
    what_a_batch_has_done_stays_when_it_fails,
    what_was_there_before_is_caught_up_in_steps,
    two_who_catch_up_take_turns,
    the_server_keeps_search_current_until_it_stops,
    an_erased_account_leaves_no_words,
}

/// On SQLite only one transaction writes at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_erases_waits_for_the_index_before_its_rows() {
    let test = TestDatabase::on_postgres().await;
    let ada = test.user("ada").await;
    let (one, other) = (
        says(&test, ada, "first").await,
        says(&test, ada, "second").await,
    );
    indexed(&test).await;
    let mut transaction = write(&test).await;
    let _ = users::delete(&test.db, &mut transaction, ada, at(1)).await;
    transaction.commit().await.unwrap();
    // As the consumer does, which writes in no order of the posts.
    let mut indexing = write(&test).await;
    let index = "UPDATE search_indexes SET version = version WHERE name = 'posts'";
    sql::query(index).execute(&mut indexing).await.unwrap();
    let touch = async |indexing: &mut Transaction, post: PostId| {
        sql::query("UPDATE search_posts SET version = version WHERE post_id = $1")
            .bind(post)
            .execute(indexing)
            .await
    };
    assert_eq!(touch(&mut indexing, other).await.unwrap(), 1);
    let objects = MemoryStore::default();
    let erasing = erasure::step(&test.db, &objects, ada, at(2));
    let writing = async {
        test.until_somebody_waits().await;
        assert_eq!(touch(&mut indexing, one).await.unwrap(), 1);
        indexing.commit().await.unwrap();
    };
    let (erased, ()) = tokio::join!(erasing, writing);
    assert_eq!(erased.unwrap(), Step::Again);
    assert_eq!(rows(&test, "post").await, (0, 0));
}

/// Rows of an index: what it lists, and where it has words.
async fn rows(test: &TestDatabase, index: &str) -> (u64, u64) {
    let count = async |table: String| {
        let text = format!("SELECT COUNT(*) FROM {table}");
        let (count,): (u64,) = sql::query(AssertSqlSafe(text)).one(&test.db).await.unwrap();
        count
    };
    let listed = count(format!("search_{index}s")).await;
    let with_words = match test.db.engine() {
        Engine::Sqlite => count(format!("search_{index}_words")).await,
        Engine::Postgres => listed,
    };
    (listed, with_words)
}

async fn edited(test: &TestDatabase, author: UserId, post: PostId, seen: u64, body: &str) {
    let change = Edit {
        post,
        seen,
        body,
        mentions: &[],
        hashtags: &[],
    };
    edit(test, author, &change, 1).await;
}

async fn an_edit_and_a_deletion_are_followed(test: TestDatabase) {
    let ada = test.user("ada").await;
    let one = says(&test, ada, "a first text").await;
    let two = says(&test, ada, "a first word").await;
    indexed(&test).await;
    assert_eq!(posts_found(&test, "first", None, 9).await, [two, one]);
    edited(&test, ada, one, 0, "a second text").await;
    // Until the event has come.
    assert_eq!(posts_found(&test, "second", None, 9).await, []);
    indexed(&test).await;
    assert_eq!(posts_found(&test, "second", None, 9).await, [one]);
    assert_eq!(posts_found(&test, "first", None, 9).await, [two]);
    // It has kept its place.
    assert_eq!(posts_found(&test, "a", None, 9).await, [two, one]);
    edited(&test, ada, one, 1, "...").await;
    indexed(&test).await;
    assert_eq!(posts_found(&test, "text", None, 9).await, []);
    assert_eq!(rows(&test, "post").await, (1, 1));
    // What is deleted has no words from that moment on.
    assert!(delete(&test, two, Some(ada)).await);
    assert_eq!(rows(&test, "post").await, (0, 0));
    indexed(&test).await;
    assert_eq!(rows(&test, "post").await, (0, 0));
    // Nor has what is swept, or goes with something else.
    let three = says(&test, ada, "a third text").await;
    indexed(&test).await;
    assert_eq!(rows(&test, "post").await, (1, 1));
    test.raw("DELETE FROM outbox_events").await;
    let mut transaction = write(&test).await;
    sql::query("DELETE FROM posts WHERE id = $1")
        .bind(three)
        .execute(&mut transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(rows(&test, "post").await, (0, 0));
    removal::sweep(&test.db, None, at(99_999), 9).await.unwrap();
}

async fn events_come_twice_late_and_after_a_crash(test: TestDatabase) {
    let ada = test.user("ada").await;
    let one = says(&test, ada, "old words").await;
    edited(&test, ada, one, 0, "new words").await;
    let two = says(&test, ada, "other words").await;
    let gone = says(&test, ada, "words that go").await;
    assert!(delete(&test, gone, Some(ada)).await);
    // One that has taken events, and dies before it has confirmed them.
    let dies = Indexer::new(test.db.clone());
    let all = events(&test.db).await;
    for event in &all {
        dies.deliver(event).await.unwrap();
    }
    drop(dies);
    assert_eq!(rows(&test, "post").await, (0, 0));
    // One that dies while it writes.
    let dies = Indexer::new(test.db.clone());
    for event in &all {
        dies.deliver(event).await.unwrap();
    }
    let mut confirming = dies.confirm();
    for _ in 0..3 {
        let once = std::future::poll_fn(|context| {
            let _ = confirming.as_mut().poll(context);
            std::task::Poll::Ready(())
        });
        once.await;
        tokio::task::yield_now().await;
    }
    drop(confirming);
    // The next is given them again, more than once, and the oldest last.
    deliver(&test.db).await.unwrap();
    let before = one_page(&test, "words", None, 1).await;
    let late = Indexer::new(test.db.clone());
    for event in all.iter().rev() {
        late.deliver(event).await.unwrap();
        late.confirm().await.unwrap();
    }
    deliver(&test.db).await.unwrap();
    assert_eq!(rows(&test, "post").await, (2, 2));
    assert_eq!(posts_found(&test, "words", None, 9).await, [two, one]);
    assert_eq!(posts_found(&test, "old", None, 9).await, []);
    // What is indexed again as it was is passed over by no page.
    let after = one_page(&test, "words", before.next, 9).await;
    assert_eq!(after.posts, [one]);
}

/// Nor does a batch begin anew that was given up because it took too long.
async fn what_a_batch_has_done_stays_when_it_fails(test: TestDatabase) {
    let ada = test.user("ada").await;
    let mut posts = vec![says(&test, ada, "number x").await];
    indexed(&test).await;
    for n in 0..40 {
        posts.insert(0, says(&test, ada, &format!("number {n}")).await);
    }
    // The 30th of them finds its position taken.
    test.raw("UPDATE search_posts SET position = position + 30")
        .await;
    let batch = Indexer::new(test.db.clone());
    for event in events(&test.db).await {
        batch.deliver(&event).await.unwrap();
    }
    batch.confirm().await.unwrap_err();
    let (kept, _) = rows(&test, "post").await;
    assert!((9..31).contains(&kept), "{kept}");
    test.raw(
        "UPDATE search_posts SET position = position - 30
         WHERE position = (SELECT MAX(position) FROM search_posts)",
    )
    .await;
    let begun = one_page(&test, "number", None, 1).await;
    deliver(&test.db).await.unwrap();
    assert_eq!(posts_found(&test, "number", None, 50).await, posts);
    // What was kept was not written again.
    let rest = one_page(&test, "number", begun.next, 50).await;
    assert_eq!(rest.posts.len() as u64, kept - 1);
}

async fn what_was_there_before_is_caught_up_in_steps(test: TestDatabase) {
    let ada = test.user("ada").await;
    let mut posts = Vec::new();
    for n in 0..ROWS_AT_ONCE + 20 {
        posts.insert(0, says(&test, ada, &format!("number {n}")).await);
    }
    // No event tells of them.
    test.raw("DELETE FROM outbox_events").await;
    assert!(search::catch_up(&test.db).await.unwrap());
    let newest = &posts[..ROWS_AT_ONCE as usize];
    assert_eq!(posts_found(&test, "number", None, 50).await, newest);
    // What is written meanwhile is above.
    let new = says(&test, ada, "number x").await;
    deliver(&test.db).await.unwrap();
    posts.insert(0, new);
    let mut steps = 1;
    while search::catch_up(&test.db).await.unwrap() {
        steps += 1;
    }
    assert_eq!(steps, 4, "two of posts, one of people, one of streams");
    assert_eq!(posts_found(&test, "number", None, 50).await, posts);
    assert!(!search::catch_up(&test.db).await.unwrap());
}

async fn two_who_catch_up_take_turns(test: TestDatabase) {
    let ada = test.user("ada").await;
    let mut posts = Vec::new();
    for n in 0..2 * ROWS_AT_ONCE + 20 {
        posts.insert(0, says(&test, ada, &format!("number {n}")).await);
    }
    let other = test.another_handle().await;
    let catch_up = async |db| while search::catch_up(db).await.unwrap() {};
    let live = async { deliver(&test.db).await.unwrap() };
    tokio::join!(catch_up(&test.db), catch_up(&other), live);
    let mut found = posts_found(&test, "number", None, 50).await;
    assert_eq!(
        rows(&test, "post").await,
        (posts.len() as u64, posts.len() as u64)
    );
    found.sort_unstable_by_key(|found| Reverse(*found));
    assert_eq!(found, posts);
}

async fn the_server_keeps_search_current_until_it_stops(test: TestDatabase) {
    let ada = test.user("ada").await;
    says(&test, ada, "before").await;
    test.raw("DELETE FROM outbox_events").await;
    let shutdown = CancellationToken::new();
    let running = search::run(test.db.clone(), Arc::new(SystemClock), shutdown.clone());
    let running = tokio::spawn(running);
    eventually("what was there is found", async || {
        posts_found(&test, "before", None, 1).await.len() == 1
    })
    .await;
    says(&test, ada, "after").await;
    eventually("what comes is found", async || {
        posts_found(&test, "after", None, 1).await.len() == 1
    })
    .await;
    eventually("the outbox knows", async || {
        let lag = lag(&test.db).await.unwrap();
        lag.iter()
            .any(|lag| lag.consumer == CONSUMER && lag.events == 0)
    })
    .await;
    shutdown.cancel();
    running.await.unwrap();
}

async fn an_erased_account_leaves_no_words(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    says(&test, ada, "mine").await;
    says(&test, bob, "theirs").await;
    indexed(&test).await;
    assert_eq!(rows(&test, "user").await, (2, 2));
    let mut transaction = write(&test).await;
    let _ = users::delete(&test.db, &mut transaction, ada, at(1)).await;
    transaction.commit().await.unwrap();
    let objects = MemoryStore::default();
    while erasure::step(&test.db, &objects, ada, at(2)).await.unwrap() == Step::Again {}
    // Without any event.
    assert_eq!(rows(&test, "user").await, (1, 1));
    assert_eq!(rows(&test, "post").await, (1, 1));
    deliver(&test.db).await.unwrap();
    assert_eq!(rows(&test, "user").await, (1, 1));
    assert_eq!(posts_found(&test, "mine", None, 9).await, []);
}

/// A copy has the rows, and makes its indexes itself, also where a server has run before.
#[tokio::test]
async fn a_copy_makes_its_indexes_anew() {
    for to in [TestDatabase::on_postgres().await, TestDatabase::new().await] {
        while search::catch_up(&to.db).await.unwrap() {}
        let from = TestDatabase::new().await;
        let ada = from.user("ada").await;
        let post = says(&from, ada, "copied words").await;
        indexed(&from).await;
        let options = copy::Options {
            source_name: "the source".to_owned(),
            in_use_too: false,
            limits: copy::Limits::default(),
        };
        copy::copy(&from.db, &to.db, &options, NOW, |_| {})
            .await
            .unwrap();
        while search::catch_up(&to.db).await.unwrap() {}
        assert_eq!(posts_found(&to, "copied", None, 9).await, [post]);
        assert_eq!(to.db.check().await.unwrap(), []);
    }
}
