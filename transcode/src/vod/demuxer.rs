//! The server's side of a demuxing process.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout};
use tokio::time::timeout;

use super::message::{Demuxed, Message, Task};
use crate::supervise::{BACKGROUND_NICE, LastWords, Process, Stderr};
use crate::wire::{self, WireError};

/// A process that says nothing for so long hangs: time enough to read some gigabytes to
/// where a container cannot be sought in.
const SILENCE: Duration = Duration::from_secs(120);
/// Bytes of memory that a process may have.
const MEMORY: u64 = 1 << 30;
/// A process that has said its last word is given this long to end.
const EXIT_LIMIT: Duration = Duration::from_secs(2);
/// Bytes asked of the pipe at once.
const READ_SIZE: usize = 64 << 10;

/// How a demuxing process is started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DemuxCommand {
    /// A program that gives its last argument to [`super::demux_main`].
    pub program: PathBuf,
    /// What comes before that argument.
    pub args: Vec<OsString>,
}

impl DemuxCommand {
    /// This program itself, with the argument `demux`.
    pub fn this_program() -> io::Result<Self> {
        Ok(Self {
            program: std::env::current_exe()?,
            args: vec!["demux".into()],
        })
    }
}

/// Why a file is not read any further.
#[derive(Debug, thiserror::Error)]
pub enum DemuxError {
    /// The file is at fault: another attempt would find the same.
    #[error("{0}")]
    Refused(String),
    /// The machine is: it has no memory left, or cannot read its disk.
    #[error("the file cannot be read now: {0}")]
    Hindered(String),
    /// The process cannot be started.
    #[error("the demuxer cannot be started: {0}")]
    Start(#[source] io::Error),
    /// It ended before its work did.
    #[error("the demuxer ended early ({status}){last_words}")]
    Ended {
        /// Exit code or signal.
        status: ExitStatus,
        /// Its last lines on standard error.
        last_words: LastWords,
    },
    /// It was killed.
    #[error("the demuxer said nothing for {} s", SILENCE.as_secs())]
    Stalled,
    /// It was killed.
    #[error("the demuxer talks nonsense: {0}")]
    Nonsense(#[from] WireError),
    /// The pipe from it, or waiting for its end.
    #[error("the demuxer cannot be read: {0}")]
    Read(#[from] io::Error),
}

/// A process that reads a file. Dropped, it is killed.
#[derive(Debug)]
pub struct Demuxer {
    child: Child,
    stdout: ChildStdout,
    stderr: Stderr,
    buffer: BytesMut,
    ended: bool,
}

impl Demuxer {
    /// Starts a process on `task`. Needs a tokio runtime.
    pub fn start(command: &DemuxCommand, task: &Task) -> Result<Self, DemuxError> {
        let document = serde_json::to_string(task).map_err(WireError::from)?;
        let mut args = command.args.clone();
        args.push(document.into());
        // What it reads is a file: its standard input ends at once.
        let Process {
            child,
            stdin: _,
            stdout,
            stderr,
        } = Process::spawn(&command.program, &args, MEMORY, BACKGROUND_NICE)
            .map_err(DemuxError::Start)?;
        Ok(Self {
            child,
            stdout,
            stderr: Stderr::read(stderr, |line| tracing::warn!("demuxer: {line}")),
            buffer: BytesMut::new(),
            ended: false,
        })
    }

    /// The process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Ends the process and waits for it: what it took is then known.
    pub async fn stop(mut self) -> Result<(), DemuxError> {
        Ok(self.child.kill().await?)
    }

    /// What comes next of the file; `None` at its end.
    pub async fn next(&mut self) -> Result<Option<Demuxed>, DemuxError> {
        while !self.ended {
            if let Some((kind, body)) = wire::split(&mut self.buffer)? {
                match Message::decode(kind, body)? {
                    Message::Demuxed(demuxed) => return Ok(Some(demuxed)),
                    Message::End => self.ended = true,
                    Message::Failed(reason) => return Err(DemuxError::Refused(reason)),
                    Message::Hindered(how) => return Err(DemuxError::Hindered(how)),
                }
                continue;
            }
            self.buffer.reserve(READ_SIZE);
            let read = timeout(SILENCE, self.stdout.read_buf(&mut self.buffer)).await;
            if read.map_err(|_| DemuxError::Stalled)?? == 0 {
                let status = timeout(EXIT_LIMIT, self.child.wait()).await;
                return Err(DemuxError::Ended {
                    status: status.map_err(|_| DemuxError::Stalled)??,
                    last_words: self.stderr.last_words().await,
                });
            }
        }
        Ok(None)
    }
}
