//! Runs programs and measures what they take.

use std::error::Error;
use std::io;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a program and its children took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    /// Processor time, of user and kernel.
    pub(crate) cpu: Duration,
    /// Time on the wall.
    pub(crate) wall: Duration,
    /// Bytes: the most that it had in memory; of several processes, the sum of each one's.
    pub(crate) peak_memory: u64,
}

/// Runs a program to its end. Its output goes nowhere.
pub(crate) fn measure(command: &mut Command) -> Result<Measured, Box<dyn Error>> {
    let began = Instant::now();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    let pid = libc::pid_t::try_from(child.id())?;
    let mut status = 0;
    // SAFETY: all of these fields may be zero.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the child is ours and nobody else waits for it; both pointers are valid.
    if unsafe { libc::wait4(pid, &mut status, 0, &mut usage) } != pid {
        return Err(io::Error::last_os_error().into());
    }
    let wall = began.elapsed();
    if status != 0 {
        return Err(format!("{command:?} failed").into());
    }
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    Ok(Measured {
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
        wall,
        peak_memory: usage.ru_maxrss as u64 * 1_024,
    })
}

/// The most that this process and the largest that it has waited for had in memory, added.
pub(crate) fn peak_memory_with_children() -> Result<u64, Box<dyn Error>> {
    let of = |whom| {
        // SAFETY: all of these fields may be zero.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is valid for the call.
        match unsafe { libc::getrusage(whom, &mut usage) } {
            0 => Ok(usage.ru_maxrss as u64 * 1_024),
            _ => Err(io::Error::last_os_error()),
        }
    };
    match of(libc::RUSAGE_CHILDREN)? {
        0 => Err("no child was waited for".into()),
        children => Ok(of(libc::RUSAGE_SELF)? + children),
    }
}

/// Each figure's median.
pub(crate) fn median(rounds: Vec<Measured>) -> Measured {
    fn middle<T: Ord + Copy + Default>(values: impl Iterator<Item = T>) -> T {
        let mut values: Vec<T> = values.collect();
        values.sort();
        values.get(values.len() / 2).copied().unwrap_or_default()
    }
    Measured {
        cpu: middle(rounds.iter().map(|round| round.cpu)),
        wall: middle(rounds.iter().map(|round| round.wall)),
        peak_memory: middle(rounds.iter().map(|round| round.peak_memory)),
    }
}

/// Runs a program that is not measured. Gives what it prints.
pub(crate) fn run(command: &mut Command) -> Result<Vec<u8>, Box<dyn Error>> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?} failed: {said}").into());
    }
    Ok(output.stdout)
}
