//! The plans that the engines make.

use std::error::Error;

use storage::rows::Database;
use storage::rows::sql::{AssertSqlSafe, Engine, query};

use crate::pages::Statement;

/// Tables of which no page may read every row.
const LARGE: [&str; 9] = [
    "users",
    "follows",
    "posts",
    "likes",
    "post_hashtags",
    "post_counts",
    "feed_entries",
    "search_posts",
    "trends",
];

/// Prints how the engine runs a statement. An error: PostgreSQL, which chooses by how many rows there
/// are, reads a large table whole. What SQLite does, the tests of `storage` see.
pub(crate) async fn print(
    db: &Database,
    name: &str,
    statement: Statement,
) -> Result<(), Box<dyn Error>> {
    let (explain, column) = match db.engine() {
        Engine::Sqlite => ("EXPLAIN QUERY PLAN ", "detail"),
        Engine::Postgres => ("EXPLAIN (ANALYZE, BUFFERS) ", "QUERY PLAN"),
    };
    let mut query = query(AssertSqlSafe(format!("{explain}{}", statement.text)));
    for value in statement.values {
        query = query.bind(value);
    }
    println!("\nplan of {name}:");
    let mut whole = Vec::new();
    for row in query.rows(&mut db.write().await?).await? {
        let line: String = row.get(column)?;
        println!("    {line}");
        if reads_whole(&line) {
            whole.push(line);
        }
    }
    match whole.is_empty() {
        true => Ok(()),
        false => Err(format!("{name} reads a large table whole: {}", whole.join("; ")).into()),
    }
}

fn reads_whole(line: &str) -> bool {
    let table = line.split_once("Seq Scan on ").map(|(_, rest)| rest);
    let table = table.and_then(|rest| rest.split(' ').next());
    table.is_some_and(|table| LARGE.contains(&table))
}
