//! The pages of accounts and people in a real browser.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::{Process, browser_command};

/// How long a browser takes for all of it, on a busy machine.
const LIMIT: Duration = Duration::from_secs(170);

/// Where the pictures of the pages are kept.
fn screens(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[track_caller]
fn ends_well(mut process: Process) {
    let status = process.wait_exit(LIMIT);
    let (stdout, stderr) = process.output();
    assert!(
        status.success(),
        "{}\n{}",
        stdout.join("\n"),
        stderr.join("\n")
    );
}

/// In front of a server that does what a real one cannot be brought to at will.
#[test]
fn the_pages_keep_to_the_contract() {
    let screens = screens("people-pages");
    let mut command = browser_command(&["--test", "pages.test.mjs"]);
    command.env("SCREENS", &screens);
    ends_well(Process::start("pages.test.mjs", &mut command));
    println!("screenshots: {}", screens.display());
}
