//! The server as a process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::site::wrapped;
use super::{Host, Http, Lines, Process, Signal, Site};

/// How long a start may take on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long a stop may take: the contract's 10 s, and what a busy machine adds.
const STOP_LIMIT: Duration = Duration::from_secs(15);
/// Lines of the log that a failed test shows.
const SHOWN_LINES: usize = 60;

/// What listens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Listener {
    /// Web pages, playback, API.
    Http,
    /// Encoders.
    Rtmp,
    /// Health and metrics.
    Admin,
    /// The origin, for an edge in another process.
    Origin,
}

impl Listener {
    const ALL: [Self; 4] = [Self::Http, Self::Rtmp, Self::Admin, Self::Origin];

    /// As the log calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Rtmp => "rtmp",
            Self::Admin => "admin",
            Self::Origin => "origin",
        }
    }

    fn variable(self) -> &'static str {
        match self {
            Self::Http => "NOVA__HTTP__BIND",
            Self::Rtmp => "NOVA__INGEST__RTMP_BIND",
            Self::Admin => "NOVA__ADMIN__BIND",
            Self::Origin => "NOVA__ORIGIN__BIND",
        }
    }

    /// Where it listens by default.
    fn port(self) -> u16 {
        match self {
            Self::Http => 8080,
            Self::Rtmp => 1935,
            Self::Admin => 9090,
            Self::Origin => 8081,
        }
    }
}

/// `nova serve`, not yet started. By default every role, on free ports.
#[derive(Clone)]
pub(crate) struct Serve {
    site: Site,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    listeners: Vec<Listener>,
    /// Bytes of the disk that objects are on, if it is one of its own.
    objects_disk: Option<u64>,
    without_privileges: bool,
    host: Option<Host>,
}

impl Serve {
    pub(super) fn new(site: Site) -> Self {
        let free = |listener: Listener| (listener.variable().to_owned(), "127.0.0.1:0".to_owned());
        Self {
            site,
            arguments: Vec::new(),
            environment: Listener::ALL.into_iter().map(free).collect(),
            listeners: vec![Listener::Http, Listener::Rtmp, Listener::Admin],
            objects_disk: None,
            without_privileges: false,
            host: None,
        }
    }

    /// With this argument of `serve`.
    pub(crate) fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// With this environment variable.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With objects on a disk of so many bytes, which nobody else sees: it is mounted in a
    /// namespace of the server's own. See [`Nova::objects`].
    pub(crate) fn objects_on_a_disk_of(mut self, bytes: u64) -> Self {
        self.objects_disk = Some(bytes);
        self
    }

    /// As a user whom permissions bind.
    pub(crate) fn without_privileges(mut self) -> Self {
        self.without_privileges = true;
        self
    }

    /// On `host` of a network, where it listens on its default ports.
    pub(crate) fn on(mut self, host: &Host) -> Self {
        for listener in Listener::ALL {
            let address = host.at(listener.port()).to_string();
            self = self.variable(listener.variable(), &address);
        }
        self.host = Some(host.clone());
        self
    }

    fn command(&self) -> Command {
        let mut nova = self.site.command();
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
        if self.without_privileges && is_root {
            // Root without the right to override permissions.
            let mut setpriv = Command::new("setpriv");
            setpriv.args([
                "--bounding-set=-dac_override,-dac_read_search",
                "--inh-caps=-all",
                "--",
            ]);
            nova = wrapped(setpriv, &nova);
        }
        if let Some(bytes) = self.objects_disk {
            let objects = self.site.data_dir().join("objects");
            std::fs::create_dir_all(&objects).expect("a place to mount it");
            let mut unshare = Command::new("unshare");
            unshare
                .args(["--map-root-user", "--mount", "sh", "-c"])
                .arg("mount -t tmpfs -o size=\"$1\" tmpfs \"$2\" && shift 2 && exec \"$@\"")
                .args(["sh", &bytes.to_string()])
                .arg(&objects);
            nova = wrapped(unshare, &nova);
        }
        match &self.host {
            Some(host) => host.command(&nova),
            None => nova,
        }
    }

    /// With these roles, which then listen on `listeners`.
    pub(crate) fn roles(mut self, roles: &str, listeners: &[Listener]) -> Self {
        self.listeners = listeners.to_vec();
        self.argument("--role").argument(roles)
    }

    /// With the roles that make media, and give them to edges elsewhere.
    pub(crate) fn media_roles(self) -> Self {
        let listeners = [Listener::Rtmp, Listener::Origin, Listener::Admin];
        self.roles("ingest,transcode,origin", &listeners)
    }

    /// Starts it and waits until it listens.
    #[track_caller]
    pub(crate) fn start(self) -> Nova {
        let mut command = self.command();
        command
            .args(["--log", "json", "serve"])
            .args(&self.arguments)
            .envs(&self.environment);
        let process = Process::start("nova serve", &mut command);
        let mut nova = Nova {
            serve: self,
            process,
            addresses: BTreeMap::new(),
        };
        for listener in nova.serve.listeners.clone() {
            let address = nova.listening(listener);
            nova.addresses.insert(listener, address);
        }
        nova
    }

