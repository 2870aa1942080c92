//! The pages of accounts and people in a real browser.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Process, Site, browser_command};

/// How long a browser takes for all of it, on a busy machine.
const LIMIT: Duration = Duration::from_secs(170);

/// Where the pictures of the pages are kept.
pub(crate) fn screens(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[track_caller]
fn ends_well(process: Process) {
    ends_well_within(process, LIMIT);
}

#[track_caller]
pub(crate) fn ends_well_within(mut process: Process, limit: Duration) {
    let status = process.wait_exit(limit);
    let (stdout, stderr) = process.output();
    assert!(
        status.success(),
        "{}\n{}",
        stdout.join("\n"),
        stderr.join("\n")
    );
}

/// In front of the real server, with its mails.
#[test]
fn somebody_walks_from_signing_up_to_deleting_the_account() {
    let password = "copper anchor";
    let screens = screens("people-walk");
    let mut command = browser_command(&["walk-real.mjs"]);
    command.arg(&screens).arg(password);
    let mut walk = Process::start("walk-real.mjs", &mut command);
    let port = walk.wait_line("a server of mails", LIMIT, |line| {
        let event: Value = serde_json::from_str(line).ok()?;
        event["port"].as_u64()
    });

    let site = Site::new();
    for friend in ["bea-desktop", "bea-phone"] {
        site.create_user(friend, password);
    }
    // What is typed on the way; see `walk.mjs`.
    for typed in ["violet harbour", "amber lighthouse", "granite orchard"] {
        site.keep_secret(typed);
    }
    let nova = site
        .serve()
        .variable("NOVA__MAIL__SMTP_URL", &format!("smtp://127.0.0.1:{port}"))
        .start();
    walk.say(&format!("{}\n", nova.http().url("")));
    ends_well(walk);
    println!("screenshots: {}", screens.display());
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
