//! Two people on the watch page in a real browser, who chat with each other; one follows the other,
//! sees the recording with what was said meanwhile, and is told when they go live again.

use std::time::Duration;

use crate::harness::{Encoder, Process, Site, browser_command};
use crate::people_pages::{ends_well_within, screens};

/// How long the walk takes, on a busy machine.
const LIMIT: Duration = Duration::from_secs(170);

#[test]
fn two_people_watch_and_chat_and_one_is_told_of_the_next_broadcast() {
    let password = "copper anchor";
    let site = Site::new();
    for name in ["ada", "bea"] {
        site.create_user(name, password);
    }
    let key = site.create_stream_of("bea", "garden");
    // Who is gone for a second has ended.
    let serve = site.serve().variable("NOVA__LIVE__GRACE_SECONDS", "1");
    let nova = serve.start();
    let screens = screens("watch-chat-walk");
    let mut command = browser_command(&["watch-chat-real.mjs", &nova.http().url("")]);
    command.arg(&screens).arg(password);
    let mut walk = Process::start("watch-chat-real.mjs", &mut command);
    let mut wait_for = |what: &str| {
        walk.wait_line(what, LIMIT, |line| (line == what).then_some(()));
    };
    wait_for("live please");
    let publisher = Encoder::small().publish(&nova.rtmp_url(&key));
    wait_for("end please");
    drop(publisher);
    wait_for("live again please");
    let _publisher = Encoder::small().publish(&nova.rtmp_url(&key));
    ends_well_within(walk, LIMIT);
    println!("screenshots: {}", screens.display());
}

/// In front of a server that does what a real one cannot be brought to at will.
#[test]
fn the_chat_of_the_watch_page_keeps_to_the_contract() {
    let screens = screens("watch-chat-pages");
    let mut command = browser_command(&["--test", "watch-chat.test.mjs"]);
    command.env("SCREENS", &screens);
    ends_well_within(Process::start("watch-chat.test.mjs", &mut command), LIMIT);
    println!("screenshots: {}", screens.display());
}

/// Likewise.
#[test]
fn what_was_said_appears_as_a_recording_plays() {
    let screens = screens("replay-pages");
    let mut command = browser_command(&["--test", "replay.test.mjs"]);
    command.env("SCREENS", &screens);
    ends_well_within(Process::start("replay.test.mjs", &mut command), LIMIT);
    println!("screenshots: {}", screens.display());
}
