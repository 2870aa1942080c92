//! Child processes: this test binary, running one of its ignored tests.

use std::process::Stdio;
use std::time::Duration;

use storage::Database;
use storage::rows::IfMissing;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

const DEADLINE: Duration = Duration::from_secs(60);

/// A process. Killed when it is dropped.
pub(crate) struct TestProcess {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl TestProcess {
    /// Runs the ignored test `name`, `module::function`, on the database.
    pub(crate) fn spawn(name: &str, url: &str, argument: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--ignored", "--nocapture"])
            .env("TEST_DATABASE_URL", url)
            .env("TEST_ARGUMENT", argument)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            stdin,
            lines,
        }
    }

    /// Sends it a line.
    pub(crate) async fn tell(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.stdin.write_all(line.as_bytes()).await.unwrap();
    }

    /// The next line that it has written.
    pub(crate) async fn line(&mut self) -> String {
        let line = tokio::time::timeout(DEADLINE, self.lines.next_line());
        let line = line.await.expect("the child writes in time").unwrap();
        line.expect("the child lives")
    }

    /// Waits for a line that begins so; the rest of it.
    pub(crate) async fn wait_for(&mut self, beginning: &str) -> String {
        loop {
            if let Some(rest) = self.line().await.strip_prefix(beginning) {
                return rest.to_owned();
            }
        }
    }

    /// `kill -9`.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Stops it where it is, until [`TestProcess::go_on`].
    pub(crate) async fn stop(&self) {
        self.signal("STOP").await;
        let stat = format!("/proc/{}/stat", self.child.id().unwrap());
        eventually("the child is stopped", async || {
            let stat = std::fs::read_to_string(&stat).unwrap();
            // proc_pid_stat(5): the state follows the name, which is in parentheses.
            stat.rsplit_once(") ").unwrap().1.starts_with('T')
        })
        .await;
    }

    /// Ends a [`TestProcess::stop`].
    pub(crate) async fn go_on(&self) {
        self.signal("CONT").await;
    }

    async fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        kill.args(["-s", name, &self.child.id().unwrap().to_string()]);
        assert!(kill.status().await.unwrap().success());
    }
}

/// In a child: the database that [`TestProcess::spawn`] named.
pub(crate) async fn given_database() -> Database {
    let url = std::env::var("TEST_DATABASE_URL").expect("run by another test");
    Database::open(&url, IfMissing::Fail).await.unwrap()
}

/// In a child: the argument that [`TestProcess::spawn`] gave.
pub(crate) fn given_argument() -> String {
    std::env::var("TEST_ARGUMENT").expect("run by another test")
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    const PAUSE: Duration = Duration::from_millis(5);
    let held = tokio::time::timeout(DEADLINE, async {
        while !condition().await {
            tokio::time::sleep(PAUSE).await;
        }
    });
    assert!(held.await.is_ok(), "never: {what}");
}
