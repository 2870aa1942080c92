//! Two people on the pages in a real browser, each of whom is told of what the other does.

use std::time::Duration;

use crate::harness::{Encoder, Process, Site, browser_command};
use crate::people_pages::{ends_well_within, screens};

/// How long the walk takes, on a busy machine.
const LIMIT: Duration = Duration::from_secs(170);

#[test]
fn two_people_are_told_of_each_other() {
    let password = "copper anchor";
    let site = Site::new();
    for name in ["ada", "bea"] {
        site.create_user(name, password);
    }
    let key = site.create_stream_of("bea", "garden");
    let nova = site.serve().start();
    let screens = screens("notifications-walk");
    let mut command = browser_command(&["notifications-real.mjs", &nova.http().url("")]);
    command.arg(&screens).arg(password);
    let mut walk = Process::start("notifications-real.mjs", &mut command);
    walk.wait_line("the moment to go live", LIMIT, |line| {
        (line == "live please").then_some(())
    });
    let _publisher = Encoder::small().publish(&nova.rtmp_url(&key));
    ends_well_within(walk, LIMIT);
    println!("screenshots: {}", screens.display());
}
