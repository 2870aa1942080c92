//! Posts: edited, by their authors alone, and what they said before.

use media::{PostId, UserId};
use storage::rows::Entity;
use storage::rows::posts::{self, EDITS_AT_MOST, Edit, Edited, NewPost};
use storage::{Database, RowError};

use crate::fixtures::TestDatabase;
use crate::people::block;
use crate::posts::{create, delete, find, new, post, share};
use crate::users::at;

on_both_engines! {
    an_edit_keeps_what_was_said,
    an_edit_of_a_revision_that_is_not_the_last_is_refused,
    of_two_edits_at_once_one_is_refused,
    only_the_author_edits_and_not_without_end,
}

pub(crate) async fn try_edit(
    db: &Database,
    author: UserId,
    edit: &Edit<'_>,
    now: i64,
) -> Result<Edited, RowError> {
    let mut transaction = db.write().await?;
    let edited = posts::edit(db, &mut transaction, author, edit, at(now)).await?;
    transaction.commit().await?;
    Ok(edited)
}

pub(crate) fn says(post: PostId, seen: u64, body: &str) -> Edit<'_> {
    Edit {
        post,
        seen,
        body,
        mentions: &[],
        hashtags: &[],
    }
}

pub(crate) async fn edit(test: &TestDatabase, author: UserId, edit: &Edit<'_>, now: i64) {
    let edited = try_edit(&test.db, author, edit, now).await.unwrap();
    assert!(matches!(edited, Edited::Done(_)));
}

async fn an_edit_keeps_what_was_said(test: TestDatabase) {
    let (ada, bob, eve) = (
        test.user("ada").await,
        test.user("bob").await,
        test.user("eve").await,
    );
    let before = ["old".to_owned(), "both".to_owned()];
    let after = ["both".to_owned(), "new".to_owned()];
    let first = NewPost {
        body: "one",
        mentions: &[bob],
        hashtags: &before,
        ..new(ada)
    };
    let id = create(&test, &first).await.id;
    let second = Edit {
        mentions: &[eve],
        hashtags: &after,
        ..says(id, 0, "two")
    };
    let Edited::Done(row) = try_edit(&test.db, ada, &second, 7).await.unwrap() else {
        panic!("refused");
    };
    assert_eq!(find(&test, id, None).await, Some(row.clone()));
    assert_eq!((row.body.as_str(), row.revision), ("two", 1));
    assert_eq!((row.created_at, row.edited_at), (at(0), Some(at(7))));
    let mentions = posts::mentions_of(&test.db, &[id]).await.unwrap();
    assert_eq!(mentions, [(id, eve)]);
    let hashtags = posts::hashtags_of(&test.db, &[id]).await.unwrap();
    assert_eq!(hashtags, after.map(|tag| (id, tag)));
    edit(&test, ada, &says(id, 1, "three"), 9).await;
    let page = async |before, limit| {
        let page = posts::revisions(&test.db, id, Some(bob), before, limit).await;
        let page: Vec<_> = page
            .unwrap()
            .into_iter()
            .map(|row| (row.number, row.body, row.created_at))
            .collect();
        page
    };
    let expected = [(1, "two".to_owned(), at(7)), (0, "one".to_owned(), at(0))];
    assert_eq!(page(None, 9).await, expected);
    assert_eq!(page(None, 1).await, expected[..1]);
    assert_eq!(page(Some(1), 9).await, expected[1..]);
    block(&test, ada, bob).await;
    assert_eq!(page(None, 9).await, []);
}

async fn an_edit_of_a_revision_that_is_not_the_last_is_refused(test: TestDatabase) {
    let ada = test.user("ada").await;
    let id = post(&test, ada).await;
    edit(&test, ada, &says(id, 0, "one"), 1).await;
    for seen in [0, 2] {
        let refused = try_edit(&test.db, ada, &says(id, seen, "two"), 2).await;
        let Edited::Overtaken { by } = refused.unwrap() else {
            panic!("not refused");
        };
        assert_eq!((by.revision, by.body.as_str()), (1, "one"));
    }
    let row = find(&test, id, None).await.unwrap();
    assert_eq!((row.revision, row.edited_at), (1, Some(at(1))));
    let revisions = posts::revisions(&test.db, id, None, None, 9).await;
    assert_eq!(revisions.unwrap().len(), 1);
}

async fn of_two_edits_at_once_one_is_refused(test: TestDatabase) {
    let ada = test.user("ada").await;
    let id = post(&test, ada).await;
    let other = test.another_handle().await;
    for seen in 0..10 {
        let (here, there) = (says(id, seen, "here"), says(id, seen, "there"));
        let (here, there) = tokio::join!(
            try_edit(&test.db, ada, &here, 1),
            try_edit(&other, ada, &there, 1)
        );
        match (here.unwrap(), there.unwrap()) {
            (Edited::Done(row), Edited::Overtaken { by })
            | (Edited::Overtaken { by }, Edited::Done(row)) => assert_eq!(row, by),
            other => panic!("{other:?}"),
        }
    }
}

async fn only_the_author_edits_and_not_without_end(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let id = post(&test, ada).await;
    let shared = share(&test, bob, id).await.id;
    let gone = post(&test, ada).await;
    assert!(delete(&test, gone, Some(ada)).await);
    for (author, post) in [(bob, id), (bob, shared), (ada, gone), (ada, PostId::new())] {
        let refused = try_edit(&test.db, author, &says(post, 0, "mine"), 1).await;
        assert!(matches!(refused, Err(RowError::NotFound(Entity::Post))));
    }
    for seen in 0..EDITS_AT_MOST {
        edit(&test, ada, &says(id, seen, "again"), 1).await;
    }
    let refused = try_edit(&test.db, ada, &says(id, EDITS_AT_MOST, "again"), 1).await;
    assert_eq!(refused.unwrap(), Edited::TooOften);
}