    /// Runs it to its end, which is expected soon: its one sentence is what matters.
    pub(crate) fn refused(&self) -> String {
        let mut command = self.command();
        // What it bound before it met the fault is of no interest.
        command
            .arg("serve")
            .args(&self.arguments)
            .envs(&self.environment)
            .env("RUST_LOG", "warn");
        self.site
            .finish(&mut command, "")
            .failed_with_one_sentence()
    }
}

/// A running server. Dropped, it is killed; its log must then tell no secret, and is
/// shown when the test has failed.
pub(crate) struct Nova {
    /// Before `serve`: it ends before its site goes.
    process: Process,
    serve: Serve,
    addresses: BTreeMap<Listener, SocketAddr>,
}

impl Nova {
    #[track_caller]
    fn listening(&self, listener: Listener) -> SocketAddr {
        let what = format!("the {} listener", listener.name());
        self.log().wait_for(&what, START_LIMIT, |line| {
            let event = event(line)?;
            let address = (event["message"] == "listening" && event["listener"] == listener.name())
                .then(|| event["address"].as_str())??;
            Some(address.parse().expect("an address"))
        })
    }

    /// Where `listener` listens.
    pub(crate) fn address(&self, listener: Listener) -> SocketAddr {
        self.addresses[&listener]
    }

    /// A client of the HTTP port.
    pub(crate) fn http(&self) -> Http {
        Http::new(self.address(Listener::Http))
    }

    /// Where edges elsewhere ask for media.
    pub(crate) fn origin_url(&self) -> String {
        format!("http://{}", self.address(Listener::Origin))
    }

    /// A client of the health and metrics port.
    pub(crate) fn admin(&self) -> Http {
        Http::new(self.address(Listener::Admin))
    }

    /// Where an encoder publishes with `key`.
    pub(crate) fn rtmp_url(&self, key: &str) -> String {
        format!("rtmp://{}/live/{key}", self.address(Listener::Rtmp))
    }

    /// The log's lines.
    pub(crate) fn log(&self) -> &Lines {
        &self.process.stderr
    }

    /// The events of the log with this message.
    pub(crate) fn events(&self, message: &str) -> Vec<Value> {
        let events = self.log().all();
        let events = events.iter().filter_map(|line| event(line));
        events.filter(|event| event["message"] == message).collect()
    }

    /// The process ids of the workers that were started for `stream`, first to last.
    pub(crate) fn workers(&self, stream: &str) -> Vec<u32> {
        let started = self.events("transcode worker started");
        let ours = started.iter().filter(|event| event["stream"] == stream);
        ours.filter_map(|event| event["pid"].as_u64()?.try_into().ok())
            .collect()
    }

    /// The installation it serves.
    pub(crate) fn site(&self) -> &Site {
        &self.serve.site
    }

    /// Where its objects are, as it sees them.
    pub(crate) fn objects(&self) -> PathBuf {
        let objects = self.serve.site.data_dir().join("objects");
        let seen = format!("/proc/{}/root{}", self.pid(), objects.display());
        PathBuf::from(seen)
    }

    /// Makes a stream called `name` where the server is, with the disk that it sees and its
    /// variables, and tells its key.
    pub(crate) fn create_stream(&self, name: &str) -> String {
        let Serve {
            site, environment, ..
        } = &self.serve;
        let inside = || {
            let nova = site.command();
            let mut command = Command::new("nsenter");
            command
                .args(["--user", "--preserve-credentials", "--mount", "--target"])
                .args([&self.pid().to_string(), "--"])
                .arg(nova.get_program())
                .args(nova.get_args())
                .envs(environment);
            command
        };
        site.create_stream_by(inside, name)
    }

    /// The value of a metric without labels.
    pub(crate) fn metric(&self, name: &str) -> Result<f64, String> {
        let text = self.admin().fetch("/metrics")?.text();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = line.ok_or_else(|| format!("there is no {name}"))?;
        value.parse().map_err(|_| format!("{name} is {value}"))
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.process.try_exit().is_none()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for its end after a signal.
    #[track_caller]
    pub(crate) fn wait_exit(&mut self) -> ExitStatus {
        self.process.wait_exit(STOP_LIMIT)
    }

    /// What starts it again: same data, same ports.
    pub(crate) fn again(&self) -> Serve {
        let mut serve = self.serve.clone();
        for (listener, address) in &self.addresses {
            serve = serve.variable(listener.variable(), &address.to_string());
        }
        serve
    }
}

impl Drop for Nova {
    fn drop(&mut self) {
        let lines = self.log().all();
        let leak = self.serve.site.leak(&lines);
        if thread::panicking() {
            eprintln!(
                "--- the server's last log lines:\n{}",
                self.log().tail(SHOWN_LINES)
            );
            eprintln!("--- a secret in the log: {leak:?}");
        } else if let Some(line) = leak {
            panic!("the log tells a secret: {line}");
        }
    }
}

/// A line of the log as an event; lines that are none are what a library printed.
fn event(line: &str) -> Option<Value> {
    serde_json::from_str(line).ok()
}
