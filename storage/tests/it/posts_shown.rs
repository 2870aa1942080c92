//! What is shown of posts: emptied ones, counts, streams, names; and shares that are taken back.

use media::{PostId, UserId};
use storage::rows::outbox::OutboxEvent;
use storage::rows::post_events::PostChange;
use storage::rows::posts::{self, Edit, NewPost, Visibility};
use storage::rows::{account_export, blocks, sessions, sql, streams, users};

use crate::fixtures::TestDatabase;
use crate::people::{block, follow};
use crate::posts::{comment, create, delete, find, new, post, share, told};
use crate::posts_edited::edit;
use crate::users::{at, write};

on_both_engines! {
    an_emptied_post_is_found_by_who_sees_an_answer,
    a_share_is_taken_back_once,
    people_are_found_by_names_of_any_case,
    a_stream_is_shown_to_whom_its_owner_is,
    who_goes_live_is_told_by_the_event,
    revisions_are_exported_in_pages,
}

async fn is_emptied(test: &TestDatabase, post: PostId, viewer: Option<UserId>) -> bool {
    let found = posts::find_emptied(&test.db, post, viewer).await.unwrap();
    found.is_some()
}

async fn an_emptied_post_is_found_by_who_sees_an_answer(test: TestDatabase) {
    let (ada, bob, eve) = (
        test.user("ada").await,
        test.user("bob").await,
        test.user("eve").await,
    );
    follow(&test, bob, ada, 0).await;
    let root = create(
        &test,
        &NewPost {
            visibility: Visibility::Followers,
            ..new(ada)
        },
    )
    .await
    .id;
    let middle = comment(&test, bob, root).await.id;
    let last = comment(&test, ada, middle).await.id;
    assert!(
        !is_emptied(&test, root, Some(ada)).await,
        "it says something"
    );
    assert!(delete(&test, root, Some(ada)).await);
    assert!(delete(&test, middle, Some(bob)).await);
    for post in [root, middle] {
        for (viewer, sees) in [
            (Some(ada), true),
            (Some(bob), true),
            (Some(eve), false),
            (None, false),
        ] {
            assert_eq!(is_emptied(&test, post, viewer).await, sees);
        }
    }
    assert!(delete(&test, last, Some(ada)).await);
    assert!(
        !is_emptied(&test, root, Some(ada)).await,
        "nothing answers it"
    );
    let all = posts::all_by_ids(&test.db, &[root, last, PostId::new()]).await;
    assert_eq!(all.unwrap().len(), 2);
}

async fn unshare(test: &TestDatabase, user: UserId, post: PostId) -> bool {
    let mut transaction = write(test).await;
    let done = posts::unshare(&test.db, &mut transaction, user, post, at(5)).await;
    transaction.commit().await.unwrap();
    done.unwrap()
}

async fn a_share_is_taken_back_once(test: TestDatabase) {
    let (ada, bob, eve) = (
        test.user("ada").await,
        test.user("bob").await,
        test.user("eve").await,
    );
    let original = post(&test, ada).await;
    let of_bob = share(&test, bob, original).await.id;
    let of_eve = share(&test, eve, of_bob).await.id;
    assert!(!unshare(&test, ada, original).await);
    assert!(!unshare(&test, bob, PostId::new()).await);
    // Also when the original is not to be seen any more, and by any share of it.
    block(&test, ada, bob).await;
    assert!(unshare(&test, bob, original).await);
    assert!(!unshare(&test, bob, original).await);
    assert!(find(&test, of_bob, Some(eve)).await.is_none());
    assert!(unshare(&test, eve, of_eve).await);
    let unshared = told(&test).await;
    let unshared = unshared
        .iter()
        .filter(|(change, post, _)| *change == PostChange::Unshared && *post == original);
    assert_eq!(unshared.count(), 2);
}

async fn people_are_found_by_names_of_any_case(test: TestDatabase) {
    let (ada, bob) = (test.user("Ada").await, test.user("bob").await);
    test.user("eve").await;
    let names = ["aDA".to_owned(), "BOB".to_owned(), "nobody".to_owned()];
    let mut found: Vec<_> = users::by_names(&test.db, &names)
        .await
        .unwrap()
        .into_iter()
        .map(|row| row.id)
        .collect();
    found.sort();
    assert_eq!(found, [ada, bob]);
}

async fn a_stream_is_shown_to_whom_its_owner_is(test: TestDatabase) {
    let stream = test.stream("garden").await;
    let (bob, eve) = (test.user("bob").await, test.user("eve").await);
    let shown = async |viewer| {
        let mut shown = streams::shown(&test.db, &[stream], viewer).await.unwrap();
        shown.pop()
    };
    let first = shown(None).await.unwrap();
    assert_eq!((first.name.as_str(), first.is_live), ("garden", false));
    sessions::open_session(&test.db, stream, at(0))
        .await
        .unwrap();
    assert!(shown(Some(bob)).await.unwrap().is_live);
    let owner = streams::by_id(&test.db, stream).await.unwrap();
    let owner = owner.unwrap().owner;
    let mut transaction = write(&test).await;
    blocks::block(&test.db, &mut transaction, owner, bob, at(1))
        .await
        .unwrap();
    blocks::block(&test.db, &mut transaction, eve, owner, at(1))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(shown(Some(bob)).await, None);
    assert_eq!(shown(Some(eve)).await, None);
    assert!(shown(Some(owner)).await.is_some());
    let mut transaction = write(&test).await;
    let _told = users::suspend(&test.db, &mut transaction, owner, at(1))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(shown(None).await, None);
}

async fn who_goes_live_is_told_by_the_event(test: TestDatabase) {
    let stream = test.stream("garden").await;
    let session = sessions::open_session(&test.db, stream, at(0)).await;
    let session = session.unwrap().session.id;
    sessions::end_session(&test.db, session, at(1))
        .await
        .unwrap();
    let events: Vec<OutboxEvent> = sql::query(
        "SELECT sequence, id, subject, key, payload, created_at FROM outbox_events
         WHERE subject LIKE 'stream.%' ORDER BY sequence",
    )
    .all(&test.db)
    .await
    .unwrap();
    let told: Vec<_> = events
        .iter()
        .map(|event| sessions::gone_live(&event.subject, &event.payload))
        .collect();
    // Its making, its beginning and its end.
    assert_eq!(told, [None, Some((stream, session)), None]);
}

async fn revisions_are_exported_in_pages(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let posts = [post(&test, ada).await, post(&test, ada).await];
    let of_bob = post(&test, bob).await;
    for (author, post, edits) in [(ada, posts[0], 2), (ada, posts[1], 1), (bob, of_bob, 1)] {
        for seen in 0..edits {
            let change = Edit {
                post,
                seen,
                body: "another",
                mentions: &[],
                hashtags: &[],
            };
            edit(&test, author, &change, 1).await;
        }
    }
    let page = async |after| {
        let page = account_export::revisions(&test.db, ada, after, 2)
            .await
            .unwrap();
        page.iter()
            .map(|row| (row.post, row.revision.number))
            .collect::<Vec<_>>()
    };
    let first = page(None).await;
    assert_eq!(first, [(posts[0], 0), (posts[0], 1)]);
    assert_eq!(page(first.last().copied()).await, [(posts[1], 0)]);
}
