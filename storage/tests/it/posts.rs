//! Posts: written, answered, shared.

use media::{PostId, SessionId, StreamId, UserId};
use storage::rows::outbox::OutboxEvent;
use storage::rows::post_events::{PostChange, PostEvent};
use storage::rows::posts::{
    self, Created, Edited, HASHTAGS_AT_MOST, MENTIONS_AT_MOST, NewPost, PostRow, Shows, Visibility,
};
use storage::rows::{Entity, blocks, sessions, sql, streams, users};
use storage::{Database, RowError};

use crate::fixtures::TestDatabase;
use crate::people::{block, follow, set_private};
use crate::posts_edited::{edit, says, try_edit};
use crate::users::{at, write};

on_both_engines! {
    a_post_is_found_as_it_was_written,
    a_comment_has_the_root_and_the_visibility_of_its_thread,
    what_is_done_to_a_share_is_done_to_the_original,
    one_person_shares_a_post_once,
    two_shares_at_once_are_one,
    a_broadcast_is_announced_once_by_its_owner,
    a_stream_that_is_there_can_be_shown,
    nobody_answers_quotes_or_shares_what_they_may_not_see,
    mentions_and_hashtags_are_bounded_and_belong_to_who_is_there,
    the_outbox_is_told,
}

pub(crate) fn new(author: UserId) -> NewPost<'static> {
    NewPost {
        author,
        parent: None,
        quote_of: None,
        shows: Shows::Nothing,
        visibility: Visibility::Public,
        body: "Hello",
        mentions: &[],
        hashtags: &[],
    }
}

pub(crate) async fn try_create(
    db: &Database,
    new: &NewPost<'_>,
    now: i64,
) -> Result<Created, RowError> {
    let mut transaction = db.write().await?;
    let created = posts::create(db, &mut transaction, new, at(now)).await?;
    transaction.commit().await?;
    Ok(created)
}

pub(crate) async fn create(test: &TestDatabase, new: &NewPost<'_>) -> PostRow {
    let created = try_create(&test.db, new, 0).await.unwrap();
    assert!(created.is_new);
    created.post
}

pub(crate) async fn post(test: &TestDatabase, author: UserId) -> PostId {
    create(test, &new(author)).await.id
}

pub(crate) async fn comment(test: &TestDatabase, author: UserId, parent: PostId) -> PostRow {
    let new = NewPost {
        parent: Some(parent),
        ..new(author)
    };
    create(test, &new).await
}

pub(crate) async fn quote(test: &TestDatabase, author: UserId, quoted: PostId) -> PostRow {
    let new = NewPost {
        quote_of: Some(quoted),
        ..new(author)
    };
    create(test, &new).await
}

pub(crate) async fn try_share(
    db: &Database,
    user: UserId,
    post: PostId,
) -> Result<Created, RowError> {
    let mut transaction = db.write().await?;
    let shared = posts::share(db, &mut transaction, user, post, at(0)).await?;
    transaction.commit().await?;
    Ok(shared)
}

pub(crate) async fn share(test: &TestDatabase, user: UserId, post: PostId) -> PostRow {
    try_share(&test.db, user, post).await.unwrap().post
}

pub(crate) async fn delete(test: &TestDatabase, post: PostId, by: Option<UserId>) -> bool {
    let mut transaction = write(test).await;
    let deleted = posts::delete(&test.db, &mut transaction, post, by, at(5)).await;
    transaction.commit().await.unwrap();
    deleted.unwrap()
}

pub(crate) async fn find(
    test: &TestDatabase,
    post: PostId,
    viewer: Option<UserId>,
) -> Option<PostRow> {
    posts::find(&test.db, post, viewer).await.unwrap()
}

/// What the outbox was told of posts, in order.
pub(crate) async fn told(test: &TestDatabase) -> Vec<(PostChange, PostId, UserId)> {
    let events: Vec<OutboxEvent> = sql::query(
        "SELECT sequence, id, subject, key, payload, created_at FROM outbox_events
         WHERE subject LIKE 'post.%' ORDER BY sequence",
    )
    .all(&test.db)
    .await
    .unwrap();
    events
        .iter()
        .map(|event| {
            let (read, _) = PostEvent::read(&event.subject, &event.payload).unwrap();
            (read.change, read.post, read.user)
        })
        .collect()
}

