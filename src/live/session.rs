//! One stream's task: its session from going live to the end of its grace period, and
//! the playlists of the ended session for a while after.

use std::sync::Arc;
use std::time::Duration;

use ingest::{Publication, Refusal};
use media::timeline::Numbering;
use media::{Micros, SessionId, StreamId, StreamName, Timestamp};
use packager::LiveStream;
use storage::rows::leases::Lease;
use storage::rows::origins::{self, Claim};
use storage::rows::sessions::{self, SessionRow};
use storage::rows::{Database, RowError, numbering};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::Context;
use super::archive::Archive;
use super::broadcast::Broadcast;
use super::measure::SessionMeter;
use super::restore;

/// How long the playlists of an ended session stay.
const ENDED: Duration = Duration::from_secs(600);
/// How long the row of an ended session may take to be written.
const WRITE: Duration = Duration::from_secs(5);
/// How soon that is tried again.
const WRITE_AGAIN: Duration = Duration::from_secs(5);
/// How long a publisher that was let in may take to begin.
const BEGIN: Duration = Duration::from_secs(30);
/// How long an origin must have been without its place before its sessions are taken up by
/// others that no encoder has come to. It goes on for about so long while the database is away.
pub(super) const GONE: Micros = Micros::from_secs(30);

/// What a session is told.
pub(super) enum Command {
    /// A publisher was let in: where does its timeline begin?
    Begin(Claim, oneshot::Sender<Result<Numbering, Refusal>>),
    /// A publication has begun.
    Publish(Box<Publication>),
    /// Another origin seems to have the stream.
    Look,
    /// The stream's broadcast is to be over now, without a grace period; and with `forget`,
    /// nothing of it is to be served any more.
    End { forget: bool },
    /// Nobody seems to have the stream's session: its origin is gone, or this one has lost it.
    Inherit,
}

/// A stream's task.
pub(super) struct Session {
    context: Arc<Context>,
    stream: StreamId,
    name: StreamName,
    state: State,
    held: Option<Held>,
    unwritten: Option<Unwritten>,
}

/// The stream is this origin's, as far as it knows.
struct Held {
    lease: Lease,
    /// The rows, fenced with the lease: nothing is written once another origin has the stream.
    rows: Database,
}

