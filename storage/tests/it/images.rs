//! Pictures and videos of posts: who has them where, and what nobody is shown any more.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use media::{ImageId, ManualClock, Micros, PostId, Timestamp, UserId, VideoId};
use storage::objects::{
    Chunks, Layer, Layered, MemoryStore, ObjectError, ObjectFuture, ObjectStore, Operation,
    PutOptions,
};
use storage::rows::erasure::{self, Step};
use storage::rows::images::{
    self, IMAGES_AT_MOST, INSERTED_WITHIN, ImageRow, MediaType, NewImage, SETTLED_AFTER, Size,
    UNPOSTED_AT_MOST, UNPOSTED_FOR,
};
use storage::rows::jobs::{self, Attempt, Options};
use storage::rows::posts::{NewPost, Shows, Visibility};
use storage::rows::videos::imports::{self, NewImport};
use storage::rows::{Entity, RowError, leases, post_videos, posts, sql, users};

use tokio_util::sync::CancellationToken;

use crate::children::eventually;
use crate::fixtures::TestDatabase;
use crate::people::set_private;
use crate::posts::{comment, create, delete, new, try_create};
use crate::users::{at, write};

on_both_engines! {
    pictures_are_on_one_post_in_their_order,
    what_cannot_be_on_a_post_is_refused,
    a_picture_of_a_deleted_post_is_gone,
    a_picture_that_is_posted_nowhere_goes_after_a_day,
    the_oldest_of_too_many_gives_way,
    what_does_not_go_keeps_no_other,
    an_upload_that_ended_half_way_leaves_nothing,
    a_picture_is_served_while_its_owner_is_there,
    caches_keep_what_is_for_everybody,
    an_erased_account_has_no_picture,
    a_post_shows_a_video_while_it_plays,
}

const OBJECT: &[u8] = b"x";

fn new_image(owner: UserId) -> NewImage<'static> {
    NewImage {
        id: ImageId::new(),
        owner,
        media_type: MediaType::Jpeg,
        width: 40,
        height: 30,
        size: 2 * OBJECT.len() as u64,
        description: "A harbour",
    }
}

async fn put(objects: &MemoryStore, id: ImageId) {
    for size in Size::ALL {
        let key = images::key(id, size, MediaType::Jpeg);
        let data = Bytes::from_static(OBJECT);
        objects.put(&key, data).await.unwrap();
    }
}

async fn try_insert(
    test: &TestDatabase,
    new: &NewImage<'_>,
    now: Timestamp,
) -> Result<ImageRow, RowError> {
    let mut transaction = write(test).await;
    let row = images::insert(&mut transaction, new, now, now).await?;
    transaction.commit().await?;
    Ok(row)
}

/// A picture with its objects.
async fn image_at(
    test: &TestDatabase,
    objects: &MemoryStore,
    owner: UserId,
    seconds: i64,
) -> ImageId {
    let new = new_image(owner);
    put(objects, new.id).await;
    try_insert(test, &new, at(seconds)).await.unwrap().id
}

async fn image(test: &TestDatabase, objects: &MemoryStore, owner: UserId) -> ImageId {
    image_at(test, objects, owner, 0).await
}

fn with<'a>(author: UserId, images: &'a [ImageId]) -> NewPost<'a> {
    NewPost {
        shows: Shows::Images(images),
        body: "",
        ..new(author)
    }
}

async fn ids_of(test: &TestDatabase, post: PostId) -> Vec<ImageId> {
    let rows = images::of_posts(&test.db, &[post]).await.unwrap();
    rows.iter().map(|row| row.id).collect()
}

async fn is_served(test: &TestDatabase, id: ImageId) -> bool {
    images::served(&test.db, id).await.unwrap().is_some()
}

async fn row(test: &TestDatabase, id: ImageId) -> Option<ImageRow> {
    images::by_ids(&test.db, &[id]).await.unwrap().pop()
}

