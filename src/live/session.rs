//! One stream's task: its session from going live to the end of its grace period, and
//! the playlists of the ended session for a while after.

use std::sync::Arc;
use std::time::Duration;

use ingest::{Publication, Refusal};
use media::timeline::Numbering;
use media::{SessionId, StreamId, StreamName, Timestamp};
use packager::LiveStream;
use storage::rows::sessions::{self, SessionRow};
use storage::rows::{RowError, numbering};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::Context;
use super::archive::Archive;
use super::broadcast::Broadcast;
use super::restore;

/// How long the playlists of an ended session stay.
const ENDED: Duration = Duration::from_secs(600);
/// How long the row of an ended session may take to be written.
const WRITE: Duration = Duration::from_secs(5);
/// How soon that is tried again.
const WRITE_AGAIN: Duration = Duration::from_secs(5);
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
    unwritten: Option<Unwritten>,
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
            unwritten: None,
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
                () = self.write_again() => {
                    self.write_end().await;
                    continue;
                }
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
        let ending = sessions::end_session(&self.context.session_rows, session, ended_at);
        let failed = match timeout(WRITE, ending).await {
            Ok(Err(RowError::LeaseLost { .. })) => {
                tracing::warn!(stream = %self.name, "another process has the session: it is not ended here");
                self.unwritten = None;
                return;
            }
            // Not open any more: by us, at an attempt whose answer was lost.
            Ok(Ok(()) | Err(RowError::SessionNotOpen(_))) => {
                self.unwritten = None;
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

    /// Where the timeline goes on. A session is opened when the publication is there: a
    /// publisher who was let in and sends nothing leaves the ended playlists alone.
    async fn begin(&mut self) -> Result<Numbering, RowError> {
        // A session is not gone on with once its playlists have ended.
        self.write_end().await;
        if self.unwritten.is_some() {
            return Err(RowError::Busy);
        }
        let database = &self.context.shelves.database;
        let mut numbers = numbering::next_numbers(database, self.stream).await?;
        match &mut self.state {
            State::Open(open, until) => {
                sessions::publisher_returned(&self.context.session_rows, open.row.id).await?;
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
        let database = &self.context.session_rows;
        if let Err(error) = sessions::publisher_left(database, open.row.id, now).await {
            tracing::error!(stream = %self.name, %error, "the publisher's leaving was not noted");
        }
        self.state = State::Open(open, Instant::now() + grace);
    }

    async fn go_live(&self) -> Result<Box<Open>, RowError> {
        let now = self.context.shelves.clock.now();
        let database = &self.context.session_rows;
        let opened = sessions::open_session(database, self.stream, now).await?;
        Ok(self.open(opened.session).await)
    }
}

#[cfg(test)]
mod tests {
    use storage::objects::MemoryStore;
    use storage::rows::sql::query;

    use super::*;
    use crate::live::simulation::World;

    async fn run(world: &World, statement: &'static str) {
        let mut transaction = world.database().write().await.unwrap();
        query(statement).execute(&mut transaction).await.unwrap();
        transaction.commit().await.unwrap();
    }

    #[tokio::test]
    async fn a_session_that_another_process_has_taken_up_is_left_to_it() {
        let directory = tempfile::tempdir().unwrap();
        let world = World::on_sqlite(directory.path(), Arc::new(MemoryStore::default())).await;
        let stream = world.stream("garden").await;
        let mut session = Session::new(world.context.clone(), stream, "garden".parse().unwrap());
        let open = session.go_live().await.unwrap();
        session.state = State::Open(open, Instant::now());
        // As the same directory's next process does.
        run(
            &world,
            "UPDATE leases SET token = token + 1 WHERE name = 'live'",
        )
        .await;
        session.expire().await;
        assert!(session.unwritten.is_none(), "nothing is left to write");
        let unfinished = sessions::unfinished_sessions(world.database())
            .await
            .unwrap();
        assert_eq!(unfinished.len(), 1, "it is open for its new owner");
        let error = session.go_live().await.err().unwrap();
        assert!(matches!(error, RowError::LeaseLost { .. }), "{error}");
    }

    #[tokio::test]
    async fn the_end_of_a_session_is_written_when_the_database_takes_it_again() {
        let directory = tempfile::tempdir().unwrap();
        let world = World::on_sqlite(directory.path(), Arc::new(MemoryStore::default())).await;
        let stream = world.stream("garden").await;
        let name: StreamName = "garden".parse().unwrap();
        let mut session = Session::new(world.context.clone(), stream, name);
        let open = session.go_live().await.unwrap();
        session.state = State::Open(open, Instant::now());
        run(
            &world,
            "CREATE TRIGGER refuses BEFORE UPDATE OF ended_at ON live_sessions
             BEGIN SELECT RAISE(ABORT, 'not now'); END",
        )
        .await;
        assert!(session.expire().await, "its task goes on");
        let unfinished = || sessions::unfinished_sessions(world.database());
        assert_eq!(unfinished().await.unwrap().len(), 1);
        assert!(session.begin().await.is_err(), "it is not gone on with");

        run(&world, "DROP TRIGGER refuses").await;
        session.unwritten.as_mut().unwrap().try_at = Instant::now();
        let (_commands, mailbox) = mpsc::channel(1);
        let task = tokio::spawn(session.run(mailbox));
        while !unfinished().await.unwrap().is_empty() {
            assert!(!task.is_finished());
            tokio::task::yield_now().await;
        }
        task.abort();
    }
}
