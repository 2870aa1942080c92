//! No query of notifications has to read a whole table, whatever the rows are: there is a plan of
//! each text without that. None sorts.

use media::UserId;
use uuid::Uuid;

use super::super::Database;
use super::super::plans::{Plan, on_postgres, on_sqlite};
use super::super::sql::Bind;
use super::{PAGE, UNREAD};

async fn every_plan_is_good(db: &Database) {
    let (viewer, limit) = (|| UserId::new().value(), || 20_i64.value());
    for (text, values) in [
        (PAGE, vec![viewer(), Uuid::now_v7().value(), limit()]),
        (UNREAD, vec![viewer(), limit(), limit()]),
    ] {
        let plan = Plan::of(db, text, values).await;
        plan.must_not_read_a_whole_table();
        plan.must_not_sort();
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
