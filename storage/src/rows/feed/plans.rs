//! No query of feeds has to read a whole table, whatever the rows are: there is a plan of each
//! text without that. None sorts more than the heads of two pages.

use media::UserId;
use uuid::Uuid;

use super::super::Database;
use super::super::plans::{Plan, on_postgres, on_sqlite};
use super::super::sql::{Bind, Value};
use super::discover::DISCOVER;
use super::home::{BEYOND, HOME};
use super::people::people_text;
use super::trending::{TRENDING_HASHTAGS, TRENDING_POSTS, TRENDING_STREAMS};
use super::trends::{ACTIVE_POSTS, LIVE_STREAMS, USED_HASHTAGS};

async fn every_plan_is_good(db: &Database) {
    let viewer = || UserId::new().value();
    let (id, limit) = (|| Uuid::now_v7().value(), || 20_i64.value());
    let trending = || vec![viewer(), Value::BigInt(None), (-1_i64).value(), limit()];
    let of_home = vec![viewer(), id(), Uuid::nil().value(), limit()];
    let of_hashtags = vec![0_i64.value(), limit(), id(), limit()];
    for (text, values) in [
        (HOME, of_home),
        (BEYOND, vec![viewer(), limit()]),
        (DISCOVER, vec![viewer(), id(), limit()]),
        (TRENDING_POSTS, trending()),
        (TRENDING_HASHTAGS, trending()),
        (TRENDING_STREAMS, trending()),
        (ACTIVE_POSTS, vec![0_i64.value(), limit()]),
        (USED_HASHTAGS, of_hashtags),
        (LIVE_STREAMS, vec![Uuid::nil().value(), limit()]),
    ] {
        let plan = Plan::of(db, text, values).await;
        plan.must_not_read_a_whole_table();
        // Home sorts what its query makes, and nothing else.
        if text != HOME {
            plan.must_not_sort();
        }
    }
    // What it sorts is what it looks at of one post.
    let text = people_text(db.engine());
    let of_people = vec![vec![Uuid::now_v7()].value(), limit()];
    let plan = Plan::of(db, &text, of_people).await;
    plan.must_not_read_a_whole_table();
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
