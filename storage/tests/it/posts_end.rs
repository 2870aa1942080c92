//! The end of posts: deleted, swept, and erased with their author.

use std::num::NonZeroUsize;

use media::{ManualClock, Micros, PostId, UserId};
use storage::objects::MemoryStore;
use storage::rows::account_export;
use storage::rows::erasure::{self, Step};
use storage::rows::jobs::{self, Attempt, Options};
use storage::rows::post_events::PostChange;
use storage::rows::posts::removal::{self, ROWS_AT_ONCE, SWEPT_AFTER, Swept};
use storage::rows::posts::{self, Edit, NewPost, Shows, Visibility};
use storage::rows::{leases, sessions, sql, streams, users};
use tokio_util::sync::CancellationToken;

use crate::children::eventually;
use crate::fixtures::TestDatabase;
use crate::likes::like;
use crate::people::{follow, set_private};
use crate::post_pages::ids;
use crate::posts::{comment, create, delete, find, new, post, quote, share, told};
use crate::posts_edited::edit;
use crate::users::{at, write};

on_both_engines! {
    a_deleted_post_is_an_empty_row,
    what_shared_and_liked_it_goes_by_a_job,
    what_is_many_goes_in_steps,
    an_empty_row_goes_when_nothing_names_it,
    an_announcement_stays_as_long_as_its_broadcast,
    what_an_account_wrote_is_erased,
    a_private_accounts_threads_stay_private,
    the_owner_is_given_posts_and_likes_in_pages,
}

async fn count(test: &TestDatabase, text: &'static str) -> i64 {
    let (count,): (i64,) = sql::query(text).one(&test.db).await.unwrap();
    count
}

/// What the row says, seen or not: author, body, what it quotes, visibility.
async fn row(test: &TestDatabase, post: PostId) -> Option<posts::PostRow> {
    sql::query("SELECT * FROM posts WHERE id = $1")
        .bind(post)
        .optional(&test.db)
        .await
        .unwrap()
}

async fn a_deleted_post_is_an_empty_row(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let quoted = post(&test, bob).await;
    let hashtags = ["rust".to_owned()];
    let one = NewPost {
        quote_of: Some(quoted),
        mentions: &[bob],
        hashtags: &hashtags,
        ..new(ada)
    };
    let one = create(&test, &one).await.id;
    let change = Edit {
        post: one,
        seen: 0,
        body: "Changed",
        mentions: &[bob],
        hashtags: &hashtags,
    };
    edit(&test, ada, &change, 1).await;
    let answer = comment(&test, bob, one).await;
    let quoting = quote(&test, bob, one).await;
    let mut transaction = write(&test).await;
    sql::query(
        "INSERT INTO images (id, owner_id, post_id, position, media_type, width, height, size,
                             description, created_at)
         VALUES ($1, $2, $3, 0, 'image/png', 1, 1, 1, '', 0)",
    )
    .bind(uuid::Uuid::now_v7())
    .bind(ada)
    .bind(one)
    .execute(&mut transaction)
    .await
    .unwrap();
    transaction.commit().await.unwrap();

    assert!(!delete(&test, one, Some(bob)).await);
    assert!(delete(&test, one, Some(ada)).await);
    assert_eq!(find(&test, one, Some(ada)).await, None);
    let empty = row(&test, one).await.unwrap();
    assert_eq!((empty.body.as_str(), empty.quote_of), ("", None));
    assert_eq!((empty.author, empty.deleted_at), (Some(ada), Some(at(5))));
    for left in [
        "SELECT COUNT(*) FROM post_revisions",
        "SELECT COUNT(*) FROM post_mentions",
        "SELECT COUNT(*) FROM post_hashtags",
        "SELECT COUNT(*) FROM images WHERE post_id IS NOT NULL",
    ] {
        assert_eq!(count(&test, left).await, 0, "{left}");
    }
    assert_eq!(count(&test, "SELECT COUNT(*) FROM images").await, 1);
    // What answers it and what quotes it stays.
    assert!(find(&test, answer.id, None).await.is_some());
    let quoting = find(&test, quoting.id, None).await.unwrap();
    assert_eq!(quoting.quote_of, Some(one));
}

