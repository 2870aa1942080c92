//! Home and discover: what is in them, and what leaves them at once.

use std::sync::Arc;

use media::{ManualClock, PostId, UserId};
use storage::Database;
use storage::rows::feed::{self, POSTS_OF_A_FOLLOW, Threshold, Writer};
use storage::rows::outbox::{Deliver, OutboxEvent};
use storage::rows::posts::{NewPost, PostPage, Visibility};
use storage::rows::{Transaction, follows, mutes, sql, users};

use crate::fixtures::TestDatabase;
use crate::outbox_writers::Random;
use crate::people::{block, follow, set_private};
use crate::post_pages::{all_pages, ids};
use crate::posts::{comment, create, delete, new, post, quote, share};
use crate::users::{at, write};

on_both_engines! {
    home_has_whom_one_follows_and_oneself,
    a_follow_brings_what_was_written_lately,
    home_obeys_whatever_hides_a_post_at_once,
    a_private_account_is_in_the_feed_of_its_followers,
    an_author_crosses_both_ways_and_no_feed_changes,
    many_pulled_authors_are_merged_in_order,
    a_share_that_shows_nothing_keeps_nothing_from_the_page,
    a_share_of_somebody_muted_is_not_shown,
    discover_is_what_everybody_wrote_for_everybody,
}

/// Pulled from four followers on, entries again with two.
pub(crate) const LOW: Threshold = Threshold {
    pulled_above: 3,
    entries_below: 3,
};

/// The consumer of the outbox, whom a test hands the events.
pub(crate) struct Feeds {
    pub(crate) writer: Writer,
    pub(crate) taken: i64,
}

impl Feeds {
    pub(crate) fn new(db: &Database, threshold: Threshold) -> Self {
        let clock = Arc::new(ManualClock::new(at(10)));
        Self {
            writer: Writer::new(db.clone(), clock, threshold),
            taken: 0,
        }
    }

    /// All events that it was not given yet.
    pub(crate) async fn take_all(&mut self, db: &Database) {
        let events = events(db, self.taken).await;
        self.give(&events).await;
        self.taken = events.last().map_or(self.taken, |event| event.sequence);
    }

    pub(crate) async fn give(&self, events: &[OutboxEvent]) {
        for event in events {
            self.writer.deliver(event).await.unwrap();
        }
        self.writer.confirm().await.unwrap();
    }
}

/// What the outbox has after this number.
pub(crate) async fn events(db: &Database, after: i64) -> Vec<OutboxEvent> {
    sql::query(
        "SELECT sequence, id, subject, key, payload, created_at FROM outbox_events
         WHERE sequence > $1 ORDER BY sequence",
    )
    .bind(after)
    .all(db)
    .await
    .unwrap()
}

/// The whole feed, by pages of that size.
pub(crate) async fn home_in_pages(test: &TestDatabase, viewer: UserId, limit: u32) -> Vec<PostId> {
    all_pages(limit, async |before, limit| {
        let page = feed::home(&test.db, viewer, before, limit).await;
        page.unwrap()
    })
    .await
}

/// The whole feed, by pages of several sizes, which agree.
pub(crate) async fn home(test: &TestDatabase, viewer: UserId) -> Vec<PostId> {
    let all = home_in_pages(test, viewer, 100).await;
    for limit in [1, 2, 7] {
        let other = home_in_pages(test, viewer, limit).await;
        assert_eq!(other, all, "pages of {limit}");
    }
    all
}

async fn discover(test: &TestDatabase, viewer: Option<UserId>) -> Vec<PostId> {
    all_pages(2, async |before, limit| {
        let page = feed::discover(&test.db, viewer, before, limit).await;
        page.unwrap()
    })
    .await
}

pub(crate) async fn count(db: &Database, text: &'static str) -> i64 {
    let (count,): (i64,) = sql::query(text).one(db).await.unwrap();
    count
}

pub(crate) async fn entries(test: &TestDatabase) -> i64 {
    count(&test.db, "SELECT COUNT(*) FROM feed_entries").await
}

pub(crate) async fn unfollow(test: &TestDatabase, follower: UserId, followed: UserId) {
    let mut transaction = write(test).await;
    let ended = follows::unfollow(&mut transaction, follower, followed).await;
    assert!(ended.unwrap());
    transaction.commit().await.unwrap();
}

pub(crate) async fn mute(test: &TestDatabase, muter: UserId, muted: UserId) {
    let mut transaction = write(test).await;
    let made = mutes::mute(&mut transaction, muter, muted, at(0)).await;
    assert!(made.unwrap());
    transaction.commit().await.unwrap();
}

pub(crate) async fn people<const N: usize>(test: &TestDatabase) -> [UserId; N] {
    let mut people = Vec::new();
    for n in 0..N {
        people.push(test.user(&format!("u{n}")).await);
    }
    people.try_into().unwrap()
}

