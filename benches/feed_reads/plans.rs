//! The plans that the engines make.

use std::collections::HashSet;
use std::error::Error;

use benches::full_scans;
use storage::rows::Database;
use storage::rows::sql::{AssertSqlSafe, Engine, Query, Statement, query};

/// Tables that grow with what people do: no page may read every row of one. What stays small, authors
/// who are pulled, trends, PostgreSQL may rather read whole.
const LARGE: [&str; 19] = [
    "blocks",
    "feed_entries",
    "follows",
    "images",
    "likes",
    "live_sessions",
    "mutes",
    "post_counts",
    "post_hashtags",
    "post_mentions",
    "post_videos",
    "posts",
    "profile_links",
    "search_posts",
    "search_streams",
    "search_users",
    "streams",
    "users",
    "videos",
];

/// Indexes that may be read whole: of all broadcasts it has those that are live.
const SMALL: [&str; 1] = ["live_sessions_open"];

/// Prints plans of statements, each text once.
#[derive(Default)]
pub(crate) struct Plans {
    printed: HashSet<String>,
}

impl Plans {
    /// Prints how the engine does what a page asks, as far as no page before has asked it; the lines
    /// where it reads a large table whole, also those of what is not printed again: with other values
    /// it may be done in another way.
    pub(crate) async fn print(
        &mut self,
        db: &Database,
        name: &str,
        asked: &[Statement],
    ) -> Result<Vec<String>, Box<dyn Error>> {
        let (explain, column) = match db.engine() {
            Engine::Sqlite => ("EXPLAIN QUERY PLAN ", "detail"),
            Engine::Postgres => ("EXPLAIN (ANALYZE, BUFFERS) ", "QUERY PLAN"),
        };
        println!("\nplan of {name}, {} statements:", asked.len());
        let mut whole = Vec::new();
        for together in asked
            .chunk_by(|one, next| one.transaction.is_some() && one.transaction == next.transaction)
        {
            let mut snapshot = db.snapshot().await?;
            for statement in together {
                // What sets something holds for what follows it, and has no plan.
                if statement.text.contains("set_config") {
                    bound(statement, "").execute(&mut snapshot).await?;
                    continue;
                }
                let rows = bound(statement, explain).rows(&mut snapshot).await?;
                let lines: Result<Vec<String>, _> =
                    rows.iter().map(|row| row.get(column)).collect();
                let lines = lines?;
                if self.printed.insert(statement.text.clone()) {
                    println!("  {}", first_words(statement));
                    lines.iter().for_each(|line| println!("    {line}"));
                }
                whole.extend(match db.engine() {
                    Engine::Sqlite => full_scans::on_sqlite(&lines, &statement.text, &LARGE),
                    Engine::Postgres => full_scans::on_postgres(&lines, &LARGE, &SMALL),
                });
            }
        }
        match whole.as_slice() {
            [] => println!("  no full scan"),
            lines => println!("  FULL SCAN: {}", lines.join("; ")),
        }
        Ok(whole)
    }
}

fn bound(statement: &Statement, before: &str) -> Query {
    let text = format!("{before}{}", statement.text);
    let values = statement.values.iter().cloned();
    values.fold(query(AssertSqlSafe(text)), Query::bind)
}

/// So that one tells from another: how it begins, and what it asks for.
fn first_words(statement: &Statement) -> String {
    let words: Vec<&str> = statement.text.split_whitespace().take(6).collect();
    let mut line = format!("{} ... {:?}", words.join(" "), statement.values);
    if let Some((end, _)) = line.char_indices().nth(160) {
        line.truncate(end);
        line.push_str("...");
    }
    line
}
