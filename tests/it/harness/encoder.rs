//! Encoders: FFmpeg publishing a test picture with sound.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tempfile::TempDir;

use super::Process;

/// How long an encoder waits before it connects again, as OBS does at the least.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);
/// How long a file of a test may take to be made.
const FILE_LIMIT: Duration = Duration::from_secs(90);
/// How often a looping encoder looks whether its FFmpeg has ended.
const LOOK: Duration = Duration::from_millis(50);

/// What is published: H.264 and AAC of a test picture at 30 frames a second.
#[derive(Clone, Debug)]
pub(crate) struct Encoder {
    /// Pixels across and down.
    pub(crate) size: (u32, u32),
    /// Frames from one key frame to the next.
    pub(crate) gop: u32,
    /// B-frames in a row.
    pub(crate) b_frames: u32,
    /// Kilobits of video a second.
    pub(crate) video_kbit: u32,
    /// The sound ends after so many seconds, the picture goes on.
    pub(crate) sound_seconds: Option<u32>,
}

impl Default for Encoder {
    /// One rung below the source: what two cores carry beside a browser.
    fn default() -> Self {
        Self {
            size: (854, 480),
            gop: 60,
            b_frames: 0,
            video_kbit: 1_000,
            sound_seconds: None,
        }
    }
}

impl Encoder {
    /// Too small for a ladder: the source and its sound are all there is.
    pub(crate) fn small() -> Self {
        Self {
            size: (320, 180),
            video_kbit: 200,
            ..Self::default()
        }
    }

    /// Encodes so many seconds once, to be published by many.
    pub(crate) fn recorded(&self, seconds: u32) -> Clip {
        let directory = tempfile::tempdir().expect("a directory");
        self.record(seconds, &directory.path().join("clip.flv"));
        Clip { directory }
    }

    /// Encodes so many seconds into `file`, an FLV.
    #[track_caller]
    pub(crate) fn record(&self, seconds: u32, file: &Path) {
        let mut command = self.command(&[], &["-t", &seconds.to_string()]);
        command.arg(file);
        let output = command.output().expect("ffmpeg");
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words}");
    }

    /// FFmpeg with all but the name of its output.
    fn command(&self, before: &[&str], after: &[&str]) -> Command {
        let Self {
            size: (width, height),
            gop,
            b_frames,
            video_kbit,
            sound_seconds,
        } = self;
        let mut sound = "sine=frequency=440:sample_rate=48000".to_owned();
        if let Some(seconds) = sound_seconds {
            sound.push_str(&format!(":duration={seconds}"));
        }
        let picture = format!("testsrc2=size={width}x{height}:rate=30");
        let rate = format!("{video_kbit}k");
        let gop = gop.to_string();
        let mut command = Command::new("ffmpeg");
        command
            .args(["-hide_banner", "-nostdin", "-loglevel", "warning"])
            .args(before)
            .args(["-f", "lavfi", "-i", &picture])
            .args(["-f", "lavfi", "-i", &sound])
            .args([
                "-c:v",
                "libx264",
                "-preset",
                "ultrafast",
                "-pix_fmt",
                "yuv420p",
            ])
            .args(["-g", &gop, "-keyint_min", &gop, "-sc_threshold", "0"])
            .args(["-b:v", &rate, "-maxrate", &rate, "-bufsize", &rate]);
        if *b_frames == 0 {
            command.args(["-tune", "zerolatency"]);
        } else {
            command.args(["-bf", &b_frames.to_string()]);
        }
        command
            .args(["-c:a", "aac", "-b:a", "96k", "-ac", "2"])
            .args(after)
            .args(["-f", "flv"]);
        command
    }

    /// Publishes to `url` until the publisher is dropped or ends by itself.
    pub(crate) fn publish(&self, url: &str) -> Publisher {
        Process::start("ffmpeg", self.command(&["-re"], &[]).arg(url))
    }

    /// Publishes to `url`, and connects again whenever that ends.
    pub(crate) fn publish_for_ever(&self, url: &str) -> LoopingEncoder {
        LoopingEncoder::start(self.clone(), url.to_owned())
    }
}

/// Makes a file with FFmpeg, whose arguments have no spaces in them.
#[track_caller]
pub(crate) fn make_file(file: &Path, arguments: &str) {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-hide_banner", "-nostdin", "-loglevel", "error", "-y"])
        .args(arguments.split_whitespace())
        .arg(file);
    let mut process = Process::start("ffmpeg", &mut command);
    let status = process.wait_exit(FILE_LIMIT);
    assert!(status.success(), "{}", process.stderr.tail(5));
}

/// Media that is encoded already; publishing it costs next to nothing.
pub(crate) struct Clip {
    directory: TempDir,
}

impl Clip {
    /// Its bytes.
    pub(crate) fn size(&self) -> u64 {
        let file = self.directory.path().join("clip.flv");
        std::fs::metadata(file).expect("the clip").len()
    }

    /// Publishes it to `url` in real time, again and again.
    pub(crate) fn publish(&self, url: &str) -> Publisher {
        let mut command = Command::new("ffmpeg");
        command
            .args(["-hide_banner", "-nostdin", "-loglevel", "warning", "-re"])
            .args(["-stream_loop", "-1", "-i"])
            .arg(self.directory.path().join("clip.flv"))
            .args(["-c", "copy", "-f", "flv", url]);
        Process::start("ffmpeg", &mut command)
    }
}

/// A running FFmpeg.
pub(crate) type Publisher = Process;

/// An encoder that connects again for as long as it is kept.
pub(crate) struct LoopingEncoder {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    connections: AtomicUsize,
    last_words: Mutex<String>,
}

impl LoopingEncoder {
    fn start(encoder: Encoder, url: String) -> Self {
        let shared = Arc::new(Shared::default());
        let thread = thread::spawn({
            let shared = shared.clone();
            move || {
                while !shared.stop.load(Ordering::Relaxed) {
                    shared.connections.fetch_add(1, Ordering::Relaxed);
                    let mut publisher = encoder.publish(&url);
                    while publisher.try_exit().is_none() && !shared.stop.load(Ordering::Relaxed) {
                        thread::park_timeout(LOOK);
                    }
                    let words = publisher.stderr.tail(5);
                    *shared
                        .last_words
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner) = words;
                    thread::park_timeout(RECONNECT_PAUSE);
                }
            }
        });
        Self {
            shared,
            thread: Some(thread),
        }
    }

    /// How often it has connected, or tried to.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

impl Drop for LoopingEncoder {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
        if thread::panicking() {
            let words = self
                .shared
                .last_words
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            eprintln!("--- the encoder's last words:\n{words}");
        }
    }
}
