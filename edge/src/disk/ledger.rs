//! The catalog and what is to be written down of it, under one lock, so that the journal
//! tells of changes in the order in which they were made.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::catalog::{Admission, Catalog, Unwanted};
use super::journal::{Entry, Record};

/// Records that wait to be written at one time; a removal is always taken.
const MAX_PENDING: usize = 1 << 16;
/// How long a record waits for others, so that they are written together.
const GATHER: Duration = Duration::from_millis(100);

/// Why no file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoom {
    Unwanted,
    /// The journal is behind, or cannot be written.
    Busy,
}

impl From<Unwanted> for NoRoom {
    fn from(Unwanted: Unwanted) -> Self {
        Self::Unwanted
    }
}

/// What happens to entries, and what is written of it.
#[derive(Debug)]
pub(super) struct Ledger {
    state: Mutex<State>,
    /// For the keeper: there is something to do at once.
    news: Condvar,
    /// How many records have been written.
    written: watch::Sender<u64>,
    next_id: AtomicU64,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) catalog: Catalog,
    pending: Vec<Record>,
    /// How many records there were, with those that are pending.
    noted: u64,
    /// What is pending must be on the disk before anybody is told.
    sync: bool,
    /// How many there were at the last removal, and when all was synced last.
    removed: u64,
    synced: u64,
    /// Nothing can be written down, so nothing may come in.
    is_broken: bool,
    is_closing: bool,
}

/// What the keeper writes next.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) records: Vec<Record>,
    pub(super) sync: bool,
    /// What [`Ledger::written`] is told by [`Ledger::tell`].
    pub(super) noted: u64,
    pub(super) is_closing: bool,
}

impl Ledger {
    pub(super) fn new(catalog: Catalog, next_id: u64) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                catalog,
                pending: Vec::new(),
                // Whether the removals of the last process are synced nobody knows.
                noted: 1,
                removed: 1,
                synced: 0,
                sync: false,
                is_broken: false,
                is_closing: false,
            }),
            news: Condvar::new(),
            written: watch::Sender::new(0),
            next_id: AtomicU64::new(next_id),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock; were it so, files and index may differ,
        // and a file that is not there is found out at its use.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that nothing on this disk had before.
    pub(super) fn new_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Files with a lower number were there before, or are known.
    pub(super) fn next_id(&self) -> u64 {
        self.next_id.load(Ordering::Relaxed)
    }

    /// Lets the keeper write at once what is pending, and on to the disk itself. Done when
    /// the result has been [`Ledger::written`].
    pub(super) fn sync(&self, state: &mut State) -> u64 {
        state.sync = true;
        // Not told yet, whatever was before.
        state.noted += 1;
        self.news.notify_all();
        state.noted
    }

    /// Waits until the records up to `noted` are written.
    pub(super) async fn written(&self, noted: u64) {
        // The sender lives as long as this, so there is no error.
        let _ = self
            .written
            .subscribe()
            .wait_for(|written| *written >= noted)
            .await;
    }

    /// Ends the keeper, once all is written.
    pub(super) fn close(&self) {
        self.lock().is_closing = true;
        self.news.notify_all();
    }

    /// For the keeper: waits for something to write, though no longer than `most`.
    pub(super) fn next(&self, most: Duration) -> Batch {
        let idle = |state: &mut State| {
            !state.sync && !state.is_closing && state.pending.len() < MAX_PENDING / 4
        };
        let limit = match self.lock().pending.is_empty() {
            true => most,
            false => GATHER,
        };
        let waited = self.news.wait_timeout_while(self.lock(), limit, idle);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        Batch {
            records: std::mem::take(&mut state.pending),
            sync: std::mem::take(&mut state.sync),
            noted: state.noted,
            is_closing: state.is_closing,
        }
    }

    /// For the keeper: the records of `batch` are written.
    pub(super) fn tell(&self, batch: &Batch) {
        if batch.sync {
            self.lock().synced = batch.noted;
        }
        self.written.send_replace(batch.noted);
    }

    /// For the keeper: it ends, and nobody waits for it any more.
    pub(super) fn end(&self) {
        self.written.send_replace(u64::MAX);
    }

    /// For the keeper: nothing can be written down, so that nothing is known from now on.
    pub(super) fn give_up(&self) {
        let mut state = self.lock();
        state.catalog.clear();
        state.pending.clear();
        state.is_broken = true;
    }

    /// For the keeper: a new journal has begun.
    pub(super) fn begin_anew(&self) {
        let mut state = self.lock();
        state.catalog.clear();
        state.pending.clear();
        state.is_broken = false;
    }
}

impl State {
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    fn note(&mut self, record: Record) {
        self.noted += 1;
        if !self.is_broken {
            self.pending.push(record);
        }
    }

    fn note_removed(&mut self, id: u64) {
        self.note(Record::Removed { id });
        self.removed = self.noted;
    }

    fn note_gone(&mut self, gone: &[Entry]) {
        for entry in gone {
            self.note_removed(entry.id);
        }
    }

    /// Can no power cut bring back what was removed?
    pub(super) fn removals_are_synced(&self) -> bool {
        self.removed <= self.synced
    }

    /// As [`Catalog::reserve`]. The files of `out` are to be removed.
    pub(super) fn reserve(
        &mut self,
        name: u64,
        bytes: u32,
        now: u32,
        admission: Admission,
        out: &mut Vec<Entry>,
    ) -> Result<(), NoRoom> {
        if self.is_broken || self.pending.len() >= MAX_PENDING {
            return Err(NoRoom::Busy);
        }
        let reserved = self.catalog.reserve(name, bytes, now, admission, out);
        self.note_gone(out);
        Ok(reserved?)
    }

    /// As [`Catalog::insert`].
    pub(super) fn insert(&mut self, entry: Entry, most: usize, out: &mut Vec<Entry>) {
        self.note(Record::Stored(entry));
        self.catalog.insert(entry, most, out);
        self.note_gone(out);
    }

    /// As [`Catalog::touch`].
    pub(super) fn touch(&mut self, name: u64, now: u32) {
        for id in self.catalog.touch(name, now) {
            // What is lost of these makes the order coarser.
            if self.pending.len() < MAX_PENDING {
                self.note(Record::Used { id, at: now });
            }
        }
    }

    pub(super) fn remove(&mut self, name: u64, id: u64) -> Option<Entry> {
        let gone = self.catalog.remove(name, id)?;
        self.note_removed(id);
        Some(gone)
    }

    pub(super) fn remove_all(&mut self, name: u64) -> Vec<Entry> {
        let gone = self.catalog.remove_all(name);
        self.note_gone(&gone);
        gone
    }
}
