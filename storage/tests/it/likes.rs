//! Likes.

use media::{PostId, UserId};
use storage::RowError;
use storage::rows::likes;
use storage::rows::post_events::PostChange;
use storage::rows::sql::query;
use storage::rows::{Entity, users};

use crate::fixtures::TestDatabase;
use crate::people::{block, people_of, set_private};
use crate::posts::{delete, post, share, told};
use crate::users::{at, write};

on_both_engines! {
    a_post_is_liked_once,
    a_share_is_liked_as_what_it_shares,
    nobody_likes_what_they_may_not_see,
    who_likes_a_post_comes_in_full_pages,
}

pub(crate) async fn try_like(
    test: &TestDatabase,
    user: UserId,
    post: PostId,
) -> Result<bool, RowError> {
    let mut transaction = write(test).await;
    let liked = likes::like(&test.db, &mut transaction, user, post, at(1)).await?;
    transaction.commit().await?;
    Ok(liked)
}

pub(crate) async fn like(test: &TestDatabase, user: UserId, post: PostId) -> bool {
    try_like(test, user, post).await.unwrap()
}

pub(crate) async fn unlike(test: &TestDatabase, user: UserId, post: PostId) -> bool {
    let mut transaction = write(test).await;
    let ended = likes::unlike(&test.db, &mut transaction, user, post, at(2)).await;
    transaction.commit().await.unwrap();
    ended.unwrap()
}

async fn count(test: &TestDatabase, post: PostId) -> u64 {
    let count = query("SELECT COUNT(*) AS likes FROM likes WHERE post_id = $1").bind(post);
    let (likes,) = count.one(&test.db).await.unwrap();
    likes
}

async fn likers(test: &TestDatabase, post: PostId, viewer: Option<UserId>) -> Vec<UserId> {
    let page = likes::likers(&test.db, post, viewer, None, 10).await;
    people_of(&page.unwrap())
}

async fn a_post_is_liked_once(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let (one, other) = (post(&test, ada).await, post(&test, ada).await);
    assert!(like(&test, bob, one).await);
    assert!(!like(&test, bob, one).await);
    assert!(like(&test, ada, one).await);
    assert_eq!((count(&test, one).await, count(&test, other).await), (2, 0));
    let among = likes::liked_among(&test.db, bob, &[one, other]).await;
    assert_eq!(among.unwrap(), [one]);
    assert!(unlike(&test, bob, one).await);
    assert!(!unlike(&test, bob, one).await);
    assert_eq!(count(&test, one).await, 1);
    let changes: Vec<_> = told(&test).await.split_off(2);
    let expected = [
        (PostChange::Liked, one, bob),
        (PostChange::Liked, one, ada),
        (PostChange::Unliked, one, bob),
    ];
    assert_eq!(changes, expected);
}

async fn a_share_is_liked_as_what_it_shares(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let original = post(&test, ada).await;
    let shared = share(&test, bob, original).await.id;
    assert!(like(&test, ada, shared).await);
    assert!(!like(&test, ada, original).await);
    assert_eq!(count(&test, original).await, 1);
    assert_eq!(likers(&test, original, None).await, [ada]);
    assert_eq!(likers(&test, shared, None).await, [ada]);
    assert!(unlike(&test, ada, shared).await);
    assert_eq!(likers(&test, shared, None).await, []);
}

async fn nobody_likes_what_they_may_not_see(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let (one, other) = (post(&test, ada).await, post(&test, ada).await);
    assert!(like(&test, bob, one).await);
    set_private(&test, ada, true).await;
    for post in [one, other, PostId::new()] {
        let refused = try_like(&test, bob, post).await;
        assert!(matches!(refused, Err(RowError::NotFound(Entity::Post))));
    }
    // Who may not see it any more can still take it back.
    assert_eq!(likers(&test, one, Some(bob)).await, []);
    assert_eq!(likers(&test, one, Some(ada)).await, [bob]);
    assert!(unlike(&test, bob, one).await);
    assert!(delete(&test, other, Some(ada)).await);
    let refused = try_like(&test, ada, other).await;
    assert!(matches!(refused, Err(RowError::NotFound(Entity::Post))));
}

async fn who_likes_a_post_comes_in_full_pages(test: TestDatabase) {
    let (ada, viewer) = (test.user("ada").await, test.user("viewer").await);
    let one = post(&test, ada).await;
    let mut all = Vec::new();
    for n in 0..9 {
        let user = test.user(&format!("u{n}")).await;
        assert!(like(&test, user, one).await);
        all.insert(0, user);
    }
    let page = async |viewer, after| {
        let page = likes::likers(&test.db, one, viewer, after, 4).await;
        people_of(&page.unwrap())
    };
    assert_eq!(page(None, None).await, all[..4]);
    assert_eq!(page(None, Some(all[3])).await, all[4..8]);
    assert_eq!(page(None, Some(all[7])).await, all[8..]);
    block(&test, viewer, all[1]).await;
    block(&test, all[2], viewer).await;
    let mut transaction = write(&test).await;
    let told = users::suspend(&test.db, &mut transaction, all[3], at(9)).await;
    assert!(!told.unwrap().is_empty());
    transaction.commit().await.unwrap();
    let seen = [all[0], all[4], all[5], all[6]];
    assert_eq!(page(Some(viewer), None).await, seen);
}
