//! The suite: where it is, its origin, its client, its rules. All of them run in Node.

use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const REPOSITORY: &str = "https://github.com/http-tests/cache-tests.git";
const SCORE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/cache_tests/score.mjs");

/// A clone of the suite, ready to run.
pub(crate) struct Suite {
    folder: PathBuf,
    scratch: PathBuf,
}

/// The suite's origin; it ends when this is dropped.
pub(crate) struct Origin {
    port: u16,
    _process: Child,
}

/// What the suite's rules say of one test.
#[derive(Debug, Deserialize)]
pub(crate) struct Row {
    /// The group of tests.
    pub(crate) suite: String,
    /// The test.
    pub(crate) id: String,
    /// `required`, `optimal` or `check`.
    pub(crate) kind: String,
    /// `pass`, `yes`, or a way to miss it.
    pub(crate) verdict: String,
    /// What the test says of caches.
    pub(crate) name: String,
    /// What was not so.
    pub(crate) detail: String,
}

impl Origin {
    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Suite {
    /// The suite in `given`, or a new clone in `scratch`.
    pub(crate) async fn open(given: Option<&Path>, scratch: &Path) -> Result<Self, Box<dyn Error>> {
        let folder = match given {
            Some(folder) => folder.to_owned(),
            None => {
                let folder = scratch.join("cache-tests");
                let mut clone = Command::new("git");
                clone.args(["clone", "--quiet", "--depth", "1", REPOSITORY]);
                succeed(clone.arg(&folder)).await?;
                folder
            }
        };
        if !folder.join("test-engine/cli.mjs").is_file() {
            let folder = folder.display();
            return Err(format!("{folder} is not a clone of http-tests/cache-tests").into());
        }
        if !folder.join("node_modules").is_dir() {
            let mut install = Command::new("npm");
            install.args([
                "install",
                "--omit=dev",
                "--no-audit",
                "--no-fund",
                "--silent",
            ]);
            succeed(install.current_dir(&folder)).await?;
        }
        Ok(Self {
            folder,
            scratch: scratch.to_owned(),
        })
    }

    /// Starts the origin on a free port.
    pub(crate) async fn origin(&self) -> Result<Origin, Box<dyn Error>> {
        let mut process = self
            .node("test-engine/server/server.mjs")
            .env("npm_config_protocol", "http")
            .env("npm_config_port", "0")
            .env("npm_config_pidfile", self.scratch.join("origin.pid"))
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("node: {error}"))?;
        let output = process.stdout.take().ok_or("the origin has no output")?;
        let mut lines = BufReader::new(output).lines();
        let listening = async {
            while let Some(line) = lines.next_line().await? {
                let port = line
                    .strip_prefix("Listening on ")
                    .and_then(|url| url.trim_end_matches('/').rsplit_once(':'));
                if let Some((_, port)) = port {
                    return Ok(port.parse()?);
                }
            }
            Err::<u16, Box<dyn Error>>("the origin ended before it listened".into())
        };
        let port = timeout(Duration::from_secs(30), listening)
            .await
            .map_err(|_| "the origin did not listen within 30 s")??;
        tokio::spawn(async move {
            // Read on, or the origin would stop at a full pipe.
            while let Ok(Some(line)) = lines.next_line().await {
                eprintln!("origin: {line}");
            }
        });
        Ok(Origin {
            port,
            _process: process,
        })
    }

    /// Runs all tests against the cache at `address`; the results as JSON.
    pub(crate) async fn run(&self, address: SocketAddr) -> Result<String, Box<dyn Error>> {
        output(&mut self.client(address)).await
    }

    /// Runs one test and shows what was sent.
    pub(crate) async fn run_one(
        &self,
        address: SocketAddr,
        id: &str,
    ) -> Result<(), Box<dyn Error>> {
        succeed(self.client(address).env("npm_config_id", id)).await
    }

    /// What the suite's rules say of these results.
    pub(crate) async fn score(&self, results: &str) -> Result<Vec<Row>, Box<dyn Error>> {
        let file = self.scratch.join("results.json");
        std::fs::write(&file, results)?;
        let rows = output(self.node(SCORE).arg(&self.folder).arg(file)).await?;
        Ok(serde_json::from_str(&rows)?)
    }

    fn client(&self, address: SocketAddr) -> Command {
        let mut client = self.node("test-engine/cli.mjs");
        client.env("npm_config_base", format!("http://{address}"));
        // What npm takes from the suite's package.json: no test in particular.
        client.env("npm_package_config_id", "");
        client
    }

    fn node(&self, script: &str) -> Command {
        let mut node = Command::new("node");
        node.arg("--no-warnings").arg(self.folder.join(script));
        node.current_dir(&self.folder)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        node
    }
}

async fn succeed(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let program = command
        .as_std()
        .get_program()
        .to_string_lossy()
        .into_owned();
    let status = command
        .status()
        .await
        .map_err(|error| format!("{program}: {error}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("{program}: {status}").into()),
    }
}

async fn output(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let output = command.stderr(Stdio::inherit()).output().await?;
    if !output.status.success() {
        return Err(format!("the suite's client ended with {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
