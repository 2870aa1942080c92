//! People: links, follows, blocks, mutes, and what is between two.

use media::UserId;
use storage::RowError;
use storage::rows::follows::{self, FollowCounts, Following};
use storage::rows::profile_links::{self, LINKS_AT_MOST, ProfileLink};
use storage::rows::relations::{self, Relation};
use storage::rows::sql::{AssertSqlSafe, query};
use storage::rows::users::{ProfileChange, UserPage};
use storage::rows::{Entity, blocks, mutes, users};

use crate::fixtures::TestDatabase;
use crate::users::{at, write};

on_both_engines! {
    links_keep_their_order_and_are_replaced,
    a_follow_is_accepted_at_once_or_asked_for,
    a_request_is_accepted_or_refused_once,
    nobody_follows_who_is_not_there,
    nobody_follows_without_end,
    a_block_ends_follows_both_ways_and_lets_none_begin,
    a_block_and_a_follow_at_once_never_both_stay,
    mutes_are_made_and_ended,
    what_is_between_many_is_told_at_once,
}

pub(crate) async fn follow(test: &TestDatabase, one: UserId, other: UserId, now: i64) -> Following {
    let mut transaction = write(test).await;
    let followed = follows::follow(&test.db, &mut transaction, one, other, at(now)).await;
    transaction.commit().await.unwrap();
    followed.unwrap().expect("nobody blocks anybody")
}

pub(crate) async fn block(test: &TestDatabase, one: UserId, other: UserId) -> bool {
    let mut transaction = write(test).await;
    let blocked = blocks::block(&test.db, &mut transaction, one, other, at(0)).await;
    transaction.commit().await.unwrap();
    blocked.unwrap()
}

pub(crate) async fn set_private(test: &TestDatabase, user: UserId, is_private: bool) {
    let mut transaction = write(test).await;
    let change = ProfileChange {
        is_private: Some(is_private),
        ..ProfileChange::default()
    };
    users::update_profile(&test.db, &mut transaction, user, change, at(0))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
}

pub(crate) fn people_of(page: &UserPage) -> Vec<UserId> {
    page.rows.iter().map(|user| user.id).collect()
}

async fn between(test: &TestDatabase, viewer: UserId, other: UserId) -> Relation {
    let found = relations::between(&test.db, viewer, &[other]).await;
    found.unwrap()[0]
}

async fn links_keep_their_order_and_are_replaced(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let link = |n: usize| ProfileLink {
        label: format!("{n}"),
        url: format!("https://example.org/{n}"),
    };
    let replace = async |user, links: &[ProfileLink]| {
        let mut transaction = write(&test).await;
        profile_links::replace(&mut transaction, user, links).await?;
        transaction.commit().await
    };
    let all: Vec<_> = (0..LINKS_AT_MOST).map(link).collect();
    replace(ada, &all).await.unwrap();
    replace(bob, &[link(7)]).await.unwrap();
    let too_many: Vec<_> = (0..=LINKS_AT_MOST).map(link).collect();
    let refused = replace(ada, &too_many).await;
    assert!(matches!(refused, Err(RowError::TooMany { .. })));
    let of = async |users: &[UserId]| {
        let links = profile_links::of_users(&test.db, users).await;
        let links: Vec<_> = links
            .unwrap()
            .into_iter()
            .map(|row| (row.user, row.link))
            .collect();
        links
    };
    assert_eq!(
        of(&[ada]).await,
        all.iter().map(|l| (ada, l.clone())).collect::<Vec<_>>()
    );
    replace(ada, &[link(3), link(1)]).await.unwrap();
    let expected = [(ada, link(3)), (ada, link(1)), (bob, link(7))];
    assert_eq!(of(&[bob, ada]).await, expected);
    replace(ada, &[]).await.unwrap();
    assert_eq!(of(&[ada]).await, []);
}

async fn a_follow_is_accepted_at_once_or_asked_for(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    assert_eq!(follow(&test, ada, bob, 0).await, Following::Yes);
    assert_eq!(follow(&test, ada, bob, 1).await, Following::Yes);
    set_private(&test, ada, true).await;
    assert_eq!(follow(&test, bob, ada, 0).await, Following::Requested);
    assert_eq!(follow(&test, bob, ada, 1).await, Following::Requested);
    assert_eq!(between(&test, bob, ada).await.follows, Following::Requested);
    assert!(!between(&test, ada, bob).await.followed_by);
    // Who follows already goes on when the account becomes private.
    set_private(&test, bob, true).await;
    assert_eq!(follow(&test, ada, bob, 2).await, Following::Yes);
    // A request to an account that is private no more is accepted with the next follow.
    set_private(&test, ada, false).await;
    assert_eq!(between(&test, bob, ada).await.follows, Following::Requested);
    assert_eq!(follow(&test, bob, ada, 2).await, Following::Yes);
    let mut transaction = write(&test).await;
    for was in [true, false] {
        let ended = follows::unfollow(&mut transaction, ada, bob).await;
        assert_eq!(ended.unwrap(), was);
    }
    transaction.commit().await.unwrap();
    assert_eq!(between(&test, ada, bob).await.follows, Following::No);
    assert!(between(&test, ada, bob).await.followed_by);
}

