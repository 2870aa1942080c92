//! S01: pages of lists of which the reader may see next to nothing look at so many rows and no more,
//! and the next go on behind them. Those of posts that are looked for are in `posts_hidden`.

use media::{PostId, SessionId, UserId};
use storage::rows::follows::{self, FollowRow};
use storage::rows::posts::{PostPage, PostRow};
use storage::rows::streams::{self, LiveStream};
use storage::rows::users::UserRow;
use storage::rows::{
    LOOKED_AT_MOST, Page, RowError, Transaction, blocks, feed, likes, mutes, sessions, sql,
};

use crate::feed::{follow_each, mute, people};
use crate::feed_retention::many_entries;
use crate::fixtures::TestDatabase;
use crate::posts::post;
use crate::users::{at, write};

on_both_engines! {
    s01_a_home_of_whom_one_mutes_goes_on_behind_their_posts,
    a_few_that_are_hidden_take_no_second_read,
    s01_a_home_of_shares_that_show_nothing_goes_on_behind_them,
    s01_lists_of_people_who_are_gone_go_on_behind_them,
    s01_live_streams_of_whom_one_mutes_are_gone_on_behind,
}

/// More than a page looks at, and not twice as many.
const HIDDEN: u32 = LOOKED_AT_MOST + 50;

/// Goes through a list of which only these are shown, with [`HIDDEN`] others in one stretch between
/// them: one page is short.
async fn walk<R, P: Copy, T: PartialEq + std::fmt::Debug>(
    shown: &[T],
    place: impl Fn(&R) -> P,
    what: impl Fn(&R) -> T,
    page: impl AsyncFn(Option<P>, u32) -> Result<Page<R, P>, RowError>,
) {
    for limit in [1, 5] {
        let (mut seen, mut after, mut short) = (Vec::new(), None, 0);
        loop {
            let Page { rows, next } = page(after, limit).await.unwrap();
            seen.extend(rows.iter().map(&what));
            let is_full = rows.len() == limit as usize;
            assert!(rows.len() <= limit as usize && !(is_full && next.is_some()));
            short += u32::from(next.is_some());
            after = next.or(rows.last().filter(|_| is_full).map(&place));
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, shown, "pages of {limit}");
        assert_eq!(short, 1, "pages of {limit}");
    }
}

async fn walk_home(test: &TestDatabase, reader: UserId, shown: &[PostId]) {
    let id = |post: &PostRow| post.id;
    walk(shown, id, id, async |before, limit| {
        feed::home(&test.db, reader, before, limit).await
    })
    .await;
}

async fn s01_a_home_of_whom_one_mutes_goes_on_behind_their_posts(test: TestDatabase) {
    let [ada, fine, loud] = people(&test).await;
    follow_each(&test, ada, &[fine, loud]).await;
    let old = many_entries(&test, ada, fine, 1).await;
    many_entries(&test, ada, loud, HIDDEN).await;
    let new = many_entries(&test, ada, fine, 1).await;
    mute(&test, ada, loud).await;
    walk_home(&test, ada, &[new[0], old[0]]).await;
    // What is pulled between them is on the short page.
    let own = post(&test, ada).await;
    many_entries(&test, ada, loud, 1).await;
    walk_home(&test, ada, &[own, new[0], old[0]]).await;
}

async fn a_few_that_are_hidden_take_no_second_read(test: TestDatabase) {
    const PAGE: u32 = 20;
    let [ada, fine, loud] = people(&test).await;
    follow_each(&test, ada, &[fine, loud]).await;
    let mut shown = many_entries(&test, ada, fine, 25).await;
    many_entries(&test, ada, loud, 5).await;
    shown.extend(many_entries(&test, ada, fine, 10).await);
    mute(&test, ada, loud).await;
    shown.sort_unstable();
    shown.reverse();
    let (page, statements) = sql::recorded(feed::home(&test.db, ada, None, PAGE)).await;
    let page = page.unwrap();
    assert_eq!(statements.len(), 1);
    let ids = |page: &PostPage| -> Vec<_> { page.rows.iter().map(|row| row.id).collect() };
    assert_eq!((ids(&page), page.next), (shown[..20].to_vec(), None));
    // Of what was read, and is not on it, nothing is left out.
    let next = feed::home(&test.db, ada, Some(shown[19]), PAGE).await;
    assert_eq!(ids(&next.unwrap()), shown[20..]);
}

async fn s01_a_home_of_shares_that_show_nothing_goes_on_behind_them(test: TestDatabase) {
    let [ada, star, loud] = people(&test).await;
    follow_each(&test, ada, &[star]).await;
    let old = post(&test, star).await;
    let mut transaction = write(&test).await;
    sql::query("INSERT INTO pulled_authors (user_id) VALUES ($1)")
        .bind(star)
        .execute(&mut transaction)
        .await
        .unwrap();
    for _ in 0..HIDDEN {
        let original = insert_post(&mut transaction, loud, None).await;
        insert_post(&mut transaction, star, Some(original)).await;
    }
    transaction.commit().await.unwrap();
    let new = post(&test, star).await;
    mute(&test, ada, loud).await;
    walk_home(&test, ada, &[new, old]).await;
}

