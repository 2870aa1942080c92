//! A disk that was full: what could not be written fails, and what comes after does not.

use storage::rows::sql::query;
use storage::{Database, RowError};

use crate::fixtures::TestDatabase;

async fn execute(db: &Database, statement: &'static str) -> Result<(), RowError> {
    let mut transaction = db.write().await?;
    query(statement).execute(&mut transaction).await?;
    transaction.commit().await
}

/// SQLite allows the file no page more than it has.
async fn fill(db: &Database) {
    let mut transaction = db.write().await.unwrap();
    query("PRAGMA max_page_count = 1")
        .execute(&mut transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn sqlite_is_written_again_after_its_disk_was_full() {
    let test = TestDatabase::new().await;
    let db = &test.db;
    execute(db, "CREATE TABLE things (bytes BLOB NOT NULL)")
        .await
        .unwrap();
    for _ in 0..3 {
        fill(db).await;
        let insert = "INSERT INTO things (bytes) VALUES (randomblob(1000000))";
        let refused = execute(db, insert).await.unwrap_err();
        assert!(matches!(refused, RowError::DiskFull), "{refused}");
        // By another connection, whose file may grow: there is room again.
        execute(db, insert).await.unwrap();
    }
    let (count,): (i64,) = query("SELECT COUNT(*) FROM things").one(db).await.unwrap();
    assert_eq!(count, 3);
}
