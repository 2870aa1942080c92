//! Trends: computed now and then, and read in pages that go on where they began.

use media::{PostId, StreamId, UserId};
use storage::rows::feed::{
    self, GENERATIONS_KEPT_FOR, Threshold, TrendCursor, trending_hashtags, trending_posts,
    trending_streams,
};
use storage::rows::posts::{HASHTAGS_AT_MOST, NewPost, Shows};
use storage::rows::{mutes, sessions, sql};

use crate::feed::{Feeds, count};
use crate::fixtures::TestDatabase;
use crate::likes::like;
use crate::people::{block, follow, set_private};
use crate::posts::{comment, create, delete, new, post, quote, share, try_create};
use crate::users::{at, write};

on_both_engines! {
    posts_trend_by_what_came_of_them_and_their_age,
    pages_go_on_in_the_computation_that_they_began_with,
    a_computation_is_kept_for_a_while,
    who_may_not_see_a_post_does_not_see_it_trend,
    hashtags_trend_by_their_authors,
    hashtags_of_what_is_not_counted_take_nobodys_place,
    streams_trend_while_they_are_live,
    streams_that_are_not_for_everybody_take_nobodys_place,
    a_person_counts_once_for_comments_and_quotes,
    who_is_crowded_out_by_one_person_trends_all_the_same,
    nothing_trends_when_nothing_happens,
}

async fn posts(test: &TestDatabase, viewer: Option<UserId>) -> Vec<PostId> {
    let page = trending_posts(&test.db, viewer, None, 99).await.unwrap();
    page.into_iter().map(|trending| trending.post.id).collect()
}

/// What the rows say, counted and computed.
async fn compute(test: &TestDatabase, seconds: i64) -> u64 {
    let mut feeds = Feeds::new(&test.db, Threshold::default());
    feeds.take_all(&test.db).await;
    feed::compute(&test.db, at(seconds)).await.unwrap()
}

async fn posts_trend_by_what_came_of_them_and_their_age(test: TestDatabase) {
    const HOURS: i64 = 3_600;
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    // Twice as much came of this, more than a half-life earlier.
    let old = try_create(&test.db, &new(ada), -7 * HOURS)
        .await
        .unwrap()
        .post
        .id;
    let [liked, answered, shared, none] = [
        post(&test, ada).await,
        post(&test, ada).await,
        post(&test, ada).await,
        post(&test, ada).await,
    ];
    like(&test, ada, liked).await;
    let answer = comment(&test, bob, answered).await.id;
    like(&test, ada, answer).await;
    like(&test, bob, answer).await;
    share(&test, bob, shared).await;
    quote(&test, bob, old).await;
    share(&test, bob, old).await;
    compute(&test, 3).await;
    assert_eq!(posts(&test, None).await, [shared, old, answered, liked]);
    assert!(!posts(&test, None).await.contains(&none));
    // Scores are of the time of the computation, and what is too old is none of it.
    compute(&test, 3 * 24 * HOURS - HOURS).await;
    assert_eq!(posts(&test, None).await, [shared, answered, liked]);
    compute(&test, 4 * 24 * HOURS).await;
    assert_eq!(posts(&test, None).await, []);
}

async fn pages_go_on_in_the_computation_that_they_began_with(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let mut all = Vec::new();
    for _ in 0..9 {
        let one = post(&test, ada).await;
        like(&test, ada, one).await;
        all.insert(0, one);
    }
    compute(&test, 3).await;
    let (mut seen, mut after) = (Vec::new(), None::<TrendCursor>);
    loop {
        let page = trending_posts(&test.db, Some(ada), after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.cursor);
        seen.extend(page.iter().map(|trending| trending.post.id));
        // With every computation another order.
        let turned = all[seen.len() % 9];
        like(&test, bob, turned).await;
        compute(&test, 3).await;
        // What goes is seen no more, and moves nothing.
        if seen.len() == 4 {
            assert!(delete(&test, all[7], Some(ada)).await);
        }
    }
    let mut expected = all.clone();
    expected.remove(7);
    assert_eq!(seen, expected);
    assert_ne!(posts(&test, None).await, expected);
}

async fn a_computation_is_kept_for_a_while(test: TestDatabase) {
    let ada = test.user("ada").await;
    for _ in 0..3 {
        like(&test, ada, post(&test, ada).await).await;
    }
    let generations = "SELECT COUNT(*) FROM trend_generations";
    assert_eq!(compute(&test, 0).await, 0);
    let page = trending_posts(&test.db, None, None, 1).await.unwrap();
    let first = page[0].cursor;
    assert_eq!((first.generation, first.rank), (0, 0));
    let kept = GENERATIONS_KEPT_FOR.as_micros() / 1_000_000;
    for (number, seconds) in [(1, 1), (2, kept - 1)] {
        assert_eq!(compute(&test, seconds).await, number);
    }
    let next = trending_posts(&test.db, None, Some(first), 9)
        .await
        .unwrap();
    assert_eq!(next.len(), 2);
    assert_eq!(count(&test.db, generations).await, 3);
    assert_eq!(compute(&test, kept + 10).await, 3);
    // The one before stays, however old it is.
    assert_eq!(count(&test.db, generations).await, 2);
    let next = trending_posts(&test.db, None, Some(first), 9)
        .await
        .unwrap();
    assert_eq!(next, []);
}

