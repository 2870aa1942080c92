//! The plans that the engines make.

use std::error::Error;

use storage::rows::Database;
use storage::rows::sql::{AssertSqlSafe, Engine, Query, Statement, query};

/// Tables that are large in this world: no page may read every row of one. What is small, authors who
/// are pulled, trends, what is live, PostgreSQL may rather read whole.
const LARGE: [&str; 9] = [
    "users",
    "follows",
    "posts",
    "likes",
    "post_hashtags",
    "post_counts",
    "feed_entries",
    "search_posts",
    "search_users",
];

/// Prints how the engine does what a page asks; the lines where it reads a large table whole.
pub(crate) async fn print(
    db: &Database,
    name: &str,
    asked: &[Statement],
) -> Result<Vec<String>, Box<dyn Error>> {
    let (explain, column) = match db.engine() {
        Engine::Sqlite => ("EXPLAIN QUERY PLAN ", "detail"),
        Engine::Postgres => ("EXPLAIN (ANALYZE, BUFFERS) ", "QUERY PLAN"),
    };
    println!("\nplan of {name}:");
    let mut whole = Vec::new();
    for together in
        asked.chunk_by(|one, next| one.transaction.is_some() && one.transaction == next.transaction)
    {
        let mut snapshot = db.snapshot().await?;
        for statement in together {
            // What sets something holds for what follows it, and has no plan.
            if statement.text.contains("set_config") {
                bound(statement, "").execute(&mut snapshot).await?;
                continue;
            }
            println!("  {}", first_words(statement));
            for row in bound(statement, explain).rows(&mut snapshot).await? {
                let line: String = row.get(column)?;
                println!("    {line}");
                if reads_whole(&line, &statement.text) {
                    whole.push(line);
                }
            }
        }
    }
    match whole.as_slice() {
        [] => println!("  no full scan"),
        lines => println!("  FULL SCAN: {}", lines.join("; ")),
    }
    Ok(whole)
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

/// PostgreSQL names tables. SQLite names them as the statement does: `SCAN p` of `posts p`.
fn reads_whole(line: &str, text: &str) -> bool {
    let first_word = |rest: &str| rest.split(' ').next().unwrap_or_default().to_owned();
    if let Some((_, rest)) = line.split_once("Seq Scan on ") {
        return LARGE.contains(&first_word(rest).as_str());
    }
    let Some(rest) = line.strip_prefix("SCAN ") else {
        return false;
    };
    let name = first_word(rest);
    let words: Vec<&str> = text.split_whitespace().collect();
    let is_called_so =
        |pair: &[&str]| LARGE.contains(&pair[0]) && pair[1].trim_end_matches([')', ',']) == name;
    LARGE.contains(&name.as_str()) || words.windows(2).any(is_called_so)
}
