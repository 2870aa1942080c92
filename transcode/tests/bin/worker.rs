//! A worker process for the tests: what `nova worker` does.

use std::process::ExitCode;

fn main() -> ExitCode {
    transcode::worker::main()
}
