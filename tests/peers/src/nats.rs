//! `nats-server`: one for a test, on a free port, gone with the test.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::port::ReservedPort;

const DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// One server. Killed when it is dropped.
#[derive(Debug)]
pub struct NatsServer {
    arguments: Vec<String>,
    directory: TempDir,
    running: Option<Running>,
    /// Nobody else's while the server is down.
    port: ReservedPort,
}

/// Killed and reaped when it is dropped, also by a panic.
#[derive(Debug)]
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl NatsServer {
    /// Starts a server that anybody may use.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with these arguments, and returns when it listens.
    pub async fn start_with(arguments: &[&str]) -> Self {
        let mut server = Self {
            arguments: arguments.iter().map(ToString::to_string).collect(),
            directory: tempfile::tempdir().unwrap(),
            running: None,
            port: ReservedPort::any(),
        };
        server.run().await;
        server
    }

    /// `nats://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port.number())
    }

    /// `nats://USERINFO@127.0.0.1:PORT`.
    pub fn url_of(&self, userinfo: &str) -> String {
        format!("nats://{userinfo}@127.0.0.1:{}", self.port.number())
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Starts it again on the port it had.
    pub async fn restart(&mut self) {
        self.kill();
        self.run().await;
    }

    /// Stops it as a debugger does: it is there, and does nothing.
    pub fn pause(&self) {
        let id = self.signal(libc::SIGSTOP);
        let mut status = 0;
        // Until every thread has stopped: the signal alone promises nothing.
        // SAFETY: takes numbers, and a place for one that outlives the call.
        let stopped = unsafe { libc::waitpid(id, &raw mut status, libc::WUNTRACED) };
        assert_eq!(stopped, id);
        assert!(libc::WIFSTOPPED(status));
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(libc::SIGCONT);
    }

    /// Returns the id of the process.
    fn signal(&self, signal: libc::c_int) -> libc::pid_t {
        let id = self.running.as_ref().expect("it runs").0.id();
        let id = id.try_into().unwrap();
        // SAFETY: takes two numbers. The child is not reaped yet: the id is its own.
        let sent = unsafe { libc::kill(id, signal) };
        assert_eq!(sent, 0);
        id
    }

    /// The server writes a file with its port when it listens.
    async fn run(&mut self) {
        let deadline = Instant::now() + DEADLINE;
        let mut running = self.spawn();
        let file = self.ports_file(&running);
        let url = format!("\"{}\"", self.url());
        while !std::fs::read_to_string(&file).is_ok_and(|ports| ports.contains(&url)) {
            let ended = running.0.try_wait().unwrap();
            assert_eq!(ended, None, "nats-server has ended");
            assert!(Instant::now() < deadline, "nats-server does not start");
            tokio::time::sleep(POLL).await;
        }
        self.running = Some(running);
    }

    fn spawn(&self) -> Running {
        let child = Command::new("nats-server")
            .args(["--addr", "127.0.0.1"])
            .args(["--port", &self.port.number().to_string()])
            .arg("--ports_file_dir")
            .arg(self.directory.path())
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server is installed: scripts/setup test");
        Running(child)
    }

    fn ports_file(&self, running: &Running) -> PathBuf {
        let name = format!("nats-server_{}.ports", running.0.id());
        self.directory.path().join(name)
    }
}
