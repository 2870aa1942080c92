//! PostgreSQL.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::port::ReservedPort;

/// Who owns the databases.
const USER: &str = "nova";
/// No secret: the server listens on loopback only and lives as long as the tests.
const PASSWORD: &str = "for-tests-only";
const START_DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
/// Ports that are tried.
const ATTEMPTS: usize = 5;
const KEEPER: &str = include_str!("keeper.sh");

/// A server. It stops by itself when no process holds one of these any more, however
/// those processes ended.
#[derive(Debug)]
pub struct Server {
    port: u16,
    /// Its first process.
    process: u32,
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
        // Another name than that of versions which note the port in another file: they
        // would not see the server, and remove its data.
        let folder = std::env::temp_dir().join(format!("nova-test-postgresql-{user}"));
        fs::create_dir_all(&folder).expect("a folder for the shared server");
        let settings = [
            "fsync=off",
            "full_page_writes=off",
            "synchronous_commit=off",
        ];
        Self::in_folder(&folder, &settings, None, ReservedPort::any)
    }

    /// A server of its own, with these settings: `["fsync=on", ...]`.
    pub fn with_settings(settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the server");
        let path = folder.path().to_owned();
        Self::in_folder(&path, settings, Some(folder), ReservedPort::any)
    }

    fn in_folder(
        folder: &Path,
        settings: &[&str],
        own: Option<tempfile::TempDir>,
        ports: impl FnMut() -> ReservedPort,
    ) -> Self {
        let in_use = File::create(folder.join("in-use.lock")).expect("a lock file");
        // Waits for a server that is being stopped.
        in_use.lock_shared().expect("the lock of users");
        let starting = File::create(folder.join("starting.lock")).expect("a lock file");
        starting.lock().expect("the lock of starters");
        let data = folder.join("data");
        let port = running(&data).unwrap_or_else(|| start(folder, &data, settings, ports));
        let server = Postmaster::of(&data).expect("a server that runs");
        Self {
            port,
            process: server.process,
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

    /// The server's first process, whose children serve its clients.
    pub fn process(&self) -> u32 {
        self.server.process
    }

    /// A program of PostgreSQL's that asks this database: `pgbench`.
    pub fn client(&self, program: &str) -> Command {
        let mut command = Command::new(programs().join(program));
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.server.port.to_string())
            .env("PGUSER", USER)
            .env("PGPASSWORD", PASSWORD)
            .env("PGDATABASE", &self.name);
        command
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

/// What the server that works on a data folder writes into its `postmaster.pid`.
#[derive(PartialEq, Eq, Debug)]
struct Postmaster {
    process: u32,
    port: u16,
    /// Whether it takes connections.
    is_ready: bool,
}

impl Postmaster {
    /// Of the server that works on `data`, or once did.
    fn of(data: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(data.join("postmaster.pid")).ok()?)
    }

    /// The lines, of which the server writes more and more, are those of PostgreSQL's
    /// `src/include/utils/pidfile.h`.
    fn parse(text: &str) -> Option<Self> {
        const PORT: usize = 3;
        const STATUS: usize = 7;
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        Some(Self {
            process: lines.first()?.parse().ok()?,
            port: lines.get(PORT)?.parse().ok()?,
            is_ready: lines.get(STATUS) == Some(&"ready"),
        })
    }
}

/// The port of the server that works on `data`, if there is one. Waits for one that was
/// left while it was starting: its data are in use.
fn running(data: &Path) -> Option<u16> {
    let deadline = Instant::now() + START_DEADLINE;
    loop {
        let server = Postmaster::of(data)?;
        // A killed machine leaves the file behind, and its process id may be another's.
        let works_in = fs::read_link(format!("/proc/{}/cwd", server.process)).ok()?;
        if works_in != fs::canonicalize(data).ok()? {
            return None;
        }
        if server.is_ready {
            return Some(server.port);
        }
        assert!(Instant::now() < deadline, "PostgreSQL does not get ready");
        std::thread::sleep(POLL);
    }
}

/// Starts a server on one of `ports`; which.
fn start(
    folder: &Path,
    data: &Path,
    settings: &[&str],
    mut ports: impl FnMut() -> ReservedPort,
) -> u16 {
    let mut log = String::new();
    for _ in 0..ATTEMPTS {
        let port = ports();
        match start_on(&port, folder, data, settings) {
            Ok(()) => return port.number(),
            Err(why) => log = why,
        }
    }
    panic!("PostgreSQL does not start: {log}");
}

/// Starts a server on `port`, and returns when it takes connections. If it ends instead,
/// its log.
#[expect(
    clippy::zombie_processes,
    reason = "the keeper of a server that runs outlives this process"
)]
fn start_on(
    port: &ReservedPort,
    folder: &Path,
    data: &Path,
    settings: &[&str],
) -> Result<(), String> {
    make_data(folder, data);
    let server = unprivileged(&programs().join("postgres"));
    let mut keeper = Command::new("sh")
        .args(["-c", KEEPER, "keeper.sh"])
        .args([data, &folder.join("in-use.lock")])
        .arg(server.get_program())
        .args(server.get_args())
        .arg("-D")
        .arg(data)
        .args(["-p", &port.number().to_string()])
        .args(["-c", "listen_addresses=127.0.0.1"])
        .args(["-c", "unix_socket_directories="])
        .args(["-c", "max_connections=400"])
        .args(settings.iter().flat_map(|setting| ["-c", setting]))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(folder.join("log")).expect("a log file"))
        // Not ended by what ends the test that happened to start it.
        .process_group(0)
        .spawn()
        .expect("sh runs");
    let mut process = String::new();
    let stdout = keeper.stdout.take().expect("a pipe");
    let told = BufReader::new(stdout).read_line(&mut process);
    told.expect("the keeper tells the server's process");
    let process = process.trim().parse().expect("a process id");
    let deadline = Instant::now() + START_DEADLINE;
    let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
    // What answers on the port may be another server: what is in this folder is not.
    let expected = Postmaster {
        process,
        port: port.number(),
        is_ready: true,
    };
    while Postmaster::of(data).as_ref() != Some(&expected) {
        if !is_running(process) {
            let log = log();
            // It removes the data.
            keeper.wait().expect("the keeper ends");
            return Err(log);
        }
        assert!(
            Instant::now() < deadline,
            "PostgreSQL has not started: {}",
            log()
        );
        std::thread::sleep(POLL);
    }
    // From here on nobody's child: it ends by itself, after this process.
    Ok(())
}

