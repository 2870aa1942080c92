//! No search reads a whole table: an index of words gives positions, and the rest is looked up.

use media::UserId;

use super::super::sql::{AssertSqlSafe, Bind, Engine, Value, query};
use super::super::{Database, IfMissing};
use super::index::{
    ALL, BY_WORDS_ONLY, Index, by_window_text, for_fts5, for_tsquery, in_order_text,
};
use super::pages::{posts_text, streams_text, users_text};
use super::query::Expression;

async fn plan(
    db: &Database,
    text: &str,
    settings: &[&'static str],
    values: Vec<Value>,
) -> Vec<String> {
    let mut transaction = db.write().await.unwrap();
    for setting in settings {
        query(*setting).execute(&mut transaction).await.unwrap();
    }
    let (explain, column) = match db.engine() {
        Engine::Sqlite => ("EXPLAIN QUERY PLAN ", "detail"),
        Engine::Postgres => ("EXPLAIN ", "QUERY PLAN"),
    };
    let mut query = query(AssertSqlSafe(format!("{explain}{text}")));
    for value in values {
        query = query.bind(value);
    }
    let rows = query.rows(&mut transaction).await.unwrap();
    rows.iter().map(|row| row.get(column).unwrap()).collect()
}

fn expression() -> Expression {
    Expression {
        all: vec!["one".to_owned(), "^tw".to_owned()],
        not: Some("two".to_owned()),
    }
}

/// What an index is asked.
async fn index_plan(db: &Database, index: &Index) -> Vec<String> {
    let before = 1_000_i64.value();
    match db.engine() {
        Engine::Sqlite => {
            let values = vec![for_fts5(&expression()).value(), before, 9_i64.value()];
            plan(db, &in_order_text(index), &[], values).await
        }
        Engine::Postgres => {
            let asked = for_tsquery(&expression(), Some(":0:7"));
            let values = vec![asked.value(), before, 9_i64.value()];
            plan(db, &by_window_text(index), &[BY_WORDS_ONLY], values).await
        }
    }
}

async fn every_plan_is_good(db: &Database) {
    db.migrate().await.unwrap();
    for index in ALL {
        let lines = index_plan(db, index).await;
        let is_good = |line: &String| match db.engine() {
            // Words, and positions below, from the high end.
            Engine::Sqlite => line.contains("VIRTUAL TABLE INDEX") && line.contains('M'),
            Engine::Postgres => {
                line.contains(&format!("Bitmap Index Scan on {}_words", index.table))
            }
        };
        let is_bad = |line: &String| line.contains("Seq Scan") || line.contains("TEMP B-TREE");
        let shown = lines.join("\n");
        assert!(lines.iter().any(is_good), "{shown}");
        assert!(!lines.iter().any(is_bad), "{shown}");
    }
    // Tables are empty: without this, reading them whole is always the fastest.
    let settings: &[&'static str] = match db.engine() {
        Engine::Sqlite => &[],
        Engine::Postgres => &[
            "SET LOCAL enable_seqscan = off",
            "SET LOCAL enable_hashjoin = off",
            "SET LOCAL enable_mergejoin = off",
        ],
    };
    for text in [
        posts_text(db.engine()),
        users_text(db.engine()),
        streams_text(db.engine()),
    ] {
        let values = vec![UserId::new().value(), vec![1_i64, 2].value(), 7_i64.value()];
        let lines = plan(db, &text, settings, values).await;
        let is_bad = |line: &String| {
            line.contains("Seq Scan") || line.starts_with("SCAN ") && !line.contains("json_each")
        };
        assert!(!lines.iter().any(is_bad), "{text}\n{}", lines.join("\n"));
    }
}

#[tokio::test]
async fn no_search_reads_a_whole_table_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("nova.db").display());
    let db = Database::open(&url, IfMissing::Create).await.unwrap();
    every_plan_is_good(&db).await;
}

#[tokio::test]
async fn no_search_reads_a_whole_table_on_postgres() {
    let server = tokio::task::spawn_blocking(peers::postgres::database);
    let server = server.await.unwrap();
    let db = Database::open(&server.url(), IfMissing::Create)
        .await
        .unwrap();
    every_plan_is_good(&db).await;
}