fn is_not_found(result: Result<Created, RowError>, what: Entity) -> bool {
    matches!(result, Err(RowError::NotFound(entity)) if entity == what)
}

async fn a_post_is_found_as_it_was_written(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let hashtags = ["rust".to_owned(), "video".to_owned(), "rust".to_owned()];
    let new = NewPost {
        visibility: Visibility::Followers,
        body: "Hello @bob, #Rust & <b>#Video</b>",
        mentions: &[bob, bob],
        hashtags: &hashtags,
        ..new(ada)
    };
    let made = create(&test, &new).await;
    assert_eq!(find(&test, made.id, Some(ada)).await, Some(made.clone()));
    assert_eq!(made.author, Some(ada));
    assert_eq!(made.visibility, Visibility::Followers);
    assert_eq!(made.body, new.body);
    assert_eq!((made.revision, made.edited_at), (0, None));
    assert_eq!((made.created_at, made.deleted_at), (at(0), None));
    assert_eq!((made.parent, made.root), (None, None));
    assert_eq!((made.share_of, made.quote_of), (None, None));
    let mentions = posts::mentions_of(&test.db, &[made.id]).await.unwrap();
    assert_eq!(mentions, [(made.id, bob)]);
    let hashtags = posts::hashtags_of(&test.db, &[made.id]).await.unwrap();
    let expected = ["rust", "video"].map(|tag| (made.id, tag.to_owned()));
    assert_eq!(hashtags, expected);
    assert_eq!(find(&test, PostId::new(), Some(ada)).await, None);
}

async fn a_comment_has_the_root_and_the_visibility_of_its_thread(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    follow(&test, bob, ada, 0).await;
    let root = NewPost {
        visibility: Visibility::Followers,
        ..new(ada)
    };
    let root = create(&test, &root).await;
    let first = comment(&test, bob, root.id).await;
    assert_eq!((first.parent, first.root), (Some(root.id), Some(root.id)));
    assert_eq!(first.visibility, Visibility::Followers);
    let second = comment(&test, ada, first.id).await;
    assert_eq!(
        (second.parent, second.root),
        (Some(first.id), Some(root.id))
    );
    assert_eq!(second.visibility, Visibility::Followers);
    // A comment can quote too.
    let both = NewPost {
        parent: Some(second.id),
        quote_of: Some(first.id),
        ..new(bob)
    };
    let both = create(&test, &both).await;
    assert_eq!((both.root, both.quote_of), (Some(root.id), Some(first.id)));
}

async fn what_is_done_to_a_share_is_done_to_the_original(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let root = post(&test, ada).await;
    let original = comment(&test, ada, root).await.id;
    let shared = share(&test, bob, original).await;
    assert_eq!(shared.share_of, Some(original));
    assert_eq!((shared.parent, shared.body.as_str()), (None, ""));
    assert_eq!(share(&test, ada, shared.id).await.share_of, Some(original));
    assert_eq!(quote(&test, ada, shared.id).await.quote_of, Some(original));
    let answer = comment(&test, ada, shared.id).await;
    assert_eq!((answer.parent, answer.root), (Some(original), Some(root)));
}

async fn one_person_shares_a_post_once(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let (one, other) = (post(&test, ada).await, post(&test, ada).await);
    let first = try_share(&test.db, bob, one).await.unwrap();
    assert!(first.is_new);
    let again = try_share(&test.db, bob, one).await.unwrap();
    assert_eq!((again.post, again.is_new), (first.post.clone(), false));
    let shared = posts::shared_among(&test.db, bob, &[other, one]).await;
    assert_eq!(shared.unwrap(), [one]);
    let shared = posts::shared_among(&test.db, ada, &[other, one]).await;
    assert_eq!(shared.unwrap(), []);
    // What was taken back can be shared again.
    assert!(!delete(&test, first.post.id, Some(ada)).await);
    assert!(delete(&test, first.post.id, Some(bob)).await);
    assert!(!delete(&test, first.post.id, Some(bob)).await);
    assert!(try_share(&test.db, bob, one).await.unwrap().is_new);
}