async fn a_request_is_accepted_or_refused_once(test: TestDatabase) {
    let (ada, bob, eve) = (
        test.user("ada").await,
        test.user("bob").await,
        test.user("eve").await,
    );
    set_private(&test, ada, true).await;
    follow(&test, bob, ada, 0).await;
    follow(&test, eve, ada, 0).await;
    let mut transaction = write(&test).await;
    for (was, is) in [(true, true), (false, false)] {
        let accepted = follows::accept(&test.db, &mut transaction, ada, bob, at(1)).await;
        assert_eq!(accepted.unwrap(), was);
        let refused = follows::refuse(&mut transaction, ada, eve).await;
        assert_eq!(refused.unwrap(), is);
    }
    // What was accepted is not refused any more.
    let refused = follows::refuse(&mut transaction, ada, bob).await;
    assert!(!refused.unwrap());
    transaction.commit().await.unwrap();
    assert_eq!(between(&test, bob, ada).await.follows, Following::Yes);
    assert_eq!(between(&test, eve, ada).await.follows, Following::No);
}

async fn nobody_follows_who_is_not_there(test: TestDatabase) {
    let (ada, bob, eve) = (
        test.user("ada").await,
        test.user("bob").await,
        test.user("eve").await,
    );
    let mut transaction = write(&test).await;
    let told = users::suspend(&test.db, &mut transaction, bob, at(0)).await;
    assert!(!told.unwrap().is_empty());
    let told = users::delete(&test.db, &mut transaction, eve, at(0)).await;
    assert!(!told.unwrap().is_empty());
    for nobody in [bob, eve, ada, UserId::new()] {
        let followed = follows::follow(&test.db, &mut transaction, ada, nobody, at(0)).await;
        assert!(matches!(followed, Err(RowError::NotFound(Entity::User))));
    }
    let oneself = blocks::block(&test.db, &mut transaction, ada, ada, at(0)).await;
    assert!(matches!(oneself, Err(RowError::NotFound(Entity::User))));
    let oneself = mutes::mute(&mut transaction, ada, ada, at(0)).await;
    assert!(matches!(oneself, Err(RowError::NotFound(Entity::User))));
    let nobody = mutes::mute(&mut transaction, ada, UserId::new(), at(0)).await;
    assert!(matches!(nobody, Err(RowError::NotFound(Entity::User))));
    drop(transaction);
    let mut transaction = write(&test).await;
    let nobody = blocks::block(&test.db, &mut transaction, ada, UserId::new(), at(0)).await;
    assert!(matches!(nobody, Err(RowError::NotFound(Entity::User))));
}

async fn insert(test: &TestDatabase, text: String) {
    let mut transaction = write(test).await;
    let inserted = query(AssertSqlSafe(text)).execute(&mut transaction).await;
    assert!(inserted.unwrap() > 0);
    transaction.commit().await.unwrap();
}

async fn nobody_follows_without_end(test: TestDatabase) {
    let (ada, eve) = (test.user("ada").await, test.user("eve").await);
    let others: Vec<UserId> = (0..follows::FOLLOWED_AT_MOST)
        .map(|_| UserId::new())
        .collect();
    let row = |id: &UserId| format!("('{id}', 'u-{id}', '{id}@example.org', '', 0)");
    let rows: Vec<String> = others.iter().map(row).collect();
    let columns = "id, name, email, password_hash, created_at";
    let rows = rows.join(", ");
    insert(
        &test,
        format!("INSERT INTO users ({columns}) VALUES {rows}"),
    )
    .await;
    let row = |id: &UserId| format!("('{ada}', '{id}', 0, 0)");
    let rows: Vec<String> = others[1..].iter().map(row).collect();
    let columns = "follower_id, followed_id, created_at, accepted_at";
    let rows = rows.join(", ");
    insert(
        &test,
        format!("INSERT INTO follows ({columns}) VALUES {rows}"),
    )
    .await;
    assert_eq!(follow(&test, ada, others[0], 1).await, Following::Yes);
    let mut transaction = write(&test).await;
    let refused = follows::follow(&test.db, &mut transaction, ada, eve, at(2)).await;
    assert!(matches!(refused, Err(RowError::TooMany { .. })));
    drop(transaction);
    // Whom one follows already, one may follow.
    assert_eq!(follow(&test, ada, others[0], 3).await, Following::Yes);
}

