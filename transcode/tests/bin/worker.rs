//! A worker process for the tests: what `nova worker` and `nova demux` do, and worse when it
//! is told to.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("demux"), Some(task)) => return transcode::vod::demux_main(&task),
        (Some("leak"), _) => drop(thread::spawn(leak)),
        (Some("abort"), _) => drop(thread::spawn(abort)),
        _ => {}
    }
    transcode::worker::main()
}

/// Eight megabytes more each time, and all of them used.
fn leak() {
    let mut kept = Vec::new();
    loop {
        kept.push(vec![1_u8; 8 << 20]);
        thread::sleep(Duration::from_millis(5));
    }
}

/// As a failed assertion in a C library does it.
fn abort() {
    thread::sleep(Duration::from_millis(300));
    eprintln!("Assertion `mb_type >= 0' failed.");
    std::process::abort();
}
