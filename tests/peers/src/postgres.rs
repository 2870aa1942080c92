//! PostgreSQL.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use uuid::Uuid;

/// Who owns the databases.
const USER: &str = "nova";
/// No secret: the server listens on loopback only and lives as long as the tests.
const PASSWORD: &str = "for-tests-only";
const START_DEADLINE: Duration = Duration::from_secs(60);
const KEEPER: &str = include_str!("keeper.sh");

/// A server. It stops by itself when no process holds one of these any more, however
/// those processes ended.
#[derive(Debug)]
pub struct Server {
    port: u16,
    /// Shared between its users; the server's keeper wants it for itself.
    _in_use: File,
    /// Set for a server of one test.
    _folder: Option<tempfile::TempDir>,
}

/// A database of one test, dropped with it.
#[derive(Debug)]
pub struct Database {
    server: Server,
    name: String,
}

/// An empty database on the server that all tests of this machine share. It keeps nothing
/// over a power cut (`fsync=off`).
pub fn database() -> Database {
    Server::shared().database()
}

impl Server {
    /// The server that all tests of this user share.
    pub fn shared() -> Self {
        let user = fs::metadata("/proc/self").map_or(0, |me| me.uid());
        let folder = std::env::temp_dir().join(format!("nova-test-postgres-{user}"));
        fs::create_dir_all(&folder).expect("a folder for the shared server");
        let settings = [
            "fsync=off",
            "full_page_writes=off",
            "synchronous_commit=off",
        ];
        Self::in_folder(&folder, &settings, None)
    }

    /// A server of its own, with these settings: `["fsync=on", ...]`.
    pub fn with_settings(settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the server");
        let path = folder.path().to_owned();
        Self::in_folder(&path, settings, Some(folder))
    }

    fn in_folder(folder: &Path, settings: &[&str], own: Option<tempfile::TempDir>) -> Self {
        let in_use = File::create(folder.join("in-use.lock")).expect("a lock file");
        // Waits for a server that is being stopped.
        in_use.lock_shared().expect("the lock of users");
        let starting = File::create(folder.join("starting.lock")).expect("a lock file");
        starting.lock().expect("the lock of starters");
        let data = folder.join("data");
        let port = running(&data).unwrap_or_else(|| start(folder, &data, settings));
        Self {
            port,
            _in_use: in_use,
            _folder: own,
        }
    }

    /// An empty database.
    pub fn database(self) -> Database {
        let name = format!("t{}", Uuid::now_v7().simple());
        psql(self.port, "postgres", &format!("CREATE DATABASE {name}"));
        Database { server: self, name }
    }

    /// Its port on `127.0.0.1`.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Database {
    /// `postgres://...`, with the password.
    pub fn url(&self) -> String {
        let (port, name) = (self.server.port, &self.name);
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{port}/{name}")
    }

    /// Runs one statement, and gives its rows: columns by `|`, rows by line.
    pub fn sql(&self, statement: &str) -> String {
        psql(self.server.port, &self.name, statement)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Not while panicking: a second panic would hide the first.
        if !std::thread::panicking() {
            let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
            psql(self.server.port, "postgres", &statement);
        }
    }
}

/// The port of the server whose data are in `data`, if it answers.
fn running(data: &Path) -> Option<u16> {
    let port = fs::read_to_string(data.join("port")).ok()?.parse().ok()?;
    answers(port).then_some(port)
}

fn start(folder: &Path, data: &Path, settings: &[&str]) -> u16 {
    let programs = programs();
    // What a killed machine may have left.
    let _ = fs::remove_dir_all(data);
    fs::create_dir_all(data).expect("a folder for the data");
    fs::write(folder.join("password"), PASSWORD).expect("a password file");
    if is_root() {
        for path in [folder, data, &folder.join("password")] {
            std::os::unix::fs::chown(path, Some(postgres_user()), None).expect("chown");
        }
    }
    let made = unprivileged(&programs.join("initdb"))
        .arg("--pgdata")
        .arg(data)
        .args(["--username", USER, "--auth=scram-sha-256"])
        .args(["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])
        .arg("--pwfile")
        .arg(folder.join("password"))
        .output()
        .expect("initdb runs");
    assert!(made.status.success(), "initdb: {made:?}");
    let port = free_port();
    let server = unprivileged(&programs.join("postgres"));
    let keeper = Command::new("sh")
        .args(["-c", KEEPER, "keeper.sh"])
        .args([data, &folder.join("in-use.lock")])
        .arg(server.get_program())
        .args(server.get_args())
        .arg("-D")
        .arg(data)
        .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
        .args([
            "-c",
            "unix_socket_directories=",
            "-c",
            "max_connections=400",
        ])
        .args(settings.iter().flat_map(|setting| ["-c", setting]))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(folder.join("log")).expect("a log file"))
        // Not ended by what ends the test that happened to start it.
        .process_group(0)
        .spawn();
    // Nobody's child: it ends by itself, after this process.
    drop(keeper.expect("sh runs"));
    let deadline = Instant::now() + START_DEADLINE;
    while !answers(port) {
        let log = folder.join("log");
        assert!(
            Instant::now() < deadline,
            "PostgreSQL has not started: {}",
            fs::read_to_string(log).unwrap_or_default()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    fs::write(data.join("port"), port.to_string()).expect("the port is noted");
    port
}

fn answers(port: u16) -> bool {
    Command::new(programs().join("pg_isready"))
        .args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])
        .status()
        .is_ok_and(|status| status.success())
}

fn psql(port: u16, database: &str, statement: &str) -> String {
    let mut child = Command::new(programs().join("psql"))
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", USER])
        .args(["-d", database, "-X", "-q", "-t", "-A"])
        .args(["-v", "ON_ERROR_STOP=1", "-f", "-"])
        .env("PGPASSWORD", PASSWORD)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("psql runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(statement.as_bytes()).expect("psql reads");
    drop(stdin);
    let mut answer = String::new();
    let mut stdout = child.stdout.take().expect("a pipe");
    stdout.read_to_string(&mut answer).expect("psql writes");
    assert!(child.wait().expect("psql ends").success(), "{statement}");
    answer.trim_end().to_owned()
}

/// The newest version's programs, where Debian puts them.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is installed: scripts/setup test does that");
    versions
        .filter_map(|version| {
            let version = version.ok()?;
            let number: u32 = version.file_name().to_str()?.parse().ok()?;
            Some((number, version.path().join("bin")))
        })
        .max()
        .map(|(_, programs)| programs)
        .expect("a version of PostgreSQL is installed")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

/// PostgreSQL refuses to run as root: then Debian's user runs it.
fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args([
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
            "--",
        ])
        .arg(program);
    command
}

fn postgres_user() -> u32 {
    let users = fs::read_to_string("/etc/passwd").expect("users");
    users
        .lines()
        .find_map(|line| {
            line.strip_prefix("postgres:")?
                .split(':')
                .nth(1)?
                .parse()
                .ok()
        })
        .expect("Debian's package makes the user postgres")
}
