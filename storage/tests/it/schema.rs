//! Opening and migrating a SQLite file.

use std::time::Duration;

use media::Timestamp;
use sqlx::migrate::Migrate;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use storage::rows::sql::query;
use storage::rows::streams::{NewStream, TakeoverPolicy};
use storage::rows::{IfMissing, streams};
use storage::{Database, RowError};

use crate::fixtures::{NOW, TestDatabase};

/// The file without the rules that `Database` keeps.
async fn raw(test: &TestDatabase) -> SqlitePool {
    let options: SqliteConnectOptions = test.url.parse().unwrap();
    SqlitePool::connect_with(options.foreign_keys(false))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_database_that_must_exist_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("nova.db");
    let url = format!("sqlite:{}", file.display());
    let error = Database::open(&url, IfMissing::Fail).await.unwrap_err();
    assert!(matches!(error, RowError::Missing(path) if path == file));
    assert!(!file.exists());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("nova.db");
    std::fs::write(&file, "not a database ".repeat(1_000)).unwrap();
    let url = format!("sqlite:{}", file.display());
    let error = Database::open(&url, IfMissing::Create).await.unwrap_err();
    assert!(error.to_string().contains("not a database"), "{error}");
}

#[tokio::test]
async fn a_value_that_cannot_be_names_its_column() {
    let test = TestDatabase::new().await;
    test.stream("demo").await;
    sqlx::query("UPDATE streams SET owner_id = 'nobody'")
        .execute(&raw(&test).await)
        .await
        .unwrap();
    let error = streams::by_name(&test.db, &"demo".parse().unwrap())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("owner_id"), "{error}");
}

#[tokio::test]
async fn the_file_has_the_modes_we_rely_on() {
    let test = TestDatabase::new().await;
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&raw(&test).await)
        .await
        .unwrap();
    assert_eq!(mode, "wal");
    // Foreign keys are enforced: nobody owns this stream.
    let orphan = NewStream {
        owner: media::UserId::new(),
        name: &"orphan".parse().unwrap(),
        takeover: TakeoverPolicy::Takeover,
    };
    let key = "key".parse().unwrap();
    let error = streams::create(&test.db, orphan, &key, NOW)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "no such user");
}

#[tokio::test]
async fn reads_go_on_while_another_writes() {
    let test = TestDatabase::new().await;
    test.stream("demo").await;
    let pool = raw(&test).await;
    let mut writing = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    sqlx::query("UPDATE streams SET created_at = $1")
        .bind(Timestamp::default().as_micros())
        .execute(&mut *writing)
        .await
        .unwrap();
    let found = streams::by_name(&test.db, &"demo".parse().unwrap()).await;
    assert_eq!(found.unwrap().unwrap().created_at, NOW);
    test.db.ping().await.unwrap();
    writing.rollback().await.unwrap();
}

/// Long enough for a call that does not wait to fail.
const AT_ONCE: Duration = Duration::from_millis(300);

#[tokio::test]
async fn opening_waits_for_whoever_has_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("nova.db").display());
    let options: SqliteConnectOptions = url.parse().unwrap();
    let pool = SqlitePool::connect_with(options.create_if_missing(true))
        .await
        .unwrap();
    let holding = pool.begin_with("BEGIN EXCLUSIVE").await.unwrap();
    let mut opening = Box::pin(Database::open(&url, IfMissing::Create));
    let waits = tokio::time::timeout(AT_ONCE, &mut opening).await;
    assert!(waits.is_err(), "{:?}", waits.unwrap().err());
    holding.rollback().await.unwrap();
    opening.await.unwrap();
}

#[tokio::test]
async fn migrations_that_meet_take_turns() {
    let test = TestDatabase::empty().await;
    let other = test.another_handle().await;
    let pool = raw(&test).await;
    pool.acquire()
        .await
        .unwrap()
        .ensure_migrations_table("_sqlx_migrations")
        .await
        .unwrap();
    // A third writes something, so that what the two have read before is out of date.
    let mut writing = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    sqlx::query("CREATE TABLE unrelated (id BIGINT)")
        .execute(&mut *writing)
        .await
        .unwrap();
    let mut both = Box::pin(async { tokio::join!(test.db.migrate(), other.migrate()) });
    let wait = tokio::time::timeout(AT_ONCE, &mut both).await;
    assert!(wait.is_err(), "{:?}", wait.unwrap());
    writing.commit().await.unwrap();
    let (one, two) = both.await;
    one.unwrap();
    two.unwrap();
    assert_eq!(test.db.check().await.unwrap(), []);
}

/// Whoever reads the file from here on finds no database.
#[tokio::test]
async fn a_ping_reads_the_file() {
    let test = TestDatabase::empty().await;
    test.db.ping().await.unwrap();
    let other = test.another_handle().await;
    let file = test.url.strip_prefix("sqlite:").unwrap();
    std::fs::write(file, "not a database ".repeat(1_000)).unwrap();
    let error = other.ping().await.unwrap_err();
    assert!(error.to_string().contains("not a database"), "{error}");
}

/// A large index takes longer than any request may.
#[tokio::test]
async fn no_limit_of_requests_ends_a_migration() {
    let test = TestDatabase::empty_on_postgres().await;
    test.raw("CREATE TABLE seen (statement TEXT, lock TEXT, idle TEXT)")
        .await;
    test.raw(
        "CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO seen VALUES (current_setting('statement_timeout'),
                 current_setting('lock_timeout'),
                 current_setting('idle_in_transaction_session_timeout'));
         END $$",
    )
    .await;
    test.raw("CREATE EVENT TRIGGER note ON ddl_command_end EXECUTE FUNCTION note()")
        .await;
    test.db.migrate().await.unwrap();
    let seen: Vec<(String, String, String)> = query("SELECT DISTINCT * FROM seen")
        .all(&test.db)
        .await
        .unwrap();
    let none = || "0".to_owned();
    assert_eq!(seen, [(none(), none(), none())]);
    // Requests have them again.
    let (limit,): (String,) = query("SELECT current_setting('statement_timeout')")
        .one(&test.db)
        .await
        .unwrap();
    assert_eq!(limit, "1min");
}
