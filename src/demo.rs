//! `nova serve --demo`: a small world of people who post and chat, a stream with a known key, and a
//! test picture on it whenever nobody else publishes.

mod chance;
mod chat;
mod drawing;
mod filling;
mod folder;
mod people;
mod posts;

use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ingest::Registry;
use media::StreamId;
use social::Services;
use social::accounts::{self, NewUser};
use storage::rows::streams::{self, NewStream, TakeoverPolicy};
use storage::rows::{stream_keys, users};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::serve::Foundation;

use filling::World;
use folder::State;
pub use folder::is_in;

/// Name of the account and of the stream, and the stream's key.
pub const NAME: &str = "demo";
/// The account's password.
const PASSWORD: &str = "demo-password";
/// Name of the administrator's account, where there is a world to look after.
const ADMINISTRATOR: &str = "admin";
/// Its password.
const ADMINISTRATOR_PASSWORD: &str = "admin-password";
/// How often it is checked whether somebody else publishes.
const LOOK: Duration = Duration::from_millis(500);

/// The running demo.
#[derive(Debug)]
pub struct Demo {
    data_dir: PathBuf,
    /// How far the world is; none: what is here is not the demo's alone, and stays as it is.
    state: Option<State>,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
}

impl Demo {
    /// Makes the account and the stream where they are missing, and starts the picture.
    pub async fn start(
        foundation: &Foundation,
        data_dir: &Path,
        rtmp: SocketAddr,
        registry: Registry,
    ) -> Result<Self, Box<dyn Error>> {
        let state = claim(foundation, data_dir).await?;
        let stream = prepare(foundation).await?;
        let shutdown = CancellationToken::new();
        let picture = Picture {
            url: format!("rtmp://{rtmp}/live/{NAME}"),
            stream,
            registry,
            shutdown: shutdown.clone(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(picture.run());
        Ok(Self {
            data_dir: data_dir.to_owned(),
            state,
            shutdown,
            tasks,
        })
    }

    /// Fills the world, and has people talk in it, beside all else.
    pub fn fill(&mut self, foundation: &Foundation, services: &Services) {
        let Some(state) = self.state else {
            tracing::warn!(
                "accounts that are not the demo's are here: no world is made around them"
            );
            return;
        };
        let world = World {
            services: services.clone(),
            database: foundation.database.clone(),
            clock: foundation.clock.clone(),
            data_dir: self.data_dir.clone(),
            state,
        };
        self.tasks.spawn(world.live(self.shutdown.clone()));
    }

    /// Whom a visitor may log in as: what they are, name and password.
    pub fn logins(&self) -> Vec<(&'static str, &'static str, &'static str)> {
        let mut logins = vec![("Account", NAME, PASSWORD)];
        if self.state.is_some() {
            logins.push(("Admin", ADMINISTRATOR, ADMINISTRATOR_PASSWORD));
        }
        logins
    }

    /// Stops the picture and the people.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a task of the demo failed");
            }
        }
    }
}

/// Takes a data directory that nobody else has begun with for the demo's own, for good.
async fn claim(foundation: &Foundation, data_dir: &Path) -> Result<Option<State>, Box<dyn Error>> {
    if let Some(state) = folder::state(data_dir).await? {
        return Ok(Some(state));
    }
    if users::is_anybody_but(&foundation.database, NAME).await? {
        return Ok(None);
    }
    folder::note(data_dir, State::Begun).await?;
    Ok(Some(State::Begun))
}

/// A mail address that leads nowhere.
fn address(name: &str) -> String {
    format!("{name}@localhost.localdomain")
}

async fn prepare(foundation: &Foundation) -> Result<StreamId, Box<dyn Error>> {
    let database = &foundation.database;
    let owner = match users::find_by_name(database, NAME).await? {
        Some(user) => user.id,
        None => {
            let user = NewUser {
                name: NAME.parse()?,
                email: address(NAME).parse()?,
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