async fn insert_post(
    transaction: &mut Transaction,
    author: UserId,
    share_of: Option<PostId>,
) -> PostId {
    let id = PostId::new();
    sql::query(
        "INSERT INTO posts (id, author_id, share_of_id, visibility, body, created_at)
         VALUES ($1, $2, $3, 'public', '', 0)",
    )
    .bind(id)
    .bind(author)
    .bind(share_of)
    .execute(transaction)
    .await
    .unwrap();
    id
}

/// Whose lists somebody is on.
#[derive(Clone, Copy)]
struct Lists {
    /// Followed, follows and mutes.
    ada: UserId,
    /// Is asked.
    carl: UserId,
    /// Blocks.
    dora: UserId,
    /// Is liked.
    post: PostId,
}

async fn join(transaction: &mut Transaction, lists: Lists, user: UserId, n: u32) {
    let Lists {
        ada,
        carl,
        dora,
        post,
    } = lists;
    let now = at(n.into());
    for (text, one, other) in [
        (
            "INSERT INTO follows (follower_id, followed_id, created_at, accepted_at)
             VALUES ($1, $2, $3, $3)",
            user,
            ada,
        ),
        (
            "INSERT INTO follows (follower_id, followed_id, created_at, accepted_at)
             VALUES ($1, $2, $3, $3)",
            ada,
            user,
        ),
        (
            "INSERT INTO follows (follower_id, followed_id, created_at) VALUES ($1, $2, $3)",
            user,
            carl,
        ),
        (
            "INSERT INTO blocks (blocker_id, blocked_id, created_at) VALUES ($1, $2, $3)",
            dora,
            user,
        ),
        (
            "INSERT INTO mutes (muter_id, muted_id, created_at) VALUES ($1, $2, $3)",
            ada,
            user,
        ),
    ] {
        let made = sql::query(text).bind(one).bind(other).bind(now);
        made.execute(&mut *transaction).await.unwrap();
    }
    sql::query("INSERT INTO likes (post_id, user_id, created_at) VALUES ($1, $2, $3)")
        .bind(post)
        .bind(user)
        .bind(now)
        .execute(transaction)
        .await
        .unwrap();
}

async fn s01_lists_of_people_who_are_gone_go_on_behind_them(test: TestDatabase) {
    let [ada, carl, dora, first] = people(&test).await;
    let lists = Lists {
        ada,
        carl,
        dora,
        post: post(&test, ada).await,
    };
    let mut transaction = write(&test).await;
    join(&mut transaction, lists, first, 0).await;
    for n in 1..=HIDDEN {
        let id = UserId::new();
        sql::query(
            "INSERT INTO users (id, name, email, password_hash, created_at, deleted_at)
             VALUES ($1, $2, $2, '', 0, 0)",
        )
        .bind(id)
        .bind(format!("gone-{n}"))
        .execute(&mut transaction)
        .await
        .unwrap();
        join(&mut transaction, lists, id, n).await;
    }
    transaction.commit().await.unwrap();
    let last = test.user("last").await;
    let mut transaction = write(&test).await;
    join(&mut transaction, lists, last, HIDDEN + 1).await;
    transaction.commit().await.unwrap();

    let (db, newest_first) = (&test.db, [last, first]);
    let id = |row: &UserRow| row.id;
    walk(&newest_first, id, id, async |after, limit| {
        likes::likers(db, lists.post, None, after, limit).await
    })
    .await;
    walk(&newest_first, id, id, async |after, limit| {
        blocks::of_user(db, dora, after, limit).await
    })
    .await;
    walk(&newest_first, id, id, async |after, limit| {
        mutes::of_user(db, ada, after, limit).await
    })
    .await;
    let who = |row: &FollowRow| row.user.id;
    let place = FollowRow::cursor;
    walk(&newest_first, place, who, async |after, limit| {
        follows::followers(db, ada, None, after, limit).await
    })
    .await;
    walk(&newest_first, place, who, async |after, limit| {
        follows::following(db, ada, None, after, limit).await
    })
    .await;
    walk(&[first, last], place, who, async |after, limit| {
        follows::requests(db, carl, after, limit).await
    })
    .await;
}

async fn s01_live_streams_of_whom_one_mutes_are_gone_on_behind(test: TestDatabase) {
    let loud = test.user("loud").await;
    let viewer = test.user("viewer").await;
    let go_live = async |name: &str| {
        let stream = test.stream(name).await;
        let opened = sessions::open_session(&test.db, stream, at(0)).await;
        opened.unwrap().session.id
    };
    let old = go_live("old").await;
    let mut transaction = write(&test).await;
    for n in 0..HIDDEN {
        let stream = media::StreamId::new();
        sql::query(
            "INSERT INTO streams (id, owner_id, name, takeover, created_at)
             VALUES ($1, $2, $3, 'takeover', 0)",
        )
        .bind(stream)
        .bind(loud)
        .bind(format!("loud-{n}"))
        .execute(&mut transaction)
        .await
        .unwrap();
        sql::query("INSERT INTO live_sessions (id, stream_id, started_at) VALUES ($1, $2, 0)")
            .bind(SessionId::new())
            .bind(stream)
            .execute(&mut transaction)
            .await
            .unwrap();
    }
    transaction.commit().await.unwrap();
    let new = go_live("new").await;
    mute(&test, viewer, loud).await;
    let session = |live: &LiveStream| live.session;
    walk(&[new, old], session, session, async |before, limit| {
        streams::live(&test.db, Some(viewer), before, limit).await
    })
    .await;
}
