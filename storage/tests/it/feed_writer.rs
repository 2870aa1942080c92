//! The consumer that writes feeds and counts: what it leaves to requests, and what it makes of
//! events that come twice, late, at once or never.

use std::sync::Arc;

use media::{SystemClock, UserId};
use storage::Database;
use storage::rows::feed::{self, CONSUMER, Threshold};
use storage::rows::outbox::{self, NewEvent, Start};
use storage::rows::sql;
use tokio_util::sync::CancellationToken;

use crate::children::eventually;
use crate::feed::{Feeds, count, entries, events, home};
use crate::fixtures::TestDatabase;
use crate::likes::like;
use crate::outbox::{Recorder, Running, delivered};
use crate::people::follow;
use crate::post_counts::{all_are_exact, counted};
use crate::posts::{comment, delete, new, post, try_create};
use crate::users::{at, write};

on_both_engines! {
    s02_a_post_costs_its_request_the_same_however_many_follow,
    what_was_there_before_is_caught_up_with,
    an_event_that_cannot_be_read_stops_nobody,
    an_event_of_a_kind_to_come_has_its_post_made_anew,
    what_a_server_without_feeds_has_done_with_is_not_lost,
    a_server_keeps_feeds_and_trends,
    trends_do_not_wait_for_what_was_there_before,
}

/// So many new users, who follow `followed`.
pub(crate) async fn followers(test: &TestDatabase, followed: UserId, many: u32) {
    let mut transaction = write(test).await;
    for n in 0..many {
        let id = UserId::new();
        sql::query(
            "INSERT INTO users (id, name, email, password_hash, created_at)
             VALUES ($1, $2, $2, '', 0)",
        )
        .bind(id)
        .bind(format!("follower{n}"))
        .execute(&mut transaction)
        .await
        .unwrap();
        sql::query(
            "INSERT INTO follows (follower_id, followed_id, created_at, accepted_at)
             VALUES ($1, $2, $3, $3)",
        )
        .bind(id)
        .bind(followed)
        .bind(i64::from(n % 7))
        .execute(&mut transaction)
        .await
        .unwrap();
    }
    transaction.commit().await.unwrap();
}

/// How many rows there are of what a post can add to.
async fn rows(db: &Database) -> [i64; 5] {
    [
        count(db, "SELECT COUNT(*) FROM posts").await,
        count(db, "SELECT COUNT(*) FROM outbox_events").await,
        count(db, "SELECT COUNT(*) FROM feed_entries").await,
        count(db, "SELECT COUNT(*) FROM post_counts").await,
        count(db, "SELECT COUNT(*) FROM jobs").await,
    ]
}

async fn s02_a_post_costs_its_request_the_same_however_many_follow(test: TestDatabase) {
    let (ada, star) = (test.user("ada").await, test.user("star").await);
    follow(&test, ada, star, 9).await;
    followers(&test, star, 2_500).await;
    let mut feeds = Feeds::new(&test.db, Threshold::default());
    feeds.take_all(&test.db).await;
    let mut asked = Vec::new();
    for author in [ada, star] {
        let before = rows(&test.db).await;
        let (_, statements) = sql::recorded(post(&test, author)).await;
        asked.push(statements.len());
        let after = rows(&test.db).await;
        let added: Vec<i64> = after.iter().zip(before).map(|(a, b)| a - b).collect();
        assert_eq!(added, [1, 1, 0, 0, 0]);
    }
    assert_eq!(asked[0], asked[1]);
    // Beside the request, in steps: the second and the third add what the first has left.
    feeds.take_all(&test.db).await;
    assert_eq!(entries(&test).await, 2_501);
    feeds.give(&events(&test.db, 0).await).await;
    assert_eq!(entries(&test).await, 2_501);
    // With one follower more than the threshold a post adds nothing at all.
    let mut feeds = Feeds::new(
        &test.db,
        Threshold {
            pulled_above: 2_500,
            entries_below: 2_000,
        },
    );
    feeds.take_all(&test.db).await;
    let last = post(&test, star).await;
    feeds.take_all(&test.db).await;
    assert_eq!(entries(&test).await, 2_501);
    assert_eq!(home(&test, ada).await[0], last);
}

async fn what_was_there_before_is_caught_up_with(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    follow(&test, ada, bob, 0).await;
    let mut written = Vec::new();
    for _ in 0..feed::POSTS_AT_ONCE + 3 {
        written.insert(0, post(&test, bob).await);
    }
    like(&test, ada, written[2]).await;
    comment(&test, bob, written[3]).await;
    test.raw("DELETE FROM outbox_events").await;
    // What is written while it catches up has events.
    let mut feeds = Feeds::new(&test.db, Threshold::default());
    assert!(
        feed::catch_up(&test.db, Threshold::default(), at(9))
            .await
            .unwrap()
    );
    written.insert(0, post(&test, bob).await);
    like(&test, bob, written[3]).await;
    feeds.take_all(&test.db).await;
    // A process that dies here begins again where this one was.
    let other = test.another_handle().await;
    while feed::catch_up(&other, Threshold::default(), at(9))
        .await
        .unwrap()
    {}
    assert_eq!(home(&test, ada).await, written);
    assert_eq!(counted(&test.db, written[3]).await, [2, 0, 0, 0]);
    all_are_exact(&test.db).await;
    // Once.
    test.raw("DELETE FROM feed_entries").await;
    assert!(
        !feed::catch_up(&test.db, Threshold::default(), at(9))
            .await
            .unwrap()
    );
    assert_eq!(entries(&test).await, 0);
}

