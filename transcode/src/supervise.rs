//! The server's side of a worker process: see [`Worker`].

mod backlog;
mod error;
mod input;
mod memory;
mod output;
mod process;
mod stderr;
mod survey;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use media::StreamName;

pub use backlog::Backlog;
pub(crate) use error::LastWords;
pub use error::WorkerError;
pub use input::{WorkerControl, WorkerInput};
pub use output::{Output, WorkerOutput};
pub(crate) use process::Process;
pub(crate) use stderr::Stderr;
pub use survey::{survey, try_device};

use crate::Job;
use crate::wire::Request;

/// A worker that was sent frames and says nothing for this long hangs. One that is merely
/// slow says something with each frame.
pub const STALL_LIMIT: Duration = Duration::from_secs(2);

/// How a worker process is started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WorkerCommand {
    /// A program that calls [`crate::worker::main`].
    pub program: PathBuf,
    /// What it needs to be told to do so.
    pub args: Vec<OsString>,
    /// A worker that was sent frames and says nothing for this long is killed; before it
    /// has taken in its first frame, for three times as long.
    pub stall_limit: Duration,
    /// Bytes of memory that a worker may have; `None`: sized to its job.
    pub memory_limit: Option<u64>,
    /// Added to this process's nice value.
    pub nice: u8,
}

/// Of a live stream's worker: the server goes first.
pub const LIVE_NICE: u8 = 7;
/// Of what nobody waits for: live goes first.
pub const BACKGROUND_NICE: u8 = 19;

impl WorkerCommand {
    /// This program itself, with the argument `worker`.
    pub fn this_program() -> Result<Self, WorkerError> {
        if crate::all_engines().is_empty() {
            return Err(WorkerError::NoEngine);
        }
        let program = std::env::current_exe().map_err(|source| WorkerError::Start {
            program: "this program".into(),
            source,
        })?;
        Ok(Self {
            program,
            args: vec!["worker".into()],
            stall_limit: STALL_LIMIT,
            memory_limit: None,
            nice: LIVE_NICE,
        })
    }
}

impl WorkerCommand {
    /// With this many bytes of memory.
    fn spawn(&self, memory: u64) -> Result<Process, WorkerError> {
        let spawned = Process::spawn(&self.program, &self.args, memory, self.nice);
        spawned.map_err(|source| WorkerError::Start {
            program: self.program.clone(),
            source,
        })
    }
}

/// A process that encodes one epoch's rungs.
///
/// Its two halves are used side by side: a worker whose output is not read stops
/// reading its input. Dropping the output kills it.
#[derive(Debug)]
pub struct Worker;

impl Worker {
    /// Starts a process on `job`. Returns before the worker has said anything; whatever
    /// is wrong with it, [`WorkerOutput::next`] tells. Needs a tokio runtime.
    pub fn start(
        command: &WorkerCommand,
        stream: &StreamName,
        job: &Job,
    ) -> Result<(WorkerInput, WorkerOutput), WorkerError> {
        let request = Request::Job(job.clone()).encode()?;
        let memory = command.memory_limit.unwrap_or_else(|| memory::for_job(job));
        let Process {
            child,
            stdin,
            stdout,
            stderr,
        } = command.spawn(memory)?;
        let pid = child.id();
        tracing::info!(
            %stream,
            pid,
            engine = %job.engine,
            rungs = job.rungs.len(),
            memory_mib = memory >> 20,
            "transcode worker started"
        );
        metrics::counter!("nova_transcode_workers_started_total").increment(1);
        let backlog = Arc::new(Backlog::default());
        let input = WorkerInput::start(stdin, request, Arc::clone(&backlog));
        let name = stream.clone();
        let stderr = Stderr::read(stderr, move |line| {
            tracing::warn!(stream = %name, "transcode worker: {line}");
        });
        let output = WorkerOutput::new(child, stdout, stderr, backlog, command.stall_limit, job);
        Ok((input, output))
    }
}
