//! Pages of follows: full, in order, without gaps or duplicates, and without those whom the
//! reader may not see.

use std::collections::BTreeSet;

use media::UserId;
use storage::rows::follows::{self, FollowCursor, FollowRow};
use storage::rows::users;

use crate::fixtures::TestDatabase;
use crate::people::{block, follow, set_private};
use crate::users::{at, write};

on_both_engines! {
    followers_come_newest_first_in_full_pages,
    requests_come_oldest_first,
    pages_have_no_gap_and_no_duplicate_while_others_write,
}

fn ids(rows: &[FollowRow]) -> Vec<UserId> {
    rows.iter().map(|row| row.user.id).collect()
}

async fn followers_come_newest_first_in_full_pages(test: TestDatabase) {
    let (ada, viewer) = (test.user("ada").await, test.user("viewer").await);
    let mut all = Vec::new();
    for n in 0..12 {
        let user = test.user(&format!("u{n}")).await;
        // Two at a time, so that the id has to decide.
        follow(&test, user, ada, n / 2).await;
        follow(&test, ada, user, n / 2).await;
        all.push((n / 2, user));
    }
    all.sort_unstable();
    let mut all: Vec<_> = all.into_iter().rev().map(|(_, user)| user).collect();
    let page = async |viewer, after| {
        let followers = follows::followers(&test.db, ada, viewer, after, 5).await;
        let followers = followers.unwrap().rows;
        let following = follows::following(&test.db, ada, viewer, after, 5).await;
        assert_eq!(following.unwrap().rows, followers);
        followers
    };
    let first = page(None, None).await;
    assert_eq!(ids(&first), all[..5]);
    let second = page(None, Some(first[4].cursor())).await;
    assert_eq!(ids(&second), all[5..10]);
    let third = page(None, Some(second[4].cursor())).await;
    assert_eq!(ids(&third), all[10..]);

    // Out of sight, in both directions, and for everybody.
    assert!(block(&test, viewer, all[1]).await);
    assert!(block(&test, all[2], viewer).await);
    let mut transaction = write(&test).await;
    let told = users::suspend(&test.db, &mut transaction, all[3], at(9)).await;
    assert!(!told.unwrap().is_empty());
    let told = users::delete(&test.db, &mut transaction, all[4], at(9)).await;
    assert!(!told.unwrap().is_empty());
    transaction.commit().await.unwrap();
    let gone = all[3..5].to_vec();
    all.retain(|user| !gone.contains(user));
    assert_eq!(ids(&page(None, None).await), all[..5]);
    all.drain(1..3);
    assert_eq!(ids(&page(Some(viewer), None).await), all[..5]);
}

async fn requests_come_oldest_first(test: TestDatabase) {
    let ada = test.user("ada").await;
    let mut all = Vec::new();
    for n in 0..6 {
        let user = test.user(&format!("u{n}")).await;
        if n == 3 {
            follow(&test, user, ada, 0).await;
            set_private(&test, ada, true).await;
        } else if n < 3 {
            set_private(&test, ada, true).await;
            follow(&test, user, ada, n / 2).await;
            all.push(user);
            set_private(&test, ada, false).await;
        } else {
            follow(&test, user, ada, n / 2).await;
            all.push(user);
        }
    }
    let page = async |after| {
        let page = follows::requests(&test.db, ada, after, 3).await;
        page.unwrap().rows
    };
    let first = page(None).await;
    assert_eq!(ids(&first), all[..3]);
    let second = page(Some(first[2].cursor())).await;
    assert_eq!(ids(&second), all[3..]);
    assert_eq!(page(Some(second[1].cursor())).await, []);
}

async fn pages_have_no_gap_and_no_duplicate_while_others_write(test: TestDatabase) {
    let (ada, viewer) = (test.user("ada").await, test.user("viewer").await);
    let mut stays = BTreeSet::new();
    for n in 0..40 {
        let user = test.user(&format!("u{n}")).await;
        follow(&test, user, ada, n).await;
        if n % 3 != 0 {
            stays.insert(user);
        }
    }
    let leaves: Vec<_> = follows::followers(&test.db, ada, None, None, 100)
        .await
        .unwrap()
        .rows
        .into_iter()
        .map(|row| row.user.id)
        .filter(|user| !stays.contains(user))
        .collect();
    let other = test.another_handle().await;
    let writer = async {
        for (n, user) in leaves.iter().enumerate() {
            let mut transaction = other.write().await.unwrap();
            follows::unfollow(&mut transaction, *user, ada)
                .await
                .unwrap();
            // Who comes back is the newest.
            let again = at(1_000 + i64::try_from(n).unwrap());
            follows::follow(&other, &mut transaction, *user, ada, again)
                .await
                .unwrap();
            transaction.commit().await.unwrap();
        }
    };
    let reader = async {
        for limit in 1..12 {
            let mut seen = Vec::new();
            let mut after: Option<FollowCursor> = None;
            loop {
                let page = follows::followers(&test.db, ada, Some(viewer), after, limit).await;
                let page = page.unwrap().rows;
                let Some(last) = page.last() else { break };
                after = Some(last.cursor());
                seen.extend(ids(&page));
            }
            let distinct: BTreeSet<_> = seen.iter().copied().collect();
            assert_eq!(distinct.len(), seen.len(), "a duplicate");
            assert!(distinct.is_superset(&stays), "a gap");
        }
    };
    tokio::join!(writer, reader);
}