async fn has_objects(objects: &MemoryStore, id: ImageId) -> bool {
    let page = objects.list(&images::folder(id), None).await.unwrap();
    !page.keys.is_empty()
}

async fn sweep(test: &TestDatabase, objects: &dyn ObjectStore, now: Timestamp) -> u64 {
    images::sweep(&test.db, objects, now, 100).await.unwrap()
}

async fn pictures_are_on_one_post_in_their_order(test: TestDatabase) {
    let objects = MemoryStore::default();
    let ada = test.user("ada").await;
    let mut all = Vec::new();
    for _ in 0..IMAGES_AT_MOST + 1 {
        all.push(image(&test, &objects, ada).await);
    }
    let wanted = [all[2], all[0], all[3], all[1]];
    let one = create(&test, &with(ada, &wanted)).await.id;
    let other = create(&test, &with(ada, &all[4..])).await.id;
    assert_eq!(ids_of(&test, one).await, wanted);
    let both = images::of_posts(&test.db, &[other, one]).await.unwrap();
    assert_eq!(both.len(), 5);
    let shown = &both.iter().find(|row| row.post == Some(other)).unwrap();
    assert_eq!(shown.position, Some(0));
    assert_eq!((shown.width, shown.height, shown.size), (40, 30, 2));
    assert_eq!(shown.description, "A harbour");
    let owned = images::of_owner(&test.db, ada, None, 3).await.unwrap();
    let rest = images::of_owner(&test.db, ada, Some(owned[2].id), 3).await;
    assert_eq!(owned.len() + rest.unwrap().len(), 5);
}

async fn what_cannot_be_on_a_post_is_refused(test: TestDatabase) {
    let objects = MemoryStore::default();
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let (mine, taken, his) = (
        image(&test, &objects, ada).await,
        image(&test, &objects, ada).await,
        image(&test, &objects, bob).await,
    );
    create(&test, &with(ada, &[taken])).await;
    for bad in [
        [mine, his],
        [mine, taken],
        [mine, ImageId::new()],
        [mine, mine],
    ] {
        let refused = try_create(&test.db, &with(ada, &bad), 0).await;
        assert!(
            matches!(refused, Err(RowError::NotFound(Entity::Image))),
            "{refused:?}"
        );
    }
    let many = [mine; IMAGES_AT_MOST + 1];
    let refused = try_create(&test.db, &with(ada, &many), 0).await;
    assert!(
        matches!(refused, Err(RowError::TooMany { .. })),
        "{refused:?}"
    );
    // What was refused was not done.
    assert_eq!(row(&test, mine).await.unwrap().post, None);
    create(&test, &with(ada, &[mine])).await;
}

async fn a_picture_of_a_deleted_post_is_gone(test: TestDatabase) {
    let objects = MemoryStore::default();
    let ada = test.user("ada").await;
    let (gone, kept) = (
        image(&test, &objects, ada).await,
        image(&test, &objects, ada).await,
    );
    let post = create(&test, &with(ada, &[gone])).await.id;
    create(&test, &with(ada, &[kept])).await;
    assert!(is_served(&test, gone).await);
    // By right of a role, too.
    assert!(delete(&test, post, None).await);
    // At once for whoever asks, and for whoever would post it again.
    assert!(!is_served(&test, gone).await);
    assert_eq!(ids_of(&test, post).await, []);
    let refused = try_create(&test.db, &with(ada, &[gone]), 6).await;
    assert!(matches!(refused, Err(RowError::NotFound(Entity::Image))));
    assert!(has_objects(&objects, gone).await);
    assert_eq!(sweep(&test, &objects, at(10)).await, 1);
    assert!(!has_objects(&objects, gone).await);
    assert_eq!(row(&test, gone).await, None);
    assert!(is_served(&test, kept).await && has_objects(&objects, kept).await);
    assert_eq!(sweep(&test, &objects, at(10)).await, 0);
}