/// Follows whom `of` says, as the first of many do.
pub(crate) async fn follow_each(test: &TestDatabase, follower: UserId, of: &[UserId]) {
    for followed in of {
        follow(test, follower, *followed, 0).await;
    }
}

async fn home_has_whom_one_follows_and_oneself(test: TestDatabase) {
    let [ada, bob, eve] = people(&test).await;
    let mut feeds = Feeds::new(&test.db, Threshold::default());
    follow(&test, ada, bob, 0).await;
    let one = post(&test, bob).await;
    let two = post(&test, ada).await;
    let elsewhere = post(&test, eve).await;
    comment(&test, bob, two).await;
    let three = quote(&test, bob, elsewhere).await.id;
    let four = share(&test, bob, elsewhere).await.id;
    let five = share(&test, ada, elsewhere).await.id;
    // One's own posts are there at once, those of others when the writer has come to them.
    assert_eq!(home(&test, ada).await, [five, two]);
    feeds.take_all(&test.db).await;
    assert_eq!(home(&test, ada).await, [five, four, three, two, one]);
    assert_eq!(home(&test, bob).await, [four, three, one]);
    assert_eq!(home(&test, eve).await, [elsewhere]);
    assert_eq!(entries(&test).await, 3);
    // Whatever comes again changes nothing.
    feeds.give(&events(&test.db, 0).await).await;
    assert_eq!(entries(&test).await, 3);
    let nothing = feed::home(&test.db, ada, None, 0).await.unwrap();
    assert_eq!(nothing, PostPage::default());
}

async fn a_follow_brings_what_was_written_lately(test: TestDatabase) {
    let [ada, bob] = people(&test).await;
    let mut feeds = Feeds::new(&test.db, Threshold::default());
    let mut written = Vec::new();
    for _ in 0..POSTS_OF_A_FOLLOW + 5 {
        written.insert(0, post(&test, bob).await);
    }
    comment(&test, bob, written[0]).await;
    assert!(delete(&test, written.remove(3), Some(bob)).await);
    feeds.take_all(&test.db).await;
    follow(&test, ada, bob, 0).await;
    assert_eq!(home(&test, ada).await, []);
    feeds.take_all(&test.db).await;
    let newest = &written[..POSTS_OF_A_FOLLOW as usize];
    assert_eq!(home(&test, ada).await, newest);
    // Who follows no more sees nothing, at once; and again when they follow again.
    unfollow(&test, ada, bob).await;
    assert_eq!(home(&test, ada).await, []);
    feed::sweep(&test.db, None, at(10), 9).await.unwrap();
    assert_eq!(entries(&test).await, 0);
    follow(&test, ada, bob, 1).await;
    feeds.take_all(&test.db).await;
    assert_eq!(home(&test, ada).await, newest);
}

async fn home_obeys_whatever_hides_a_post_at_once(test: TestDatabase) {
    let [ada, muted, blocked, blocker, suspended, gone, fine] = people(&test).await;
    let all = [muted, blocked, blocker, suspended, gone, fine];
    for is_pulled in [false, true] {
        let low = Threshold {
            pulled_above: 0,
            entries_below: 0,
        };
        let threshold = if is_pulled { low } else { Threshold::default() };
        let mut feeds = Feeds::new(&test.db, threshold);
        follow_each(&test, ada, &all).await;
        let mut posts = Vec::new();
        for author in all {
            posts.insert(0, post(&test, author).await);
        }
        feeds.take_all(&test.db).await;
        let newest = feed::home(&test.db, ada, None, 6).await.unwrap();
        assert_eq!(ids(&newest.rows), posts, "{is_pulled}");

        let mut transaction = write(&test).await;
        mutes::mute(&mut transaction, ada, muted, at(0))
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        block(&test, ada, blocked).await;
        block(&test, blocker, ada).await;
        stand(&test, async |db, transaction| {
            users::suspend(db, transaction, suspended, at(0))
                .await
                .unwrap()
        })
        .await;
        assert!(delete(&test, posts[1], Some(gone)).await);
        let newest = feed::home(&test.db, ada, None, 1).await.unwrap();
        assert_eq!(ids(&newest.rows), [posts[0]]);
        let shown = home(&test, ada).await;
        assert!(!posts[1..].iter().any(|post| shown.contains(post)));

        // As it was, for the next round.
        let mut transaction = write(&test).await;
        mutes::unmute(&mut transaction, ada, muted).await.unwrap();
        for (one, other) in [(ada, blocked), (blocker, ada)] {
            storage::rows::blocks::unblock(&mut transaction, one, other)
                .await
                .unwrap();
        }
        transaction.commit().await.unwrap();
        stand(&test, async |db, transaction| {
            users::unsuspend(db, transaction, suspended, at(0))
                .await
                .unwrap()
        })
        .await;
    }
    // Who is suspended themselves is shown nothing of their own.
    stand(&test, async |db, transaction| {
        users::suspend(db, transaction, fine, at(0)).await.unwrap()
    })
    .await;
    assert_eq!(home(&test, fine).await, []);
}