async fn what_shared_and_liked_it_goes_by_a_job(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let (one, other) = (post(&test, ada).await, post(&test, ada).await);
    for post in [one, other] {
        share(&test, bob, post).await;
        assert!(like(&test, bob, post).await);
    }
    assert!(delete(&test, one, Some(ada)).await);
    let db = test.db.clone();
    let handler = move |attempt: Attempt| {
        let db = db.clone();
        async move { removal::remove(&db, &attempt).await }
    };
    let options = Options {
        queue: removal::QUEUE,
        worker: leases::this_process(),
        concurrency: NonZeroUsize::MIN,
        ttl: Micros::from_secs(30),
    };
    let shutdown = CancellationToken::new();
    let clock = std::sync::Arc::new(ManualClock::new(at(5)));
    let worker = jobs::run(test.db.clone(), clock, options, handler, shutdown.clone());
    let worker = tokio::spawn(worker);
    eventually("the job is done", async || {
        count(&test, "SELECT COUNT(*) FROM jobs WHERE state = 'done'").await == 1
    })
    .await;
    shutdown.cancel();
    worker.await.unwrap();
    let shares = "SELECT COUNT(*) FROM posts WHERE share_of_id IS NOT NULL";
    assert_eq!(count(&test, shares).await, 1);
    assert_eq!(count(&test, "SELECT COUNT(*) FROM likes").await, 1);
    let left = posts::shared_among(&test.db, bob, &[one, other]).await;
    assert_eq!(left.unwrap(), [other]);
}

async fn what_is_many_goes_in_steps(test: TestDatabase) {
    let ada = test.user("ada").await;
    let one = post(&test, ada).await;
    let mut transaction = write(&test).await;
    for n in 0..ROWS_AT_ONCE + 10 {
        let id = UserId::new();
        sql::query(
            "INSERT INTO users (id, name, email, password_hash, created_at)
             VALUES ($1, $2, $2, '', 0)",
        )
        .bind(id)
        .bind(format!("u{n}"))
        .execute(&mut transaction)
        .await
        .unwrap();
        sql::query("INSERT INTO likes (post_id, user_id, created_at) VALUES ($1, $2, 0)")
            .bind(one)
            .bind(id)
            .execute(&mut transaction)
            .await
            .unwrap();
    }
    transaction.commit().await.unwrap();
    assert_eq!(
        removal::step(&test.db, one).await.unwrap(),
        0,
        "not deleted"
    );
    assert!(delete(&test, one, Some(ada)).await);
    for deleted in [u64::from(ROWS_AT_ONCE), 10, 0] {
        assert_eq!(removal::step(&test.db, one).await.unwrap(), deleted);
    }
}

async fn sweep(test: &TestDatabase, before: Option<PostId>, limit: u32) -> Swept {
    let now = at(5) + SWEPT_AFTER;
    let swept = removal::sweep(&test.db, before, now, limit).await;
    swept.unwrap()
}

async fn an_empty_row_goes_when_nothing_names_it(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let root = post(&test, ada).await;
    let answer = comment(&test, ada, root).await.id;
    let last = comment(&test, bob, answer).await.id;
    let quoted = post(&test, ada).await;
    let quoting = quote(&test, bob, quoted).await.id;
    let liked = post(&test, ada).await;
    assert!(like(&test, bob, liked).await);
    let lonely = post(&test, ada).await;
    for post in [root, answer, quoted, liked, lonely] {
        assert!(delete(&test, post, Some(ada)).await);
    }
    let early = removal::sweep(&test.db, None, at(4) + SWEPT_AFTER, 9).await;
    let nothing = Swept {
        deleted: 0,
        next: None,
    };
    assert_eq!(early.unwrap(), nothing);
    // Two at a time, the newest first.
    let first = sweep(&test, None, 2).await;
    // What the job did not take goes too.
    let expected = Swept {
        deleted: 2,
        next: Some(liked),
    };
    assert_eq!(first, expected);
    for gone in [liked, lonely] {
        assert_eq!(row(&test, gone).await, None);
    }
    let second = sweep(&test, first.next, 2).await;
    assert_eq!((second.deleted, second.next), (0, Some(answer)));
    assert_eq!(sweep(&test, second.next, 2).await, nothing);

    assert!(delete(&test, quoting, Some(bob)).await);
    assert!(delete(&test, last, Some(bob)).await);
    // What names another goes before it, so that one round takes all.
    let all = sweep(&test, None, 9).await;
    assert_eq!((all.deleted, all.next), (5, None));
    assert_eq!(count(&test, "SELECT COUNT(*) FROM posts").await, 0);
}

