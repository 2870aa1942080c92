//! How long feeds keep their entries, and what is swept.

use std::time::Duration;

use media::{PostId, Timestamp, UserId};
use storage::objects::MemoryStore;
use storage::rows::erasure::Step;
use storage::rows::feed::{ENTRIES_AT_MOST, FEED_AGE, Threshold};
use storage::rows::{erasure, feed, follows, mutes, sql, users};
use uuid::Uuid;

use crate::feed::{
    Feeds, count, entries, follow_each, home, home_in_pages, mute, people, stand, unfollow,
};
use crate::fixtures::TestDatabase;
use crate::people::{block, follow, set_private};
use crate::posts::{delete, post};
use crate::users::{at, write};

on_both_engines! {
    a_feed_has_one_end,
    a_feed_keeps_its_newest_entries,
    whatever_a_feed_has_too_much_goes_at_one_visit,
    what_is_too_old_goes_at_one_visit,
    what_home_does_not_show_takes_nobodys_place,
    a_request_after_a_follow_is_no_follow,
    a_visit_with_nothing_to_do_writes_nothing,
    what_nobody_is_shown_is_swept,
    a_feed_goes_with_its_account,
}

/// All feeds, two at a time.
pub(crate) async fn sweep(test: &TestDatabase, now: Timestamp) {
    let mut after = None;
    loop {
        let swept = feed::sweep(&test.db, after, now, 2).await.unwrap();
        after = swept.next;
        if after.is_none() {
            return;
        }
    }
}

/// So many posts of `author`, each an entry of `reader`, the newest first.
pub(crate) async fn many_entries(
    test: &TestDatabase,
    reader: UserId,
    author: UserId,
    many: u32,
) -> Vec<PostId> {
    let mut transaction = write(test).await;
    let mut written = Vec::new();
    for _ in 0..many {
        let id = Uuid::now_v7();
        sql::query(
            "INSERT INTO posts (id, author_id, visibility, body, created_at)
             VALUES ($1, $2, 'public', '', $3)",
        )
        .bind(id)
        .bind(author)
        .bind(at(0))
        .execute(&mut transaction)
        .await
        .unwrap();
        sql::query("INSERT INTO feed_entries (user_id, post_id) VALUES ($1, $2)")
            .bind(reader)
            .bind(id)
            .execute(&mut transaction)
            .await
            .unwrap();
        written.insert(0, PostId::from(id));
    }
    transaction.commit().await.unwrap();
    written
}

async fn a_feed_has_one_end(test: TestDatabase) {
    let [ada, star, bob] = people(&test).await;
    let mut feeds = Feeds::new(
        &test.db,
        Threshold {
            pulled_above: 0,
            entries_below: 0,
        },
    );
    follow_each(&test, ada, &[star]).await;
    let pulled = post(&test, star).await;
    feeds.take_all(&test.db).await;
    let mut feeds = Feeds {
        taken: feeds.taken,
        ..Feeds::new(&test.db, Threshold::default())
    };
    follow_each(&test, ada, &[bob]).await;
    let entry = post(&test, bob).await;
    let own = post(&test, ada).await;
    feeds.take_all(&test.db).await;
    assert_eq!(home(&test, ada).await, [own, entry, pulled]);
    let almost = at(0) + FEED_AGE - media::Micros::new(1);
    sweep(&test, almost).await;
    assert_eq!(home(&test, ada).await, [own, entry, pulled]);
    sweep(&test, at(0) + FEED_AGE).await;
    // What is pulled does not go on below the last entry.
    assert_eq!(home(&test, ada).await, [own]);
    assert_eq!(entries(&test).await, 0);
}