pub(crate) async fn stand<T>(
    test: &TestDatabase,
    change: impl AsyncFnOnce(&Database, &mut Transaction) -> T,
) {
    let mut transaction = write(test).await;
    change(&test.db, &mut transaction).await;
    transaction.commit().await.unwrap();
}

async fn a_private_account_is_in_the_feed_of_its_followers(test: TestDatabase) {
    let [ada, bob, eve] = people(&test).await;
    let mut feeds = Feeds::new(&test.db, Threshold::default());
    follow(&test, ada, bob, 0).await;
    let one = post(&test, bob).await;
    set_private(&test, bob, true).await;
    let two = post(&test, bob).await;
    let three = NewPost {
        visibility: Visibility::Followers,
        ..new(bob)
    };
    let three = create(&test, &three).await.id;
    follow(&test, eve, bob, 0).await;
    feeds.take_all(&test.db).await;
    assert_eq!(home(&test, ada).await, [three, two, one]);
    // A request is no follow, until it is accepted.
    assert_eq!(home(&test, eve).await, []);
    let mut transaction = write(&test).await;
    let accepted = follows::accept(&test.db, &mut transaction, bob, eve, at(1)).await;
    assert!(accepted.unwrap());
    transaction.commit().await.unwrap();
    feeds.take_all(&test.db).await;
    assert_eq!(home(&test, eve).await, [three, two, one]);
    assert_eq!(discover(&test, None).await, []);
}

/// What `pulled_authors` says, and how many rows `feed_entries` has.
async fn crossed(test: &TestDatabase) -> (i64, i64, i64) {
    let pulled = "SELECT COUNT(*) FROM pulled_authors WHERE ended_at IS NULL";
    let ended = "SELECT COUNT(*) FROM pulled_authors WHERE ended_at IS NOT NULL";
    (
        count(&test.db, pulled).await,
        count(&test.db, ended).await,
        entries(test).await,
    )
}

async fn an_author_crosses_both_ways_and_no_feed_changes(test: TestDatabase) {
    let [star, ada, bob, cyd, dan] = people(&test).await;
    let mut feeds = Feeds::new(&test.db, LOW);
    follow_each(&test, ada, &[star]).await;
    let one = post(&test, star).await;
    feeds.take_all(&test.db).await;
    assert_eq!(crossed(&test).await, (0, 0, 1));
    for follower in [bob, cyd, dan] {
        follow(&test, follower, star, 0).await;
    }
    feeds.take_all(&test.db).await;
    // With the fourth follower the next post is pulled, and all before it.
    let two = post(&test, star).await;
    feeds.take_all(&test.db).await;
    assert_eq!(crossed(&test).await, (1, 0, 4));
    assert_eq!(home(&test, ada).await, [two, one]);
    assert_eq!(home(&test, dan).await, [two, one]);
    // Three are neither more nor fewer.
    unfollow(&test, dan, star).await;
    let three = post(&test, star).await;
    feeds.take_all(&test.db).await;
    assert_eq!(crossed(&test).await, (1, 0, 4));
    assert_eq!(home(&test, ada).await, [three, two, one]);
    assert_eq!(home(&test, dan).await, []);
    // With two, new posts are entries again, and what is no entry is still pulled.
    unfollow(&test, cyd, star).await;
    let four = post(&test, star).await;
    feeds.take_all(&test.db).await;
    assert_eq!(crossed(&test).await, (0, 1, 6));
    assert_eq!(home(&test, ada).await, [four, three, two, one]);
    // Who begins to follow now gets entries too, for the time when nothing is pulled any more.
    follow(&test, dan, star, 1).await;
    feeds.take_all(&test.db).await;
    assert_eq!(home(&test, dan).await, [four, three, two, one]);
    let of_dan = "SELECT COUNT(*) FROM feed_entries e
         WHERE e.user_id = (SELECT id FROM users WHERE name = 'u4')";
    assert_eq!(count(&test.db, of_dan).await, 4);
    // And once more.
    follow(&test, cyd, star, 1).await;
    let five = post(&test, star).await;
    feeds.take_all(&test.db).await;
    assert_eq!(crossed(&test).await.0, 1);
    for follower in [ada, bob, cyd, dan] {
        let feed = home(&test, follower).await;
        assert_eq!(feed, [five, four, three, two, one]);
    }
    // The whole outbox again, with whom it is about as they are now.
    feeds.give(&events(&test.db, 0).await).await;
    assert_eq!(home(&test, ada).await, [five, four, three, two, one]);
}

