//! The pages of posts in a real browser.

use std::time::Duration;

use crate::harness::{Process, Site, browser_command};
use crate::people_pages::{ends_well_within, screens};

/// How long a browser takes for a file of tests, on a busy machine.
const LIMIT: Duration = Duration::from_secs(170);
/// The same with a page for each of the hostile texts.
const LONG_LIMIT: Duration = Duration::from_secs(50 * 60);

/// In front of the real server.
#[test]
fn two_people_write_read_and_quarrel() {
    let password = "copper anchor";
    let site = Site::new();
    for name in ["ada-desktop", "ada-phone", "bea-desktop", "bea-phone"] {
        site.create_user(name, password);
    }
    let nova = site.serve().start();
    let screens = screens("post-walk");
    let mut command = browser_command(&["posts-real.mjs", &nova.http().url("")]);
    command.arg(&screens).arg(password);
    ends_well_within(Process::start("posts-real.mjs", &mut command), LIMIT);
    println!("screenshots: {}", screens.display());
}

/// In front of a server that does what a real one cannot be brought to at will.
#[test]
fn the_pages_of_posts_keep_to_the_contract() {
    let screens = screens("post-pages");
    let mut command = browser_command(&["--test", "posts.test.mjs"]);
    command.env("SCREENS", &screens);
    ends_well_within(Process::start("posts.test.mjs", &mut command), LIMIT);
    println!("screenshots: {}", screens.display());
}

#[test]
fn what_posts_show_is_chosen_sent_and_looked_at() {
    let screens = screens("attached-pages");
    let mut command = browser_command(&["--test", "attached.test.mjs"]);
    command.env("SCREENS", &screens);
    ends_well_within(Process::start("attached.test.mjs", &mut command), LIMIT);
    println!("screenshots: {}", screens.display());
}

#[test]
fn nothing_that_people_write_runs() {
    let mut command = browser_command(&["--test", "hostile.test.mjs"]);
    ends_well_within(Process::start("hostile.test.mjs", &mut command), LIMIT);
}

#[test]
fn long_nothing_that_people_write_runs_on_a_page_of_its_own() {
    let mut command = browser_command(&["--test", "hostile.test.mjs"]);
    command.env("EVERY", "1");
    ends_well_within(Process::start("hostile.test.mjs", &mut command), LONG_LIMIT);
}