async fn a_picture_that_is_posted_nowhere_goes_after_a_day(test: TestDatabase) {
    let objects = MemoryStore::default();
    let ada = test.user("ada").await;
    let old = image(&test, &objects, ada).await;
    let posted = image(&test, &objects, ada).await;
    let young = image_at(&test, &objects, ada, 60).await;
    create(&test, &with(ada, &[posted])).await;
    assert_eq!(
        sweep(&test, &objects, at(0) + UNPOSTED_FOR - Micros::new(1)).await,
        0
    );
    assert_eq!(sweep(&test, &objects, at(0) + UNPOSTED_FOR).await, 1);
    assert!(!has_objects(&objects, old).await && row(&test, old).await.is_none());
    for there in [posted, young] {
        assert!(has_objects(&objects, there).await && is_served(&test, there).await);
    }
}

async fn the_oldest_of_too_many_gives_way(test: TestDatabase) {
    let objects = MemoryStore::default();
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let his = image(&test, &objects, bob).await;
    let mut all = Vec::new();
    let posted = image(&test, &objects, ada).await;
    create(&test, &with(ada, &[posted])).await;
    for _ in 0..UNPOSTED_AT_MOST {
        all.push(image(&test, &objects, ada).await);
    }
    assert_eq!(sweep(&test, &objects, at(1)).await, 0);
    all.push(image(&test, &objects, ada).await);
    assert_eq!(sweep(&test, &objects, at(1)).await, 1);
    let left = images::of_owner(&test.db, ada, None, 100).await.unwrap();
    assert_eq!(left.len() as u64, UNPOSTED_AT_MOST + 1);
    assert!(is_served(&test, posted).await && is_served(&test, his).await);
    assert!(is_served(&test, all[all.len() - 1]).await);
}

/// Refuses to delete the first folder that it is asked to.
#[derive(Debug, Default)]
struct FirstRefused(AtomicBool);

impl Layer for FirstRefused {
    fn call<'a, T: Send + 'a>(
        &'a self,
        operation: Operation,
        run: impl Fn() -> ObjectFuture<'a, T> + Send + 'a,
    ) -> ObjectFuture<'a, T> {
        let refuses = operation == Operation::DeletePrefix && !self.0.swap(true, Ordering::AcqRel);
        match refuses {
            true => Box::pin(async {
                Err(ObjectError::Denied {
                    what: "a folder".to_owned(),
                    code: "AccessDenied".to_owned(),
                })
            }),
            false => run(),
        }
    }

    fn put_stream<'a>(
        &'a self,
        layered: &'a Layered<Self>,
        key: &'a str,
        body: Chunks<io::Error>,
        options: PutOptions<'a>,
    ) -> ObjectFuture<'a, u64> {
        layered.inner().put_stream(key, body, options)
    }
}

async fn what_does_not_go_keeps_no_other(test: TestDatabase) {
    let objects = Arc::new(MemoryStore::default());
    let ada = test.user("ada").await;
    let (one, other) = (
        image(&test, &objects, ada).await,
        image(&test, &objects, ada).await,
    );
    let post = create(&test, &with(ada, &[one, other])).await.id;
    assert!(delete(&test, post, None).await);
    let (first, second) = if one < other {
        (one, other)
    } else {
        (other, one)
    };
    let failing = FirstRefused::default().around(objects.clone());
    assert!(
        images::sweep(&test.db, &*failing, at(1), 100)
            .await
            .is_err()
    );
    assert!(row(&test, first).await.is_some(), "its objects are there");
    assert!(row(&test, second).await.is_none());
    assert_eq!(sweep(&test, &*objects, at(1)).await, 1);
    assert_eq!(row(&test, first).await, None);
}