async fn a_block_ends_follows_both_ways_and_lets_none_begin(test: TestDatabase) {
    let (ada, bob, eve) = (
        test.user("ada").await,
        test.user("bob").await,
        test.user("eve").await,
    );
    set_private(&test, bob, true).await;
    follow(&test, ada, bob, 0).await;
    follow(&test, bob, ada, 0).await;
    follow(&test, eve, ada, 0).await;
    assert!(block(&test, ada, bob).await);
    assert!(!block(&test, ada, bob).await);
    let seen = between(&test, ada, bob).await;
    assert_eq!((seen.follows, seen.followed_by), (Following::No, false));
    assert!(seen.blocks && !seen.blocked_by);
    assert!(between(&test, bob, ada).await.blocked_by);
    assert_eq!(between(&test, eve, ada).await.follows, Following::Yes);
    for (one, other) in [(ada, bob), (bob, ada)] {
        let mut transaction = write(&test).await;
        let followed = follows::follow(&test.db, &mut transaction, one, other, at(1)).await;
        assert_eq!(followed.unwrap(), None);
    }
    let blocked = async |blocker| {
        let page = blocks::of_user(&test.db, blocker, None, 10).await;
        people_of(&page.unwrap())
    };
    assert_eq!(blocked(ada).await, [bob]);
    assert_eq!(blocked(bob).await, []);
    let mut transaction = write(&test).await;
    for was in [true, false] {
        let ended = blocks::unblock(&mut transaction, ada, bob).await;
        assert_eq!(ended.unwrap(), was);
    }
    transaction.commit().await.unwrap();
    assert_eq!(follow(&test, ada, bob, 2).await, Following::Requested);
}

async fn a_block_and_a_follow_at_once_never_both_stay(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let other = test.another_handle().await;
    for _ in 0..10 {
        let followed = async {
            let mut transaction = other.write().await.unwrap();
            let followed = follows::follow(&other, &mut transaction, bob, ada, at(0)).await;
            followed.unwrap();
            transaction.commit().await.unwrap();
        };
        tokio::join!(block(&test, ada, bob), followed);
        let seen = between(&test, bob, ada).await;
        assert!(seen.blocked_by);
        assert_eq!(seen.follows, Following::No);
        let mut transaction = write(&test).await;
        blocks::unblock(&mut transaction, ada, bob).await.unwrap();
        transaction.commit().await.unwrap();
    }
}

async fn mutes_are_made_and_ended(test: TestDatabase) {
    let ada = test.user("ada").await;
    let mut muted = Vec::new();
    for name in ["b", "c", "d"] {
        let user = test.user(name).await;
        let mut transaction = write(&test).await;
        for is_new in [true, false] {
            let made = mutes::mute(&mut transaction, ada, user, at(0)).await;
            assert_eq!(made.unwrap(), is_new);
        }
        transaction.commit().await.unwrap();
        muted.insert(0, user);
    }
    assert!(between(&test, ada, muted[0]).await.mutes);
    assert!(!between(&test, muted[0], ada).await.mutes);
    let page = async |after| {
        let page = mutes::of_user(&test.db, ada, after, 2).await;
        people_of(&page.unwrap())
    };
    assert_eq!(page(None).await, muted[..2]);
    assert_eq!(page(Some(muted[1])).await, muted[2..]);
    let mut transaction = write(&test).await;
    for was in [true, false] {
        let ended = mutes::unmute(&mut transaction, ada, muted[0]).await;
        assert_eq!(ended.unwrap(), was);
    }
    transaction.commit().await.unwrap();
    assert_eq!(page(None).await, muted[1..]);
}

async fn what_is_between_many_is_told_at_once(test: TestDatabase) {
    let (ada, bob, eve) = (
        test.user("ada").await,
        test.user("bob").await,
        test.user("eve").await,
    );
    set_private(&test, eve, true).await;
    for (one, other) in [(ada, bob), (bob, ada), (bob, eve), (eve, bob)] {
        follow(&test, one, other, 0).await;
    }
    let mut found = relations::between(&test.db, bob, &[eve, ada])
        .await
        .unwrap();
    found.sort_by_key(|relation| relation.user);
    let plain = |user, follows| Relation {
        user,
        follows,
        followed_by: true,
        blocks: false,
        blocked_by: false,
        mutes: false,
    };
    let expected = [plain(ada, Following::Yes), plain(eve, Following::Requested)];
    assert_eq!(found, expected);
    let counts = async |at_most| {
        let counts = follows::counts(&test.db, &[eve, bob, ada], at_most).await;
        let mut counts = counts.unwrap();
        counts.sort_by_key(|counts| counts.user);
        counts
    };
    let count = |user, followers, following| FollowCounts {
        user,
        followers,
        following,
    };
    for (at_most, of_bob) in [(u32::MAX, 2), (2, 2), (1, 1)] {
        assert_eq!(
            counts(at_most).await,
            [count(ada, 1, 1), count(bob, of_bob, 1), count(eve, 0, 1)]
        );
    }
}
