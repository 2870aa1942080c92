//! The studio and the pages of administration in a real browser.

use std::time::Duration;

use serde_json::Value;

use crate::harness::{Encoder, Process, Site, browser_command};
use crate::people_pages::{ends_well_within, screens};

/// How long a browser takes for a file of tests or for the walk, on a busy machine.
const LIMIT: Duration = Duration::from_secs(240);

/// In front of the real server, with an encoder.
#[test]
fn somebody_goes_live_from_the_studio_and_sees_it_measured() {
    let password = "copper anchor";
    let site = Site::new();
    for name in ["ada", "bea"] {
        site.create_user(name, password);
    }
    let nova = site.serve().start();
    let screens = screens("studio-walk");
    let mut command = browser_command(&["studio-real.mjs", &nova.http().url("")]);
    command.arg(&screens).arg(password);
    let mut walk = Process::start("studio-real.mjs", &mut command);
    let key = walk.wait_line("the key as it is shown", LIMIT, |line| {
        let event: Value = serde_json::from_str(line).ok()?;
        event["key"].as_str().map(str::to_owned)
    });
    site.keep_secret(&key);
    let _publisher = Encoder::small().publish(&nova.rtmp_url(&key));
    ends_well_within(walk, LIMIT);
    println!("screenshots: {}", screens.display());
}

/// In front of the real server.
#[test]
fn an_administrator_closes_a_report_and_purges() {
    let password = "copper anchor";
    let site = Site::new();
    site.create_administrator("root", password);
    for name in ["ada", "bea"] {
        site.create_user(name, password);
    }
    let nova = site.serve().start();
    let screens = screens("admin-walk");
    let mut command = browser_command(&["admin-real.mjs", &nova.http().url("")]);
    command.arg(&screens).arg(password);
    ends_well_within(Process::start("admin-real.mjs", &mut command), LIMIT);
    println!("screenshots: {}", screens.display());
}

/// In front of a server that does what a real one cannot be brought to at will.
#[test]
fn the_studio_keeps_to_the_contract() {
    let screens = screens("studio-pages");
    let mut command = browser_command(&["--test", "studio.test.mjs"]);
    command.env("SCREENS", &screens);
    ends_well_within(Process::start("studio.test.mjs", &mut command), LIMIT);
    println!("screenshots: {}", screens.display());
}

#[test]
fn the_pages_of_administration_keep_to_the_contract() {
    let screens = screens("admin-pages");
    let mut command = browser_command(&["--test", "admin.test.mjs"]);
    command.env("SCREENS", &screens);
    ends_well_within(Process::start("admin.test.mjs", &mut command), LIMIT);
    println!("screenshots: {}", screens.display());
}
