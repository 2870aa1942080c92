//! The worker: a child process that runs an engine between its standard input and
//! output. It starts no runtime: one thread reads, the engine's threads write.

pub(crate) mod limits;
pub(crate) mod pipe;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::parent_id;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::FakeDevice;
use crate::engine::{self, Engine, EngineError, Sink};
use crate::wire::{Reply, Request, VERSION, WireError};
use pipe::{Messages, ReadError};

/// How often a worker looks whether its parent still lives.
const ORPHAN_CHECK: Duration = Duration::from_secs(1);

/// The entry of the worker process. Ends when the supervisor says so, when standard
/// input ends, or when the parent process is gone.
pub fn main() -> ExitCode {
    run(None)
}

/// [`main`] with a device that is none: for the program that tests start.
#[doc(hidden)]
pub fn main_with_fake_device(fake: FakeDevice) -> ExitCode {
    run(Some(fake))
}

fn run(fake: Option<FakeDevice>) -> ExitCode {
    limits::apply();
    let outcome = exit_with_parent().and_then(|()| {
        let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok((input, output))
    });
    let (input, output) = match outcome {
        Ok(files) => files,
        Err(error) => {
            eprintln!("worker: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let output = Arc::new(Output(Mutex::new(output)));
    match serve(input, &output, fake) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("worker: {fault}");
            let reason = fault.to_string();
            // If this fails as well, standard error has said it.
            let _ = output.emit(Reply::Failed { reason });
            ExitCode::FAILURE
        }
    }
}

/// Why a worker gives up.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("standard input: {0}")]
    Input(#[source] io::Error),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("standard output: {0}")]
    Output(#[source] io::Error),
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Wire(error) => Self::Wire(error),
            ReadError::Input(error) => Self::Input(error),
        }
    }
}

fn serve<R: Read, W: Write + Send + 'static>(
    input: R,
    output: &Arc<Output<W>>,
    fake: Option<FakeDevice>,
) -> Result<(), Fault> {
    let mut requests = Requests(Messages::new(input));
    let emit = |reply| output.emit(reply).map_err(Fault::Output);
    emit(Reply::Hello { version: VERSION })?;
    let job = match requests.next()? {
        Some(Request::Job(job)) => job,
        Some(Request::Survey(name)) => {
            let report = engine::report(name)?;
            let report = serde_json::to_vec(&report).map_err(WireError::Survey)?;
            emit(Reply::Survey {
                report: report.into(),
            })?;
            return emit(Reply::End);
        }
        Some(Request::Frame(_)) => return Err(WireError::Order("frame").into()),
        Some(Request::Rungs(_)) => return Err(WireError::Order("rungs").into()),
        Some(Request::End) | None => return Ok(()),
    };
    let sink: Arc<dyn Sink> = output.clone();
    let mut engine: Box<dyn Engine> = engine::start(&job, sink, fake)?;
    loop {
        match requests.next()? {
            Some(Request::Frame(frame)) => {
                let progress = engine.push(&frame)?;
                emit(Reply::Progress(progress))?;
            }
            Some(Request::Rungs(rungs)) => engine.select(rungs),
            Some(Request::End) => {
                engine.finish()?;
                return emit(Reply::End);
            }
            Some(Request::Job(_)) => return Err(WireError::Order("job").into()),
            Some(Request::Survey(_)) => return Err(WireError::Order("survey").into()),
            // The supervisor is gone or has lost interest: there is nobody to finish for.
            None => return Ok(()),
        }
    }
}

/// Requests from standard input.
struct Requests<R>(Messages<R>);

impl<R: Read> Requests<R> {
    /// `None` at the end of input, also in the middle of a message.
    fn next(&mut self) -> Result<Option<Request>, Fault> {
        let Some((kind, body)) = self.0.next()? else {
            return Ok(None);
        };
        Ok(Some(Request::decode(kind, body)?))
    }
}

/// Messages to standard output, whole ones from whichever thread. A supervisor that
/// is gone makes this fail, not a signal: Rust ignores SIGPIPE.
struct Output<W>(Mutex<W>);

impl<W: Write + Send> Sink for Output<W> {
    fn emit(&self, reply: Reply) -> io::Result<()> {
        let message = reply.encode().map_err(io::Error::other)?;
        let mut output = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pipe::write(&mut *output, &message)
    }
}

/// Ends the process when its parent does. The end of standard input tells that too,
/// but a codec that hangs does not read it. (PR_SET_PDEATHSIG would follow the thread
/// that started the child, and a runtime's threads come and go.)
pub(crate) fn exit_with_parent() -> io::Result<()> {
    let parent = parent_id();
    thread::Builder::new()
        .name("orphan-check".into())
        .spawn(move || {
            while parent_id() == parent {
                thread::sleep(ORPHAN_CHECK);
            }
            std::process::exit(0);
        })
        .map(drop)
}

#[cfg(test)]
mod tests;
