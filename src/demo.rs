//! `nova serve --demo`: an account, a stream with a known key, and a test picture on
//! it whenever nobody else publishes.

use std::error::Error;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use ingest::Registry;
use media::StreamId;
use social::accounts::{self, NewUser};
use storage::rows::streams::{self, NewStream, TakeoverPolicy};
use storage::rows::{stream_keys, users};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use crate::serve::Foundation;

/// Name of the account and of the stream, and the stream's key.
pub const NAME: &str = "demo";
/// The account's password.
pub const PASSWORD: &str = "demo-password";
/// How often it is checked whether somebody else publishes.
const LOOK: Duration = Duration::from_millis(500);

/// The running demo.
#[derive(Debug)]
pub struct Demo {
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Demo {
    /// Makes the account and the stream where they are missing, and starts the picture.
    pub async fn start(
        foundation: &Foundation,
        rtmp: SocketAddr,
        registry: Registry,
    ) -> Result<Self, Box<dyn Error>> {
        let stream = prepare(foundation).await?;
        let shutdown = CancellationToken::new();
        let picture = Picture {
            url: format!("rtmp://{rtmp}/live/{NAME}"),
            stream,
            registry,
            shutdown: shutdown.clone(),
        };
        Ok(Self {
            shutdown,
            task: tokio::spawn(picture.run()),
        })
    }

    /// Stops the picture.
    pub async fn stop(self) {
        self.shutdown.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the demo's task failed");
        }
    }
}

async fn prepare(foundation: &Foundation) -> Result<StreamId, Box<dyn Error>> {
    let database = &foundation.database;
    let owner = match users::find_by_name(database, NAME).await? {
        Some(user) => user.id,
        None => {
            let user = NewUser {
                name: NAME.parse()?,
                email: "demo@localhost.localdomain".parse()?,
                password: PASSWORD.parse()?,
                is_admin: false,
            };
            accounts::create_user(database, foundation.clock.as_ref(), user)
                .await?
                .id
        }
    };
    let now = foundation.clock.now();
    let (name, key) = (NAME.parse()?, NAME.parse()?);
    if let Some(stream) = streams::by_name(database, &name).await? {
        stream_keys::add_key(database, stream.id, &key, now).await?;
        return Ok(stream.id);
    }
    let stream = NewStream {
        owner,
        name: &name,
        takeover: TakeoverPolicy::Takeover,
    };
    Ok(streams::create(database, stream, &key, now).await?.id)
}

struct Picture {
    url: String,
    stream: StreamId,
    registry: Registry,
    shutdown: CancellationToken,
}

impl Picture {
    async fn run(self) {
        loop {
            if !self.registry.is_live(self.stream) {
                match self.publish() {
                    Ok(mut child) => {
                        tokio::select! {
                            () = self.shutdown.cancelled() => stop(&mut child).await,
                            // Somebody took the stream over, or the encoder failed and
                            // has said why.
                            _ = child.wait() => {}
                        }
                    }
                    Err(error) => tracing::error!(%error, "the test picture cannot be started"),
                }
            }
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// The picture is encoded in a process of its own, as every codec is.
    fn publish(&self) -> std::io::Result<Child> {
        Command::new(std::env::current_exe()?)
            .args(["publish", &self.url, "--input", "test"])
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }
}

async fn stop(child: &mut Child) {
    if let Err(error) = child.kill().await {
        tracing::debug!(%error, "the test picture had stopped already");
    }
}
