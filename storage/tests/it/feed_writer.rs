//! The consumer that writes feeds and counts: what it leaves to requests, and what it makes of
//! events that come twice, late, at once or never.

use std::sync::Arc;

use media::{PostId, SystemClock, UserId};
use storage::Database;
use storage::objects::MemoryStore;
use storage::rows::feed::{self, CONSUMER, Threshold};
use storage::rows::outbox::{self, Deliver, NewEvent, Start};
use storage::rows::post_counts::{self, PostCounts};
use storage::rows::posts::removal;
use storage::rows::{erasure, likes, posts, sql, users};
use tokio_util::sync::CancellationToken;

use crate::children::eventually;
use crate::feed::{Feeds, LOW, count, entries, events, home};
use crate::fixtures::TestDatabase;
use crate::likes::like;
use crate::outbox::{Running, delivered};
use crate::outbox_writers::Random;
use crate::people::follow;
use crate::posts::{comment, create, delete, new, post, quote, share, try_create};
use crate::users::{at, write};

on_both_engines! {
    s02_a_post_costs_its_request_the_same_however_many_follow,
    counts_are_those_of_the_rows,
    counts_are_right_whatever_comes_again_or_late,
    counts_are_right_after_many_at_once,
    what_many_like_is_counted_now_and_then,
    what_a_batch_is_about_is_counted_in_steps,
    what_cannot_trend_is_never_active,
    what_is_swept_before_it_was_counted_is_counted_no_more,
    an_erased_account_is_counted_no_more,
    what_was_there_before_is_caught_up_with,
    an_event_that_cannot_be_read_stops_nobody,
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
    for author in [ada, star] {
        let before = rows(&test.db).await;
        post(&test, author).await;
        let after = rows(&test.db).await;
        let added: Vec<i64> = after.iter().zip(before).map(|(a, b)| a - b).collect();
        assert_eq!(added, [1, 1, 0, 0, 0]);
    }
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

async fn unlike(test: &TestDatabase, user: UserId, post: PostId) -> bool {
    let mut transaction = write(test).await;
    let ended = likes::unlike(&test.db, &mut transaction, user, post, at(2)).await;
    transaction.commit().await.unwrap();
    ended.unwrap()
}

async fn counted(db: &Database, post: PostId) -> [u64; 4] {
    let counts = post_counts::of(db, &[post]).await.unwrap();
    let PostCounts {
        post: of,
        likes,
        comments,
        shares,
        quotes,
    } = counts[0];
    assert_eq!((of, counts.len()), (post, 1));
    [likes, comments, shares, quotes]
}

/// Every post's counts are those of the rows.
async fn all_are_exact(db: &Database) {
    let all: Vec<(PostId,)> = sql::query("SELECT id FROM posts WHERE deleted_at IS NULL")
        .all(db)
        .await
        .unwrap();
    for (post,) in all {
        let mut expected = [0; 4];
        for (n, text) in [
            "SELECT COUNT(*) FROM likes WHERE post_id = $1",
            "SELECT COUNT(*) FROM posts WHERE parent_id = $1 AND deleted_at IS NULL",
            "SELECT COUNT(*) FROM posts WHERE share_of_id = $1",
            "SELECT COUNT(*) FROM posts WHERE quote_of_id = $1 AND deleted_at IS NULL",
        ]
        .into_iter()
        .enumerate()
        {
            let (count,): (u64,) = sql::query(text).bind(post).one(db).await.unwrap();
            expected[n] = count;
        }
        assert_eq!(counted(db, post).await, expected, "{post}");
    }
}

async fn counts_are_those_of_the_rows(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let mut feeds = Feeds::new(&test.db, Threshold::default());
    let one = post(&test, ada).await;
    let other = post(&test, ada).await;
    assert_eq!(counted(&test.db, one).await, [0, 0, 0, 0]);
    like(&test, ada, one).await;
    like(&test, bob, one).await;
    let answer = comment(&test, bob, one).await.id;
    comment(&test, ada, answer).await;
    let shared = share(&test, bob, one).await.id;
    let quoting = quote(&test, bob, one).await.id;
    feeds.take_all(&test.db).await;
    assert_eq!(counted(&test.db, one).await, [2, 1, 1, 1]);
    assert_eq!(counted(&test.db, answer).await, [0, 1, 0, 0]);
    // In the order that was asked for.
    let both = post_counts::of(&test.db, &[other, one]).await.unwrap();
    assert_eq!((both[0].post, both[0].likes), (other, 0));
    assert_eq!((both[1].post, both[1].likes), (one, 2));

    assert!(unlike(&test, bob, one).await);
    assert!(delete(&test, answer, Some(bob)).await);
    assert!(delete(&test, shared, Some(bob)).await);
    feeds.take_all(&test.db).await;
    assert_eq!(counted(&test.db, one).await, [1, 0, 0, 1]);
    assert!(delete(&test, quoting, Some(bob)).await);
    feeds.take_all(&test.db).await;
    assert_eq!(counted(&test.db, one).await, [1, 0, 0, 0]);
    all_are_exact(&test.db).await;
    // Of a deleted post the job takes the counts with the likes.
    assert!(delete(&test, one, Some(ada)).await);
    while removal::step(&test.db, one).await.unwrap() > 0 {}
    feeds.take_all(&test.db).await;
    let left = count(&test.db, "SELECT COUNT(*) FROM post_counts WHERE likes > 0");
    assert_eq!(left.await, 0);
}

/// Many things that happen to two posts.
async fn much_happens(test: &TestDatabase, random: &mut Random) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let targets = [post(test, ada).await, post(test, bob).await];
    let mut made = Vec::new();
    for _ in 0..60 {
        let target = targets[random.below(2) as usize];
        let user = [ada, bob][random.below(2) as usize];
        match random.below(7) {
            0 => drop(like(test, user, target).await),
            1 => drop(unlike(test, user, target).await),
            2 => made.push(comment(test, user, target).await.id),
            3 => made.push(quote(test, user, target).await.id),
            4 => made.push(share(test, user, target).await.id),
            _ => {
                if let Some(post) = made.pop() {
                    delete(test, post, None).await;
                }
            }
        }
    }
}

