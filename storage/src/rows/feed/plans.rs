//! No query of feeds has to read a whole table, whatever the rows are: there is a plan of each
//! text without that. None sorts more than the heads of two pages.

use media::UserId;
use uuid::Uuid;

use super::super::Database;
use super::super::posts::plans::{on_postgres, on_sqlite, plan, reads_a_whole_table, sorts};
use super::super::sql::{Bind, Value};
use super::discover::DISCOVER;
use super::home::{BEYOND, HOME};
use super::people::people_text;
use super::trending::{TRENDING_HASHTAGS, TRENDING_POSTS, TRENDING_STREAMS};
use super::trends::{ACTIVE_POSTS, LIVE_STREAMS, USED_HASHTAGS};

/// What a text makes itself, of a page's size or of so many rows as it says, and SQLite scans.
const MADE_FOR_HOME: [&str; 7] = [
    "SCAN CONSTANT ROW",
    "SCAN c",
    "SCAN s",
    "SCAN h",
    "SCAN l",
    "SCAN t",
    "SCAN n",
];

async fn every_plan_is_good(db: &Database) {
    db.migrate().await.unwrap();
    let viewer = || UserId::new().value();
    let (id, limit) = (|| Uuid::now_v7().value(), || 20_i64.value());
    let trending = || vec![viewer(), Value::BigInt(None), (-1_i64).value(), limit()];
    let of_home = vec![viewer(), id(), Uuid::nil().value(), limit()];
    let of_hashtags = vec![0_i64.value(), limit(), id(), limit()];
    for (text, values, made) in [
        (HOME, of_home, &MADE_FOR_HOME[..]),
        (BEYOND, vec![viewer(), limit()], &[]),
        (DISCOVER, vec![viewer(), id(), limit()], &[]),
        (TRENDING_POSTS, trending(), &[]),
        (TRENDING_HASHTAGS, trending(), &[]),
        (TRENDING_STREAMS, trending(), &[]),
        (ACTIVE_POSTS, vec![0_i64.value(), limit()], &["SCAN c"]),
        (USED_HASHTAGS, of_hashtags, &["SCAN n", "SCAN p"]),
        (LIVE_STREAMS, vec![Uuid::nil().value(), limit()], &[]),
    ] {
        let plan = plan(db, text, values).await;
        let is_made = |line: &String| made.contains(&line.as_str());
        // Home sorts what its query makes, and nothing else.
        let sorts_rows = |line: &String| text != HOME && sorts(line);
        let is_bad =
            |line: &String| reads_a_whole_table(line) && !is_made(line) || sorts_rows(line);
        assert!(!plan.iter().any(is_bad), "{text}\n{}", plan.join("\n"));
    }
    // What it sorts is what it looks at of one post.
    let text = people_text(db.engine());
    let of_people = vec![vec![Uuid::now_v7()].value(), limit()];
    let plan = plan(db, &text, of_people).await;
    let is_bad = |line: &String| reads_a_whole_table(line) && line != "SCAN n";
    assert!(!plan.iter().any(is_bad), "{text}\n{}", plan.join("\n"));
}

#[tokio::test]
async fn no_feed_reads_a_whole_table_on_sqlite() {
    let (_directory, db) = on_sqlite().await;
    every_plan_is_good(&db).await;
}

#[tokio::test]
async fn no_feed_reads_a_whole_table_on_postgres() {
    let (_server, db) = on_postgres().await;
    every_plan_is_good(&db).await;
}
