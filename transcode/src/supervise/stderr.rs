//! What a child process writes on standard error goes to the log, within limits.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::ChildStderr;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::error::LastWords;

/// Bytes of a line that are kept.
const MAX_LINE: usize = 400;

/// Lines logged in a second.
const MAX_LINES_PER_SECOND: u32 = 10;

/// Lines kept for the error that tells of the worker's end.
const LAST_LINES: usize = 4;

/// How long to wait for the pipe's end after the worker's: a grandchild could hold it.
const DRAIN: Duration = Duration::from_millis(500);

/// The reader of a child's standard error.
#[derive(Debug)]
pub(crate) struct Stderr {
    reader: Option<JoinHandle<LastWords>>,
    /// Set when its last words are first asked for.
    until: Option<Instant>,
}

impl Stderr {
    /// Each line that is worth it goes to `log`.
    pub(crate) fn read(stderr: ChildStderr, log: impl Fn(&str) + Send + 'static) -> Self {
        Self {
            reader: Some(tokio::spawn(read(stderr, log))),
            until: None,
        }
    }

    /// The last lines. Call it after the worker's end; nothing once they were given.
    /// May be cancelled without losing anything.
    pub(crate) async fn last_words(&mut self) -> LastWords {
        let Some(reader) = &mut self.reader else {
            return LastWords::default();
        };
        let until = *self.until.get_or_insert_with(|| Instant::now() + DRAIN);
        let words = timeout_at(until, &mut *reader).await;
        reader.abort();
        self.reader = None;
        match words {
            Ok(words) => words.unwrap_or_default(),
            Err(_) => LastWords::default(),
        }
    }
}

impl Drop for Stderr {
    fn drop(&mut self) {
        if let Some(reader) = &self.reader {
            reader.abort();
        }
    }
}

async fn read(mut stderr: ChildStderr, log: impl Fn(&str)) -> LastWords {
    let mut lines = Lines::default();
    let mut allowance = Allowance::new(Instant::now());
    let mut last = VecDeque::with_capacity(LAST_LINES);
    let mut buffer = [0; 4096];
    // An error is an end as well: there is nothing else to read.
    while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
        for line in lines.push(&buffer[..read]) {
            if allowance.take(Instant::now()) {
                log(&line);
            }
            if last.len() == LAST_LINES {
                last.pop_front();
            }
            last.push_back(line);
        }
    }
    last.extend(lines.finish());
    if allowance.refused > 0 {
        log(&format!(
            "{} lines more, which are not logged",
            allowance.refused
        ));
    }
    LastWords(last.into())
}

/// Splits bytes into printable lines of bounded length.
#[derive(Debug, Default)]
struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, complete) = match piece {
                [text @ .., b'\n'] => (text, true),
                text => (text, false),
            };
            let room = MAX_LINE - self.partial.len().min(MAX_LINE);
            self.partial
                .extend_from_slice(&text[..text.len().min(room)]);
            if complete {
                lines.extend(self.finish());
            }
        }
        lines
    }

    fn finish(&mut self) -> Option<String> {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.partial))
            .replace(|c: char| c.is_control(), " ");
        let line = line.trim_end();
        (!line.is_empty()).then(|| line.to_owned())
    }
}

/// So many lines in a second.
#[derive(Debug)]
struct Allowance {
    second_began: Instant,
    left: u32,
    refused: u64,
}

impl Allowance {
    fn new(now: Instant) -> Self {
        Self {
            second_began: now,
            left: MAX_LINES_PER_SECOND,
            refused: 0,
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        if now.duration_since(self.second_began) >= Duration::from_secs(1) {
            self.second_began = now;
            self.left = MAX_LINES_PER_SECOND;
        }
        if self.left == 0 {
            self.refused += 1;
            return false;
        }
        self.left -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_printable_and_bounded() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"one\r\n\ntw"), ["one"]);
        assert_eq!(lines.push(b"o\x1b[31m\nthr"), ["two [31m"]);
        assert!(lines.push(&[b'e'; 10_000]).is_empty());
        let line = lines.finish().unwrap();
        assert_eq!(line.len(), MAX_LINE);
        assert!(line.starts_with("three"));
        assert_eq!(lines.finish(), None);
    }

    #[test]
    fn a_flood_is_counted_not_logged() {
        let begin = Instant::now();
        let mut allowance = Allowance::new(begin);
        let taken = (0..100).filter(|_| allowance.take(begin)).count();
        assert_eq!(taken, 10);
        assert_eq!(allowance.refused, 90);
        assert!(allowance.take(begin + Duration::from_secs(1)));
    }
}
