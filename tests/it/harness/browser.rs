//! A real browser on a watch page, driven by `tests/browser/watch.mjs`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::Process;

/// How long a browser takes to start and to play, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(90);

/// A watching browser.
pub(crate) struct Browser {
    process: Process,
    screenshot: PathBuf,
}

impl Browser {
    /// Opens `url` in a window of `size`, and watches until [`Browser::finish`],
    /// `seconds` at the longest. The screenshot is kept as `target/tmp/{name}.png`.
    pub(crate) fn open(url: &str, size: &str, seconds: u32, name: &str) -> Self {
        let screenshot = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
        let mut command = browser_command(&["watch.mjs", url, &seconds.to_string()]);
        command.arg(&screenshot).args([
            "--until-stdin-closes",
            "--start-limit",
            "60",
            "--size",
            size,
        ]);
        Self {
            process: Process::start("watch.mjs", &mut command),
            screenshot,
        }
    }

    /// Waits until the picture moves.
    #[track_caller]
    pub(crate) fn wait_playing(&self) {
        let event = self
            .process
            .stdout
            .wait_for("a playing picture", START_LIMIT, |line| {
                let event: Value = serde_json::from_str(line).ok()?;
                (event["event"] == "playing" || event["event"] == "failed").then_some(event)
            });
        assert_eq!(event["event"], "playing", "{event:#}");
    }

    /// Waits until what the page tells, from now on, is `such`. It tells once a second.
    #[track_caller]
    pub(crate) fn wait_seen(&self, what: &str, limit: Duration, such: impl Fn(&Value) -> bool) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.expect("a clock after 1970").as_millis();
        self.process.stdout.wait_for(what, limit, |line| {
            let event: Value = serde_json::from_str(line).ok()?;
            let told_at = event["wall_ms"].as_u64()?;
            (u128::from(told_at) > now && such(&event)).then_some(())
        });
    }

    /// Waits for the watching to end by itself, `limit` at the longest, and tells what
    /// was seen.
    #[track_caller]
    pub(crate) fn result(mut self, limit: Duration) -> Value {
        let status = self.process.wait_exit(limit);
        let (stdout, stderr) = self.process.output();
        let last = stdout.last().map(|line| serde_json::from_str(line));
        let Some(Ok(Value::Object(mut result))) = last else {
            panic!("{status}: {stdout:?}\n{}", stderr.join("\n"));
        };
        assert_eq!(result["event"], "result", "{result:#?}");
        println!("screenshot: {}", self.screenshot.display());
        let samples = result.remove("samples").unwrap_or_default();
        println!("{:#}", Value::Object(result.clone()));
        result.insert("samples".to_owned(), samples);
        Value::Object(result)
    }

    /// Ends the watching and tells what was seen.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Value {
        self.process.close_stdin();
        self.result(Duration::from_secs(60))
    }
}

/// Node in `tests/browser`, with these arguments.
#[track_caller]
pub(crate) fn browser_command(arguments: &[&str]) -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    assert!(
        folder.join("node_modules/playwright-core").is_dir(),
        "the browser tests need `npm ci` in tests/browser"
    );
    let mut command = Command::new("node");
    command.current_dir(folder).args(arguments);
    command
}

/// A cue of a WebVTT track: start and end in seconds, and its text.
pub(crate) type Cue = (f64, f64, String);

/// What a browser on `page` reads in the WebVTT file at `track`, both URLs of one origin.
#[track_caller]
pub(crate) fn browser_cues(page: &str, track: &str) -> Vec<Cue> {
    let mut command = browser_command(&["cues.mjs", page, track]);
    let mut process = Process::start("cues.mjs", &mut command);
    let status = process.wait_exit(START_LIMIT);
    let (stdout, stderr) = process.output();
    assert!(status.success(), "{}", stderr.join("\n"));
    let cues: Value = serde_json::from_str(&stdout.join("\n")).expect("JSON");
    let cues = cues.as_array().expect("an array");
    let cue = |cue: &Value| {
        let time = |name: &str| cue[name].as_f64().expect("a time");
        let text = cue["text"].as_str().expect("a text");
        (time("start"), time("end"), text.to_owned())
    };
    cues.iter().map(cue).collect()
}

/// What came of playing `url` with hls.js for so many media seconds; see
/// `tests/browser/play.mjs`.
#[track_caller]
pub(crate) fn browser_plays(url: &str, seconds: u32) -> Value {
    let mut command = browser_command(&["play.mjs", url, &seconds.to_string()]);
    let mut process = Process::start("play.mjs", &mut command);
    let status = process.wait_exit(START_LIMIT);
    let (stdout, stderr) = process.output();
    assert!(status.success(), "{}", stderr.join("\n"));
    serde_json::from_str(&stdout.join("\n")).expect("JSON")
}
