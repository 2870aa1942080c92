//! The server's side of the pictures process.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use media::{DrawnSheet, Sheet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::PicturesError;
use super::harmful::Harmful;
use super::message::{Layout, Reply, Request};
use crate::VideoSource;
use crate::supervise::{BACKGROUND_NICE, Process, Stderr};
use crate::wire::{self, Encoded, WireError};

/// Sheets that wait at most.
pub const QUEUE: usize = 64;

/// Bytes of memory that the process may have: a few pictures of the largest size.
const MEMORY: u64 = 1 << 30;

/// How long a sheet may take, and how much longer for each of its pictures. The process
/// gives way to everything else, but who asked waits: with 25 pictures it has 10 s.
const SHEET_LIMIT: Duration = Duration::from_secs(5);
const PICTURE_LIMIT: Duration = Duration::from_millis(200);

/// How long the process is kept when nobody needs it.
const IDLE: Duration = Duration::from_secs(60);

/// A process that has ended its output is given this long to end itself.
const EXIT_LIMIT: Duration = Duration::from_secs(2);

/// How the pictures process is started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PicturesCommand {
    /// A program that calls [`super::pictures_main`].
    pub program: PathBuf,
    /// What it needs to be told to do so.
    pub args: Vec<OsString>,
    /// How long a sheet may take, without what its pictures add.
    pub sheet_limit: Duration,
    /// How long the process is kept when nobody needs it.
    pub idle: Duration,
}

impl PicturesCommand {
    /// A program with these arguments, and the usual limits.
    pub fn new(program: PathBuf, args: Vec<OsString>) -> Self {
        Self {
            program,
            args,
            sheet_limit: SHEET_LIMIT,
            idle: IDLE,
        }
    }

    /// This program itself, with the argument `pictures`.
    pub fn this_program() -> io::Result<Self> {
        Ok(Self::new(std::env::current_exe()?, vec!["pictures".into()]))
    }
}

/// Has JPEGs made of key frames, one sheet after another, by a child process that lives as
/// long as it is needed. Clones share it.
#[derive(Clone)]
pub struct Pictures {
    queue: mpsc::Sender<Errand>,
    /// Ends with the last clone, and the process with it.
    _task: Arc<JoinSet<()>>,
}

impl fmt::Debug for Pictures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pictures").finish_non_exhaustive()
    }
}

/// A sheet that somebody waits for.
struct Errand {
    sheet: Vec<Encoded>,
    /// Those that have a picture.
    tiles: BTreeSet<u16>,
    reply: oneshot::Sender<Result<DrawnSheet, PicturesError>>,
}

impl Pictures {
    /// Starts no process yet. Needs a tokio runtime.
    pub fn new(command: PicturesCommand) -> Self {
        let (queue, errands) = mpsc::channel(QUEUE);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut maker = JoinSet::new();
            maker.spawn(run(command, errands));
            if let Some(Err(error)) = maker.join_next().await {
                tracing::error!(%error, "no pictures are made any more");
            }
        });
        Self {
            queue,
            _task: Arc::new(task),
        }
    }

    /// Makes a JPEG of a sheet. May be cancelled: what is not begun is then not made.
    pub async fn make(&self, sheet: Sheet) -> Result<DrawnSheet, PicturesError> {
        let begun = Instant::now();
        let made = self.order(&sheet).await;
        let outcome = made.as_ref().map_or_else(PicturesError::kind, |_| "made");
        metrics::counter!("nova_pictures_total", "outcome" => outcome).increment(1);
        metrics::histogram!("nova_pictures_seconds").record(begun.elapsed());
        made
    }

    async fn order(&self, sheet: &Sheet) -> Result<DrawnSheet, PicturesError> {
        let (reply, answer) = oneshot::channel();
        let tiles = (0..=u16::MAX).zip(&sheet.tiles);
        let with_picture = tiles.filter(|(_, tile)| tile.is_some());
        let errand = Errand {
            sheet: messages(sheet)?,
            tiles: with_picture.map(|(at, _)| at).collect(),
            reply,
        };
        self.queue.try_send(errand).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => PicturesError::Busy,
            mpsc::error::TrySendError::Closed(_) => PicturesError::Closed,
        })?;
        answer.await.unwrap_or(Err(PicturesError::Closed))
    }
}