async fn an_upload_that_ended_half_way_leaves_nothing(test: TestDatabase) {
    let objects = Arc::new(MemoryStore::default());
    let ada = test.user("ada").await;
    let (lost, kept) = (new_image(ada), new_image(ada));
    for new in [&lost, &kept] {
        let mut transaction = write(&test).await;
        images::intend(&test.db, &mut transaction, new.id, at(0))
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        put(&objects, new.id).await;
        assert!(images::is_intended(&test.db, new.id).await.unwrap());
    }
    try_insert(&test, &kept, at(1)).await.unwrap();
    // From here on it is too late: it may be deleted at any time.
    let mut transaction = write(&test).await;
    let late = at(0) + INSERTED_WITHIN + Micros::new(1);
    let refused = images::insert(&mut transaction, &lost, at(0), late).await;
    assert!(matches!(refused, Err(RowError::Busy)), "{refused:?}");
    drop(transaction);
    let clock = Arc::new(ManualClock::new(at(0) + SETTLED_AFTER));
    let shutdown = CancellationToken::new();
    let _running = shutdown.clone().drop_guard();
    let (db, its_objects) = (test.db.clone(), objects.clone());
    let handler = move |attempt: Attempt| {
        let (db, objects) = (db.clone(), its_objects.clone());
        async move { images::settle(&db, objects.as_ref(), &attempt).await }
    };
    let options = Options {
        queue: images::QUEUE,
        worker: leases::this_process(),
        concurrency: NonZeroUsize::MIN,
        ttl: Micros::from_secs(30),
    };
    tokio::spawn(jobs::run(
        test.db.clone(),
        clock,
        options,
        handler,
        shutdown,
    ));
    eventually("both jobs have ended", async || {
        let one = images::is_intended(&test.db, lost.id).await.unwrap();
        !one && !images::is_intended(&test.db, kept.id).await.unwrap()
    })
    .await;
    assert!(!has_objects(&objects, lost.id).await);
    assert!(has_objects(&objects, kept.id).await);
}

async fn a_picture_is_served_while_its_owner_is_there(test: TestDatabase) {
    let objects = MemoryStore::default();
    let ada = test.user("ada").await;
    let (posted, unposted) = (
        image(&test, &objects, ada).await,
        image(&test, &objects, ada).await,
    );
    create(&test, &with(ada, &[posted])).await;
    let served = async || {
        [
            is_served(&test, posted).await,
            is_served(&test, unposted).await,
        ]
    };
    assert_eq!(served().await, [true, true]);
    assert!(!is_served(&test, ImageId::new()).await);
    let mut transaction = write(&test).await;
    let told = users::suspend(&test.db, &mut transaction, ada, at(1)).await;
    drop(told.unwrap());
    transaction.commit().await.unwrap();
    assert_eq!(served().await, [false, false]);
    // Nor is one made by whoever has begun before.
    let refused = try_insert(&test, &new_image(ada), at(1)).await;
    assert!(matches!(refused, Err(RowError::NotFound(Entity::User))));
    let mut transaction = write(&test).await;
    let told = users::unsuspend(&test.db, &mut transaction, ada, at(1)).await;
    drop(told.unwrap());
    transaction.commit().await.unwrap();
    assert_eq!(served().await, [true, true]);
    let mut transaction = write(&test).await;
    let told = users::delete(&test.db, &mut transaction, ada, at(2)).await;
    drop(told.unwrap());
    transaction.commit().await.unwrap();
    assert_eq!(served().await, [false, false]);
}

async fn caches_keep_what_is_for_everybody(test: TestDatabase) {
    let objects = MemoryStore::default();
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let is_public = async |id| {
        images::served(&test.db, id)
            .await
            .unwrap()
            .unwrap()
            .is_public
    };
    let (public, for_some) = (
        [image(&test, &objects, ada).await],
        [image(&test, &objects, ada).await],
    );
    assert!(!is_public(public[0]).await, "on no post");
    let root = create(&test, &with(ada, &public)).await.id;
    let closed = NewPost {
        visibility: Visibility::Followers,
        ..with(ada, &for_some)
    };
    create(&test, &closed).await;
    let of_comment = [image(&test, &objects, bob).await];
    let answer = NewPost {
        parent: Some(root),
        ..with(bob, &of_comment)
    };
    create(&test, &answer).await;
    assert_eq!(
        [
            is_public(public[0]).await,
            is_public(for_some[0]).await,
            is_public(of_comment[0]).await
        ],
        [true, false, true]
    );
    // A comment is for whom its thread is.
    set_private(&test, ada, true).await;
    assert!(!is_public(public[0]).await && !is_public(of_comment[0]).await);
}

