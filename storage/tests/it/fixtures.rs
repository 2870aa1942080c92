//! A database in a folder of its own, and what most tests put into it.

use std::time::{Duration, Instant};

use media::{LoginSessionId, Micros, StreamId, Timestamp, UserId};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use storage::Database;
use storage::rows::login_sessions::{self, NewLogin};
use storage::rows::streams::{NewStream, TakeoverPolicy};
use storage::rows::{IfMissing, streams, users};
use tempfile::TempDir;

/// The last migration.
pub(crate) const LATEST: i64 = 22;

pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// Makes two tests of each `async fn name(test: TestDatabase)`: on SQLite and on
/// PostgreSQL.
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let test = $crate::fixtures::TestDatabase::new().await;
                    super::$name(test).await;
                }
            )+
        }

        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let test = $crate::fixtures::TestDatabase::on_postgres().await;
                    super::$name(test).await;
                }
            )+
        }
    };
}

pub(crate) struct TestDatabase {
    pub(crate) db: Database,
    pub(crate) url: String,
    place: Place,
}

/// What goes when the test ends.
enum Place {
    File { _directory: TempDir },
    Server(peers::postgres::Database),
}

impl TestDatabase {
    /// A file without a schema.
    pub(crate) async fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("nova.db").display());
        Self::open(
            url,
            Place::File {
                _directory: directory,
            },
        )
        .await
    }

    /// A file with the schema.
    pub(crate) async fn new() -> Self {
        let this = Self::empty().await;
        this.db.migrate().await.unwrap();
        this
    }

    /// A PostgreSQL database without a schema.
    pub(crate) async fn empty_on_postgres() -> Self {
        let database = tokio::task::spawn_blocking(peers::postgres::database);
        let database = database.await.unwrap();
        Self::open(database.url(), Place::Server(database)).await
    }

    /// A PostgreSQL database with the schema.
    pub(crate) async fn on_postgres() -> Self {
        let this = Self::empty_on_postgres().await;
        this.db.migrate().await.unwrap();
        this
    }

    async fn open(url: String, place: Place) -> Self {
        Self {
            db: Database::open(&url, IfMissing::Create).await.unwrap(),
            url,
            place,
        }
    }

    /// A second handle on the same database, as another process has.
    pub(crate) async fn another_handle(&self) -> Database {
        Database::open(&self.url, IfMissing::Fail).await.unwrap()
    }

    /// Runs a statement past the rules that [`Database`] keeps.
    pub(crate) async fn raw(&self, statement: &'static str) {
        match &self.place {
            Place::Server(database) => {
                database.sql(statement);
            }
            Place::File { .. } => {
                let options: SqliteConnectOptions = self.url.parse().unwrap();
                let pool = SqlitePool::connect_with(options.foreign_keys(false));
                let pool = pool.await.unwrap();
                sqlx::query(statement).execute(&pool).await.unwrap();
            }
        }
    }

    /// Until a transaction waits for another, on PostgreSQL.
    pub(crate) async fn until_somebody_waits(&self) {
        let Place::Server(database) = &self.place else {
            panic!("SQLite has one writer at a time");
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        let waiting = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while database.sql(waiting).trim() == "0" {
            assert!(Instant::now() < deadline, "nobody waits");
            tokio::task::yield_now().await;
        }
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

    /// A login, until 1,000 s from [`NOW`].
    pub(crate) fn new_login<'a>(
        &self,
        user: UserId,
        token: &'a [u8],
        password_hash: &'a str,
    ) -> NewLogin<'a> {
        NewLogin {
            user,
            password_hash,
            token_hash: token,
            user_agent: "Lynx",
            address: "192.0.2.1",
            expires_at: NOW + Micros::from_secs(1_000),
        }
    }

    /// `None`: refused.
    pub(crate) async fn try_login(
        &self,
        user: UserId,
        token: &[u8],
        password_hash: &str,
    ) -> Option<LoginSessionId> {
        let mut transaction = self.db.write().await.unwrap();
        let new = self.new_login(user, token, password_hash);
        let opened = login_sessions::open(&self.db, &mut transaction, new, NOW).await;
        let opened = opened.unwrap()?;
        transaction.commit().await.unwrap();
        Some(opened.id)
    }

    pub(crate) async fn login(&self, user: UserId, token: &[u8]) -> LoginSessionId {
        self.try_login(user, token, "$argon2id$").await.unwrap()
    }

    /// A stream of a user `owner-of-{name}`, with the key `key-of-{name}`.
    pub(crate) async fn stream(&self, name: &str) -> StreamId {
        let owner = self.user(&format!("owner-of-{name}")).await;
        self.stream_of(owner, name).await
    }

    /// The same of somebody who is there.
    pub(crate) async fn stream_of(&self, owner: UserId, name: &str) -> StreamId {
        let stream = NewStream {
            owner,
            name: &name.parse().unwrap(),
            takeover: TakeoverPolicy::Takeover,
        };
        let key = format!("key-of-{name}").parse().unwrap();
        let created = streams::create(&self.db, stream, &key, NOW).await;
        created.unwrap().id
    }
}