/// What is sent of a sheet.
fn messages(sheet: &Sheet) -> Result<Vec<Encoded>, WireError> {
    let layout = Layout {
        columns: sheet.columns,
        rows: sheet.rows,
        tile: sheet.tile,
    };
    let mut messages = vec![Request::Layout(layout).encode()?];
    let mut codec = None;
    for (index, key_frame) in (0..=u16::MAX).zip(&sheet.tiles) {
        let Some(key_frame) = key_frame else { continue };
        if index >= layout.tiles() {
            return Err(WireError::Order("tile"));
        }
        if codec != Some(&key_frame.codec) {
            let source = VideoSource::of(&key_frame.codec).ok_or(WireError::Body("source"))?;
            messages.push(Request::Source(source).encode()?);
            codec = Some(&key_frame.codec);
        }
        let data = key_frame.data.clone();
        messages.push(Request::Tile { index, data }.encode()?);
    }
    if codec.is_none() {
        return Err(WireError::Order("draw"));
    }
    messages.push(Request::Draw.encode()?);
    Ok(messages)
}

async fn run(command: PicturesCommand, mut errands: mpsc::Receiver<Errand>) {
    let mut kept: Option<Running> = None;
    let mut harmful = Harmful::default();
    loop {
        let errand = match &kept {
            Some(_) => timeout(command.idle, errands.recv()).await,
            None => Ok(errands.recv().await),
        };
        let Ok(errand) = errand else {
            tracing::debug!("the pictures process is not needed any more");
            kept = None;
            continue;
        };
        let Some(errand) = errand else { return };
        if errand.reply.is_closed() {
            continue;
        }
        if harmful.has(&errand.sheet, Instant::now()) {
            let reason = "a process ended or hung over this sheet a moment ago".to_owned();
            // Whoever asked may have left.
            let _ = errand.reply.send(Err(PicturesError::Undecodable(reason)));
            continue;
        }
        let by_kept = match kept.take() {
            Some(running) => Some(running.draw(&command, &errand).await),
            None => None,
        };
        let drawn = match by_kept {
            // It may have been killed before: that shows when it is needed.
            None
            | Some(Drawn {
                outcome: Err(PicturesError::Ended { .. }),
                ..
            }) => match Running::start(&command) {
                Ok(running) => running.draw(&command, &errand).await,
                Err(error) => Drawn::failed(error),
            },
            Some(drawn) => drawn,
        };
        if drawn.is_harmful {
            harmful.add(&errand.sheet, Instant::now());
        }
        kept = drawn.left;
        let _ = errand.reply.send(drawn.outcome);
    }
}

/// The process and the pipes to it. Dropped, it is killed.
struct Running {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: Stderr,
    buffer: BytesMut,
    greeted: bool,
}

/// What came of a sheet.
struct Drawn {
    /// Can draw another.
    left: Option<Running>,
    outcome: Result<DrawnSheet, PicturesError>,
    /// Whether a process that was well ended or hung over it.
    is_harmful: bool,
}

impl Drawn {
    fn failed(error: PicturesError) -> Self {
        Self {
            left: None,
            outcome: Err(error),
            is_harmful: false,
        }
    }
}

/// Why the process is of no use any more.
enum Fault {
    /// A pipe is broken: it has ended, or is about to.
    Ended,
    Nonsense(WireError),
}

impl From<WireError> for Fault {
    fn from(error: WireError) -> Self {
        Self::Nonsense(error)
    }
}

impl From<io::Error> for Fault {
    fn from(_: io::Error) -> Self {
        Self::Ended
    }
}

impl Running {
    fn start(command: &PicturesCommand) -> Result<Self, PicturesError> {
        let program = &command.program;
        let spawned = Process::spawn(program, &command.args, MEMORY, BACKGROUND_NICE);
        let process = spawned.map_err(|source| PicturesError::Start {
            program: program.clone(),
            source,
        })?;
        tracing::info!(pid = process.child.id(), "pictures process started");
        Ok(Self {
            child: process.child,
            stdin: process.stdin,
            stdout: process.stdout,
            stderr: Stderr::read(process.stderr, |line| {
                tracing::warn!("pictures process: {line}");
            }),
            buffer: BytesMut::new(),
            greeted: false,
        })
    }