/// An empty cluster.
fn make_data(folder: &Path, data: &Path) {
    // What a killed machine may have left.
    let _ = fs::remove_dir_all(data);
    fs::create_dir_all(data).expect("a folder for the data");
    fs::write(folder.join("password"), PASSWORD).expect("a password file");
    if is_root() {
        for path in [folder, data, &folder.join("password")] {
            std::os::unix::fs::chown(path, Some(postgres_user()), None).expect("chown");
        }
    }
    let made = unprivileged(&programs().join("initdb"))
        .arg("--pgdata")
        .arg(data)
        .args(["--username", USER, "--auth=scram-sha-256"])
        .args(["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])
        .arg("--pwfile")
        .arg(folder.join("password"))
        .output()
        .expect("initdb runs");
    assert!(made.status.success(), "initdb: {made:?}");
}

/// Whether the process runs. One that has ended and waits to be reaped does not.
fn is_running(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"));
    // proc_pid_stat(5): the state follows the name, which is in parentheses.
    let is_dead = |stat: &str| {
        stat.rsplit_once(") ")
            .is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
    };
    stat.is_ok_and(|stat| !is_dead(&stat))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_complete_is_no_server_yet() {
        let whole = "812\n/tmp/data\n1800000000\n4711\n\n127.0.0.1\n  85 3\nready   \n";
        let ready = Postmaster {
            process: 812,
            port: 4711,
            is_ready: true,
        };
        assert_eq!(Postmaster::parse(whole), Some(ready));
        assert_eq!(Postmaster::parse("812\n/tmp/data\n"), None);
        for status in ["", "starting", "stopping"] {
            let text = whole.replace("ready   ", status);
            assert!(!Postmaster::parse(&text).unwrap().is_ready, "{status}");
        }
    }

    #[tokio::test]
    async fn a_port_that_somebody_has_is_not_taken_for_ours() {
        let taken = ReservedPort::any();
        let _somebody = taken.listen().unwrap();
        let number = taken.number();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let mut taken = Some(taken);
        let ports = || taken.take().unwrap_or_else(ReservedPort::any);
        let server = Server::in_folder(&path, &[], Some(folder), ports);
        assert!(taken.is_none());
        assert_ne!(server.port(), number);
        let database = server.database();
        assert_eq!(database.sql("SELECT 1"), "1");
    }

    #[test]
    fn a_server_is_found_by_its_folder() {
        let server = Server::with_settings(&["fsync=off"]);
        let folder = server._folder.as_ref().unwrap().path().join("data");
        assert_eq!(running(&folder), Some(server.port()));
        let elsewhere = tempfile::tempdir().unwrap();
        fs::copy(
            folder.join("postmaster.pid"),
            elsewhere.path().join("postmaster.pid"),
        )
        .unwrap();
        assert_eq!(running(elsewhere.path()), None);
    }
}
