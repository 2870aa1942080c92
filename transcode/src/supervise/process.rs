//! A child process of this program: started with limits, and without the server's secrets.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Stdio;

use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use crate::worker::limits;

/// Environment that a child keeps. It decodes what strangers send, and needs none of the
/// server's secrets.
const ENVIRONMENT: [&str; 12] = [
    "PATH",
    "LD_LIBRARY_PATH",
    "RUST_BACKTRACE",
    "TZ",
    // Where GStreamer finds its plugins, and keeps the list of them.
    "GST_PLUGIN_PATH",
    "GST_PLUGIN_SYSTEM_PATH",
    "GST_PLUGIN_SCANNER",
    "GST_REGISTRY",
    "XDG_CACHE_HOME",
    // Which of several devices, and which driver.
    "LIBVA_DRIVER_NAME",
    "LIBVA_DRIVERS_PATH",
    "CUDA_VISIBLE_DEVICES",
];

/// A child process and the pipes to it. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) stdin: ChildStdin,
    pub(crate) stdout: ChildStdout,
    pub(crate) stderr: ChildStderr,
}

impl Process {
    /// With this many bytes of memory, and `nice` added to this process's own.
    pub(crate) fn spawn(
        program: &Path,
        args: &[OsString],
        memory: u64,
        nice: u8,
    ) -> io::Result<Self> {
        let kept = ENVIRONMENT
            .iter()
            .filter_map(|name| std::env::var_os(name).map(|value| (*name, value)));
        let mut child = Command::new(program)
            .args(args)
            .env_clear()
            .envs(kept)
            .env(limits::MEMORY, memory.to_string())
            .env(limits::NICE, nice.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C in the server's terminal is the server's to handle.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(io::Error::other("no pipes to it"));
        };
        Ok(Self {
            child,
            stdin,
            stdout,
            stderr,
        })
    }
}
