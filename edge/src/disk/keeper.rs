//! The thread that writes the journal.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::files::{Files, PAGE};
use super::journal::{FORMAT, RECORD_BYTES, Record, Replay};
use super::ledger::{Batch, Ledger};

/// The journal is written anew when it has so many more records than twice the files.
const SPARE_RECORDS: u64 = 1 << 16;
/// How often numbers are reported when nothing happens.
const IDLE: Duration = Duration::from_secs(1);
/// How long a journal that could not be written is left alone.
const PAUSE: Duration = Duration::from_secs(30);

/// The file of the journal.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    records: u64,
    /// Written anew when it has more records.
    most: u64,
}

/// Owns the journal, and the lock of the directory.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) ledger: Arc<Ledger>,
    pub(super) files: Files,
    pub(super) journal: Option<Journal>,
    /// Files with a lower number are of before.
    pub(super) first: u64,
    /// Nobody else uses the directory while it is open.
    pub(super) lock: File,
}

impl Journal {
    /// The journal that is there, torn tail cut off, and what it says; a new one where there
    /// is none of this format.
    pub(super) fn open(files: &Files) -> io::Result<(Self, Replay)> {
        let mut replay = Replay::default();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(files.journal())?;
        let mut format = [0; FORMAT.len()];
        match file.read_exact(&mut format) {
            Ok(()) if format == FORMAT => {}
            Ok(()) => return Ok((Self::create(files)?, replay)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Ok((Self::create(files)?, replay));
            }
            Err(error) => return Err(error),
        }
        let mut buffer = vec![0; RECORD_BYTES << 14];
        loop {
            let read = read_full(&mut file, &mut buffer)?;
            replay.feed(&buffer[..read]);
            if read < buffer.len() {
                break;
            }
        }
        file.set_len(FORMAT.len() as u64 + replay.good * RECORD_BYTES as u64)?;
        file.seek(SeekFrom::End(0))?;
        let journal = Self {
            file,
            records: replay.good,
            most: 0,
        };
        Ok((journal, replay))
    }

    /// An empty one in the place of what is there.
    fn create(files: &Files) -> io::Result<Self> {
        let mut file = File::create(files.journal())?;
        file.write_all(&FORMAT)?;
        Ok(Self {
            file,
            records: 0,
            most: SPARE_RECORDS,
        })
    }

    fn append(&mut self, records: &[Record], sync: bool) -> io::Result<()> {
        let bytes: Vec<u8> = records.iter().flat_map(|record| record.encode()).collect();
        self.file.write_all(&bytes)?;
        self.records += records.len() as u64;
        match sync {
            true => self.file.sync_data(),
            false => Ok(()),
        }
    }

    /// One with what is there, and no more. What changes meanwhile is appended afterwards,
    /// and says the same twice at worst.
    fn rewritten(files: &Files, ledger: &Ledger) -> io::Result<Self> {
        let path = files.new_journal();
        let mut file = BufWriter::new(File::create(&path)?);
        file.write_all(&FORMAT)?;
        let (mut at, mut records) = (Some(0), 0);
        while let Some(from) = at {
            let (entries, next) = ledger.lock().catalog.page(from, PAGE);
            records += entries.len() as u64;
            for entry in entries {
                file.write_all(&Record::Stored(entry).encode())?;
            }
            at = next;
        }
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&path, files.journal())?;
        File::open(files.directory())?.sync_all()?;
        Ok(Self {
            file,
            records,
            most: 2 * records + SPARE_RECORDS,
        })
    }
}

/// Reads until `buffer` is full or the file ends.
fn read_full(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read(&mut buffer[read..]) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

impl Keeper {
    /// Runs until the ledger is closed.
    pub(super) fn start(self) -> io::Result<JoinHandle<()>> {
        thread::Builder::new()
            .name("edge-disk".to_owned())
            .spawn(move || self.run())
    }

    fn run(mut self) {
        let mut sweeping = Sweeping::start(&self.files, &self.ledger, self.first);
        let mut failed_at = Instant::now();
        loop {
            let batch = self.ledger.next(IDLE);
            if let Err(error) = self.write(&batch) {
                tracing::error!(%error, "the journal of the disk cache cannot be written; it is given up");
                metrics::counter!("nova_edge_disk_faults_total", "operation" => "journal")
                    .increment(1);
                self.give_up();
                failed_at = Instant::now();
            }
            if self.journal.is_none() && failed_at.elapsed() >= PAUSE {
                match Journal::create(&self.files) {
                    Ok(journal) => {
                        self.journal = Some(journal);
                        self.ledger.begin_anew();
                        drop(sweeping);
                        let first = self.ledger.next_id();
                        sweeping = Sweeping::start(&self.files, &self.ledger, first);
                        tracing::info!("the disk cache begins anew");
                    }
                    Err(_) => failed_at = Instant::now(),
                }
            }
            self.ledger.tell(&batch);
            self.report();
            if batch.is_closing && batch.records.is_empty() {
                break;
            }
        }
        self.ledger.end();
        drop(sweeping);
        drop(self.lock);
    }

    fn write(&mut self, batch: &Batch) -> io::Result<()> {
        let Some(journal) = &mut self.journal else {
            return Ok(());
        };
        if !batch.records.is_empty() || batch.sync {
            journal.append(&batch.records, batch.sync)?;
        }
        if journal.records > journal.most {
            match Journal::rewritten(&self.files, &self.ledger) {
                Ok(rewritten) => *journal = rewritten,
                Err(error) => {
                    // The longer one is as good.
                    journal.most = journal.records + SPARE_RECORDS;
                    tracing::warn!(%error, "the journal of the disk cache cannot be written anew yet");
                }
            }
        }
        Ok(())
    }

    /// A removal that is not written down would be undone by a restart. So without a journal
    /// there are no entries: not now, nor after a restart.
    fn give_up(&mut self) {
        self.journal = None;
        self.ledger.give_up();
        for path in [self.files.journal(), self.files.new_journal()] {
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::error!(path = %path.display(), %error, "the journal of the disk cache cannot be removed: remove it before the next start, or what was invalidated since comes back");
            }
        }
    }

    fn report(&self) {
        let state = self.ledger.lock();
        metrics::gauge!("nova_edge_disk_bytes").set(state.catalog.bytes() as f64);
        metrics::gauge!("nova_edge_disk_entries").set(state.catalog.files() as f64);
    }
}

/// A sweep under way; it ends when dropped.
struct Sweeping {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sweeping {
    fn start(files: &Files, ledger: &Arc<Ledger>, first: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (files, ledger) = (files.clone(), Arc::clone(ledger));
        let stopped = Arc::clone(&stop);
        let sweep = move || {
            let swept = files.sweep(&ledger, first, &stopped);
            if swept > 0 {
                tracing::info!(swept, "files that the disk cache did not know are removed");
            }
        };
        let thread = thread::Builder::new()
            .name("edge-disk-sweep".to_owned())
            .spawn(sweep);
        Self {
            stop,
            thread: thread
                .inspect_err(|error| {
                    tracing::warn!(%error, "unknown files of the disk cache stay until the next start");
                })
                .ok(),
        }
    }
}

impl Drop for Sweeping {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the sweep of the disk cache ended by a panic");
        }
    }
}
