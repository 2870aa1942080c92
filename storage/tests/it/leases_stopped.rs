//! An owner that is stopped past its lease's expiry, and goes on, cannot write.

use media::{Clock, Micros, SystemClock};
use storage::RowError;
use storage::rows::leases;
use storage::rows::sql::query;

use crate::children::{TestProcess, eventually, given_database};
use crate::fixtures::TestDatabase;

/// Long enough for a first write on a busy machine.
const TTL: Micros = Micros::from_secs(3);

on_both_engines! {
    a_stopped_owner_whose_lease_was_taken_cannot_write,
    a_stopped_owner_that_believes_an_old_clock_cannot_write,
    a_stopped_owner_whose_lease_nobody_took_cannot_write,
}

async fn a_stopped_owner_whose_lease_was_taken_cannot_write(test: TestDatabase) {
    stopped_and_continued(test, true, "write").await;
}

async fn a_stopped_owner_that_believes_an_old_clock_cannot_write(test: TestDatabase) {
    stopped_and_continued(test, true, "write at the time of the first").await;
}

async fn a_stopped_owner_whose_lease_nobody_took_cannot_write(test: TestDatabase) {
    stopped_and_continued(test, false, "write").await;
}

async fn stopped_and_continued(test: TestDatabase, taken: bool, command: &str) {
    test.raw("CREATE TABLE writes (token BIGINT NOT NULL)")
        .await;
    let mut owner = TestProcess::spawn("leases_stopped::child_writes_when_told", &test.url, "");
    let token: u64 = owner.wait_for("acquired ").await.parse().unwrap();
    owner.tell("write").await;
    assert_eq!(owner.line().await, "wrote");

    owner.stop().await;
    // Its pipe has the command when it goes on.
    owner.tell(command).await;
    let db = &test.db;
    if taken {
        eventually("the lease can be had", async || {
            let now = SystemClock.now();
            let lease = leases::acquire(db, "l", "other", Micros::from_secs(600), now).await;
            lease.unwrap().is_some_and(|lease| lease.token() > token)
        })
        .await;
    } else {
        let (expires_at,): (i64,) = query("SELECT expires_at FROM leases")
            .one(db)
            .await
            .unwrap();
        eventually("the lease expires", async || {
            SystemClock.now().as_micros() >= expires_at
        })
        .await;
    }
    owner.go_on().await;
    assert_eq!(owner.line().await, "lost");
    let rows: Vec<(u64,)> = query("SELECT token FROM writes").all(db).await.unwrap();
    assert_eq!(rows, [(token,)]);
}

#[tokio::test]
#[ignore = "a process of the tests above"]
async fn child_writes_when_told() {
    let db = given_database().await;
    let lease = leases::acquire(&db, "l", "child", TTL, SystemClock.now()).await;
    let lease = lease.unwrap().unwrap();
    let mut first = None;
    println!("\nacquired {}", lease.token());
    for command in std::io::stdin().lines() {
        let now = match command.unwrap().as_str() {
            "write" => SystemClock.now(),
            _ => first.unwrap(),
        };
        first.get_or_insert(now);
        let mut transaction = db.write().await.unwrap();
        match lease.guard(&mut transaction, now).await {
            Ok(()) => {
                query("INSERT INTO writes (token) VALUES ($1)")
                    .bind(lease.token())
                    .execute(&mut transaction)
                    .await
                    .unwrap();
                transaction.commit().await.unwrap();
                println!("wrote");
            }
            Err(RowError::LeaseLost { .. }) => println!("lost"),
            Err(error) => panic!("{error}"),
        }
    }
}
