//! The memory of a process, as `proc_pid_status(5)` tells it.

use std::error::Error;
use std::fs;

/// What is resident, in KiB.
pub fn resident_kib(process: u32) -> Result<f64, Box<dyn Error>> {
    status(process, "VmRSS:")
}

/// The most that ever was, in KiB.
pub fn peak_kib(process: u32) -> Result<f64, Box<dyn Error>> {
    status(process, "VmHWM:")
}

fn status(process: u32, name: &str) -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.ok_or_else(|| format!("no {name}"))?.parse()?)
}
