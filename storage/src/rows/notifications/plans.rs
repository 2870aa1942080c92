//! No query of notifications has to read a whole table, whatever the rows are: there is a plan of
//! each text without that. None sorts.

use media::UserId;
use uuid::Uuid;

use super::super::Database;
use super::super::posts::plans::{on_postgres, on_sqlite, plan, reads_a_whole_table, sorts};
use super::super::sql::Bind;
use super::{PAGE, UNREAD};

/// What these make themselves, of so many rows as they say.
const MADE: [&str; 3] = ["SCAN n", "SCAN c", "SCAN CONSTANT ROW"];

async fn every_plan_is_good(db: &Database) {
    db.migrate().await.unwrap();
    let (viewer, limit) = (|| UserId::new().value(), || 20_i64.value());
    for (text, values) in [
        (PAGE, vec![viewer(), Uuid::now_v7().value(), limit()]),
        (UNREAD, vec![viewer(), limit(), limit()]),
    ] {
        let plan = plan(db, text, values).await;
        let is_bad = |line: &String| {
            reads_a_whole_table(line) && !MADE.contains(&line.as_str()) || sorts(line)
        };
        assert!(!plan.iter().any(is_bad), "{text}\n{}", plan.join("\n"));
    }
}

#[tokio::test]
async fn no_notifications_read_a_whole_table_on_sqlite() {
    let (_directory, db) = on_sqlite().await;
    every_plan_is_good(&db).await;
}

#[tokio::test]
async fn no_notifications_read_a_whole_table_on_postgres() {
    let (_server, db) = on_postgres().await;
    every_plan_is_good(&db).await;
}
