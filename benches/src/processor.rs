//! The processor time of a process and its children.

use std::error::Error;
use std::fs;
use std::time::Duration;

/// Of user and kernel, of the process `id` and everything below it, also of what has ended and was
/// waited for.
pub fn time_of_tree(id: u32) -> Result<Duration, Box<dyn Error>> {
    let processes = processes()?;
    let mut tree = vec![id];
    let mut ticks = 0;
    let mut next = 0;
    while let Some(&parent) = tree.get(next) {
        next += 1;
        for process in &processes {
            if process.id == parent {
                ticks += process.ticks;
            } else if process.parent == parent {
                tree.push(process.id);
            }
        }
    }
    // SAFETY: asks for a number.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    Ok(Duration::from_secs_f64(
        ticks as f64 / f64::from(u32::try_from(per_second)?),
    ))
}

struct Process {
    id: u32,
    parent: u32,
    ticks: u64,
}

fn processes() -> Result<Vec<Process>, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(id) = entry.file_name().to_str().and_then(|id| id.parse().ok()) else {
            continue;
        };
        // It may have ended meanwhile.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        found.push(read(id, &stat).ok_or_else(|| format!("/proc/{id}/stat: {stat}"))?);
    }
    Ok(found)
}

/// `proc_pid_stat(5)`: the name, in parentheses, may have spaces.
fn read(id: u32, stat: &str) -> Option<Process> {
    let (_, behind_name) = stat.rsplit_once(") ")?;
    let fields: Vec<_> = behind_name.split(' ').collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Process {
        id,
        parent: number(1)?.try_into().ok()?,
        ticks: (11..=14).map(number).sum::<Option<u64>>()?,
    })
}
