//! A target that is somebody's database of an older version.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{PgPool, SqlSafeStr, SqlitePool};
use storage::rows::Fault;
use storage::rows::copy::CopyError;
use storage::rows::sql::Engine;

use super::copied;
use crate::fixtures::{LATEST, TestDatabase};

#[tokio::test]
async fn a_file_of_an_older_version_is_left_as_it_is() {
    a_target_of_an_older_version_is_left_as_it_is(TestDatabase::empty().await).await;
}

#[tokio::test]
async fn a_server_of_an_older_version_is_left_as_it_is() {
    let target = TestDatabase::empty_on_postgres().await;
    a_target_of_an_older_version_is_left_as_it_is(target).await;
}

#[tokio::test]
async fn a_target_of_this_version_without_rows_is_copied_to() {
    for target in [
        TestDatabase::empty().await,
        TestDatabase::empty_on_postgres().await,
    ] {
        let source = TestDatabase::new().await;
        source.user("source").await;
        target.db.migrate().await.unwrap();
        copied(&source, &target).await.unwrap();
        assert_eq!(target.db.check().await.unwrap(), []);
    }
}

/// What the first version made.
async fn migrate_to_the_first(test: &TestDatabase) {
    let of = |text: &'static str| {
        let (name, text) = ("accounts and streams".into(), text.into_sql_str());
        let first = Migration::new(1, name, MigrationType::Simple, text, false);
        Migrator::with_migrations(vec![first])
    };
    match test.db.engine() {
        Engine::Sqlite => {
            let pool = SqlitePool::connect(&test.url).await.unwrap();
            let first = include_str!("../../../migrations/sqlite/0001_accounts_and_streams.sql");
            of(first).run(&pool).await.unwrap();
            pool.close().await;
        }
        Engine::Postgres => {
            let pool = PgPool::connect(&test.url).await.unwrap();
            let first = include_str!("../../../migrations/postgres/0001_accounts_and_streams.sql");
            of(first).run(&pool).await.unwrap();
            pool.close().await;
        }
    }
}

async fn a_target_of_an_older_version_is_left_as_it_is(target: TestDatabase) {
    let source = TestDatabase::new().await;
    source.user("source").await;
    migrate_to_the_first(&target).await;
    let older: Vec<_> = (2..=LATEST).map(Fault::Pending).collect();
    assert_eq!(target.db.check_migrations().await.unwrap(), older);

    let error = copied(&source, &target).await.unwrap_err();
    assert!(
        matches!(error, CopyError::Target(Fault::Pending(2))),
        "{error}"
    );
    assert_eq!(target.db.check_migrations().await.unwrap(), older);

    target
        .raw(
            "INSERT INTO users (id, name, email, password_hash, is_admin, created_at)
             VALUES ('01980000-0000-7000-8000-000000000000', 'somebody', 's@example.org', '',
                     FALSE, 0)",
        )
        .await;
    let error = copied(&source, &target).await.unwrap_err();
    assert!(
        matches!(&error, CopyError::NotEmpty(table) if table == "users"),
        "{error}"
    );
    assert_eq!(target.db.check_migrations().await.unwrap(), older);
}
