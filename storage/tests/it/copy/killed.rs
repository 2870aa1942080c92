//! A copy that is killed, again and again, comes to its end all the same.

use std::process::Stdio;
use std::time::Duration;

use storage::Database;
use storage::rows::IfMissing;
use storage::rows::copy::copy;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::generator::{Random, fill};
use super::{assert_same, options, pages_of};
use crate::fixtures::{NOW, TestDatabase};

const DEADLINE: Duration = Duration::from_secs(60);

/// Small, so that there are many points to be killed at.
const PAGE_ROWS: usize = 5;

fn spawn(from: &str, to: &str) -> Child {
    let name = "copy::killed::child_copies";
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env("TEST_COPY_FROM", from)
        .env("TEST_COPY_TO", to)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[tokio::test]
#[ignore = "a process of the tests that kill it"]
async fn child_copies() {
    let given = |name: &str| std::env::var(name).expect("run by another test");
    let from = Database::open(&given("TEST_COPY_FROM"), IfMissing::Fail).await;
    let to = Database::open(&given("TEST_COPY_TO"), IfMissing::Create).await;
    println!();
    copy(
        &from.unwrap(),
        &to.unwrap(),
        &pages_of(PAGE_ROWS),
        NOW,
        |_| println!("step"),
    )
    .await
    .unwrap();
}

/// Kills a copy after so many steps; false when it came to its end before.
async fn killed_after(steps: u64, from: &str, to: &str) -> bool {
    let mut child = spawn(from, to);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let seen = tokio::time::timeout(DEADLINE, async {
        let mut left = steps;
        while left > 0 {
            match lines.next_line().await.unwrap() {
                Some(line) if line == "step" => left -= 1,
                Some(_) => {}
                None => return false,
            }
        }
        true
    });
    let in_its_midst = seen.await.unwrap();
    child.kill().await.unwrap();
    in_its_midst
}

async fn rounds(rounds: u64, seed: u64) {
    println!("seed {seed}");
    let mut random = Random(seed);
    let one = TestDatabase::new().await;
    fill(&one.url, 15, &mut random).await;
    // The other engine's source is a copy of the first.
    let two = TestDatabase::empty_on_postgres().await;
    copy(&one.db, &two.db, &options(), NOW, |_| {})
        .await
        .unwrap();
    let mut kills = 0;
    for round in 0..rounds {
        let (from, to) = match round % 2 {
            0 => (&one, TestDatabase::empty_on_postgres().await),
            _ => (&two, TestDatabase::empty().await),
        };
        to.db.close().await;
        for _ in 0..1 + random.below(3) {
            if !killed_after(random.below(120), &from.url, &to.url).await {
                break;
            }
            kills += 1;
        }
        let to = to.another_handle().await;
        let unfinished = to.check().await.unwrap();
        match unfinished.is_empty() {
            // It came to its end.
            true => assert!(to.migrate().await.is_ok()),
            false => {
                copy(&from.db, &to, &options(), NOW, |_| {}).await.unwrap();
            }
        }
        assert_eq!(to.check().await.unwrap(), [], "round {round}");
        assert_same(&from.db, &to).await;
        to.close().await;
    }
    println!("{kills} kills in {rounds} rounds");
    assert!(kills * 2 > rounds, "only {kills} in {rounds} rounds");
}

#[tokio::test]
async fn a_copy_that_is_killed_goes_on() {
    rounds(6, 1).await;
}

#[tokio::test]
async fn long_a_copy_that_is_killed_goes_on() {
    rounds(200, std::process::id().into()).await;
}