async fn two_shares_at_once_are_one(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let other = test.another_handle().await;
    for _ in 0..10 {
        let original = post(&test, ada).await;
        let (here, there) = tokio::join!(
            try_share(&test.db, bob, original),
            try_share(&other, bob, original)
        );
        let (here, there) = (here.unwrap(), there.unwrap());
        assert_eq!(here.post, there.post);
        assert_ne!(here.is_new, there.is_new);
    }
}

async fn owner(test: &TestDatabase, stream: StreamId) -> UserId {
    let stream = streams::by_id(&test.db, stream).await.unwrap();
    stream.unwrap().owner
}

async fn a_broadcast_is_announced_once_by_its_owner(test: TestDatabase) {
    let stream = test.stream("garden").await;
    let ada = owner(&test, stream).await;
    let session = sessions::open_session(&test.db, stream, at(0)).await;
    let session = session.unwrap().session.id;
    let beginning = |author, session| NewPost {
        shows: Shows::Beginning(session),
        body: "Live now",
        ..new(author)
    };
    let bob = test.user("bob").await;
    for (author, session) in [(bob, session), (ada, SessionId::new())] {
        let refused = try_create(&test.db, &beginning(author, session), 0).await;
        assert!(is_not_found(refused, Entity::Parent));
    }
    let first = create(&test, &beginning(ada, session)).await;
    assert_eq!(
        (first.stream, first.live_session),
        (Some(stream), Some(session))
    );
    let mut again = beginning(ada, session);
    again.body = "Live again";
    let again = try_create(&test.db, &again, 1).await.unwrap();
    assert_eq!((again.post, again.is_new), (first.clone(), false));
    // Also after it was deleted.
    assert!(delete(&test, first.id, Some(ada)).await);
    let again = try_create(&test.db, &beginning(ada, session), 2).await;
    let again = again.unwrap();
    assert_eq!((again.post.id, again.is_new), (first.id, false));
    assert_eq!(again.post.deleted_at, Some(at(5)));
}

async fn a_stream_that_is_there_can_be_shown(test: TestDatabase) {
    let stream = test.stream("garden").await;
    let (ada, bob) = (owner(&test, stream).await, test.user("bob").await);
    let shows = |stream| NewPost {
        shows: Shows::Stream(stream),
        ..new(bob)
    };
    let made = create(&test, &shows(stream)).await;
    assert_eq!((made.stream, made.live_session), (Some(stream), None));
    let nothing = try_create(&test.db, &shows(StreamId::new()), 0).await;
    assert!(is_not_found(nothing, Entity::Stream));
    let mut transaction = write(&test).await;
    blocks::block(&test.db, &mut transaction, ada, bob, at(0))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let blocked = try_create(&test.db, &shows(stream), 0).await;
    assert!(is_not_found(blocked, Entity::Stream));
    let mut transaction = write(&test).await;
    blocks::unblock(&mut transaction, ada, bob).await.unwrap();
    let told = users::delete(&test.db, &mut transaction, ada, at(0)).await;
    assert!(!told.unwrap().is_empty());
    transaction.commit().await.unwrap();
    let gone = try_create(&test.db, &shows(stream), 0).await;
    assert!(is_not_found(gone, Entity::Stream));
}

async fn nobody_answers_quotes_or_shares_what_they_may_not_see(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let public = post(&test, ada).await;
    let private = NewPost {
        visibility: Visibility::Followers,
        ..new(ada)
    };
    let private = create(&test, &private).await.id;
    let refused = async |post| {
        let answer = NewPost {
            parent: Some(post),
            ..new(bob)
        };
        let quote = NewPost {
            quote_of: Some(post),
            ..new(bob)
        };
        for new in [answer, quote] {
            let made = try_create(&test.db, &new, 0).await;
            assert!(is_not_found(made, Entity::Post));
        }
        assert!(is_not_found(
            try_share(&test.db, bob, post).await,
            Entity::Post
        ));
    };
    refused(PostId::new()).await;
    refused(private).await;
    set_private(&test, ada, true).await;
    refused(public).await;
    follow(&test, bob, ada, 0).await;
    refused(public).await;
    set_private(&test, ada, false).await;
    follow(&test, bob, ada, 0).await;
    share(&test, bob, private).await;
    block(&test, ada, bob).await;
    refused(public).await;
    // Who is kept out writes nothing.
    let mut transaction = write(&test).await;
    let told = users::suspend(&test.db, &mut transaction, bob, at(0)).await;
    assert!(!told.unwrap().is_empty());
    transaction.commit().await.unwrap();
    assert!(is_not_found(
        try_create(&test.db, &new(bob), 0).await,
        Entity::User
    ));
    assert!(is_not_found(
        try_create(&test.db, &new(UserId::new()), 0).await,
        Entity::User
    ));
}