    /// Draws a sheet. A process that failed is not kept.
    async fn draw(mut self, command: &PicturesCommand, errand: &Errand) -> Drawn {
        let pictures = u32::try_from(errand.tiles.len()).unwrap_or(u32::MAX);
        let limit = command.sheet_limit + PICTURE_LIMIT.saturating_mul(pictures);
        let exchanged = timeout(limit, self.exchange(errand)).await;
        let greeted = self.greeted;
        let error = match exchanged {
            Ok(Ok(Ok(drawn))) => {
                return Drawn {
                    left: Some(self),
                    outcome: Ok(drawn),
                    is_harmful: false,
                };
            }
            Ok(Ok(Err(error))) => {
                let killed = self.child.kill().await;
                killed.map_or_else(PicturesError::Wait, |()| error)
            }
            Ok(Err(fault)) => self.end(fault).await,
            Err(_) => {
                let killed = self.child.kill().await;
                let last_words = self.stderr.last_words().await;
                let stalled = PicturesError::Stalled { limit, last_words };
                killed.map_or_else(PicturesError::Wait, |()| stalled)
            }
        };
        let by_sheet = matches!(
            error,
            PicturesError::Ended { .. } | PicturesError::Stalled { .. }
        );
        Drawn {
            is_harmful: greeted && by_sheet,
            ..Drawn::failed(error)
        }
    }

    async fn exchange(
        &mut self,
        errand: &Errand,
    ) -> Result<Result<DrawnSheet, PicturesError>, Fault> {
        if !self.greeted {
            let Reply::Hello { version } = self.next().await? else {
                return Err(WireError::Order("sheet").into());
            };
            wire::check_version(version)?;
            self.greeted = true;
        }
        for message in &errand.sheet {
            self.stdin.write_all(&message.head).await?;
            self.stdin.write_all(&message.data).await?;
        }
        let mut undecodable = BTreeMap::new();
        let outcome = loop {
            match self.next().await? {
                Reply::Hello { .. } => return Err(WireError::Order("hello").into()),
                Reply::Undecodable { index, reason } => {
                    if !errand.tiles.contains(&index) {
                        return Err(WireError::Body("tile").into());
                    }
                    if undecodable.insert(index, reason).is_some() {
                        return Err(WireError::Order("tile").into());
                    }
                }
                Reply::Sheet { jpeg } => {
                    let undecodable = undecodable.into_iter();
                    break Ok(DrawnSheet {
                        jpeg,
                        undecodable: undecodable
                            .map(|(index, reason)| (usize::from(index), reason))
                            .collect(),
                    });
                }
                Reply::Failed { reason } => {
                    let all = undecodable.len() == errand.tiles.len();
                    break Err(match undecodable.into_values().next() {
                        Some(first) if all => PicturesError::Undecodable(first),
                        _ => PicturesError::GaveUp(reason),
                    });
                }
            }
        };
        if self.buffer.is_empty() {
            Ok(outcome)
        } else {
            Err(WireError::Order("sheet").into())
        }
    }

    async fn next(&mut self) -> Result<Reply, Fault> {
        loop {
            if let Some((kind, body)) = wire::split(&mut self.buffer)? {
                return Ok(Reply::decode(kind, body)?);
            }
            if self.stdout.read_buf(&mut self.buffer).await? == 0 {
                return Err(Fault::Ended);
            }
        }
    }

    /// Ends it, if it has not ended, and tells why.
    async fn end(mut self, fault: Fault) -> PicturesError {
        let ended = match fault {
            Fault::Ended => timeout(EXIT_LIMIT, self.child.wait()).await.ok(),
            Fault::Nonsense(_) => None,
        };
        let status = match ended {
            Some(status) => status,
            None => match self.child.start_kill() {
                Ok(()) => self.child.wait().await,
                Err(error) => Err(error),
            },
        };
        let last_words = self.stderr.last_words().await;
        match (fault, status) {
            (_, Err(error)) => PicturesError::Wait(error),
            (Fault::Nonsense(source), Ok(_)) => PicturesError::Nonsense { source, last_words },
            (Fault::Ended, Ok(status)) => PicturesError::Ended { status, last_words },
        }
    }
}
