//! One stream's task: its session from going live to the end of its grace period, and
//! the playlists of the ended session for a while after.

use std::sync::Arc;
use std::time::Duration;

use ingest::{Publication, Refusal};
use media::timeline::Numbering;
use media::{StreamId, StreamName, Timestamp};
use packager::LiveStream;
use storage::rows::sessions::{self, SessionRow};
use storage::rows::{RowError, numbering};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::Context;
use super::archive::Archive;
use super::broadcast::Broadcast;
use super::restore;

/// How long the playlists of an ended session stay.
const ENDED: Duration = Duration::from_secs(600);
/// How long a publisher that was let in may take to begin.
const BEGIN: Duration = Duration::from_secs(30);

/// What a session is told.
pub(super) enum Command {
    /// A publisher was let in: where does its timeline begin?
    Begin(oneshot::Sender<Result<Numbering, Refusal>>),
    /// A publication has begun.
    Publish(Box<Publication>),
}

/// A stream's task.
pub(super) struct Session {
    context: Arc<Context>,
    stream: StreamId,
    name: StreamName,
    state: State,
}

enum State {
    /// Nothing to serve; the task ends at the deadline unless a publisher comes.
    Idle(Instant),
    /// Live, or in grace: ends at the deadline unless a publisher comes.
    Open(Box<Open>, Instant),
    /// Playlists have ended; forgotten at the deadline.
    Ended(Arc<LiveStream>, Instant),
}

impl State {
    fn idle() -> Self {
        Self::Idle(Instant::now() + BEGIN)
    }
}

struct Open {
    row: SessionRow,
    window: Arc<LiveStream>,
    archive: Archive,
    /// Where the media so far ends; the rows learn of it later.
    media_end: Timestamp,
}

impl Session {
    /// A stream that nobody has published to since the server started.
    pub(super) fn new(context: Arc<Context>, stream: StreamId, name: StreamName) -> Self {
        Self {
            context,
            stream,
            name,
            state: State::idle(),
        }
    }

    /// Takes up a session that the server was stopped in. Its grace period starts again:
    /// the encoder could not reach us meanwhile.
    pub(super) async fn resume(&mut self, row: SessionRow) {
        let open = self.open(row).await;
        self.state = State::Open(open, Instant::now() + self.context.grace);
    }

    /// Runs until there is nothing left to serve, or the server stops.
    pub(super) async fn run(mut self, mut mailbox: mpsc::Receiver<Command>) {
        loop {
            let command = tokio::select! {
                biased;
                () = self.context.shutdown.cancelled() => break,
                command = mailbox.recv() => command,
                () = self.deadline() => {
                    if !self.expire().await {
                        break;
                    }
                    continue;
                }
            };
            match command {
                Some(Command::Begin(reply)) => {
                    let begun = self.begin().await.map_err(|error| {
                        tracing::error!(stream = %self.name, %error, "cannot begin");
                        Refusal::Internal
                    });
                    // The encoder may have left meanwhile; the deadline takes care of it.
                    let _ = reply.send(begun);
                }
                Some(Command::Publish(publication)) => self.publish(*publication).await,
                None => break,
            }
        }
    }

    async fn deadline(&self) {
        match &self.state {
            State::Idle(deadline) | State::Open(_, deadline) | State::Ended(_, deadline) => {
                sleep_until(*deadline).await;
            }
        }
    }

    /// The deadline has passed; false when there is nothing left to serve.
    async fn expire(&mut self) -> bool {
        match std::mem::replace(&mut self.state, State::idle()) {
            State::Open(open, _) => {
                tracing::info!(stream = %self.name, "stream ended");
                open.window.end();
                let now = self.context.shelves.clock.now();
                let database = &self.context.shelves.database;
                if let Err(error) = sessions::end_session(database, open.row.id, now).await {
                    tracing::error!(stream = %self.name, %error, "session was not ended");
                }
                self.state = State::Ended(open.window, Instant::now() + ENDED);
                true
            }
            State::Ended(window, _) => {
                self.context.streams.remove(&window);
                false
            }
            State::Idle(_) => false,
        }
    }

    /// Where the timeline goes on. A session is opened when the publication is there: a
    /// publisher who was let in and sends nothing leaves the ended playlists alone.
    async fn begin(&mut self) -> Result<Numbering, RowError> {
        let database = &self.context.shelves.database;
        let mut numbers = numbering::next_numbers(database, self.stream).await?;
        match &mut self.state {
            State::Open(open, until) => {
                sessions::publisher_returned(database, open.row.id).await?;
                *until = Instant::now() + self.context.grace.max(BEGIN);
                numbers.not_before = numbers.not_before.max(open.media_end);
            }
            State::Idle(until) => *until = Instant::now() + BEGIN,
            State::Ended(..) => {}
        }
        Ok(numbers)
    }

    async fn open(&self, row: SessionRow) -> Box<Open> {
        let window = restore::window(&self.context, &self.name, &row).await;
        let archive = self.context.archives.open(self.stream);
        Box::new(Open {
            row,
            window,
            archive,
            media_end: Timestamp::default(),
        })
    }

    async fn publish(&mut self, publication: Publication) {
        let mut open = match std::mem::replace(&mut self.state, State::idle()) {
            State::Open(open, _) => open,
            before => match self.go_live().await {
                Ok(open) => open,
                Err(error) => {
                    tracing::error!(stream = %self.name, %error, "cannot go live");
                    self.state = before;
                    return;
                }
            },
        };
        tracing::info!(stream = %self.name, "publisher is on");
        let broadcast = Broadcast {
            context: &self.context,
            session: &open.row,
            window: &open.window,
            archive: &open.archive,
        };
        let (media_end, outcome) = broadcast.run(publication).await;
        open.media_end = open.media_end.max(media_end);
        if let Err(error) = outcome {
            tracing::error!(stream = %self.name, %error, "publication was stopped");
        }
        let grace = self.context.grace;
        tracing::info!(stream = %self.name, grace_seconds = grace.as_secs(), "publisher is off");
        let now = self.context.shelves.clock.now();
        let database = &self.context.shelves.database;
        if let Err(error) = sessions::publisher_left(database, open.row.id, now).await {
            tracing::error!(stream = %self.name, %error, "the publisher's leaving was not noted");
        }
        self.state = State::Open(open, Instant::now() + grace);
    }

    async fn go_live(&self) -> Result<Box<Open>, RowError> {
        let now = self.context.shelves.clock.now();
        let database = &self.context.shelves.database;
        let opened = sessions::open_session(database, self.stream, now).await?;
        Ok(self.open(opened.session).await)
    }
}