async fn a_feed_keeps_its_newest_entries(test: TestDatabase) {
    let [ada, bob] = people(&test).await;
    follow(&test, ada, bob, 0).await;
    let mut written = many_entries(&test, ada, bob, ENTRIES_AT_MOST + 5).await;
    // What is not shown takes nothing else's place.
    assert!(delete(&test, written.remove(1), Some(bob)).await);
    sweep(&test, at(1)).await;
    assert_eq!(entries(&test).await, i64::from(ENTRIES_AT_MOST));
    let shown = home_in_pages(&test, ada, 500).await;
    assert_eq!(shown, written[..ENTRIES_AT_MOST as usize]);
}

async fn whatever_a_feed_has_too_much_goes_at_one_visit(test: TestDatabase) {
    let [ada, bob] = people(&test).await;
    follow(&test, ada, bob, 0).await;
    many_entries(&test, ada, bob, ENTRIES_AT_MOST + 5_000).await;
    let swept = feed::sweep(&test.db, None, at(1), 1).await.unwrap();
    assert_eq!(swept.deleted, 5_000);
    assert_eq!(entries(&test).await, i64::from(ENTRIES_AT_MOST));
    unfollow(&test, ada, bob).await;
    let swept = feed::sweep(&test.db, None, at(1), 1).await.unwrap();
    assert_eq!(swept.deleted, u64::from(ENTRIES_AT_MOST));
}

async fn what_is_too_old_goes_at_one_visit(test: TestDatabase) {
    let [ada, bob] = people(&test).await;
    follow(&test, ada, bob, 0).await;
    // More than is kept, and nobody is shown anything of it.
    many_entries(&test, ada, bob, 2 * ENTRIES_AT_MOST + 5).await;
    mute(&test, ada, bob).await;
    let swept = feed::sweep(&test.db, None, at(1), 1).await.unwrap();
    assert_eq!(swept.deleted, 0);
    let swept = feed::sweep(&test.db, None, at(0) + FEED_AGE, 1).await;
    assert_eq!(swept.unwrap().deleted, u64::from(2 * ENTRIES_AT_MOST + 5));
}

async fn what_home_does_not_show_takes_nobodys_place(test: TestDatabase) {
    let [ada, fine, muted, blocked, suspended, pulled] = people(&test).await;
    follow_each(&test, ada, &[fine, muted, blocked, suspended, pulled]).await;
    let mut kept = many_entries(&test, ada, fine, 5).await;
    let mut hidden = Vec::new();
    for author in [muted, blocked, suspended, pulled] {
        hidden.push(many_entries(&test, ada, author, ENTRIES_AT_MOST / 2).await);
    }
    let shares = many_entries(&test, ada, fine, 1).await;
    kept.splice(0..0, shares);
    mute(&test, ada, muted).await;
    block(&test, blocked, ada).await;
    stand(&test, async |db, transaction| {
        let told = users::suspend(db, transaction, suspended, at(0)).await;
        assert!(!told.unwrap().is_empty());
        sql::query("INSERT INTO pulled_authors (user_id) VALUES ($1)")
            .bind(pulled)
            .execute(transaction)
            .await
            .unwrap()
    })
    .await;
    sweep(&test, at(1)).await;
    let mut shown = [&kept[..1], &hidden[3], &kept[1..]].concat();
    assert_eq!(home_in_pages(&test, ada, 500).await, shown);
    // What comes back was there all the time.
    stand(&test, async |_, transaction| {
        mutes::unmute(transaction, ada, muted).await.unwrap()
    })
    .await;
    shown = [&kept[..1], &hidden[3], &hidden[0], &kept[1..]].concat();
    assert_eq!(home_in_pages(&test, ada, 500).await, shown);
}

async fn a_request_after_a_follow_is_no_follow(test: TestDatabase) {
    let [ada, bob] = people(&test).await;
    let mut feeds = Feeds::new(&test.db, Threshold::default());
    follow(&test, ada, bob, 0).await;
    let one = post(&test, bob).await;
    feeds.take_all(&test.db).await;
    unfollow(&test, ada, bob).await;
    set_private(&test, bob, true).await;
    follow(&test, ada, bob, 1).await;
    sweep(&test, at(1)).await;
    assert_eq!(entries(&test).await, 0);
    stand(&test, async |db, transaction| {
        follows::accept(db, transaction, bob, ada, at(2))
            .await
            .unwrap()
    })
    .await;
    feeds.take_all(&test.db).await;
    assert_eq!(home(&test, ada).await, [one]);
}