async fn an_event_that_cannot_be_read_stops_nobody(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    follow(&test, ada, bob, 0).await;
    let mut transaction = write(&test).await;
    for (subject, payload) in [
        ("post.x.forgotten", "{}"),
        ("follow.x.accepted", "{}"),
        ("stream.x.live", "anything"),
    ] {
        let event = NewEvent {
            subject: &subject.parse().unwrap(),
            key: "x",
            payload: payload.into(),
        };
        outbox::append(&test.db, &mut transaction, &event, at(0))
            .await
            .unwrap();
    }
    transaction.commit().await.unwrap();
    // One of a post that is gone.
    assert!(delete(&test, post(&test, bob).await, Some(bob)).await);
    let last = post(&test, bob).await;
    let mut feeds = Feeds::new(&test.db, Threshold::default());
    feeds.take_all(&test.db).await;
    assert_eq!(home(&test, ada).await, [last]);
}

async fn an_event_of_a_kind_to_come_has_its_post_made_anew(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    follow(&test, ada, bob, 0).await;
    let (one, other) = (post(&test, bob).await, post(&test, bob).await);
    like(&test, ada, one).await;
    comment(&test, ada, other).await;
    let answer = comment(&test, bob, other).await.id;
    test.raw("DELETE FROM outbox_events").await;
    let mut transaction = write(&test).await;
    for post in [one, answer] {
        let event = NewEvent {
            subject: &format!("post.{post}.praised").parse().unwrap(),
            key: "x",
            payload: r#"{"by":"whom this version does not know"}"#.into(),
        };
        outbox::append(&test.db, &mut transaction, &event, at(1))
            .await
            .unwrap();
    }
    transaction.commit().await.unwrap();
    let mut feeds = Feeds::new(&test.db, Threshold::default());
    feeds.take_all(&test.db).await;
    assert_eq!(home(&test, ada).await, [one]);
    assert_eq!(counted(&test.db, one).await, [1, 0, 0, 0]);
    assert_eq!(counted(&test.db, other).await, [0, 2, 0, 0]);
}

/// Servers are updated one by one: one that has no feeds yet is done with events for itself alone.
async fn what_a_server_without_feeds_has_done_with_is_not_lost(test: TestDatabase) {
    let db = &test.db;
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    follow(&test, ada, bob, 0).await;
    let before = post(&test, bob).await;
    let older = Running::relay(db, "older", Arc::new(Recorder::default()));
    delivered(db, "older").await;
    // Nobody else asked for these. What they told of is there.
    assert!(outbox::delete_delivered(db, at(2), 99).await.unwrap() > 0);
    assert_eq!(events(db, 0).await, []);
    outbox::register(db, CONSUMER, Start::Oldest, at(3))
        .await
        .unwrap();
    let meanwhile = post(&test, bob).await;
    like(&test, ada, before).await;
    delivered(db, "older").await;
    assert_eq!(outbox::delete_delivered(db, at(4), 99).await.unwrap(), 0);
    older.stop().await;
    let mut feeds = Feeds::new(db, Threshold::default());
    feeds.take_all(db).await;
    while feed::catch_up(db, Threshold::default(), at(9))
        .await
        .unwrap()
    {}
    assert_eq!(home(&test, ada).await, [meanwhile, before]);
    assert_eq!(counted(db, before).await, [1, 0, 0, 0]);
    all_are_exact(db).await;
}

/// What a server runs, on two nodes; the rows are as old as their makers' clocks say.
async fn a_server_keeps_feeds_and_trends(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    follow(&test, ada, bob, 0).await;
    outbox::register(&test.db, "another", Start::Next, at(0))
        .await
        .unwrap();
    let old = try_create(&test.db, &new(bob), 0).await.unwrap().post.id;
    test.raw("DELETE FROM outbox_events").await;
    let clock = Arc::new(media::ManualClock::new(at(20)));
    let shutdown = CancellationToken::new();
    let other = test.another_handle().await;
    let nodes: Vec<_> = [test.db.clone(), other]
        .into_iter()
        .map(|db| tokio::spawn(feed::run(db, clock.clone(), shutdown.clone())))
        .collect();
    let recent = post(&test, bob).await;
    like(&test, ada, recent).await;
    eventually("both are in the feed", async || {
        let page = feed::home(&test.db, ada, None, 9).await.unwrap();
        crate::post_pages::ids(&page.rows) == [recent, old]
    })
    .await;
    eventually("it is counted", async || {
        counted(&test.db, recent).await == [1, 0, 0, 0]
    })
    .await;
    eventually("trends are computed", async || {
        count(&test.db, "SELECT COUNT(*) FROM trend_generations").await > 0
    })
    .await;
    shutdown.cancel();
    for node in nodes {
        node.await.unwrap();
    }
}

async fn trends_do_not_wait_for_what_was_there_before(test: TestDatabase) {
    let bob = test.user("bob").await;
    for _ in 0..3 * feed::POSTS_AT_ONCE {
        post(&test, bob).await;
    }
    let shutdown = CancellationToken::new();
    let clock = Arc::new(SystemClock);
    let node = tokio::spawn(feed::run(test.db.clone(), clock, shutdown.clone()));
    let is_done = "SELECT COUNT(*) FROM feed_catch_ups WHERE finished_at IS NOT NULL";
    eventually("all is caught up with", async || {
        count(&test.db, is_done).await == 1
    })
    .await;
    let earlier = "SELECT COUNT(*) FROM trend_generations
         WHERE computed_at < (SELECT finished_at FROM feed_catch_ups WHERE name = 'posts')";
    assert!(count(&test.db, earlier).await > 0);
    shutdown.cancel();
    node.await.unwrap();
}
