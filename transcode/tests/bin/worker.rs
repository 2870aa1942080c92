//! A worker process for the tests: what `nova worker` and `nova demux` do.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("demux"), Some(task)) => transcode::vod::demux_main(&task),
        _ => transcode::worker::main(),
    }
}
