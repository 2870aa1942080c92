//! The worker: a child process that runs an engine between its standard input and
//! output. It starts no runtime: one thread reads, the engine's threads write.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::parent_id;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use bytes::BytesMut;

use crate::FakeDevice;
use crate::engine::{self, Engine, EngineError, Sink};
use crate::wire::{self, Reply, Request, VERSION, WireError};

/// Added to the process's nice value: the server's own threads go first.
const NICE: libc::c_int = 7;

/// How often a worker looks whether its parent still lives.
const ORPHAN_CHECK: Duration = Duration::from_secs(1);

/// Bytes read from standard input at once.
const READ_SIZE: usize = 64 << 10;

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
    lower_priority();
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
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("standard input: {0}")]
    Input(#[source] io::Error),
    #[error("standard output: {0}")]
    Output(#[source] io::Error),
}

fn serve<R: Read, W: Write + Send + 'static>(
    input: R,
    output: &Arc<Output<W>>,
    fake: Option<FakeDevice>,
) -> Result<(), Fault> {
    let mut requests = Requests {
        input,
        buffer: BytesMut::new(),
    };
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

/// Messages from standard input.
struct Requests<R> {
    input: R,
    buffer: BytesMut,
}

impl<R: Read> Requests<R> {
    /// `None` at the end of input, also in the middle of a message.
    fn next(&mut self) -> Result<Option<Request>, Fault> {
        loop {
            if let Some((kind, body)) = wire::split(&mut self.buffer)? {
                return Ok(Some(Request::decode(kind, body)?));
            }
            let filled = self.buffer.len();
            self.buffer.resize(filled + READ_SIZE, 0);
            let read = self.input.read(&mut self.buffer[filled..]);
            let read = match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    self.buffer.truncate(filled);
                    continue;
                }
                read => read.map_err(Fault::Input)?,
            };
            self.buffer.truncate(filled + read);
            if read == 0 {
                return Ok(None);
            }
        }
    }
}

/// Messages to standard output, whole ones from whichever thread. A supervisor that
/// is gone makes this fail, not a signal: Rust ignores SIGPIPE.
struct Output<W>(Mutex<W>);

impl<W: Write + Send> Sink for Output<W> {
    fn emit(&self, reply: Reply) -> io::Result<()> {
        let message = reply.encode().map_err(io::Error::other)?;
        let mut output = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        output.write_all(&message.head)?;
        output.write_all(&message.data)
    }
}

fn lower_priority() {
    // SAFETY: takes no pointer. It may fail, which leaves the priority as it was.
    let _ = unsafe { libc::nice(NICE) };
}

/// Ends the process when its parent does. The end of standard input tells that too,
/// but a codec that hangs does not read it. (PR_SET_PDEATHSIG would follow the thread
/// that started the child, and a runtime's threads come and go.)
fn exit_with_parent() -> io::Result<()> {
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
