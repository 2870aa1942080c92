//! A real `nova serve`, whose limits are in nobody's way.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use peers::port::ReservedPort;
use storage::Database;
use storage::rows::outbox;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::databases::Place;

/// How long the server may take to start.
const START: Duration = Duration::from_secs(30);

/// Between two looks at it.
const POLL: Duration = Duration::from_millis(20);

/// How long its consumers of the outbox may take to come to the end of it.
const SETTLE: Duration = Duration::from_secs(60);

/// The largest number that a limit can be.
const UNLIMITED: &str = "1000000";

/// Settings of every run.
const SETTINGS: [(&str, &str); 11] = [
    ("API__LIMITS__LOGINS_PER_MINUTE_PER_ACCOUNT", UNLIMITED),
    ("API__LIMITS__LOGINS_PER_MINUTE_PER_ADDRESS", UNLIMITED),
    ("API__LIMITS__REGISTRATIONS_PER_HOUR_PER_ADDRESS", UNLIMITED),
    ("API__LIMITS__RESETS_PER_HOUR_PER_ADDRESS", UNLIMITED),
    ("API__LIMITS__MAILS_PER_HOUR_PER_RECIPIENT", UNLIMITED),
    ("API__LIMITS__REQUESTS_PER_MINUTE", UNLIMITED),
    ("API__LIMITS__WRITES_PER_MINUTE", UNLIMITED),
    ("API__LIMITS__POSTS_PER_HOUR", UNLIMITED),
    ("HTTP__MAX_CONNECTIONS", "4096"),
    ("HTTP__MAX_CONNECTIONS_PER_ADDRESS", "4096"),
    ("HTTP__MAX_REQUESTS_PER_SECOND_PER_ADDRESS", "0"),
];

/// It. Killed when it is dropped.
#[derive(Debug)]
pub struct Server {
    http: SocketAddr,
    rtmp: SocketAddr,
    process: Child,
    directory: TempDir,
    _ports: [ReservedPort; 4],
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Starts it in this data directory with these arguments, and settings named as the environment
    /// has them, without `NOVA__`.
    pub async fn start(
        nova: &Path,
        directory: TempDir,
        arguments: &[&str],
        settings: &[(&str, &str)],
    ) -> Result<Self, Box<dyn Error>> {
        let ports: [_; 4] = std::array::from_fn(|_| ReservedPort::any());
        let [http, admin, rtmp, origin] = ports.each_ref().map(ReservedPort::address);
        // It runs in another folder than this process.
        let mut command = Command::new(std::path::absolute(nova)?);
        command
            .arg("--data-dir")
            .arg(directory.path())
            .arg("serve")
            .args(arguments)
            .env("NOVA__HTTP__BIND", http.to_string())
            .env("NOVA__ADMIN__BIND", admin.to_string())
            .env("NOVA__INGEST__RTMP_BIND", rtmp.to_string())
            .env("NOVA__ORIGIN__BIND", origin.to_string())
            .env("RUST_LOG", "warn")
            .current_dir(directory.path())
            .stdout(Stdio::null());
        for (name, value) in SETTINGS.iter().chain(settings) {
            command.env(format!("NOVA__{name}"), value);
        }
        let server = Self {
            http,
            rtmp,
            process: command.spawn()?,
            directory,
            _ports: ports,
        };
        listens(http).await?;
        Ok(server)
    }

    /// Starts it with all roles and all that goes on beside requests, on a database that is there.
    /// What is live is not encoded: the processors are for what is measured.
    pub async fn whole(nova: &Path, place: &Place) -> Result<Self, Box<dyn Error>> {
        let url = place.url();
        let settings = [
            ("DATABASE__URL", url.as_str()),
            ("TRANSCODE__ENABLED", "false"),
        ];
        let server = Self::start(nova, tempfile::tempdir()?, &[], &settings).await?;
        listens(server.rtmp).await?;
        Ok(server)
    }

    /// Where it listens.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where an encoder publishes with this key.
    pub fn rtmp_url(&self, key: &str) -> String {
        format!("rtmp://{}/live/{key}", self.rtmp)
    }

    /// Its data directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.process.id()
    }
}

async fn listens(at: SocketAddr) -> Result<(), Box<dyn Error>> {
    let deadline = Instant::now() + START;
    while TcpStream::connect(at).await.is_err() {
        if Instant::now() > deadline {
            return Err("the server does not start, see above".into());
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Waits until all consumers of the outbox have done what there is: what is measured then does not
/// share the machine with what was done before.
pub async fn settled(db: &Database) -> Result<(), Box<dyn Error>> {
    let deadline = Instant::now() + SETTLE;
    while outbox::lag(db).await?.iter().any(|lag| lag.events > 0) {
        if Instant::now() > deadline {
            return Err("consumers of the outbox do not come to its end".into());
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
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
