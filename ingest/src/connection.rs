//! One connection: a session on a socket.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::{sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::host::{BoxFuture, Host, PublishRequest, Refusal};
use crate::penalty::Penalties;
use crate::registry::{Publisher, Registry};
use crate::server::ServerConfig;
use crate::session::{Event, Output, PublishCommand, Session, SessionError};

/// Bytes read at a time.
const READ_SIZE: usize = 32 << 10;

/// Nothing is read while more than this waits to be sent.
const UNSENT_LIMIT: usize = 64 << 10;

/// How long a peer that is told why it is closed may take to read it, and how much of
/// what it still sends is thrown away meanwhile. Closing with unread input would reset
/// the connection, and the peer would not see the reason.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 8 << 20;

/// What all connections of a server use.
pub(crate) struct Shared {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) registry: Registry,
    pub(crate) config: ServerConfig,
    pub(crate) penalties: Mutex<Penalties>,
}

/// How a connection ended.
enum End {
    /// The peer closed it.
    Closed,
    /// The socket failed.
    Io(io::Error),
    /// We end it.
    Session(SessionError),
}

impl<E: Into<SessionError>> From<E> for End {
    fn from(error: E) -> Self {
        Self::Session(error.into())
    }
}

/// Runs a connection until either side ends it.
pub(crate) async fn serve(
    mut stream: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared>,
    shutdown: CancellationToken,
) {
    // Answers are small and the encoder waits for each.
    let _ = stream.set_nodelay(true);
    let (reader, writer) = stream.split();
    let session = Session::new(shared.config.session, Instant::now());
    let mut connection = Connection {
        peer,
        shared,
        session,
        reader,
        writer,
        unsent: BytesMut::new(),
        deciding: None,
        publisher: None,
    };
    let end = tokio::select! {
        end = connection.run() => end,
        () = shutdown.cancelled() => End::Session(SessionError::Refused(Refusal::ShuttingDown)),
    };
    // The feed ends and the stream is free before anything that waits for the peer.
    connection.deciding = None;
    connection.publisher = None;
    match end {
        End::Closed => debug!(%peer, "connection closed by the encoder"),
        End::Io(error) => debug!(%peer, %error, "connection failed"),
        End::Session(error) => {
            let error = connection.session.fail(error);
            let reason = error.label();
            info!(%peer, %error, reason, "connection ended");
            metrics::counter!("nova_ingest_connections_ended_total", "reason" => reason)
                .increment(1);
            connection.say_goodbye(&error, &shutdown).await;
        }
    }
}

struct Connection<'a> {
    peer: SocketAddr,
    shared: Arc<Shared>,
    session: Session,
    reader: ReadHalf<'a>,
    writer: WriteHalf<'a>,
    unsent: BytesMut,
    deciding: Option<BoxFuture<'static, Result<Publisher, Refusal>>>,
    publisher: Option<Publisher>,
}