async fn mentions_and_hashtags_are_bounded_and_belong_to_who_is_there(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let many = vec![bob; MENTIONS_AT_MOST + 1];
    let new_one = NewPost {
        mentions: &many,
        ..new(ada)
    };
    let refused = try_create(&test.db, &new_one, 0).await;
    assert!(matches!(refused, Err(RowError::TooMany { .. })));
    let many: Vec<_> = (0..=HASHTAGS_AT_MOST).map(|n| n.to_string()).collect();
    let new_one = NewPost {
        hashtags: &many,
        ..new(ada)
    };
    let refused = try_create(&test.db, &new_one, 0).await;
    assert!(matches!(refused, Err(RowError::TooMany { .. })));
    let long = ["x".repeat(posts::HASHTAG_BYTES_AT_MOST + 1)];
    let new_one = NewPost {
        hashtags: &long,
        ..new(ada)
    };
    let refused = try_create(&test.db, &new_one, 0).await;
    assert!(matches!(refused, Err(RowError::TooLarge { .. })));
    let long = "x".repeat(posts::BODY_BYTES_AT_MOST + 1);
    let new_one = NewPost {
        body: &long,
        ..new(ada)
    };
    let refused = try_create(&test.db, &new_one, 0).await;
    assert!(matches!(refused, Err(RowError::TooLarge { .. })));

    let mut transaction = write(&test).await;
    let told = users::suspend(&test.db, &mut transaction, bob, at(0)).await;
    assert!(!told.unwrap().is_empty());
    transaction.commit().await.unwrap();
    let eve = test.user("eve").await;
    let new_one = NewPost {
        mentions: &[bob, UserId::new(), eve],
        ..new(ada)
    };
    let made = create(&test, &new_one).await.id;
    let mentions = posts::mentions_of(&test.db, &[made]).await.unwrap();
    assert_eq!(mentions, [(made, eve)]);
}

async fn the_outbox_is_told(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let id = post(&test, ada).await;
    let answer = comment(&test, bob, id).await.id;
    let shared = share(&test, bob, id).await.id;
    share(&test, bob, id).await;
    edit(&test, ada, &says(id, 0, "two"), 1).await;
    let refused = try_edit(&test.db, ada, &says(id, 0, "three"), 1).await;
    assert!(matches!(refused, Ok(Edited::Overtaken { .. })));
    assert!(delete(&test, shared, Some(bob)).await);
    let quoting = quote(&test, bob, id).await.id;
    assert!(delete(&test, quoting, Some(bob)).await);
    assert!(!delete(&test, id, Some(bob)).await);
    assert!(delete(&test, id, None).await);
    assert!(!delete(&test, id, None).await);
    let expected = [
        (PostChange::Created, id, ada),
        (PostChange::Created, answer, bob),
        (PostChange::Shared, id, bob),
        (PostChange::Edited, id, ada),
        (PostChange::Unshared, id, bob),
        (PostChange::Created, quoting, bob),
        (PostChange::Deleted, quoting, bob),
        (PostChange::Unquoted, id, bob),
        (PostChange::TakenDown, id, ada),
        (PostChange::Deleted, id, ada),
    ];
    assert_eq!(told(&test).await, expected);
    // What was refused has told nothing.
    let private = NewPost {
        parent: Some(PostId::new()),
        ..new(ada)
    };
    assert!(try_create(&test.db, &private, 0).await.is_err());
    assert_eq!(told(&test).await, expected);
}
