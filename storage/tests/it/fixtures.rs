//! A database in a folder of its own, and what most tests put into it.

use media::{StreamId, Timestamp, UserId};
use storage::Database;
use storage::rows::streams::{NewStream, TakeoverPolicy};
use storage::rows::{IfMissing, streams, users};
use tempfile::TempDir;

pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

pub(crate) struct TestDatabase {
    pub(crate) db: Database,
    pub(crate) url: String,
    _directory: TempDir,
}

impl TestDatabase {
    /// A file without a schema.
    pub(crate) async fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("nova.db").display());
        let db = Database::open(&url, IfMissing::Create).await.unwrap();
        Self {
            db,
            url,
            _directory: directory,
        }
    }

    /// A file with the schema.
    pub(crate) async fn new() -> Self {
        let this = Self::empty().await;
        this.db.migrate().await.unwrap();
        this
    }

    /// A second handle on the same file, as another process has.
    pub(crate) async fn another_handle(&self) -> Database {
        Database::open(&self.url, IfMissing::Fail).await.unwrap()
    }

    pub(crate) async fn user(&self, name: &str) -> UserId {
        let user = users::NewUser {
            name,
            email: &format!("{name}@example.org"),
            password_hash: "$argon2id$",
            is_admin: false,
        };
        users::create(&self.db, user, NOW).await.unwrap().id
    }

    /// A stream of a user `owner-of-{name}`, with the key `key-of-{name}`.
    pub(crate) async fn stream(&self, name: &str) -> StreamId {
        let stream = NewStream {
            owner: self.user(&format!("owner-of-{name}")).await,
            name: &name.parse().unwrap(),
            takeover: TakeoverPolicy::Takeover,
        };
        let key = format!("key-of-{name}").parse().unwrap();
        let created = streams::create(&self.db, stream, &key, NOW).await;
        created.unwrap().id
    }
}
