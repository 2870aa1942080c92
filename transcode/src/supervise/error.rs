use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use crate::engine::NO_ENGINE;
use crate::wire::WireError;

/// Why a worker is no more. A new one can do the same job; only
/// [`WorkerError::NoEngine`] is final.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// This build.
    #[error("{NO_ENGINE}")]
    NoEngine,
    /// The process cannot be started.
    #[error("transcode worker {program:?} cannot be started: {source}")]
    Start {
        /// What was to be started.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It ended before its work did.
    #[error("transcode worker ended early ({status}){last_words}")]
    Ended {
        /// Exit code or signal.
        status: ExitStatus,
        /// Its last lines on standard error.
        last_words: LastWords,
    },
    /// It gave a reason and ended.
    #[error("transcode worker gave up: {reason}")]
    GaveUp {
        /// In its words.
        reason: String,
    },
    /// What it says cannot be understood. It was killed.
    #[error("transcode worker talks nonsense: {source}{last_words}")]
    Nonsense {
        /// What is wrong with it.
        #[source]
        source: WireError,
        /// Its last lines on standard error.
        last_words: LastWords,
    },
    /// It was sent frames and said nothing. It was killed.
    #[error("transcode worker said nothing for {} s with {waiting} frames to work on{last_words}", limit.as_secs_f64())]
    Stalled {
        /// As [`super::WorkerCommand::stall_limit`] has it.
        limit: Duration,
        /// Frames sent and not taken in.
        waiting: u64,
        /// Its last lines on standard error.
        last_words: LastWords,
    },
    /// The job or a frame is over a limit.
    #[error("transcode worker cannot be sent this: {0}")]
    Request(#[from] WireError),
    /// It takes no more frames: [`super::WorkerOutput::next`] tells why.
    #[error("transcode worker takes no more frames")]
    Closed,
    /// The pipe from it, or waiting for its end.
    #[error("transcode worker cannot be read: {0}")]
    Read(#[from] io::Error),
}

impl WorkerError {
    /// A short name for counters.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoEngine => "no_engine",
            Self::Start { .. } => "start",
            Self::Ended { .. } => "ended",
            Self::GaveUp { .. } => "gave_up",
            Self::Nonsense { .. } => "nonsense",
            Self::Stalled { .. } => "stalled",
            Self::Request(_) => "request",
            Self::Closed => "closed",
            Self::Read(_) => "read",
        }
    }
}

/// The last lines that a worker wrote on standard error.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LastWords(pub Vec<String>);

impl fmt::Display for LastWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, "; its last words: {}", self.0.join(" | "))
    }
}