async fn a_visit_with_nothing_to_do_writes_nothing(test: TestDatabase) {
    let [ada, bob] = people(&test).await;
    follow(&test, ada, bob, 0).await;
    many_entries(&test, ada, bob, ENTRIES_AT_MOST + 5).await;
    let other = test.another_handle().await;
    feed::sweep(&other, None, at(1), 9).await.unwrap();
    // On SQLite nobody else writes now; on PostgreSQL nobody else sweeps this feed.
    let mut transaction = write(&test).await;
    sql::query("UPDATE feed_entries SET post_id = post_id")
        .execute(&mut transaction)
        .await
        .unwrap();
    let sweeping = feed::sweep(&other, None, at(1), 9);
    let swept = tokio::time::timeout(Duration::from_secs(3), sweeping).await;
    assert_eq!(swept.unwrap().unwrap().deleted, 0);
    transaction.commit().await.unwrap();
}

async fn what_nobody_is_shown_is_swept(test: TestDatabase) {
    let [ada, bob, eve] = people(&test).await;
    let mut feeds = Feeds::new(&test.db, Threshold::default());
    follow_each(&test, ada, &[bob, eve]).await;
    follow_each(&test, eve, &[bob]).await;
    let kept = post(&test, bob).await;
    let deleted = post(&test, bob).await;
    post(&test, eve).await;
    feeds.take_all(&test.db).await;
    assert_eq!(entries(&test).await, 5);
    sweep(&test, at(1)).await;
    assert_eq!(entries(&test).await, 5);
    assert!(delete(&test, deleted, Some(bob)).await);
    unfollow(&test, ada, eve).await;
    sweep(&test, at(1)).await;
    assert_eq!(entries(&test).await, 2);
    assert_eq!(home(&test, ada).await, [kept]);
    // Who crossed long ago is forgotten when nothing of theirs is but an entry.
    stand(&test, async |_, transaction| {
        sql::query("INSERT INTO pulled_authors (user_id, ended_at) VALUES ($1, $2)")
            .bind(bob)
            .bind(at(0))
            .execute(transaction)
            .await
            .unwrap()
    })
    .await;
    let authors = "SELECT COUNT(*) FROM pulled_authors";
    sweep(&test, at(-1) + FEED_AGE).await;
    assert_eq!(count(&test.db, authors).await, 1);
    sweep(&test, at(0) + FEED_AGE).await;
    assert_eq!(count(&test.db, authors).await, 0);
}

async fn a_feed_goes_with_its_account(test: TestDatabase) {
    let [ada, bob] = people(&test).await;
    let mut feeds = Feeds::new(&test.db, Threshold::default());
    follow_each(&test, ada, &[bob]).await;
    follow_each(&test, bob, &[ada]).await;
    post(&test, bob).await;
    let kept = post(&test, ada).await;
    feeds.take_all(&test.db).await;
    assert_eq!(entries(&test).await, 2);
    sweep(&test, at(0) + FEED_AGE).await;
    assert_eq!(count(&test.db, "SELECT COUNT(*) FROM feed_floors").await, 2);
    post(&test, bob).await;
    feeds.take_all(&test.db).await;
    stand(&test, async |db, transaction| {
        users::delete(db, transaction, ada, at(1)).await.unwrap()
    })
    .await;
    assert!(!home(&test, bob).await.contains(&kept));
    let objects = MemoryStore::default();
    while erasure::step(&test.db, &objects, ada, at(2)).await.unwrap() != Step::Done {}
    feeds.take_all(&test.db).await;
    assert_eq!(entries(&test).await, 0);
    assert_eq!(count(&test.db, "SELECT COUNT(*) FROM feed_floors").await, 1);
}
