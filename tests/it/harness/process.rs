//! Children: started, listened to, and gone when the test is.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{wait_for, wait_until};

/// Lines that a child writes, as they come.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Lines {
    /// Collects what comes from `pipe` until it ends.
    fn follow(pipe: impl Read + Send + 'static) -> (Self, JoinHandle<()>) {
        let lines = Self::default();
        let collected = lines.clone();
        let reader = thread::spawn(move || {
            let mut reader = BufReader::new(pipe);
            let mut bytes = Vec::new();
            while matches!(reader.read_until(b'\n', &mut bytes), Ok(1..)) {
                let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
                lines.lock().push(line);
                lines.0.1.notify_all();
                bytes.clear();
            }
        });
        (collected, reader)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every line until now.
    pub(crate) fn all(&self) -> Vec<String> {
        self.lock().clone()
    }

    /// The last `count` lines as one text.
    pub(crate) fn tail(&self, count: usize) -> String {
        let lines = self.lock();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }

    /// What `pick` makes of the first line that it likes, among all until now.
    pub(crate) fn find<T>(&self, pick: impl FnMut(&String) -> Option<T>) -> Option<T> {
        self.lock().iter().find_map(pick)
    }

    /// Waits for a line that `pick` likes.
    #[track_caller]
    pub(crate) fn wait_for<T>(
        &self,
        what: &str,
        limit: Duration,
        mut pick: impl FnMut(&String) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + limit;
        let mut lines = self.lock();
        loop {
            if let Some(found) = lines.iter().find_map(&mut pick) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(lines);
                panic!(
                    "waited {limit:?} in vain for {what}; last lines:\n{}",
                    self.tail(40)
                );
            }
            (lines, _) = self
                .0
                .1
                .wait_timeout(lines, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// What a child is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signal {
    /// Please stop.
    Term,
    /// Be gone.
    Kill,
    /// Stand still.
    Stop,
    /// Go on.
    Continue,
    /// As if an assertion had failed in it.
    Abort,
}

impl Signal {
    /// Sends it to the process `pid`.
    pub(crate) fn send(self, pid: u32) {
        let name = match self {
            Self::Term => "TERM",
            Self::Kill => "KILL",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
            Self::Abort => "ABRT",
        };
        // The shell's own kill: a small system has no program of that name.
        let status = Command::new("sh")
            .args(["-c", &format!("kill -s {name} {pid}")])
            .status()
            .expect("sh runs");
        assert!(status.success(), "cannot send {name} to {pid}");
    }
}

/// A child process, killed and reaped when it is dropped.
pub(crate) struct Process {
    child: Child,
    name: String,
    readers: [JoinHandle<()>; 2],
    /// Its standard output.
    pub(crate) stdout: Lines,
    /// Its standard error.
    pub(crate) stderr: Lines,
}

impl Process {
    /// Starts `command`, its output collected, its input empty but open.
    pub(crate) fn start(name: &str, command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let (stdout, first) = Lines::follow(child.stdout.take().expect("stdout is piped"));
        let (stderr, second) = Lines::follow(child.stderr.take().expect("stderr is piped"));
        Self {
            child,
            name: name.to_owned(),
            readers: [first, second],
            stdout,
            stderr,
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes `text` to its input and closes that.
    pub(crate) fn say(&mut self, text: &str) {
        if let Some(mut stdin) = self.child.stdin.take() {
            // A child that does not read is told by its exit, not here.
            let _ = stdin.write_all(text.as_bytes());
        }
    }

    /// Writes a line to its input, which stays open.
    pub(crate) fn say_line(&mut self, line: &str) {
        if let Some(stdin) = &mut self.child.stdin {
            // A child that does not read is told by its exit, not here.
            let _ = writeln!(stdin, "{line}");
        }
    }

    /// Closes its input.
    pub(crate) fn close_stdin(&mut self) {
        self.child.stdin.take();
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        signal.send(self.pid());
    }

    /// How it ended, if it did.
    pub(crate) fn try_exit(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits for a line of its output that `pick` likes; one that has ended writes none.
    #[track_caller]
    pub(crate) fn wait_line<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut pick: impl FnMut(&String) -> Option<T>,
    ) -> T {
        wait_for(what, limit, || {
            let ended = self.try_exit();
            if let Some(found) = self.stdout.find(&mut pick) {
                return Ok(found);
            }
            if let Some(status) = ended
                && self.readers.iter().all(JoinHandle::is_finished)
            {
                let (stdout, stderr) = (self.stdout.tail(20), self.stderr.tail(40));
                panic!(
                    "{} ended, {status}, before {what}:\n{stdout}\n{stderr}",
                    self.name
                );
            }
            Err(format!("last lines:\n{}", self.stdout.tail(40)))
        })
    }

    /// Everything it wrote to its output and to its error output, once it has ended.
    #[track_caller]
    pub(crate) fn output(&mut self) -> (Vec<String>, Vec<String>) {
        wait_until("the end of its output", Duration::from_secs(10), || {
            self.readers.iter().all(JoinHandle::is_finished)
        });
        (self.stdout.all(), self.stderr.all())
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait_exit(&mut self, limit: Duration) -> ExitStatus {
        let name = self.name.clone();
        wait_for(&format!("the end of {name}"), limit, || {
            let missing = || format!("it runs; last lines:\n{}", self.stderr.tail(20));
            let status = self.child.try_wait().expect("a child can be waited for");
            status.ok_or_else(missing)
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.try_exit().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Whether the process `pid` runs. One that has ended and waits to be reaped does not.
pub(crate) fn is_running(pid: u32) -> bool {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    // proc_pid_stat(5): the state follows the name, which ends at the last bracket.
    let state = status
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    !matches!(state, Some('Z' | 'X'))
}

/// What the process `pid` has taken of the processor, user's and kernel's.
pub(crate) fn processor_time(pid: u32) -> Duration {
    /// `USER_HZ`: the same on every architecture that we build for.
    const TICK: Duration = Duration::from_millis(10);
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    // proc_pid_stat(5): the name, which may have spaces, is the second field; `utime` and
    // `stime` are the 14th and the 15th.
    let (_, fields) = status.rsplit_once(") ").expect("a name in brackets");
    let ticks = fields.split(' ').skip(11).take(2);
    TICK * ticks
        .map(|field| field.parse::<u32>().expect("ticks"))
        .sum()
}

/// The most memory that the process `pid` ever held, in KiB.
pub(crate) fn resident_peak_kib(pid: u32) -> u64 {
    memory_kib(pid, "VmHWM:")
}

/// The memory that the process `pid` holds, in KiB.
pub(crate) fn resident_kib(pid: u32) -> u64 {
    memory_kib(pid, "VmRSS:")
}

fn memory_kib(pid: u32, which: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with(which));
    let figure = line.and_then(|line| line.split_whitespace().nth(1));
    figure
        .and_then(|figure| figure.parse().ok())
        .expect("proc_pid_status(5)")
}

/// The most memory that any one process held which this one started, itself or through
/// others, and that has ended, in KiB.
pub(crate) fn peak_of_the_ended_kib() -> u64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is valid for the call, and all zeros are a `rusage`.
    let usage = unsafe {
        assert_eq!(
            libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr()),
            0
        );
        usage.assume_init()
    };
    usage.ru_maxrss.unsigned_abs()
}
