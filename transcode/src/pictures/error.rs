use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use super::maker::QUEUE;
use crate::supervise::LastWords;
use crate::wire::WireError;

/// Why there is no JPEG.
#[derive(Debug, thiserror::Error)]
pub enum PicturesError {
    /// None of the sheet's key frames can be decoded: another attempt would find the same.
    #[error("{0}")]
    Undecodable(String),
    /// A limit.
    #[error("{QUEUE} sheets wait for the pictures process already")]
    Busy,
    /// The sheet is over a limit, or has nothing in it.
    #[error("a sheet that cannot be drawn: {0}")]
    Sheet(#[from] WireError),
    /// The process cannot be started.
    #[error("the pictures process {program:?} cannot be started: {source}")]
    Start {
        /// What was to be started.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It ended before its work did.
    #[error("the pictures process ended early ({status}){last_words}")]
    Ended {
        /// Exit code or signal.
        status: ExitStatus,
        /// Its last lines on standard error.
        last_words: LastWords,
    },
    /// It was killed.
    #[error("the pictures process gave nothing for {} s{last_words}", limit.as_secs_f64())]
    Stalled {
        /// How long it had.
        limit: Duration,
        /// Its last lines on standard error.
        last_words: LastWords,
    },
    /// It was killed.
    #[error("the pictures process talks nonsense: {source}{last_words}")]
    Nonsense {
        /// What is wrong with it.
        #[source]
        source: WireError,
        /// Its last lines on standard error.
        last_words: LastWords,
    },
    /// It gave a reason: memory, or a library that lacks something.
    #[error("the pictures process could not do it: {0}")]
    GaveUp(String),
    /// Waiting for its end.
    #[error("the pictures process cannot be waited for: {0}")]
    Wait(#[source] io::Error),
    /// The server is stopping.
    #[error("no pictures are made any more")]
    Closed,
}

impl PicturesError {
    /// A short name for counters.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Undecodable(_) => "undecodable",
            Self::Busy => "busy",
            Self::Sheet(_) => "sheet",
            Self::Start { .. } => "start",
            Self::Ended { .. } => "ended",
            Self::Stalled { .. } => "stalled",
            Self::Nonsense { .. } => "nonsense",
            Self::GaveUp(_) => "gave_up",
            Self::Wait(_) => "wait",
            Self::Closed => "closed",
        }
    }
}
