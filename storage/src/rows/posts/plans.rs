//! No query that gives posts to somebody has to read a whole table, or to sort a page: there is
//! a plan of each text without that.

use media::UserId;
use uuid::Uuid;

use super::super::Database;
use super::super::plans::{Plan, on_postgres, on_sqlite};
use super::super::sql::{Bind, Value};
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
    ]
}

async fn every_plan_is_good(db: &Database) {
    let viewer = || UserId::new().value();
    for (text, second, third) in pages() {
        let plan = Plan::of(db, text, vec![viewer(), second, third, 20_i64.value()]).await;
        plan.must_not_read_a_whole_table();
        plan.must_not_sort();
    }
    let text = pages::by_ids_text(db.engine());
    let ids = uuids(&[media::PostId::new()]).value();
    let id = || Uuid::now_v7().value();
    for (text, second) in [(text.as_str(), ids), (pages::EMPTIED, id())] {
        let plan = Plan::of(db, text, vec![viewer(), second]).await;
        plan.must_not_read_a_whole_table();
    }
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