async fn counts_are_right_whatever_comes_again_or_late(test: TestDatabase) {
    let mut random = Random(5);
    much_happens(&test, &mut random).await;
    let mut all = events(&test.db, 0).await;
    let feeds = Feeds::new(&test.db, Threshold::default());
    feeds.give(&all).await;
    all_are_exact(&test.db).await;
    // From somewhere again, and again in any order.
    feeds.give(&all[20..]).await;
    all.reverse();
    feeds.give(&all).await;
    all_are_exact(&test.db).await;
    for _ in 0..all.len() {
        let (one, other) = (
            random.below(all.len() as u64),
            random.below(all.len() as u64),
        );
        all.swap(one as usize, other as usize);
    }
    feeds.give(&all).await;
    all_are_exact(&test.db).await;
}

/// Two consumers too, as when one was paused and has lost its lease.
async fn counts_are_right_after_many_at_once(test: TestDatabase) {
    let ada = test.user("ada").await;
    let targets = [post(&test, ada).await, post(&test, ada).await];
    let mut people = Vec::new();
    for n in 0..8 {
        people.push(test.user(&format!("u{n}")).await);
    }
    let writer = |db: &Database| {
        let clock = Arc::new(SystemClock);
        Arc::new(feed::Writer::new(db.clone(), clock, LOW))
    };
    let other = test.another_handle().await;
    let relays = [
        Running::relay(&test.db, CONSUMER, writer(&test.db)),
        Running::relay(&other, "another", writer(&other)),
    ];
    let tasks: Vec<_> = people
        .into_iter()
        .enumerate()
        .map(|(seed, user)| {
            let db = if seed % 2 == 0 { &test.db } else { &other };
            let (db, mut random) = (db.clone(), Random(seed as u64));
            tokio::spawn(async move {
                let mut own = Vec::new();
                for _ in 0..25 {
                    let target = targets[random.below(2) as usize];
                    let mut transaction = db.write().await.unwrap();
                    match random.below(4) {
                        0 => {
                            let new = posts::NewPost {
                                parent: Some(target),
                                ..new(user)
                            };
                            let made = posts::create(&db, &mut transaction, &new, at(1)).await;
                            own.push(made.unwrap().post.id);
                        }
                        1 if !own.is_empty() => {
                            let post = own.pop().unwrap();
                            posts::delete(&db, &mut transaction, post, Some(user), at(1))
                                .await
                                .unwrap();
                        }
                        2 => {
                            likes::unlike(&db, &mut transaction, user, target, at(1))
                                .await
                                .unwrap();
                        }
                        _ => {
                            likes::like(&db, &mut transaction, user, target, at(1))
                                .await
                                .unwrap();
                        }
                    }
                    transaction.commit().await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    delivered(&test.db, CONSUMER).await;
    delivered(&test.db, "another").await;
    all_are_exact(&test.db).await;
    for relay in relays {
        relay.stop().await;
    }
}

async fn what_many_like_is_counted_now_and_then(test: TestDatabase) {
    let (ada, star) = (test.user("ada").await, test.user("star").await);
    let (one, other) = (post(&test, star).await, post(&test, star).await);
    let many = post_counts::COUNTED_AT_ONCE;
    followers(&test, star, many).await;
    let mut transaction = write(&test).await;
    sql::query(
        "INSERT INTO likes (post_id, user_id, created_at)
         SELECT $1, follower_id, 0 FROM follows WHERE followed_id = $2",
    )
    .bind(one)
    .bind(star)
    .execute(&mut transaction)
    .await
    .unwrap();
    transaction.commit().await.unwrap();
    like(&test, star, other).await;
    like(&test, ada, one).await;
    let mut feeds = Feeds::new(&test.db, Threshold::default());
    feeds.take_all(&test.db).await;
    // The event has counted what few like, and of the other it has noted that it is due.
    assert_eq!(counted(&test.db, other).await, [1, 0, 0, 0]);
    assert_eq!(counted(&test.db, one).await, [0, 0, 0, 0]);
    // Whoever noted it may have died.
    let next = test.another_handle().await;
    assert_eq!(post_counts::count_due(&next).await.unwrap(), 1);
    all_are_exact(&test.db).await;
    assert_eq!(post_counts::count_due(&next).await.unwrap(), 0);
    for _ in 0..2 {
        like(&test, star, one).await;
        feeds.take_all(&test.db).await;
        unlike(&test, star, one).await;
        feeds.take_all(&test.db).await;
    }
    assert_eq!(post_counts::count_due(&next).await.unwrap(), 1);
    all_are_exact(&test.db).await;
    unlike(&test, ada, one).await;
    feeds.take_all(&test.db).await;
    assert_eq!(counted(&test.db, one).await[0], u64::from(many));
    // What is deleted is due no more.
    like(&test, ada, one).await;
    feeds.take_all(&test.db).await;
    assert!(delete(&test, one, Some(star)).await);
    while removal::step(&test.db, one).await.unwrap() > 0 {}
    assert_eq!(post_counts::count_due(&next).await.unwrap(), 1);
    assert_eq!(counted(&test.db, one).await, [0, 0, 0, 0]);
}

/// A confirmation that does not come in time leaves what was counted before it.
async fn what_a_batch_is_about_is_counted_in_steps(test: TestDatabase) {
    let ada = test.user("ada").await;
    for _ in 0..40 {
        like(&test, ada, post(&test, ada).await).await;
    }
    let clock = Arc::new(SystemClock);
    let writer = feed::Writer::new(test.db.clone(), clock, LOW);
    for event in events(&test.db, 0).await {
        writer.deliver(&event).await.unwrap();
    }
    let counted = "SELECT COUNT(*) FROM post_counts WHERE likes = 1";
    assert_eq!(count(&test.db, counted).await, 32);
    writer.confirm().await.unwrap();
    assert_eq!(count(&test.db, counted).await, 40);
}

async fn what_cannot_trend_is_never_active(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let one = post(&test, ada).await;
    let answer = comment(&test, ada, one).await.id;
    let followers = posts::NewPost {
        visibility: posts::Visibility::Followers,
        ..new(ada)
    };
    let followers = create(&test, &followers).await.id;
    let old = try_create(&test.db, &new(ada), -4 * 24 * 3_600).await;
    follow(&test, bob, ada, 0).await;
    for post in [one, answer, followers, old.unwrap().post.id] {
        assert!(like(&test, bob, post).await);
    }
    let mut feeds = Feeds::new(&test.db, Threshold::default());
    feeds.take_all(&test.db).await;
    all_are_exact(&test.db).await;
    let active: Vec<(PostId,)> = sql::query("SELECT post_id FROM post_counts WHERE active_at > 0")
        .all(&test.db)
        .await
        .unwrap();
    assert_eq!(active, [(one,)]);
}

/// The consumer stood still for so long that the row of an answer is gone when it goes on.
async fn what_is_swept_before_it_was_counted_is_counted_no_more(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let mut feeds = Feeds::new(&test.db, Threshold::default());
    let one = post(&test, ada).await;
    let answer = comment(&test, bob, one).await.id;
    let quoting = quote(&test, bob, one).await.id;
    feeds.take_all(&test.db).await;
    assert_eq!(counted(&test.db, one).await, [0, 1, 0, 1]);
    for gone in [answer, quoting] {
        assert!(delete(&test, gone, Some(bob)).await);
    }
    let later = at(5) + removal::SWEPT_AFTER;
    let swept = removal::sweep(&test.db, None, later, 9).await;
    assert_eq!(swept.unwrap().deleted, 2);
    feeds.take_all(&test.db).await;
    assert_eq!(counted(&test.db, one).await, [0, 0, 0, 0]);
}

async fn an_erased_account_is_counted_no_more(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let mut feeds = Feeds::new(&test.db, Threshold::default());
    let one = post(&test, ada).await;
    like(&test, bob, one).await;
    comment(&test, bob, one).await;
    share(&test, bob, one).await;
    quote(&test, bob, one).await;
    feeds.take_all(&test.db).await;
    assert_eq!(counted(&test.db, one).await, [1, 1, 1, 1]);
    let mut transaction = write(&test).await;
    let told = users::delete(&test.db, &mut transaction, bob, at(1)).await;
    assert!(!told.unwrap().is_empty());
    transaction.commit().await.unwrap();
    let objects = MemoryStore::default();
    while erasure::step(&test.db, &objects, bob, at(2)).await.unwrap() != erasure::Step::Done {}
    feeds.take_all(&test.db).await;
    assert_eq!(counted(&test.db, one).await, [0, 0, 0, 0]);
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
        crate::post_pages::ids(&page) == [recent, old]
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
