//! Where access records are written: one JSON line for each request.
//!
//! A bounded queue takes them from the requests; one task empties it and writes. When it is
//! full a record is dropped and counted, and no request waits.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use media::{Clock, Timestamp};
use metrics::{Counter, counter};
use tokio::sync::mpsc;
use tokio::task::{JoinError, spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::record::Finished;
use crate::config::OriginKind;

/// Records that may wait.
const QUEUE: usize = 16_384;
/// How often the queue is emptied. Nobody is woken for a record.
const LOOK: Duration = Duration::from_millis(50);
/// How long a line may stay in memory.
const FLUSH: Duration = Duration::from_secs(1);
/// Bytes that are written at once, however young they are.
const BUFFER: usize = 256 << 10;

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLogTarget {
    /// Standard output.
    Output,
    /// A file. When it is moved or removed a new one is begun, within a second.
    File(PathBuf),
}

/// A file that cannot be written to.
#[derive(Debug, thiserror::Error)]
#[error("cannot write access records to {}: {source}", path.display())]
pub struct AccessLogError {
    path: PathBuf,
    source: io::Error,
}

/// The requests' end of the queue.
pub(super) struct Records {
    queue: mpsc::Sender<Finished>,
    dropped: Counter,
}

impl Records {
    pub(super) fn push(&self, finished: Finished) {
        if self.queue.try_send(finished).is_err() {
            self.dropped.increment(1);
        }
    }
}

/// The task's end of the queue.
#[derive(Debug)]
pub struct AccessLog {
    queue: mpsc::Receiver<Finished>,
    writer: Writer,
}

/// A queue to `target`. Fails if the file cannot be opened.
pub(super) fn open(target: &AccessLogTarget) -> Result<(Records, AccessLog), AccessLogError> {
    let sink = match target {
        AccessLogTarget::Output => Sink::Output,
        AccessLogTarget::File(path) => Sink::File(LogFile::open(path)?),
    };
    let (sender, queue) = mpsc::channel(QUEUE);
    let records = Records {
        queue: sender,
        dropped: counter!("nova_edge_access_records_total", "outcome" => "dropped"),
    };
    let writer = Writer {
        sink,
        lines: Vec::new(),
        records: 0,
        flushed: Instant::now(),
        is_failing: false,
    };
    Ok((records, AccessLog { queue, writer }))
}

impl AccessLog {
    /// Writes until `shutdown`, and then what is left. The requests were to `kind`.
    pub async fn run(
        self,
        kind: OriginKind,
        clock: Arc<dyn Clock>,
        shutdown: CancellationToken,
    ) -> Result<(), JoinError> {
        let Self {
            mut queue,
            mut writer,
        } = self;
        loop {
            let pause = tokio::time::sleep(LOOK);
            let is_over = shutdown.run_until_cancelled(pause).await.is_none();
            let mut finished = Vec::new();
            while let Ok(one) = queue.try_recv() {
                finished.push(one);
            }
            if !finished.is_empty() || writer.is_due() || is_over {
                let now = clock.now();
                // What a disk does takes its time.
                writer = spawn_blocking(move || {
                    let at = Instant::now();
                    for one in &finished {
                        writer.take(one, kind, now, at);
                    }
                    if is_over || writer.is_due() {
                        writer.flush();
                    }
                    writer
                })
                .await?;
            }
            if is_over {
                return Ok(());
            }
        }
    }
}

/// Gathers lines and writes them.
#[derive(Debug)]
struct Writer {
    sink: Sink,
    lines: Vec<u8>,
    records: u64,
    flushed: Instant,
    /// The last time it failed; the log says so once.
    is_failing: bool,
}

#[derive(Debug)]
enum Sink {
    Output,
    File(LogFile),
}

impl Writer {
    fn take(&mut self, finished: &Finished, kind: OriginKind, now: Timestamp, at: Instant) {
        let before = self.lines.len();
        if let Err(error) = finished.write(kind, now, at, &mut self.lines) {
            self.lines.truncate(before);
            counter!("nova_edge_access_records_total", "outcome" => "failed").increment(1);
            tracing::error!(%error, "an access record cannot be spelled");
            return;
        }
        self.records += 1;
        if self.lines.len() >= BUFFER {
            self.flush();
        }
    }

    fn is_due(&self) -> bool {
        self.records > 0 && self.flushed.elapsed() >= FLUSH
    }

    fn flush(&mut self) {
        let written = match &mut self.sink {
            Sink::Output => io::stdout().lock().write_all(&self.lines),
            Sink::File(file) => file.write(&self.lines),
        };
        let outcome = match written {
            Ok(()) => {
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("access records are written again");
                }
                "written"
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::error!(%error, "access records cannot be written");
                }
                "failed"
            }
        };
        counter!("nova_edge_access_records_total", "outcome" => outcome)
            .increment(std::mem::take(&mut self.records));
        self.lines.clear();
        self.lines.shrink_to(BUFFER);
        if self.is_failing {
            // A line may have been written in part: the next begins on its own.
            self.lines.push(b'\n');
        }
        self.flushed = Instant::now();
    }
}

/// A file that may be moved away while it is written to.
#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    file: File,
    /// Device and inode.
    identity: (u64, u64),
}

impl LogFile {
    fn open(path: &Path) -> Result<Self, AccessLogError> {
        let failed = |source| AccessLogError {
            path: path.to_owned(),
            source,
        };
        let (file, identity) = open_file(path).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            identity,
        })
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let is_there = std::fs::metadata(&self.path)
            .is_ok_and(|there| (there.dev(), there.ino()) == self.identity);
        if !is_there {
            (self.file, self.identity) = open_file(&self.path)?;
        }
        self.file.write_all(lines)
    }
}

fn open_file(path: &Path) -> io::Result<(File, (u64, u64))> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let there = file.metadata()?;
    Ok((file, (there.dev(), there.ino())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_moved_away_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("a.log"), folder.path().join("a.log.1"));
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        let mut file = LogFile::open(&path).unwrap();
        file.write(b"1\n").unwrap();
        std::fs::rename(&path, &moved).unwrap();
        file.write(b"2\n").unwrap();
        file.write(b"3\n").unwrap();
        assert_eq!((read(&moved), read(&path)), ("1\n".into(), "2\n3\n".into()));
        std::fs::remove_file(&path).unwrap();
        file.write(b"4\n").unwrap();
        assert_eq!(read(&path), "4\n");
        // What is there already stays.
        LogFile::open(&path).unwrap().write(b"5\n").unwrap();
        assert_eq!(read(&path), "4\n5\n");
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("no/such/folder.log");
        let error = LogFile::open(&path).unwrap_err().to_string();
        assert!(error.contains("no/such/folder.log"), "{error}");
    }
}