async fn who_may_not_see_a_post_does_not_see_it_trend(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let eve = test.user("eve").await;
    let (one, other) = (post(&test, ada).await, post(&test, bob).await);
    for post in [one, other] {
        like(&test, eve, post).await;
    }
    compute(&test, 3).await;
    assert_eq!(posts(&test, Some(eve)).await, [other, one]);
    let mut transaction = write(&test).await;
    mutes::mute(&mut transaction, eve, bob, at(0))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(posts(&test, Some(eve)).await, [one]);
    block(&test, ada, eve).await;
    assert_eq!(posts(&test, Some(eve)).await, []);
    follow(&test, ada, bob, 0).await;
    set_private(&test, bob, true).await;
    assert_eq!(posts(&test, Some(ada)).await, [one]);
    compute(&test, 4).await;
    assert_eq!(posts(&test, Some(bob)).await, [one]);
}

async fn a_person_counts_once_for_comments_and_quotes(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let [loud, quoted, wide] = [
        post(&test, ada).await,
        post(&test, ada).await,
        post(&test, ada).await,
    ];
    for _ in 0..5 {
        comment(&test, bob, loud).await;
        quote(&test, bob, quoted).await;
    }
    comment(&test, bob, wide).await;
    let answer = comment(&test, ada, wide).await.id;
    // What was deleted, and what answers an answer, is nobody's.
    let eve = test.user("eve").await;
    let deleted = comment(&test, eve, loud).await.id;
    assert!(delete(&test, deleted, Some(eve)).await);
    comment(&test, eve, answer).await;
    compute(&test, 0).await;
    let scores: Vec<(PostId, i64)> =
        sql::query("SELECT subject_id, score FROM trends WHERE kind = 'post' ORDER BY rank")
            .all(&test.db)
            .await
            .unwrap();
    assert_eq!(
        scores,
        [(wide, 4_000_000), (quoted, 3_000_000), (loud, 2_000_000)]
    );
}

async fn who_is_crowded_out_by_one_person_trends_all_the_same(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let honest = post(&test, ada).await;
    for user in [ada, bob] {
        comment(&test, user, honest).await;
    }
    // More than are kept, and than are looked at in one go.
    let mut transaction = write(&test).await;
    for _ in 0..230 {
        let post = new(bob);
        let made = storage::rows::posts::create(&test.db, &mut transaction, &post, at(0));
        let made = made.await.unwrap().post.id;
        for _ in 0..3 {
            let comment = NewPost {
                parent: Some(made),
                ..new(bob)
            };
            storage::rows::posts::create(&test.db, &mut transaction, &comment, at(0))
                .await
                .unwrap();
        }
    }
    transaction.commit().await.unwrap();
    compute(&test, 0).await;
    let trending = posts(&test, None).await;
    assert_eq!((trending.len(), trending[0]), (99, honest));
}

async fn tagged(test: &TestDatabase, author: UserId, tags: &[&str]) {
    let hashtags: Vec<String> = tags.iter().map(ToString::to_string).collect();
    let new = NewPost {
        hashtags: &hashtags,
        ..new(author)
    };
    create(test, &new).await;
}

async fn hashtags_trend_by_their_authors(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let hidden = test.user("hidden").await;
    for _ in 0..5 {
        tagged(&test, ada, &["loud"]).await;
    }
    tagged(&test, ada, &["rust", "alone"]).await;
    tagged(&test, bob, &["rust"]).await;
    tagged(&test, hidden, &["secret"]).await;
    set_private(&test, hidden, true).await;
    compute(&test, 3).await;
    let page = trending_hashtags(&test.db, None, 2).await.unwrap();
    let of = |page: &[feed::TrendingHashtag]| -> Vec<(String, u64)> {
        page.iter()
            .map(|trending| (trending.hashtag.clone(), trending.posts))
            .collect()
    };
    let named = |tag: &str, posts| (tag.to_owned(), posts);
    assert_eq!(of(&page), [named("rust", 2), named("alone", 1)]);
    let page = trending_hashtags(&test.db, Some(page[1].cursor), 2).await;
    assert_eq!(of(&page.unwrap()), [named("loud", 5)]);
    compute(&test, 25 * 3_600).await;
    assert_eq!(trending_hashtags(&test.db, None, 9).await.unwrap(), []);
}

