//! The hostile texts, the server that is given them, and a browser that looks at its pages.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Nova, Process, Site, browser_command, wait_until};
use crate::hostile_writing::{PASSWORD, PEOPLE};
use crate::people_pages::{ends_well_within, screens};

/// How long a browser takes for some pages, on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);

/// The texts of `tests/browser/hostile.json`.
pub(crate) fn corpus() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/hostile.json");
    let corpus = std::fs::read_to_string(path).expect("the corpus");
    let corpus: Vec<Value> = serde_json::from_str(&corpus).expect("a list");
    let texts = corpus
        .iter()
        .map(|one| one["text"].as_str().expect("a text").to_owned());
    let texts: Vec<_> = texts.collect();
    assert!(texts.len() >= 200, "{} texts", texts.len());
    texts
}

/// Starts the server for people who say much in a short time.
pub(crate) fn start(site: &Site) -> Nova {
    let mut serve = site.serve().variable("NOVA__LIVE__GRACE_SECONDS", "1");
    for limit in [
        "REQUESTS_PER_MINUTE",
        "WRITES_PER_MINUTE",
        "POSTS_PER_HOUR",
        "EDITS_PER_HOUR",
        "PICTURES_PER_HOUR",
        "CHAT_MESSAGES_PER_MINUTE",
        "VIEWERS_PER_MINUTE",
        "REGISTRATIONS_PER_HOUR_PER_ADDRESS",
    ] {
        serve = serve.variable(&format!("NOVA__API__LIMITS__{limit}"), "1000000");
    }
    serve.start()
}

/// A browser that looks at pages, with somebody logged in.
pub(crate) struct Reader {
    process: Process,
    /// How often it was told what to look at.
    asked: usize,
}

impl Reader {
    /// As the first of the people; the pictures go to the folder `name`.
    pub(crate) fn start(nova: &Nova, name: &str) -> Self {
        let screens = screens(name);
        println!("screenshots: {}", screens.display());
        let mut command = browser_command(&["hostile-real.mjs", &nova.http().url("")]);
        command.arg(screens).args([PEOPLE[0], PASSWORD]);
        let process = Process::start("hostile-real.mjs", &mut command);
        Self { process, asked: 0 }
    }

    /// Looks at pages, and fails if they do not show the texts, or if anything runs.
    #[track_caller]
    pub(crate) fn look(&mut self, pages: &[Value]) {
        self.asked += 1;
        self.process.say_line(&json!(pages).to_string());
        let mut has_ended = false;
        wait_until("the pages", LIMIT, || {
            has_ended = self.process.try_exit().is_some();
            has_ended || self.process.stdout.all().len() == self.asked
        });
        assert!(!has_ended, "{}", self.process.stderr.tail(60));
    }

    pub(crate) fn end(mut self) {
        self.process.close_stdin();
        ends_well_within(self.process, LIMIT);
    }
}
