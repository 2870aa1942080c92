//! Origins that serve one recording as a live stream: `examples/replay_origin`.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use media::{Clock, Micros, SystemClock, Timestamp};
use serde_json::Value;
use tempfile::TempDir;

use super::{Encoder, Host, Http, Process, Signal, wait_for};

const START_LIMIT: Duration = Duration::from_secs(30);
/// Where an origin listens.
const PORT: u16 = 8081;

/// A recorded presentation, and the instant it begins at, on every origin.
pub(crate) struct Replay {
    directory: TempDir,
    start: Timestamp,
}

impl Replay {
    /// Records `seconds` of what `encoder` makes. Some of it is in the past already when the
    /// first origin starts, so that there are segments.
    pub(crate) fn record(encoder: &Encoder, seconds: u32) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        encoder.record(seconds, &directory.path().join("clip.flv"));
        Self {
            directory,
            start: SystemClock.now() + -Micros::from_secs(10),
        }
    }

    /// An origin of it on `host`, which listens.
    #[track_caller]
    pub(crate) fn serve(&self, host: &Host) -> ReplayOrigin {
        let mut command = Command::new(program());
        command
            .arg(self.directory.path().join("clip.flv"))
            .args(["--start", &self.start.as_micros().to_string()])
            .args(["--bind", &host.at(PORT).to_string()]);
        let mut process = Process::start("replay_origin", &mut host.command(&command));
        wait_for("a replay origin", START_LIMIT, || {
            let ended = process.try_exit();
            assert_eq!(ended, None, "{}", process.stderr.tail(5));
            let listening = |line: &String| line.contains("\"listening\"").then_some(());
            let found = process.stdout.find(listening);
            found.ok_or_else(|| "it does not listen".to_owned())
        });
        ReplayOrigin {
            process,
            address: host.at(PORT),
        }
    }
}

/// Built with the tests, beside `nova`.
fn program() -> PathBuf {
    let nova = Path::new(env!("CARGO_BIN_EXE_nova"));
    let program = nova.with_file_name("examples").join("replay_origin");
    assert!(
        program.is_file(),
        "{} is missing: cargo build --example replay_origin",
        program.display()
    );
    program
}

/// An origin that runs, or has run.
pub(crate) struct ReplayOrigin {
    process: Process,
    address: SocketAddr,
}

/// What was asked of an origin once.
#[derive(Debug)]
pub(crate) struct Asked {
    /// By whom.
    pub(crate) client: IpAddr,
    /// Path and query.
    pub(crate) target: String,
}

impl ReplayOrigin {
    /// `http://HOST:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request until now, or until its end.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        let events = self.events("asked");
        let asked = events.iter().map(|event| Asked {
            client: text(event, "client").parse().expect("an address"),
            target: text(event, "target"),
        });
        asked.collect()
    }

    /// The target of every request that was answered until now, or until its end.
    pub(crate) fn answered(&self) -> Vec<String> {
        let events = self.events("answered");
        events.iter().map(|event| text(event, "target")).collect()
    }

    /// A client of it.
    pub(crate) fn http(&self) -> Http {
        Http::new(self.address)
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.process.signal(Signal::Kill);
        self.process.wait_exit(START_LIMIT);
    }

    fn events(&self, event: &str) -> Vec<Value> {
        let lines = self.process.stdout.all();
        let events = lines
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok());
        events
            .filter(|found: &Value| found["event"] == event)
            .collect()
    }
}

#[track_caller]
fn text(event: &Value, field: &str) -> String {
    event[field].as_str().expect("a text").to_owned()
}