async fn an_announcement_stays_as_long_as_its_broadcast(test: TestDatabase) {
    let stream = test.stream("garden").await;
    let owner = streams::by_id(&test.db, stream).await.unwrap();
    let owner = owner.unwrap().owner;
    let session = sessions::open_session(&test.db, stream, at(0)).await;
    let session = session.unwrap().session.id;
    let announced = NewPost {
        shows: Shows::Beginning(session),
        ..new(owner)
    };
    let announced = create(&test, &announced).await.id;
    assert!(delete(&test, announced, Some(owner)).await);
    assert_eq!(sweep(&test, None, 9).await.deleted, 0);
    let mut transaction = write(&test).await;
    sql::query("DELETE FROM live_sessions")
        .execute(&mut transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(sweep(&test, None, 9).await.deleted, 1);
}

async fn erase(test: &TestDatabase, user: UserId) {
    let mut transaction = write(test).await;
    let deleted = users::delete(&test.db, &mut transaction, user, at(8)).await;
    assert!(!deleted.unwrap().is_empty());
    transaction.commit().await.unwrap();
    let objects = MemoryStore::default();
    for _ in 0..10 {
        let step = erasure::step(&test.db, &objects, user, at(9)).await;
        if step.unwrap() == Step::Done {
            return;
        }
    }
    panic!("without end");
}

async fn what_an_account_wrote_is_erased(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let bobs = NewPost {
        mentions: &[ada],
        ..new(bob)
    };
    let bobs = create(&test, &bobs).await.id;
    let root = post(&test, ada).await;
    let gone = post(&test, ada).await;
    assert!(delete(&test, gone, Some(ada)).await);
    let answer = comment(&test, bob, root).await.id;
    share(&test, ada, bobs).await;
    share(&test, bob, root).await;
    let quoting = quote(&test, ada, bobs).await.id;
    assert!(like(&test, ada, bobs).await);
    assert!(like(&test, bob, root).await);
    let before = told(&test).await.len();
    erase(&test, ada).await;
    let expected = [
        (PostChange::Deleted, root, ada),
        (PostChange::Unshared, bobs, ada),
        (PostChange::Deleted, quoting, ada),
        (PostChange::Unquoted, bobs, ada),
        (PostChange::Unliked, bobs, ada),
    ];
    assert_eq!(told(&test).await[before..], expected);
    for post in [root, gone] {
        let empty = row(&test, post).await.unwrap();
        assert_eq!((empty.author, empty.body.as_str()), (None, ""));
    }
    assert_eq!(row(&test, root).await.unwrap().deleted_at, Some(at(9)));
    assert_eq!(row(&test, gone).await.unwrap().deleted_at, Some(at(5)));
    assert_eq!(count(&test, "SELECT COUNT(*) FROM post_mentions").await, 0);
    // What others did to what is gone goes by the job, as after any deletion.
    assert_eq!(count(&test, "SELECT COUNT(*) FROM likes").await, 1);
    assert_eq!(removal::step(&test.db, root).await.unwrap(), 2);
    // The thread holds, for everybody.
    let thread = posts::thread(&test.db, root, None, None, 9).await;
    assert_eq!(ids(&thread.unwrap().rows), [answer]);
    assert!(find(&test, bobs, None).await.is_some());
}

async fn a_private_accounts_threads_stay_private(test: TestDatabase) {
    let (ada, bob, eve) = (
        test.user("ada").await,
        test.user("bob").await,
        test.user("eve").await,
    );
    follow(&test, bob, ada, 0).await;
    set_private(&test, ada, true).await;
    let root = post(&test, ada).await;
    let answer = comment(&test, bob, root).await.id;
    erase(&test, ada).await;
    assert_eq!(
        row(&test, root).await.unwrap().visibility,
        Visibility::Followers
    );
    for (viewer, sees) in [(Some(bob), true), (Some(eve), false), (None, false)] {
        assert_eq!(find(&test, answer, viewer).await.is_some(), sees);
    }
}

async fn the_owner_is_given_posts_and_likes_in_pages(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let first = post(&test, ada).await;
    let bobs = post(&test, bob).await;
    let gone = post(&test, ada).await;
    assert!(delete(&test, gone, Some(ada)).await);
    let answer = comment(&test, ada, bobs).await.id;
    let shared = share(&test, ada, bobs).await.id;
    let page = account_export::posts(&test.db, ada, None, 2).await;
    assert_eq!(ids(&page.unwrap()), [first, answer]);
    let page = account_export::posts(&test.db, ada, Some(answer), 2).await;
    assert_eq!(ids(&page.unwrap()), [shared]);
    // Likes of one instant are told apart by the post.
    for post in [bobs, first, answer] {
        assert!(like(&test, ada, post).await);
    }
    let page = account_export::likes(&test.db, ada, None, 2).await.unwrap();
    assert_eq!(
        page.iter().map(|like| like.post).collect::<Vec<_>>(),
        [first, bobs]
    );
    assert_eq!(page[1].created_at, at(1));
    let page = account_export::likes(&test.db, ada, Some(page[1]), 2).await;
    let page: Vec<_> = page.unwrap().into_iter().map(|like| like.post).collect();
    assert_eq!(page, [answer]);
}
