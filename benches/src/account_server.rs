//! A real `nova serve` with accounts, whose limits are in nobody's way.

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use peers::port::ReservedPort;
use tempfile::TempDir;

use crate::http_client::Client;

/// Of every account.
pub const PASSWORD: &str = "correct horse";

/// How long the server may take to start.
const START: Duration = Duration::from_secs(30);

/// The largest number that a limit can be.
const UNLIMITED: &str = "1000000";

/// Settings of every run.
const SETTINGS: [(&str, &str); 10] = [
    ("API__LIMITS__LOGINS_PER_MINUTE_PER_ACCOUNT", UNLIMITED),
    ("API__LIMITS__LOGINS_PER_MINUTE_PER_ADDRESS", UNLIMITED),
    ("API__LIMITS__REGISTRATIONS_PER_HOUR_PER_ADDRESS", UNLIMITED),
    ("API__LIMITS__RESETS_PER_HOUR_PER_ADDRESS", UNLIMITED),
    ("API__LIMITS__MAILS_PER_HOUR_PER_RECIPIENT", UNLIMITED),
    ("API__LIMITS__REQUESTS_PER_MINUTE", UNLIMITED),
    ("API__LIMITS__WRITES_PER_MINUTE", UNLIMITED),
    ("HTTP__MAX_CONNECTIONS", "4096"),
    ("HTTP__MAX_CONNECTIONS_PER_ADDRESS", "4096"),
    ("HTTP__MAX_REQUESTS_PER_SECOND_PER_ADDRESS", "0"),
];

/// It, on a database of its own. Killed when it is dropped.
#[derive(Debug)]
pub struct AccountServer {
    http: SocketAddr,
    process: Child,
    directory: TempDir,
    _ports: [ReservedPort; 2],
}

impl Drop for AccountServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl AccountServer {
    /// Starts it with these accounts, and settings named as the environment has them, without
    /// `NOVA__`.
    pub async fn start(
        nova: &Path,
        accounts: &[String],
        settings: &[(&str, &str)],
    ) -> Result<Self, Box<dyn Error>> {
        let directory = tempfile::tempdir()?;
        for name in accounts {
            create(nova, directory.path(), name)?;
        }
        let ports = [ReservedPort::any(), ReservedPort::any()];
        let [http, admin] = [ports[0].address(), ports[1].address()];
        let mut command = Command::new(nova);
        command
            .arg("--data-dir")
            .arg(directory.path())
            .args(["serve", "--role", "api"])
            .env("NOVA__HTTP__BIND", http.to_string())
            .env("NOVA__ADMIN__BIND", admin.to_string())
            .env("RUST_LOG", "warn")
            .current_dir(directory.path())
            .stdout(Stdio::null());
        for (name, value) in SETTINGS.iter().chain(settings) {
            command.env(format!("NOVA__{name}"), value);
        }
        let server = Self {
            http,
            process: command.spawn()?,
            directory,
            _ports: ports,
        };
        let deadline = Instant::now() + START;
        while Client::connect(http).await.is_err() {
            if Instant::now() > deadline {
                return Err("the server does not start, see above".into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(server)
    }

    /// Where it listens.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Makes a stream of one of the accounts.
    pub fn make_stream(&self, nova: &Path, name: &str, owner: &str) -> Result<(), Box<dyn Error>> {
        let made = Command::new(nova)
            .arg("--data-dir")
            .arg(self.directory.path())
            .args(["stream", "create", name, "--owner", owner])
            .env("RUST_LOG", "warn")
            .current_dir(self.directory.path())
            .stdout(Stdio::null())
            .status()?;
        match made.success() {
            true => Ok(()),
            false => Err(format!("there is no stream {name}, see above").into()),
        }
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.process.id()
    }
}

fn create(nova: &Path, directory: &Path, name: &str) -> Result<(), Box<dyn Error>> {
    let mut command = Command::new(nova)
        .arg("--data-dir")
        .arg(directory)
        .args(["user", "create", name, "--email", &address_of(name)])
        .env("RUST_LOG", "warn")
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    if let Some(mut input) = command.stdin.take() {
        input.write_all(PASSWORD.as_bytes())?;
    }
    match command.wait()?.success() {
        true => Ok(()),
        false => Err(format!("there is no account {name}, see above").into()),
    }
}

/// The mail address of the account, and of nobody's.
pub fn address_of(name: &str) -> String {
    format!("{name}@example.org")
}

/// Checks that the server is there to be started.
pub fn check(nova: &Path) -> Result<(), String> {
    let shown = nova.display();
    match nova.is_file() {
        true => Ok(()),
        false => Err(format!(
            "there is no {shown}: cargo build --release, or --nova FILE"
        )),
    }
}
