//! A real `nova serve` with accounts, on a database of its own.

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::server::Server;

pub use crate::crowd::PASSWORD;
pub use crate::server::check;

/// It. Killed when it is dropped.
#[derive(Debug)]
pub struct AccountServer(Server);

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
        let server = Server::start(nova, directory, &["--role", "api"], settings);
        Ok(Self(server.await?))
    }

    /// Where it listens.
    pub fn http(&self) -> SocketAddr {
        self.0.http()
    }

    /// Makes a stream of one of the accounts.
    pub fn make_stream(&self, nova: &Path, name: &str, owner: &str) -> Result<(), Box<dyn Error>> {
        let made = Command::new(std::path::absolute(nova)?)
            .arg("--data-dir")
            .arg(self.0.directory())
            .args(["stream", "create", name, "--owner", owner])
            .env("RUST_LOG", "warn")
            .current_dir(self.0.directory())
            .stdout(Stdio::null())
            .status()?;
        match made.success() {
            true => Ok(()),
            false => Err(format!("there is no stream {name}, see above").into()),
        }
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.0.process()
    }
}

fn create(nova: &Path, directory: &Path, name: &str) -> Result<(), Box<dyn Error>> {
    let mut command = Command::new(std::path::absolute(nova)?)
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