/// The end of a session that its row does not know of yet.
#[derive(Clone, Copy)]
struct Unwritten {
    session: SessionId,
    ended_at: Timestamp,
    try_at: Instant,
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
    meter: Arc<SessionMeter>,
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
            held: None,
            unwritten: None,
        }
    }

    /// Takes up the session that the server was stopped in, or whose origin is gone; false
    /// when there is none, or it is another's. Its grace period starts again: the encoder
    /// could not reach us meanwhile.
    pub(super) async fn inherit(&mut self) -> Result<bool, RowError> {
        let awaits_encoder = self.held.is_some();
        let ours = self.claim(Claim::Heir).await?;
        let is_open = matches!(self.state, State::Open(..));
        if ours && !is_open && !awaits_encoder {
            self.release().await;
        }
        Ok(ours && is_open)
    }

    /// A session is served here, or one is ended: there is nothing to inherit.
    fn has_session(&self) -> bool {
        self.held.is_some() && !matches!(self.state, State::Idle(_))
    }

    /// Makes the stream this origin's, if `claim` is enough, and takes up its open session
    /// where another origin had it, or nobody.
    async fn claim(&mut self, claim: Claim) -> Result<bool, RowError> {
        let context = self.context.clone();
        let database = &context.shelves.database;
        let now = match claim {
            Claim::Heir => context.shelves.clock.now() - GONE,
            Claim::Takeover | Claim::Encoder => context.shelves.clock.now(),
        };
        // Edges hear of it with the row, and ask here.
        let _coming = context.streams.expect(&self.name);
        let taken = origins::take_stream(database, self.stream, &context.place, claim, now).await?;
        let Some(taken) = taken else {
            return Ok(false);
        };
        if !taken.was_ours {
            self.let_go();
        }
        let held = Held {
            rows: database.fenced(taken.lease.clone()),
            lease: taken.lease,
        };
        // What fails from here on leaves a stream that is this origin's and that no session has:
        // `custody` finds it, and it is inherited.
        if matches!(self.state, State::Idle(_))
            && let Some(row) = sessions::open_session_of(database, self.stream).await?
        {
            if claim == Claim::Heir {
                // Whoever had the session before may have crashed with an encoder on.
                let now = context.shelves.clock.now();
                sessions::publisher_left(&held.rows, row.id, now).await?;
            }
            let open = self.open(row).await;
            self.state = State::Open(open, Instant::now() + context.grace);
        }
        self.held = Some(held);
        context.moved.notify_one();
        Ok(true)
    }

    /// The stream is another's: nothing of it is served here any more.
    fn let_go(&mut self) {
        self.held = None;
        self.unwritten = None;
        // Whoever is idle stays so until its deadline, however often it hears of the other.
        if matches!(self.state, State::Idle(_)) {
            return;
        }
        let window = match std::mem::replace(&mut self.state, State::idle()) {
            State::Open(open, _) => open.window,
            State::Ended(window, _) => window,
            State::Idle(_) => return,
        };
        tracing::info!(stream = %self.name, "another origin has the stream");
        self.context.streams.remove(&window);
    }

    /// Lets the stream go if another origin has it.
    async fn look(&mut self) -> Result<(), RowError> {
        let database = &self.context.shelves.database;
        let is_elsewhere = match &self.held {
            Some(held) => !held.lease.is_ours(database).await?,
            // Its end was written: what is open is of another.
            None => sessions::open_session_of(database, self.stream)
                .await?
                .is_some(),
        };
        if is_elsewhere {
            self.let_go();
        }
        Ok(())
    }

    fn rows(&self) -> Result<&Database, RowError> {
        match &self.held {
            Some(held) => Ok(&held.rows),
            None => Err(RowError::LeaseLost {
                name: format!("live/{}", self.stream),
            }),
        }
    }

    /// Runs until there is nothing left to serve, or the server stops.
    pub(super) async fn run(mut self, mut mailbox: mpsc::Receiver<Command>) {
        loop {
            let command = tokio::select! {
                biased;
                () = self.context.shutdown.cancelled() => break,
                command = mailbox.recv() => command,
                () = self.write_again() => {
                    self.write_end().await;
                    continue;
                }
                () = self.deadline() => {
                    if !self.expire().await {
                        // An encoder that was let in has not begun.
                        self.release().await;
                        break;
                    }
                    continue;
                }
            };
            match command {
                Some(Command::Begin(claim, reply)) => {
                    let begun = match self.begin(claim).await {
                        Ok(Some(numbering)) => Ok(numbering),
                        Ok(None) => Err(Refusal::Busy),
                        Err(error) => {
                            tracing::error!(stream = %self.name, %error, "cannot begin");
                            Err(Refusal::Internal)
                        }
                    };
                    // The encoder may have left meanwhile; the deadline takes care of it.
                    let _ = reply.send(begun);
                }
                Some(Command::Publish(publication)) => self.publish(*publication).await,
                Some(Command::Look) => {
                    if let Err(error) = self.look().await {
                        tracing::warn!(stream = %self.name, %error, "whose stream it is is not known");
                    }
                }
                Some(Command::End { forget }) => self.end(forget).await,
                Some(Command::Inherit) if self.has_session() => {}
                Some(Command::Inherit) => match self.inherit().await {
                    Ok(true) => tracing::info!(
                        stream = %self.name,
                        "a session that nobody had is taken up"
                    ),
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(stream = %self.name, %error, "a session was not taken up");
                    }
                },
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
                self.unwritten = Some(Unwritten {
                    session: open.row.id,
                    ended_at: self.context.shelves.clock.now(),
                    try_at: Instant::now(),
                });
                self.state = State::Ended(open.window, Instant::now() + ENDED);
                self.write_end().await;
                true
            }
            State::Ended(window, _) => {
                self.context.streams.remove(&window);
                self.unwritten.is_some()
            }
            State::Idle(_) => self.unwritten.is_some(),
        }
    }

    /// Ends the session at once. Its publisher is gone.
    async fn end(&mut self, forget: bool) {
        if matches!(self.state, State::Open(..)) {
            self.expire().await;
        }
        if forget && let State::Ended(_, until) = &mut self.state {
            *until = Instant::now();
        }
    }

    /// Returns when the end of the session is to be written again.
    async fn write_again(&self) {
        match self.unwritten {
            Some(Unwritten { try_at, .. }) => sleep_until(try_at).await,
            None => std::future::pending().await,
        }
    }

    /// Tells the row that the session has ended, if it does not know. Until it does, the
    /// stream would be live for everybody who reads rows.
    async fn write_end(&mut self) {
        let Some(unwritten) = self.unwritten else {
            return;
        };
        let Unwritten {
            session, ended_at, ..
        } = unwritten;
        let ending = async { sessions::end_session(self.rows()?, session, ended_at).await };
        let failed = match timeout(WRITE, ending).await {
            Ok(Err(RowError::LeaseLost { .. })) => {
                tracing::warn!(stream = %self.name, "another process has the session: it is not ended here");
                self.let_go();
                return;
            }
            // Not open any more: by us, at an attempt whose answer was lost.
            Ok(Ok(()) | Err(RowError::SessionNotOpen(_))) => {
                self.unwritten = None;
                self.release().await;
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {WRITE:?}"),
        };
        tracing::error!(
            stream = %self.name, error = failed,
            "the end of the session is not written yet"
        );
        self.unwritten = Some(Unwritten {
            try_at: Instant::now() + WRITE_AGAIN,
            ..unwritten
        });
    }

    /// Others may have the stream. When that fails they ask whether there is a session.
    async fn release(&mut self) {
        let Some(held) = self.held.take() else { return };
        let releasing = held.lease.release(&self.context.shelves.database);
        if !matches!(timeout(WRITE, releasing).await, Ok(Ok(()))) {
            tracing::warn!(stream = %self.name, "the stream's lease was not released");
        }
        self.context.moved.notify_one();
    }

    /// Where the timeline goes on, unless `claim` is not enough. A session is opened when the publication is there: a
    /// publisher who was let in and sends nothing leaves the ended playlists alone.
    async fn begin(&mut self, claim: Claim) -> Result<Option<Numbering>, RowError> {
        // A session is not gone on with once its playlists have ended.
        self.write_end().await;
        if self.unwritten.is_some() {
            return Err(RowError::Busy);
        }
        if !self.claim(claim).await? {
            return Ok(None);
        }
        let database = &self.context.shelves.database;
        let mut numbers = numbering::next_numbers(database, self.stream).await?;
        if let State::Open(open, _) = &self.state {
            sessions::publisher_returned(self.rows()?, open.row.id).await?;
        }
        match &mut self.state {
            State::Open(open, until) => {
                *until = Instant::now() + self.context.grace.max(BEGIN);
                numbers.not_before = numbers.not_before.max(open.media_end);
            }
            State::Idle(until) => *until = Instant::now() + BEGIN,
            State::Ended(..) => {}
        }
        Ok(Some(numbers))
    }

    async fn open(&self, row: SessionRow) -> Box<Open> {
        let window = restore::window(&self.context, &self.name, &row).await;
        let archive = self.context.archives.open(self.stream);
        Box::new(Open {
            meter: self.context.meters.join(self.stream, row.id),
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
        let rows = match self.rows().cloned() {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(stream = %self.name, %error, "the publication came too late");
                self.state = State::Open(open, Instant::now());
                self.let_go();
                return;
            }
        };
        tracing::info!(stream = %self.name, "publisher is on");
        let broadcast = Broadcast {
            context: &self.context,
            rows: &rows,
            session: &open.row,
            window: &open.window,
            archive: &open.archive,
            meter: &open.meter,
        };
        let (media_end, outcome) = broadcast.run(publication).await;
        open.media_end = open.media_end.max(media_end);
        if let Err(error) = outcome {
            tracing::error!(stream = %self.name, %error, "publication was stopped");
        }
        let grace = self.context.grace;
        tracing::info!(stream = %self.name, grace_seconds = grace.as_secs(), "publisher is off");
        let now = self.context.shelves.clock.now();
        let left = sessions::publisher_left(&rows, open.row.id, now).await;
        self.state = State::Open(open, Instant::now() + grace);
        match left {
            Ok(()) => {}
            Err(RowError::LeaseLost { .. }) => self.let_go(),
            Err(error) => {
                tracing::error!(stream = %self.name, %error, "the publisher's leaving was not noted");
            }
        }
    }

    async fn go_live(&self) -> Result<Box<Open>, RowError> {
        let now = self.context.shelves.clock.now();
        let _coming = self.context.streams.expect(&self.name);
        let opened = sessions::open_session(self.rows()?, self.stream, now).await?;
        self.context.moved.notify_one();
        Ok(self.open(opened.session).await)
    }
}

#[cfg(test)]
mod tests;
