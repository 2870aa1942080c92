//! What a worker, or a demuxing process, may take of the machine. It reads what strangers
//! send, and whatever it does must not take the server along.

use std::{fs, io};

/// Where the supervisor says how many bytes of memory the worker may have.
pub(crate) const MEMORY: &str = "NOVA_WORKER_MEMORY";

/// Where the supervisor says what is added to the worker's nice value.
pub(crate) const NICE: &str = "NOVA_WORKER_NICE";

/// Added to the process's own: the kernel ends workers before the server when memory runs
/// out (proc_pid_oom_score_adj(5)).
const OOM_SCORE_ADJ: i32 = 500;
/// The most that there is.
const LARGEST_OOM_SCORE_ADJ: i32 = 1_000;

/// Puts the limits on this process. What cannot be had is said, and done without.
pub(crate) fn apply() {
    let nice = std::env::var(NICE).ok();
    lower_priority(nice.and_then(|text| text.parse().ok()).unwrap_or_default());
    if let Err(error) = raise_oom_score() {
        eprintln!("worker: its place before the server when memory runs out: {error}");
    }
    // What a crash leaves is a stranger's pictures, and as large as the worker.
    limit("core files", libc::RLIMIT_CORE, 0);
    let memory = std::env::var(MEMORY).ok();
    if let Some(bytes) = memory.and_then(|text| text.parse().ok()) {
        // Private memory that can be written, used or not: a C library's thread counts
        // with its whole stack of 8 MiB, a mapping that nobody may write does not.
        limit("memory", libc::RLIMIT_DATA, bytes);
    }
}

fn raise_oom_score() -> io::Result<()> {
    const FILE: &str = "/proc/self/oom_score_adj";
    let inherited: i32 = fs::read_to_string(FILE)?
        .trim()
        .parse()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let raised = (inherited + OOM_SCORE_ADJ).min(LARGEST_OOM_SCORE_ADJ);
    fs::write(FILE, raised.to_string())
}

fn lower_priority(nice: u8) {
    // SAFETY: takes no pointer. It may fail, which leaves the priority as it was.
    let _ = unsafe { libc::nice(nice.into()) };
    let parameters = libc::sched_param { sched_priority: 0 };
    // A thread that wakes up in this class does not push the server's aside (sched(7)).
    // SAFETY: `parameters` is valid for the call, which keeps nothing of it.
    if unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) } != 0 {
        let error = io::Error::last_os_error();
        eprintln!("worker: scheduling class: {error}");
    }
}

fn limit(what: &str, resource: libc::__rlimit_resource_t, bytes: u64) {
    let limits = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: bytes,
    };
    // SAFETY: `limits` is valid for the call, which keeps nothing of it.
    if unsafe { libc::setrlimit(resource, &raw const limits) } != 0 {
        let error = io::Error::last_os_error();
        eprintln!("worker: limit of {what}: {error}");
    }
}