async fn many_pulled_authors_are_merged_in_order(test: TestDatabase) {
    let [viewer] = people(&test).await;
    let all = Threshold {
        pulled_above: 0,
        entries_below: 0,
    };
    let mut stars = Vec::new();
    for n in 0..12 {
        let star = test.user(&format!("star{n}")).await;
        follow(&test, viewer, star, 0).await;
        stars.push(star);
    }
    let other = test.user("other").await;
    follow(&test, viewer, other, 0).await;
    let (pulled, mut random) = (Feeds::new(&test.db, all), Random(7));
    let entries = Feeds::new(&test.db, Threshold::default());
    let mut written = Vec::new();
    for _ in 0..120 {
        // Some write much more than others.
        let author = match random.below(4) {
            0 => other,
            1 => viewer,
            2 => stars[0],
            _ => stars[random.below(12) as usize],
        };
        written.insert(0, (post(&test, author).await, author));
    }
    let events = events(&test.db, 0).await;
    let of_other = |event: &&OutboxEvent| {
        let post = event.subject.as_str().split('.').nth(1).unwrap().to_owned();
        written
            .iter()
            .any(|(id, author)| id.to_string() == post && *author == other)
    };
    let (others, rest): (Vec<_>, Vec<_>) = events.iter().partition(of_other);
    entries
        .give(&others.into_iter().cloned().collect::<Vec<_>>())
        .await;
    pulled
        .give(&rest.into_iter().cloned().collect::<Vec<_>>())
        .await;
    let expected: Vec<PostId> = written.iter().map(|(post, _)| *post).collect();
    assert_eq!(home(&test, viewer).await, expected);
}

async fn a_share_that_shows_nothing_keeps_nothing_from_the_page(test: TestDatabase) {
    let [viewer, star, hidden] = people(&test).await;
    let all = Threshold {
        pulled_above: 0,
        entries_below: 0,
    };
    let mut feeds = Feeds::new(&test.db, all);
    follow(&test, viewer, star, 0).await;
    let mut shown = vec![post(&test, star).await];
    for _ in 0..20 {
        let original = post(&test, hidden).await;
        share(&test, star, original).await;
    }
    shown.insert(0, post(&test, star).await);
    feeds.take_all(&test.db).await;
    assert_eq!(home(&test, viewer).await.len(), 22);
    block(&test, hidden, viewer).await;
    assert_eq!(home(&test, viewer).await, shown);
}

async fn a_share_of_somebody_muted_is_not_shown(test: TestDatabase) {
    let [ada, bob, muted] = people(&test).await;
    for is_pulled in [false, true] {
        let threshold = Threshold {
            pulled_above: if is_pulled { 0 } else { 9 },
            entries_below: 0,
        };
        let mut feeds = Feeds::new(&test.db, threshold);
        follow(&test, ada, bob, 0).await;
        let original = post(&test, muted).await;
        let shared = share(&test, bob, original).await.id;
        let own = share(&test, ada, original).await.id;
        feeds.take_all(&test.db).await;
        let newest = async || {
            let page = feed::home(&test.db, ada, None, 2).await.unwrap();
            ids(&page.rows)
        };
        assert_eq!(newest().await, [own, shared], "{is_pulled}");
        mute(&test, ada, muted).await;
        let shown = newest().await;
        assert_eq!(shown[0], own);
        assert!(!shown.contains(&shared), "{is_pulled}");
        stand(&test, async |_, transaction| {
            mutes::unmute(transaction, ada, muted).await.unwrap()
        })
        .await;
    }
}

async fn discover_is_what_everybody_wrote_for_everybody(test: TestDatabase) {
    let [ada, bob, eve] = people(&test).await;
    let one = post(&test, ada).await;
    let two = quote(&test, bob, one).await.id;
    comment(&test, bob, one).await;
    share(&test, bob, one).await;
    let followers = NewPost {
        visibility: Visibility::Followers,
        ..new(bob)
    };
    create(&test, &followers).await;
    let three = post(&test, eve).await;
    assert_eq!(discover(&test, None).await, [three, two, one]);
    follow(&test, ada, bob, 0).await;
    assert_eq!(discover(&test, Some(ada)).await, [three, two, one]);
    mute(&test, ada, eve).await;
    block(&test, bob, eve).await;
    assert_eq!(discover(&test, Some(ada)).await, [two, one]);
    assert_eq!(discover(&test, Some(eve)).await, [three, one]);
    // Also for who follows them: it is not for everybody.
    set_private(&test, bob, true).await;
    assert_eq!(discover(&test, Some(ada)).await, [one]);
    assert!(delete(&test, one, None).await);
    assert_eq!(discover(&test, None).await, [three]);
}