impl Connection<'_> {
    async fn run(&mut self) -> End {
        match self.drive().await {
            Ok(()) => End::Closed,
            Err(end) => end,
        }
    }

    async fn drive(&mut self) -> Result<(), End> {
        let mut buffer = vec![0; READ_SIZE];
        let due = |session: &Session| session.poll_timeout().unwrap_or_else(Instant::now);
        let timer = sleep_until(due(&self.session).into());
        tokio::pin!(timer);
        loop {
            self.drain()?;
            // A deadline that has moved on is noticed when the timer rings.
            if due(&self.session) < timer.deadline().into_std() {
                timer.as_mut().reset(due(&self.session).into());
            }
            let evicted = self.publisher.as_ref().map(|p| p.evicted().clone());
            let abandoned = self.publisher.as_ref().map(|p| p.abandoned().clone());
            let wants_input = self.session.wants_input() && self.unsent.len() < UNSENT_LIMIT;
            tokio::select! {
                () = cancelled(evicted.as_ref()) => {
                    let why = self.publisher.as_ref().map(Publisher::why_evicted);
                    let why = why.unwrap_or(Refusal::TakenOver);
                    return Err(SessionError::Refused(why).into());
                }
                () = cancelled(abandoned.as_ref()) => {
                    return Err(SessionError::Refused(Refusal::Internal).into());
                }
                decided = decision(&mut self.deciding) => self.decided(decided)?,
                () = timer.as_mut() => {
                    self.session.handle_timeout(Instant::now())?;
                    timer.as_mut().reset(due(&self.session).into());
                }
                written = self.writer.write_buf(&mut self.unsent), if !self.unsent.is_empty() => {
                    written.map_err(End::Io)?;
                }
                read = self.reader.read(&mut buffer), if wants_input => {
                    let size = read.map_err(End::Io)?;
                    if size == 0 {
                        return Ok(());
                    }
                    metrics::counter!("nova_ingest_bytes_total").increment(size as u64);
                    let input = &buffer[..size];
                    let handled = self.session.handle_input(Instant::now(), input);
                    // What came before an error counts.
                    self.drain()?;
                    handled?;
                }
            }
        }
    }

    /// Takes the session's outputs.
    fn drain(&mut self) -> Result<(), End> {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send(bytes) => self.unsent.extend_from_slice(&bytes),
                Output::Event(event) => self.handle_event(event)?,
            }
        }
        Ok(())
    }

    fn handle_event(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::PublishRequested(command) => {
                let decision = decide(self.shared.clone(), command, self.peer);
                self.deciding = Some(Box::pin(decision));
            }
            Event::Codec(codec) => {
                if let Some(publisher) = &mut self.publisher {
                    publisher.configure(codec).map_err(SessionError::from)?;
                }
            }
            Event::Frame(frame) => {
                if let Some(publisher) = &mut self.publisher {
                    publisher.push(frame).map_err(SessionError::from)?;
                }
            }
            Event::Unpublished => self.publisher = None,
        }
        Ok(())
    }

    fn decided(&mut self, decided: Result<Publisher, Refusal>) -> Result<(), End> {
        self.deciding = None;
        match decided {
            Ok(publisher) => {
                self.publisher = Some(publisher);
                let accepted = self.session.accept_publish(Instant::now());
                self.drain()?;
                Ok(accepted?)
            }
            Err(refusal) => Err(SessionError::Refused(refusal).into()),
        }
    }

    /// Tells the peer why it is closed, and gives it a moment to read it.
    async fn say_goodbye(&mut self, error: &SessionError, shutdown: &CancellationToken) {
        while let Some(output) = self.session.poll_output() {
            if let Output::Send(bytes) = output {
                self.unsent.extend_from_slice(&bytes);
            }
        }
        let wait = self.penalty(error);
        if !wait.is_zero() {
            tokio::select! {
                () = sleep(wait) => {}
                () = shutdown.cancelled() => {}
            }
        }
        if !self.unsent.is_empty() {
            let goodbye = async {
                self.writer.write_all_buf(&mut self.unsent).await?;
                self.writer.shutdown().await?;
                let mut buffer = vec![0; READ_SIZE];
                let mut discarded = 0;
                while discarded < LINGER_BYTES {
                    match self.reader.read(&mut buffer).await? {
                        0 => break,
                        size => discarded += size,
                    }
                }
                io::Result::Ok(())
            };
            // A peer that is gone, or does not listen, is closed all the same.
            let _ = timeout(LINGER, goodbye).await;
        }
    }

    fn penalty(&self, error: &SessionError) -> Duration {
        match error {
            SessionError::Refused(Refusal::BadKey | Refusal::Forbidden(_)) => self
                .shared
                .penalties
                .lock()
                // Nothing that can panic runs under this lock.
                .unwrap_or_else(PoisonError::into_inner)
                .refuse(self.peer.ip(), Instant::now()),
            _ => Duration::ZERO,
        }
    }
}

/// Asks the house, takes the stream's seat, and begins the publication.
async fn decide(
    shared: Arc<Shared>,
    command: PublishCommand,
    peer: SocketAddr,
) -> Result<Publisher, Refusal> {
    let request = PublishRequest {
        key: command.key,
        app: command.app,
        encoder: command.encoder.clone(),
        peer,
    };
    let grant = shared.host.authorize(request).await?;
    let claim = shared.registry.claim(&grant).await?;
    let numbering = tokio::select! {
        () = claim.evicted().cancelled() => return Err(claim.why_evicted()),
        numbering = shared.host.begin(&grant) => numbering?,
    };
    let (stream, encoder) = (grant.name.clone(), command.encoder.unwrap_or_default());
    let (limits, clock) = (shared.config.timeline, shared.config.clock.clone());
    let publisher = shared
        .registry
        .begin(claim, grant, limits, numbering, clock)?;
    info!(%peer, %stream, encoder, "publishing");
    metrics::counter!("nova_ingest_publications_total").increment(1);
    Ok(publisher)
}

/// The decision, or never when none is awaited.
async fn decision(
    deciding: &mut Option<BoxFuture<'static, Result<Publisher, Refusal>>>,
) -> Result<Publisher, Refusal> {
    match deciding {
        Some(deciding) => deciding.await,
        None => std::future::pending().await,
    }
}

/// Ends when `token` is cancelled; never without one.
async fn cancelled(token: Option<&CancellationToken>) {
    match token {
        Some(token) => token.cancelled().await,
        None => std::future::pending().await,
    }
}
