//! No query that gives posts to somebody has to read a whole table, or to sort a page: there is
//! a plan of each text without that. Which one PostgreSQL takes, the rows decide.

use media::UserId;
use uuid::Uuid;

use super::super::likes::LIKERS;
use super::super::sql::{AssertSqlSafe, Bind, Engine, Value, query};
use super::super::{Database, IfMissing};
use super::{pages, uuids};

/// Every text, with what it binds to `$2` and `$3`.
fn pages() -> Vec<(&'static str, Value, Value)> {
    let id = || Uuid::now_v7().value();
    vec![
        (pages::OF_AUTHOR, id(), id()),
        (pages::OF_AUTHOR_WITH_COMMENTS, id(), id()),
        (pages::THREAD, id(), id()),
        (pages::COMMENTS, id(), id()),
        (pages::QUOTES, id(), id()),
        (pages::WITH_HASHTAG, "rust".value(), id()),
        (pages::REVISIONS, id(), 7_i64.value()),
        (LIKERS, id(), id()),
    ]
}

/// The plan of a text with these values, a line each.
pub(in crate::rows) async fn plan(db: &Database, text: &str, values: Vec<Value>) -> Vec<String> {
    let mut transaction = db.write().await.unwrap();
    let (explain, column) = match db.engine() {
        Engine::Sqlite => ("EXPLAIN QUERY PLAN ", "detail"),
        Engine::Postgres => {
            // Tables are empty: without this, reading them whole is always the fastest.
            for off in [
                "SET LOCAL enable_seqscan = off",
                "SET LOCAL enable_sort = off",
                "SET LOCAL enable_hashjoin = off",
                "SET LOCAL enable_mergejoin = off",
            ] {
                query(off).execute(&mut transaction).await.unwrap();
            }
            ("EXPLAIN ", "QUERY PLAN")
        }
    };
    let mut query = query(AssertSqlSafe(format!("{explain}{text}")));
    for value in values {
        query = query.bind(value);
    }
    let rows = query.rows(&mut transaction).await.unwrap();
    rows.iter().map(|row| row.get(column).unwrap()).collect()
}

pub(in crate::rows) fn reads_a_whole_table(line: &str) -> bool {
    line.contains("Seq Scan")
        || line.starts_with("SCAN ") && !line.contains("json_each") && !is_looked_at(line)
}

/// What a page looks at, of which there are so many and no more.
fn is_looked_at(line: &str) -> bool {
    line == "SCAN c"
}

pub(in crate::rows) fn sorts(line: &str) -> bool {
    line.contains("Sort ") || line.contains("TEMP B-TREE")
}

async fn every_plan_is_good(db: &Database) {
    db.migrate().await.unwrap();
    let viewer = || UserId::new().value();
    for (text, second, third) in pages() {
        let plan = plan(db, text, vec![viewer(), second, third, 20_i64.value()]).await;
        let is_bad = |line: &String| reads_a_whole_table(line) || sorts(line);
        assert!(!plan.iter().any(is_bad), "{text}\n{}", plan.join("\n"));
    }
    let text = pages::by_ids_text(db.engine());
    let ids = uuids(&[media::PostId::new()]).value();
    let id = || Uuid::now_v7().value();
    for (text, second) in [(text.as_str(), ids), (pages::EMPTIED, id())] {
        let plan = plan(db, text, vec![viewer(), second]).await;
        let is_bad = |line: &String| reads_a_whole_table(line);
        assert!(!plan.iter().any(is_bad), "{text}\n{}", plan.join("\n"));
    }
}

/// A file, which goes with the folder.
pub(in crate::rows) async fn on_sqlite() -> (tempfile::TempDir, Database) {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("nova.db").display());
    let db = Database::open(&url, IfMissing::Create).await.unwrap();
    (directory, db)
}

pub(in crate::rows) async fn on_postgres() -> (peers::postgres::Database, Database) {
    let server = tokio::task::spawn_blocking(peers::postgres::database);
    let server = server.await.unwrap();
    let db = Database::open(&server.url(), IfMissing::Create)
        .await
        .unwrap();
    (server, db)
}

#[tokio::test]
async fn no_page_reads_a_whole_table_on_sqlite() {
    let (_directory, db) = on_sqlite().await;
    every_plan_is_good(&db).await;
}

#[tokio::test]
async fn no_page_reads_a_whole_table_on_postgres() {
    let (_server, db) = on_postgres().await;
    every_plan_is_good(&db).await;
}