async fn an_erased_account_has_no_picture(test: TestDatabase) {
    let objects = MemoryStore::default();
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let (posted, unposted) = (
        image(&test, &objects, ada).await,
        image(&test, &objects, ada).await,
    );
    let his = image(&test, &objects, bob).await;
    let post = create(&test, &with(ada, &[posted])).await.id;
    comment(&test, bob, post).await;
    let mut transaction = write(&test).await;
    let told = users::delete(&test.db, &mut transaction, ada, at(1)).await;
    drop(told.unwrap());
    transaction.commit().await.unwrap();
    let erase = async || loop {
        match erasure::step(&test.db, &objects, ada, at(2)).await.unwrap() {
            Step::Again => {}
            step => break step,
        }
    };
    assert_eq!(erase().await, Step::Waits);
    assert_eq!(sweep(&test, &objects, at(3)).await, 2);
    assert_eq!(erase().await, Step::Done);
    for gone in [posted, unposted] {
        assert!(!has_objects(&objects, gone).await);
    }
    assert!(has_objects(&objects, his).await);
    // The post holds its thread.
    assert_eq!(
        posts::all_by_ids(&test.db, &[post]).await.unwrap()[0].author,
        None
    );
}

async fn video(test: &TestDatabase, owner: UserId) -> VideoId {
    let id = VideoId::new();
    let new = NewImport {
        id,
        owner,
        title: "holiday",
        original_size: 1,
    };
    let mut transaction = write(test).await;
    imports::create(&mut transaction, new, at(0)).await.unwrap();
    transaction.commit().await.unwrap();
    id
}

async fn set_state(test: &TestDatabase, video: VideoId, state: &'static str) {
    let mut transaction = write(test).await;
    sql::query("UPDATE videos SET state = $2, duration = 2500000 WHERE id = $1")
        .bind(video)
        .bind(state)
        .execute(&mut transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
}

async fn a_post_shows_a_video_while_it_plays(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let (mine, his) = (video(&test, ada).await, video(&test, bob).await);
    let with = |video| NewPost {
        shows: Shows::Video(video),
        body: "",
        ..new(ada)
    };
    set_state(&test, his, "ready").await;
    for not_yet in [mine, his, VideoId::new()] {
        let refused = try_create(&test.db, &with(not_yet), 0).await;
        assert!(matches!(refused, Err(RowError::NotFound(Entity::Video))));
    }
    set_state(&test, mine, "ready").await;
    let (one, other) = (
        create(&test, &with(mine)).await.id,
        create(&test, &with(mine)).await.id,
    );
    let shown = async || {
        post_videos::of_posts(&test.db, &[one, other], None)
            .await
            .unwrap()
    };
    let both = shown().await;
    assert_eq!(both.len(), 2);
    assert!(
        both.iter()
            .all(|one| one.id == mine && one.title == "holiday")
    );
    assert_eq!(both[0].duration, Some(Micros::new(2_500_000)));
    assert!(delete(&test, other, Some(ada)).await);
    assert_eq!(shown().await.len(), 1);
    set_state(&test, mine, "cancelled").await;
    assert_eq!(shown().await, []);
    // It goes with its objects, and the post shows nothing.
    let mut transaction = write(&test).await;
    imports::delete(&mut transaction, mine).await.unwrap();
    transaction.commit().await.unwrap();
    assert!(posts::find(&test.db, one, None).await.unwrap().is_some());
}
