//! The live pipeline: from a publication to ENDLIST.
//!
//! [`Live`] answers `ingest`'s questions and owns one task per stream, a session
//! (`session`). While somebody publishes, `broadcast` runs the frames through
//! `packaged` segmenters into the live window and the `archive`, and beside them a
//! `ladder` whose worker makes the other renditions. After a restart, `restore`
//! rebuilds the window. Beside all that the `sweeper` deletes what streams no longer keep.

mod archive;
mod broadcast;
mod custody;
mod guard;
mod ladder;
mod machine;
mod measure;
mod numbers;
mod packaged;
mod restore;
mod rights;
mod session;
#[cfg(test)]
mod simulation;
mod sweeper;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ingest::{BoxFuture, Grant, Host, Publication, PublishRequest, Refusal, TakeoverPolicy};
use media::timeline::Numbering;
use media::{Clock, Micros, StreamId, StreamKeyId, StreamName};
use packager::LiveStreams;
use storage::ObjectStore;
use storage::events::{Bus, Subscription};
use storage::rows::origins::{self, Claim, OriginPlace};
use storage::rows::stream_keys;
use storage::rows::{Database, RowError};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use transcode::Profile;

use crate::encoding::Encodings;

use self::archive::{Archives, Shelves};
use self::measure::{Keeper, Meters};
use self::session::{Command, GONE, Session};
use self::sweeper::Sweeper;

pub use self::archive::RecordingHealth;
pub use self::guard::News;
pub use self::machine::Machine;
pub use self::rights::grant;

/// How long noting the use of a key may take.
const NOTE: Duration = Duration::from_secs(5);
/// Messages that wait for a session.
const MAILBOX: usize = 8;

/// What every session needs.
#[derive(Debug)]
struct Context {
    shelves: Shelves,
    /// This origin's place in the registry.
    place: OriginPlace,
    /// Told when a stream has come to this origin or left it.
    moved: Arc<Notify>,
    archives: Archives,
    streams: Arc<LiveStreams>,
    /// What ladders are encoded with; without it only the source is served.
    encodings: Option<Arc<Encodings>>,
    /// What streams are encoded to that have no ladder of their own.
    ladder: Profile,
    /// What all ladders share.
    machine: Arc<Machine>,
    /// What is measured of the sessions that are open here.
    meters: Arc<Meters>,
    grace: Duration,
    window_segments: usize,
    /// Segment numbers that are reserved ahead.
    ahead: u32,
    shutdown: CancellationToken,
}

/// What the live pipeline is made of.
#[derive(Debug)]
pub struct LiveParts {
    /// Rows.
    pub database: Database,
    /// This origin's place in the registry.
    pub place: OriginPlace,
    /// What tells others that a stream has moved.
    pub bus: Arc<dyn Bus>,
    /// What others tell of that.
    pub moves: Subscription,
    /// Objects.
    pub objects: Arc<dyn ObjectStore>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// The live windows that the origin serves from.
    pub streams: Arc<LiveStreams>,
    /// What ladders are encoded with, if there are any.
    pub encodings: Option<Arc<Encodings>>,
    /// What streams are encoded to that have no ladder of their own.
    pub ladder: Profile,
    /// From configuration.
    pub settings: crate::config::Live,
}

/// The live pipeline.
#[derive(Debug)]
pub struct Live {
    context: Arc<Context>,
    sessions: Mutex<HashMap<StreamId, mpsc::Sender<Command>>>,
    tasks: TaskTracker,
}

impl Live {
    /// Builds the pipeline, and takes up the sessions that the server was stopped in, and
    /// those whose origin is gone.
    pub async fn start(parts: LiveParts) -> Result<Arc<Self>, RowError> {
        let settings = &parts.settings;
        let shelves = Shelves {
            database: parts.database,
            objects: parts.objects,
            clock: parts.clock,
        };
        let shutdown = CancellationToken::new();
        let sweeper = Sweeper {
            shelves: shelves.clone(),
            live_window: Micros::from_secs(settings.keep_seconds.into()),
            listed: settings.window_segments as u64,
        };
        let context = Context {
            archives: Archives {
                shelves: shelves.clone(),
                health: Arc::default(),
                waiting: Arc::default(),
                clerks: TaskTracker::new(),
                shutdown: shutdown.clone(),
            },
            place: parts.place,
            moved: Arc::default(),
            shelves,
            streams: parts.streams,
            encodings: parts.encodings,
            ladder: parts.ladder,
            machine: Arc::default(),
            meters: Arc::default(),
            grace: Duration::from_secs(settings.grace_seconds.into()),
            window_segments: settings.window_segments,
            ahead: numbers::ahead(settings.window_segments),
            shutdown: shutdown.clone(),
        };
        let live = Arc::new(Self {
            context: Arc::new(context),
            sessions: Mutex::default(),
            tasks: TaskTracker::new(),
        });
        let database = &live.context.shelves.database;
        let gone_since = live.context.shelves.clock.now() - GONE;
        let me = live.context.place.id();
        for open in origins::open_streams(database, gone_since).await? {
            if open.origin.is_some_and(|origin| origin != me) {
                continue;
            }
            let mut session = Session::new(live.context.clone(), open.stream, open.name.clone());
            match session.inherit().await {
                Ok(true) => {
                    let mailbox = live.spawn(session);
                    live.lock().insert(open.stream, mailbox);
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(stream = %open.name, %error, "a session is not taken up yet");
                }
            }
        }
        let keeper = Keeper {
            meters: live.context.meters.clone(),
            database: database.clone(),
            clock: live.context.shelves.clock.clone(),
            node: me,
        };
        live.tasks.spawn(keeper.run(shutdown.clone()));
        live.tasks.spawn(sweeper.run(shutdown));
        let custody = live.clone().keep_custody(parts.bus, parts.moves);
        live.tasks.spawn(custody);
        Ok(live)
    }

