//! Several processes, each a run of this test binary.

use std::process::Stdio;
use std::time::Duration;

use media::{SegmentNumber, StreamId};
use storage::Database;
use storage::rows::numbering::{next_numbers, reserve_epoch, reserve_segment};
use storage::rows::{IfMissing, streams};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::fixtures::TestDatabase;

const DEADLINE: Duration = Duration::from_secs(60);

/// Runs the ignored test `name` of this module as a process of its own.
fn spawn(name: &str, url: &str, argument: &str) -> Child {
    test_process(&format!("processes::{name}"), url, argument)
        .spawn()
        .unwrap()
}

/// The ignored test `name`, with its modules, as a process of its own.
pub(crate) fn test_process(name: &str, url: &str, argument: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env("TEST_DATABASE_URL", url)
        .env("TEST_ARGUMENT", argument)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    command
}

pub(crate) fn given(variable: &str) -> String {
    std::env::var(variable).expect("run by another test")
}

#[tokio::test]
async fn three_processes_start_on_one_new_file() {
    /// Enough of them that the race for the switch to WAL happens.
    const FILES: usize = 60;
    let directory = tempfile::tempdir().unwrap();
    let url = |file: usize| {
        format!(
            "sqlite:{}",
            directory.path().join(file.to_string()).display()
        )
    };
    let mut children: Vec<_> = (0..3)
        .map(|_| {
            let mut child = spawn("child_opens_and_migrates", "", "");
            let stdin = child.stdin.take().unwrap();
            (stdin, Lines::of(&mut child), child)
        })
        .collect();
    for (_, lines, _) in &mut children {
        lines.wait_for("ready").await;
    }
    for file in 0..FILES {
        for (stdin, _, _) in &mut children {
            stdin
                .write_all(format!("{}\n", url(file)).as_bytes())
                .await
                .unwrap();
        }
        for (_, lines, _) in &mut children {
            lines.wait_for("migrated").await;
        }
    }
    let db = Database::open(&url(0), IfMissing::Fail).await.unwrap();
    assert_eq!(db.check().await.unwrap(), []);
}

#[tokio::test]
#[ignore = "a process of three_processes_start_on_one_new_file"]
async fn child_opens_and_migrates() {
    println!("\nready");
    for url in std::io::stdin().lines() {
        let db = Database::open(&url.unwrap(), IfMissing::Create)
            .await
            .unwrap();
        db.migrate().await.unwrap();
        assert_eq!(db.check().await.unwrap(), []);
        println!("migrated");
    }
}

#[tokio::test]
async fn p06_numbers_survive_kill_9() {
    let test = TestDatabase::new().await;
    let stream = test.stream("demo").await;
    let mut child = spawn("child_reserves_and_hangs", &test.url, &stream.to_string());
    let mut lines = Lines::of(&mut child);
    lines.wait_for("reserved").await;
    // Seen while the other lives, and after it was killed.
    let alive = next_numbers(&test.db, stream).await.unwrap();
    child.kill().await.unwrap();
    let killed = next_numbers(&test.another_handle().await, stream)
        .await
        .unwrap();
    assert_eq!(alive, killed);
    assert_eq!((killed.epoch.0, killed.segment.0), (1, 42));
    reserve_segment(&test.db, stream, SegmentNumber(41))
        .await
        .unwrap_err();
    reserve_segment(&test.db, stream, SegmentNumber(42))
        .await
        .unwrap();
}

#[tokio::test]
#[ignore = "a process of p06_numbers_survive_kill_9"]
async fn child_reserves_and_hangs() {
    let db = Database::open(&given("TEST_DATABASE_URL"), IfMissing::Fail)
        .await
        .unwrap();
    let stream: StreamId = given("TEST_ARGUMENT").parse().unwrap();
    reserve_epoch(&db, stream).await.unwrap();
    reserve_segment(&db, stream, SegmentNumber(41))
        .await
        .unwrap();
    println!("\nreserved");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_writer_leaves_no_lock() {
    let test = TestDatabase::new().await;
    let mut child = spawn("child_dies_in_a_transaction", &test.url, "");
    let mut lines = Lines::of(&mut child);
    lines.wait_for("writing").await;
    child.kill().await.unwrap();
    test.stream("demo").await;
    let names = streams::list(&test.db, None, 10).await.unwrap();
    assert_eq!(names.len(), 1);
}

#[tokio::test]
#[ignore = "a process of a_killed_writer_leaves_no_lock"]
async fn child_dies_in_a_transaction() {
    let pool = sqlx::sqlite::SqlitePool::connect(&given("TEST_DATABASE_URL"))
        .await
        .unwrap();
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    sqlx::query(
        "INSERT INTO users (id, name, email, password_hash, created_at)
         VALUES ('1', 'half', 'half@example.org', '', 0)",
    )
    .execute(&mut *transaction)
    .await
    .unwrap();
    println!("\nwriting");
    std::future::pending::<()>().await;
}

/// What a child prints.
pub(crate) struct Lines(tokio::io::Lines<BufReader<ChildStdout>>);

impl Lines {
    pub(crate) fn of(child: &mut Child) -> Self {
        Self(BufReader::new(child.stdout.take().unwrap()).lines())
    }

    pub(crate) async fn wait_for(&mut self, line: &str) {
        let seen = tokio::time::timeout(DEADLINE, async {
            while let Some(read) = self.0.next_line().await.unwrap() {
                if read == line {
                    return true;
                }
            }
            false
        });
        assert!(seen.await.unwrap(), "the child ended before {line:?}");
    }
}
