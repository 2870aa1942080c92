//! Pictures of people: what nobody shows is deleted, and what is shown is not.

use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::Bytes;
use media::{Clock, ManualClock, Micros, UserId};
use storage::RowError;
use storage::objects::{MemoryStore, ObjectStore};
use storage::rows::avatars::{self, SETTLED_AFTER, SHOWN_WITHIN};
use storage::rows::jobs::{self, Attempt, Options};
use storage::rows::{leases, sql};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::children::eventually;
use crate::fixtures::TestDatabase;
use crate::users::{at, write};

on_both_engines! {
    a_picture_that_was_replaced_is_deleted,
    an_upload_that_ended_half_way_leaves_nothing,
}

struct Uploads {
    test: TestDatabase,
    objects: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    _worker: DropGuard,
}

impl Uploads {
    fn begin(test: TestDatabase) -> Self {
        let (objects, clock) = (
            Arc::new(MemoryStore::default()),
            Arc::new(ManualClock::new(at(0))),
        );
        let shutdown = CancellationToken::new();
        let (db, its_objects) = (test.db.clone(), objects.clone());
        let handler = move |attempt: Attempt| {
            let (db, objects) = (db.clone(), its_objects.clone());
            async move { avatars::settle(&db, objects.as_ref(), &attempt).await }
        };
        let options = Options {
            queue: avatars::QUEUE,
            worker: leases::this_process(),
            concurrency: NonZeroUsize::MIN,
            ttl: Micros::from_secs(30),
        };
        let runs = jobs::run(
            test.db.clone(),
            clock.clone(),
            options,
            handler,
            shutdown.clone(),
        );
        tokio::spawn(runs);
        Self {
            test,
            objects,
            clock,
            _worker: shutdown.drop_guard(),
        }
    }

    async fn put(&self, user: UserId, key: &str) {
        let mut transaction = write(&self.test).await;
        let now = self.clock.now();
        let intended = avatars::intend(&self.test.db, &mut transaction, user, key, now).await;
        intended.unwrap();
        transaction.commit().await.unwrap();
        let data = Bytes::from_static(b"x");
        self.objects.put(key, data).await.unwrap();
    }

    async fn show(&self, user: UserId, key: &str, intended: media::Timestamp) -> bool {
        let mut transaction = write(&self.test).await;
        let (db, now) = (&self.test.db, self.clock.now());
        match avatars::show(db, &mut transaction, user, key, intended, now).await {
            Ok(row) => assert_eq!(row.avatar_key.as_deref(), Some(key)),
            Err(RowError::Busy) => return false,
            Err(error) => panic!("{error}"),
        }
        transaction.commit().await.unwrap();
        true
    }

    async fn is_there(&self, key: &str) -> bool {
        self.objects.head(key).await.is_ok()
    }

    /// Waits until no job is left that is due by now.
    async fn settled(&self) {
        let now = self.clock.now();
        eventually("no job is due", async || {
            let due = sql::query(
                "SELECT 1 FROM jobs WHERE state IN ('ready', 'running') AND due_at <= $1",
            );
            !due.bind(now).exists(&self.test.db).await.unwrap()
        })
        .await;
    }
}

async fn a_picture_that_was_replaced_is_deleted(test: TestDatabase) {
    let ada = test.user("ada").await;
    let uploads = Uploads::begin(test);
    let key = |name: &str| format!("{}{name}", avatars::folder(ada));
    let (one, two) = (key("1.png"), key("2.jpg"));
    let now = uploads.clock.now();
    uploads.put(ada, &one).await;
    assert!(uploads.show(ada, &one, now).await);
    uploads.put(ada, &two).await;
    assert!(uploads.show(ada, &two, now).await);
    eventually("the first is gone", async || !uploads.is_there(&one).await).await;
    // What was intended is looked at, and stays where it is shown.
    uploads.clock.advance(SETTLED_AFTER);
    uploads.settled().await;
    assert!(uploads.is_there(&two).await);

    let mut transaction = write(&uploads.test).await;
    let now = uploads.clock.now();
    let row = avatars::remove(&uploads.test.db, &mut transaction, ada, now).await;
    assert_eq!(row.unwrap().avatar_key, None);
    transaction.commit().await.unwrap();
    eventually("the second is gone", async || !uploads.is_there(&two).await).await;
}

async fn an_upload_that_ended_half_way_leaves_nothing(test: TestDatabase) {
    let ada = test.user("ada").await;
    let uploads = Uploads::begin(test);
    let key = format!("{}1.png", avatars::folder(ada));
    let intended = uploads.clock.now();
    uploads.put(ada, &key).await;
    uploads.clock.advance(SHOWN_WITHIN);
    uploads.settled().await;
    assert!(uploads.is_there(&key).await);
    // From here on it is too late: it may be deleted at any time.
    uploads.clock.advance(Micros::from_secs(1));
    assert!(!uploads.show(ada, &key, intended).await);
    uploads.clock.advance(SETTLED_AFTER);
    eventually("it is gone", async || !uploads.is_there(&key).await).await;
}