    /// Hands new publications to their sessions until ingest is gone.
    pub async fn run(self: Arc<Self>, mut publications: mpsc::Receiver<Publication>) {
        while let Some(publication) = publications.recv().await {
            let stream = publication.grant.stream;
            let name = publication.grant.name.clone();
            let mailbox = self.mailbox(stream, &name);
            if mailbox
                .send(Command::Publish(Box::new(publication)))
                .await
                .is_err()
            {
                tracing::error!(stream = %name, "the session has stopped");
            }
        }
    }

    /// Stops every session where it is, for the next start to take up; returns when all
    /// that was cut is stored. Publications must have ended.
    pub async fn stop(&self) {
        self.context.shutdown.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        // Every archive is closed by now.
        self.context.archives.clerks.close();
        self.context.archives.clerks.wait().await;
    }

    /// Whether what is live is also stored.
    pub fn recording_health(&self) -> Arc<RecordingHealth> {
        self.context.archives.health.clone()
    }

    /// What all ladders share, and whether it can make them.
    pub fn machine(&self) -> Arc<Machine> {
        self.context.machine.clone()
    }

    fn spawn(&self, session: Session) -> mpsc::Sender<Command> {
        let (sender, mailbox) = mpsc::channel(MAILBOX);
        self.tasks.spawn(session.run(mailbox));
        sender
    }

    /// The way to a stream's session, which is started if there is none.
    fn mailbox(&self, stream: StreamId, name: &StreamName) -> mpsc::Sender<Command> {
        let mut sessions = self.lock();
        sessions.retain(|_, mailbox| !mailbox.is_closed());
        let start = || self.spawn(Session::new(self.context.clone(), stream, name.clone()));
        sessions.entry(stream).or_insert_with(start).clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<StreamId, mpsc::Sender<Command>>> {
        // Nothing that can panic runs under this lock.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that somebody publishes with the key. The encoder does not wait for it.
    fn note_use(&self, key: StreamKeyId) {
        let shelves = self.context.shelves.clone();
        self.tasks.spawn(async move {
            let now = shelves.clock.now();
            let noting = stream_keys::note_use(&shelves.database, key, now);
            match timeout(NOTE, noting).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "the use of a key is not noted"),
                Err(_) => tracing::debug!("the use of a key is not noted in time"),
            }
        });
    }

    async fn numbering(&self, grant: &Grant) -> Result<Numbering, Refusal> {
        let claim = match grant.policy {
            TakeoverPolicy::Takeover => Claim::Takeover,
            TakeoverPolicy::Reject => Claim::Encoder,
        };
        loop {
            let mailbox = self.mailbox(grant.stream, &grant.name);
            let (reply, answer) = oneshot::channel();
            if mailbox.send(Command::Begin(claim, reply)).await.is_ok()
                && let Ok(numbering) = answer.await
            {
                return numbering;
            }
            if self.context.shutdown.is_cancelled() {
                return Err(Refusal::ShuttingDown);
            }
            // The session was just ending: wait for its end, then start another.
            mailbox.closed().await;
        }
    }
}

impl Host for Live {
    fn authorize(&self, request: PublishRequest) -> BoxFuture<'_, Result<Grant, Refusal>> {
        Box::pin(async move {
            let database = &self.context.shelves.database;
            let now = self.context.shelves.clock.now();
            rights::grant(database, request.key.expose(), now).await
        })
    }

    fn begin<'a>(&'a self, grant: &'a Grant) -> BoxFuture<'a, Result<Numbering, Refusal>> {
        Box::pin(async move {
            // From now on the grant is among those that are taken back. What was before, was not.
            self.is_still_good(grant).await?;
            let numbering = self.numbering(grant).await?;
            self.note_use(grant.key);
            Ok(numbering)
        })
    }
}