async fn hashtags_of_what_is_not_counted_take_nobodys_place(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let one = post(&test, ada).await;
    tagged(&test, ada, &["rust"]).await;
    let hashtags: Vec<String> = (0..HASHTAGS_AT_MOST).map(|n| format!("flood{n}")).collect();
    let mut transaction = write(&test).await;
    // More uses than were ever looked at.
    for _ in 0..20_000 / HASHTAGS_AT_MOST + 1 {
        let comment = NewPost {
            parent: Some(one),
            hashtags: &hashtags,
            ..new(bob)
        };
        storage::rows::posts::create(&test.db, &mut transaction, &comment, at(1))
            .await
            .unwrap();
    }
    transaction.commit().await.unwrap();
    feed::compute(&test.db, at(3)).await.unwrap();
    let page = trending_hashtags(&test.db, None, 9).await.unwrap();
    let named: Vec<_> = page.iter().map(|trending| &trending.hashtag).collect();
    assert_eq!(named, ["rust"]);
}

async fn streams(test: &TestDatabase, viewer: Option<UserId>) -> Vec<StreamId> {
    let page = trending_streams(&test.db, viewer, None, 9).await.unwrap();
    page.iter()
        .map(|trending| trending.stream.stream.id)
        .collect()
}

async fn streams_trend_while_they_are_live(test: TestDatabase) {
    let mut all = Vec::new();
    for name in ["quiet", "watched", "liked", "off"] {
        all.push(test.stream(name).await);
    }
    let [quiet, watched, liked, _] = all[..] else {
        panic!("four");
    };
    for stream in [quiet, watched, liked] {
        sessions::open_session(&test.db, stream, at(0))
            .await
            .unwrap();
    }
    let ada = test.user("ada").await;
    let shown = NewPost {
        shows: Shows::Stream(liked),
        ..new(ada)
    };
    let shown = create(&test, &shown).await.id;
    like(&test, ada, shown).await;
    let mut transaction = write(&test).await;
    // Two edges; what is long ago does not count.
    for (node, minute, viewers) in [("a", 0, 3), ("b", 0, 4), ("a", -7_200, 99)] {
        sql::query(
            "INSERT INTO usage_minutes (minute_at, node, kind, subject_id, requests, hits, errors,
                                        bytes, origin_requests, origin_bytes, viewers)
             VALUES ($1, $2, 'stream', $3, 0, 0, 0, 0, 0, 0, $4)",
        )
        .bind(at(minute))
        .bind(node)
        .bind(watched)
        .bind(viewers)
        .execute(&mut transaction)
        .await
        .unwrap();
    }
    transaction.commit().await.unwrap();
    compute(&test, 60).await;
    assert_eq!(streams(&test, None).await, [watched, liked, quiet]);
    let scores: Vec<(i64,)> =
        sql::query("SELECT score FROM trends WHERE kind = 'stream' ORDER BY rank")
            .all(&test.db)
            .await
            .unwrap();
    assert_eq!(scores[0].0, 7_000_000);
    let page = trending_streams(&test.db, None, None, 1).await.unwrap();
    let listed = &page[0].stream;
    assert_eq!(listed.owner_name, "owner-of-watched");
    assert!(listed.is_live());
    let owner = listed.stream.owner;
    block(&test, owner, ada).await;
    assert_eq!(streams(&test, Some(ada)).await, [liked, quiet]);
    // Who has ended is not shown any more, without another computation.
    test.raw("UPDATE live_sessions SET ended_at = 1").await;
    assert_eq!(streams(&test, None).await, []);
    compute(&test, 61).await;
    let kept = "SELECT COUNT(*) FROM trends WHERE kind = 'stream' AND generation = 1";
    assert_eq!(count(&test.db, kept).await, 0);
}

async fn streams_that_are_not_for_everybody_take_nobodys_place(test: TestDatabase) {
    let open = test.stream("open").await;
    let eve = test.user("eve").await;
    let mut all = vec![open];
    for name in ["ours", "mine", "gone"] {
        all.push(test.stream(name).await);
    }
    // More than are kept, of somebody who is not there any more; all of them later than the open
    // one, so that they were before it.
    for number in 0..100 {
        all.push(test.stream_of(eve, &format!("flood-{number}")).await);
    }
    for stream in all {
        sessions::open_session(&test.db, stream, at(0))
            .await
            .unwrap();
    }
    for text in [
        "UPDATE streams SET visibility = 'followers' WHERE name = 'ours'",
        "UPDATE streams SET visibility = 'private' WHERE name = 'mine'",
        "UPDATE streams SET deleted_at = 1 WHERE name = 'gone'",
        "UPDATE users SET suspended_at = 1 WHERE name = 'eve'",
    ] {
        test.raw(text).await;
    }
    compute(&test, 1).await;
    assert_eq!(streams(&test, None).await, [open]);
    let kept = "SELECT COUNT(*) FROM trends WHERE kind = 'stream'";
    assert_eq!(count(&test.db, kept).await, 1);
}

async fn nothing_trends_when_nothing_happens(test: TestDatabase) {
    assert_eq!(posts(&test, None).await, []);
    assert_eq!(compute(&test, 0).await, 0);
    assert_eq!(posts(&test, None).await, []);
    assert_eq!(trending_hashtags(&test.db, None, 9).await.unwrap(), []);
    assert_eq!(streams(&test, None).await, []);
}
