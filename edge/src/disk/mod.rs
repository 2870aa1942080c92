//! The disk tier: answers and slices in files, within a budget, over restarts.
//!
//! A journal says which files there are, so that none is opened before it is asked for. A
//! file is whole before the journal names it, and everything in it has a checksum: what a
//! crash or a power cut left half-written, and what was damaged since, is a miss. So nothing
//! is synced but what must not be forgotten: that something was invalidated, or purged.
//!
//! Nothing waits for the disk but the fill that asks whether there is something. What cannot
//! be written at once for lack of room is not written.

mod catalog;
mod config;
mod description;
mod file;
mod files;
mod journal;
mod keeper;
mod ledger;
mod purged;
mod read;
mod sketch;
mod witness;
mod write;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use media::{Micros, Timestamp};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

pub use config::{DiskConfig, DiskError, DiskStatus};

use crate::config::OriginKind;
use crate::era::Era;
use crate::freshness::Rules;
use crate::head::Head;
use crate::key::CacheKey;
use crate::large::SliceName;
use crate::store::Stored;
pub(crate) use catalog::Admission;
use catalog::{Catalog, Room};
use file::{Identity, MAX_BODY_BYTES};
use files::Files;
use journal::Entry;
use keeper::{Journal, Keeper};
use ledger::Ledger;
use write::Write;

/// How long the tier is left alone after reading or writing failed.
const PAUSE: Micros = Micros::from_secs(30);
/// A disk that takes longer than this is asked no further: the origin is.
const READ_PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer may wait for an invalidation, or a purge, to be written down.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(5);
/// What a write weighs at least, so that the number of those that wait is bounded.
const LEAST_WEIGHT: u64 = 16 << 10;
/// Bytes that one permit of the write budget stands for.
const PERMIT_BYTES: u64 = 1 << 10;

/// A disk tier that is open. It is closed when dropped, though what waits to be written may
/// be lost then: [`Edge::shutdown`](crate::Edge::shutdown) writes it.
#[derive(Debug)]
pub struct Disk {
    inner: Arc<Inner>,
    keeper: Mutex<Option<JoinHandle<()>>>,
    writes: TaskTracker,
    max_variants: usize,
    /// The era of the last purge before this process, if there was one.
    purged: Option<Era>,
    /// What is there is of before.
    newest: Era,
    /// The last purge that is noted.
    noted: Arc<tokio::sync::Mutex<Era>>,
}

#[derive(Debug)]
struct Inner {
    config: DiskConfig,
    files: Files,
    ledger: Arc<Ledger>,
    operations: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    waiting_permits: usize,
    /// Unix time in microseconds until which nothing is read, or written.
    no_reads_until: AtomicI64,
    no_writes_until: AtomicI64,
}

impl Disk {
    /// Opens the tier in its directory, and reads which files there are. This blocks.
    pub fn open(config: DiskConfig, now: Timestamp) -> Result<Self, DiskError> {
        let failed = |source| DiskError::Io {
            directory: config.directory.clone(),
            source,
        };
        std::fs::create_dir_all(&config.directory).map_err(failed)?;
        let lock = File::create(config.directory.join("lock")).map_err(failed)?;
        lock.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => DiskError::InUse(config.directory.clone()),
            std::fs::TryLockError::Error(source) => failed(source),
        })?;
        let files = Files::in_directory(&config.directory).map_err(failed)?;
        let (journal, replay) = Journal::open(&files).map_err(failed)?;
        if replay.damaged > 0 {
            count_damaged(replay.damaged);
            tracing::warn!(
                records = replay.damaged,
                "the journal of the disk cache has damaged records"
            );
        }
        // Time goes on faster than files are written, so that not even a number whose record
        // is lost is given twice.
        let next_id = replay.last_id.max(now.as_micros().max(0).unsigned_abs()) + 1;
        let mut catalog = Catalog::new(Room {
            bytes: config.bytes,
            files: config.files.min(u64::from(u32::MAX) - 1),
        });
        let entries = replay.into_entries();
        // The clock may have been set back: what is there is older than what comes all the same.
        let newest = entries.last().map_or(i64::MIN, after);
        let unknown = now.as_micros().max(newest);
        if let Some(witness) = &config.witness
            && !witness::agrees(&config.directory, witness).map_err(failed)?
        {
            if !entries.is_empty() {
                tracing::warn!("the disk cache was not used last: nothing of before is");
                purged::write(&config.directory, unknown).map_err(failed)?;
            }
            witness::agree(&config.directory, witness).map_err(failed)?;
        }
        let purged = purged::read(&config.directory, unknown).map_err(failed)?;
        if purged.is_some_and(|purged| purged > now.as_micros()) {
            tracing::warn!("the clock is behind the last purge that the disk cache knows of");
        }
        let known = entries.len();
        for entry in entries {
            if purged.is_none_or(|purged| after(&entry) > purged) {
                catalog.restore(entry);
            }
        }
        let before_purge = known as u64 - catalog.files();
        count_removed("purged", before_purge);
        // Swept with all that the journal does not know.
        catalog.shrink();
        tracing::info!(
            directory = %config.directory.display(),
            files = catalog.files(),
            bytes = catalog.bytes(),
            before_purge,
            "the disk cache is open, without what was stored before the last purge"
        );
        let ledger = Ledger::new(catalog, next_id);
        let keeper = Keeper {
            ledger: Arc::clone(&ledger),
            files: files.clone(),
            journal: Some(journal),
            first: next_id,
            lock,
        };
        let keeper = keeper.start().map_err(failed)?;
        let waiting_permits = permits(config.max_waiting_bytes);
        Ok(Self {
            inner: Arc::new(Inner {
                files,
                ledger,
                operations: Arc::new(Semaphore::new(
                    config.max_operations.min(Semaphore::MAX_PERMITS),
                )),
                waiting: Arc::new(Semaphore::new(waiting_permits)),
                waiting_permits,
                no_reads_until: AtomicI64::new(i64::MIN),
                no_writes_until: AtomicI64::new(i64::MIN),
                config,
            }),
            keeper: Mutex::new(Some(keeper)),
            writes: TaskTracker::new(),
            max_variants: 1,
            newest: Era::from_micros(newest),
            noted: Arc::new(tokio::sync::Mutex::new(
                purged.map_or(Era::FIRST, Era::from_micros),
            )),
            purged: purged.map(Era::from_micros),
        })
    }

    /// Says that no tier is used now: what is in the directory that `witness` tells of will
    /// not be used again ([`DiskConfig::witness`]).
    pub fn leave(witness: &Path) -> io::Result<()> {
        witness::leave(witness)
    }

    /// With so many answers for each key.
    pub(crate) fn with_variants(mut self, max_variants: usize) -> Self {
        self.max_variants = max_variants;
        self
    }

    /// The era of the last purge that an earlier process noted.
    pub(crate) fn purged(&self) -> Option<Era> {
        self.purged
    }

    /// What earlier processes stored was checked before this era.
    pub(crate) fn newest(&self) -> Era {
        self.newest
    }

    /// Has what was stored before the purge of this era count as purged after a restart, and
    /// returns when that is synced.
    pub(crate) async fn note_purge(&self, era: Era) -> io::Result<()> {
        let (noted, inner) = (Arc::clone(&self.noted), Arc::clone(&self.inner));
        let noting = async move {
            // One at a time, also when nobody waits for it any more.
            let mut noted = noted.lock_owned().await;
            if *noted >= era {
                return Ok(());
            }
            let note = move || {
                purged::write(&inner.config.directory, era.as_micros())?;
                *noted = era;
                Ok(())
            };
            let noting = tokio::task::spawn_blocking(note);
            noting.await.map_err(io::Error::other)?
        };
        timeout(REMOVAL_PATIENCE, noting)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    pub(crate) fn config(&self) -> &DiskConfig {
        &self.inner.config
    }

    pub(crate) fn status(&self, now: Timestamp) -> DiskStatus {
        let inner = &self.inner;
        let waiting = inner.waiting_permits - inner.waiting.available_permits();
        let state = inner.ledger.lock();
        DiskStatus {
            bytes: state.catalog.bytes(),
            files: state.catalog.files(),
            waiting_bytes: waiting as u64 * PERMIT_BYTES,
            is_paused: state.is_broken() || !inner.may_read(now) || !inner.may_write(now),
        }
    }

    /// A number that nothing on this disk had before.
    pub(crate) fn new_id(&self) -> u64 {
        self.inner.ledger.new_id()
    }

    /// Is half of the room for what waits to be written free?
    pub(crate) fn is_half_free(&self) -> bool {
        self.inner.waiting.available_permits() >= self.inner.waiting_permits / 2
    }

    /// From now on it is as if all that it has room for waited to be written, for ever.
    #[cfg(test)]
    pub(crate) fn hang(&self) {
        let waiting = &self.inner.waiting;
        waiting.forget_permits(waiting.available_permits());
    }

    /// May there be something under `key`?
    pub(crate) fn has(&self, key: &CacheKey) -> bool {
        let state = self.inner.ledger.lock();
        state.catalog.has(description::name_of(key))
    }

    /// Counts that `key` was asked for, and says whether there may be something under it.
    pub(crate) fn looks_for(&self, key: &CacheKey) -> bool {
        let name = description::name_of(key);
        let mut state = self.inner.ledger.lock();
        state.catalog.asked_for(name);
        let there = state.catalog.has(name);
        drop(state);
        if !there {
            count_read("miss");
        }
        there
    }

    /// The newest answer under `key` that `request` selects, whole and undamaged. What
    /// `is_gone`, since the era that it was checked at, is removed.
    pub(crate) async fn load(
        &self,
        key: &CacheKey,
        request: &HeaderMap,
        rules: Rules,
        now: Timestamp,
        is_gone: impl Fn(&Head, Era) -> bool + Send + 'static,
    ) -> Option<Stored> {
        let (key, request) = (key.clone(), request.clone());
        self.read(now, move |inner| {
            inner.read_answer(&key, &request, &rules, now, is_gone)
        })
        .await
    }

    /// Is the slice there? Counts that it was asked for.
    pub(crate) fn has_slice(&self, slice: SliceName) -> bool {
        let name = description::name_of_slice(slice);
        let mut state = self.inner.ledger.lock();
        state.catalog.asked_for(name);
        state.catalog.has(name)
    }

    /// Are all these slices of `object` there?
    pub(crate) fn has_slices(&self, object: u64, numbers: Range<u64>) -> bool {
        let state = self.inner.ledger.lock();
        numbers.into_iter().all(|number| {
            let name = description::name_of_slice(SliceName { object, number });
            state.catalog.has(name)
        })
    }

    /// These bytes of a slice.
    pub(crate) async fn read_slice(
        &self,
        slice: SliceName,
        bytes: Range<u64>,
        now: Timestamp,
    ) -> Option<Bytes> {
        self.read(now, move |inner| inner.read_slice(slice, bytes, now))
            .await
    }

    async fn read<T: Send + 'static>(
        &self,
        now: Timestamp,
        read: impl FnOnce(&Inner) -> Option<T> + Send + 'static,
    ) -> Option<T> {
        if !self.inner.may_read(now) {
            count_read("paused");
            return None;
        }
        let inner = Arc::clone(&self.inner);
        let reading = async {
            let permit = Arc::clone(&inner.operations).acquire_owned().await.ok()?;
            let read = tokio::task::spawn_blocking(move || {
                // Also when nobody waits for it any more: a disk that hangs takes no more
                // threads than there are permits.
                let _permit = permit;
                read(&inner)
            });
            read.await
                .inspect_err(|error| tracing::error!(%error, "a disk read was lost"))
                .ok()?
        };
        timeout(READ_PATIENCE, reading).await.unwrap_or_else(|_| {
            count_read("slow");
            let until = (now + PAUSE).as_micros();
            let before = self.inner.no_reads_until.swap(until, Ordering::Relaxed);
            if before <= now.as_micros() {
                tracing::error!(
                    "the disk cache does not answer; nothing is read from disk for a while"
                );
            }
            None
        })
    }

    /// Until when an answer is of use, if that is long enough to write it.
    fn expires(&self, stored: &Stored, kind: OriginKind, now: Timestamp) -> Option<Timestamp> {
        let expires = stored.head.lasts_until(kind)?;
        let lasts = expires.as_micros().saturating_sub(now.as_micros());
        (lasts >= i64::from(self.inner.config.min_seconds) * 1_000_000).then_some(expires)
    }

    /// Is an answer of use for so long that it is written?
    pub(crate) fn lasts(&self, stored: &Stored, kind: OriginKind, now: Timestamp) -> bool {
        self.expires(stored, kind, now).is_some()
    }

    /// Is an answer under `key` there, and of use for as long as `stored`, which is in memory?
    /// It counts as used then, since somebody wants it there.
    pub(crate) fn keeps(
        &self,
        key: &CacheKey,
        stored: Option<&Stored>,
        kind: OriginKind,
        now: Timestamp,
    ) -> bool {
        let (name, now) = (description::name_of(key), seconds(now));
        let like = stored.map(|stored| {
            let until = stored.head.lasts_until(kind).map_or(now, seconds);
            (description::variant_of(stored), until)
        });
        let mut state = self.inner.ledger.lock();
        let entries = state.catalog.of(name).into_iter();
        let mut those = entries.filter(|entry| match like {
            Some((variant, until)) => entry.variant == variant && entry.expires >= until,
            None => entry.expires > now,
        });
        let keeps = those.next().is_some();
        if keeps {
            state.touch(name, now);
        }
        keeps
    }

    /// Are all these slices of `object` there? They count as used then.
    pub(crate) fn keeps_slices(&self, object: u64, numbers: Range<u64>, now: Timestamp) -> bool {
        if !self.has_slices(object, numbers.clone()) {
            return false;
        }
        for number in numbers {
            let name = description::name_of_slice(SliceName { object, number });
            self.inner.ledger.lock().touch(name, seconds(now));
        }
        true
    }

    /// Writes an answer, when there is time, room and use for it; `is_current` is asked at
    /// the last moment.
    pub(crate) fn store(
        &self,
        key: &CacheKey,
        stored: &Stored,
        kind: OriginKind,
        admission: Admission,
        now: Timestamp,
        is_current: impl FnOnce() -> bool + Send + 'static,
    ) {
        let Some(expires) = self.expires(stored, kind, now) else {
            return;
        };
        let description = match description::of_answer(key, stored) {
            Ok(description) => description,
            Err(error) => {
                tracing::error!(%error, "an answer cannot be described");
                return count_write("failed");
            }
        };
        let write = Write {
            id: self.new_id(),
            name: description::name_of(key),
            variant: description::variant_of(stored),
            expires: seconds(expires),
            description,
            body: stored.chunks.to_vec(),
            now,
            used: seconds(now.max(Timestamp::from_micros(stored.checked.era().as_micros()))),
            most: self.max_variants,
            admission,
            is_current: Box::new(is_current),
        };
        self.spawn(write);
    }

    /// Writes a slice, when there is time and room for it.
    pub(crate) fn store_slice(
        &self,
        slice: SliceName,
        body: Vec<Bytes>,
        admission: Admission,
        now: Timestamp,
        is_current: impl FnOnce() -> bool + Send + 'static,
    ) -> Option<tokio::task::JoinHandle<()>> {
        let write = Write {
            id: self.new_id(),
            name: description::name_of_slice(slice),
            variant: 0,
            // Without its head it is not asked for any more, and sinks to the end.
            expires: u32::MAX,
            description: description::of_slice(slice).to_vec(),
            body,
            now,
            used: seconds(now),
            most: 1,
            admission,
            is_current: Box::new(is_current),
        };
        self.spawn(write)
    }

    /// The write is a task of the tier's own.
    fn spawn(&self, write: Write) -> Option<tokio::task::JoinHandle<()>> {
        let inner = Arc::clone(&self.inner);
        let length: u64 = write.body.iter().map(|piece| piece.len() as u64).sum();
        if !inner.may_write(write.now) || length > MAX_BODY_BYTES {
            count_write("paused");
            return None;
        }
        let weight = permits(length.max(LEAST_WEIGHT));
        let waits = u32::try_from(weight).ok().and_then(|weight| {
            Arc::clone(&inner.waiting)
                .try_acquire_many_owned(weight)
                .ok()
        });
        let Some(waits) = waits else {
            count_write("dropped");
            return None;
        };
        Some(self.writes.spawn(async move {
            let _waits = waits;
            let Ok(_permit) = inner.operations.acquire().await else {
                return;
            };
            let writer = Arc::clone(&inner);
            let written = tokio::task::spawn_blocking(move || writer.write(write)).await;
            if let Err(error) = written {
                tracing::error!(%error, "a disk write was lost");
            }
        }))
    }

    /// Removes all under these keys, and returns when no restart can bring them back.
    /// Writes that are under way must be stopped by their `is_current`.
    pub(crate) async fn remove(&self, keys: &[CacheKey]) {
        let mut gone = Vec::new();
        let noted = {
            let mut state = self.inner.ledger.lock();
            for key in keys {
                gone.extend(state.remove_all(description::name_of(key)));
            }
            // What went before, for another reason, may come back as well.
            if gone.is_empty() && state.removals_are_synced() {
                return;
            }
            self.inner.ledger.sync(&mut state)
        };
        count_removed("invalidated", gone.len() as u64);
        let files = self.inner.files.clone();
        let removed = async {
            let removing = tokio::task::spawn_blocking(move || files.remove(&gone));
            let (removed, ()) = tokio::join!(removing, self.inner.ledger.written(noted));
            removed
        };
        match timeout(REMOVAL_PATIENCE, removed).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "a disk removal was lost"),
            Err(_) => tracing::error!(
                "the disk did not take an invalidation in time; what was invalidated is not given, but a restart now may bring it back"
            ),
        }
    }

    /// Writes what waits, and closes the journal.
    pub(crate) async fn close(&self) {
        self.writes.close();
        self.writes.wait().await;
        self.inner.ledger.close();
        let keeper = self.take_keeper();
        let joined = tokio::task::spawn_blocking(move || join(keeper)).await;
        if let Err(error) = joined {
            tracing::error!(%error, "the end of the disk cache was not waited for");
        }
    }

    fn take_keeper(&self) -> Option<JoinHandle<()>> {
        self.keeper
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl Drop for Disk {
    /// Waits for the journal, which takes no longer than its last records.
    fn drop(&mut self) {
        self.inner.ledger.close();
        join(self.take_keeper());
    }
}

fn join(keeper: Option<JoinHandle<()>>) {
    if let Some(keeper) = keeper
        && keeper.join().is_err()
    {
        tracing::error!("the journal of the disk cache ended by a panic");
    }
}

impl Inner {
    fn may_read(&self, now: Timestamp) -> bool {
        self.no_reads_until.load(Ordering::Relaxed) <= now.as_micros()
    }

    fn may_write(&self, now: Timestamp) -> bool {
        self.no_writes_until.load(Ordering::Relaxed) <= now.as_micros()
    }
}

/// What a journal and a file of these bytes say, for fuzzing: whatever they are, what is taken
/// for whole was written so.
#[doc(hidden)]
pub fn read_any_bytes(bytes: &[u8]) {
    let mut replay = journal::Replay::default();
    replay.feed(bytes);
    assert!(replay.good + replay.damaged >= replay.records && replay.good <= replay.records);
    let mut catalog = Catalog::new(Room {
        bytes: 1 << 20,
        files: 64,
    });
    for entry in replay.into_entries() {
        catalog.restore(entry);
    }
    catalog.shrink();
    assert!(catalog.bytes() <= 1 << 20 && catalog.files() <= 64);
    let word = |at: usize| bytes.get(at..at + 8).and_then(|word| word.try_into().ok());
    let (Some(id), Some(name)) = (word(8), word(16)) else {
        return;
    };
    let identity = Identity {
        id: u64::from_le_bytes(id),
        name: u64::from_le_bytes(name),
    };
    if let Ok(file::Parsed::Front(front)) = file::Front::parse(bytes, identity, bytes.len() as u64)
    {
        let body = &bytes[bytes.len() - front.body_bytes as usize..];
        if front.verify(0, body).is_ok() {
            let body = [Bytes::copy_from_slice(body)];
            let again = file::front(identity, &front.description, &body);
            assert_eq!(again[..], bytes[..again.len()]);
        }
        let rules = Rules {
            kind: OriginKind::General,
            stale_limit: Duration::ZERO,
        };
        if let Ok(key) = CacheKey::of_general("/") {
            description::revive(&front.description, &key, &rules);
        }
    }
}

/// Permits of the write budget for so many bytes.
fn permits(bytes: u64) -> usize {
    usize::try_from(bytes.div_ceil(PERMIT_BYTES))
        .unwrap_or(usize::MAX)
        .min(Semaphore::MAX_PERMITS)
}

/// Unix time in microseconds that is after the last use of `entry`, and after the era that it
/// was checked at when it was stored.
fn after(entry: &Entry) -> i64 {
    (i64::from(entry.used) + 1) * 1_000_000
}

/// Unix time in seconds.
fn seconds(at: Timestamp) -> u32 {
    u32::try_from((at.as_micros() / 1_000_000).max(0)).unwrap_or(u32::MAX)
}

fn count_read(result: &'static str) {
    metrics::counter!("nova_edge_disk_reads_total", "result" => result).increment(1);
}

fn count_write(result: &'static str) {
    metrics::counter!("nova_edge_disk_writes_total", "result" => result).increment(1);
}

fn count_removed(reason: &'static str, entries: u64) {
    metrics::counter!("nova_edge_disk_removed_total", "reason" => reason).increment(entries);
}

fn count_damaged(count: u64) {
    metrics::counter!("nova_edge_disk_damaged_total").increment(count);
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use journal::{FORMAT, Record};

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    /// Prints what is to be known of a million files: the time to open, with real files of
    /// before.
    #[test]
    fn long_a_million_files_are_known_at_once() {
        const FILES: u64 = 1_000_000;
        let directory = tempfile::tempdir().unwrap();
        let config = DiskConfig {
            files: 2 * FILES,
            ..DiskConfig::new(directory.path().to_owned(), 64 << 30)
        };
        let files = Files::in_directory(directory.path()).unwrap();
        let body = [Bytes::from_static(b"x")];
        let mut journal = FORMAT.to_vec();
        for id in 1..=FILES {
            let identity = Identity { id, name: id * 7 };
            let front = file::front(identity, b"head", &body);
            file::write(&files.path(id), &front, &body).unwrap();
            let entry = Entry {
                name: identity.name,
                id,
                variant: 0,
                bytes: front.len() as u32 + 1,
                expires: u32::MAX,
                used: id as u32,
            };
            journal.extend(Record::Stored(entry).encode());
        }
        std::fs::write(files.journal(), journal).unwrap();
        let began = Instant::now();
        let disk = Disk::open(config, NOW).unwrap();
        println!("opened with a million files in {:?}", began.elapsed());
        assert_eq!(disk.status(NOW).files, FILES);
        let entry = disk.inner.ledger.lock().catalog.of(7 * FILES)[0];
        assert!(disk.inner.open(entry, NOW).is_some());
    }

    #[tokio::test]
    async fn a_disk_that_hangs_takes_no_more_threads_than_it_may() {
        let directory = tempfile::tempdir().unwrap();
        let config = DiskConfig {
            max_operations: 1,
            ..DiskConfig::new(directory.path().to_owned(), 1 << 20)
        };
        let disk = Disk::open(config, NOW).unwrap();
        let (release, held) = std::sync::mpsc::channel();
        let given_up = disk.read(NOW, move |_| held.recv().ok()).await;
        assert_eq!(given_up, None);
        assert!(disk.status(NOW).is_paused, "it is left alone");
        assert_eq!(disk.inner.operations.available_permits(), 0);
        assert_eq!(disk.read(NOW, |_| Some(())).await, None);
        release.send(()).unwrap();
        let freed = timeout(Duration::from_secs(20), disk.inner.operations.acquire());
        drop(freed.await.unwrap());
        assert_eq!(disk.read(NOW + PAUSE, |_| Some(())).await, Some(()));
    }

    #[tokio::test]
    async fn an_invalidation_also_syncs_what_went_before() {
        let directory = tempfile::tempdir().unwrap();
        let config = DiskConfig::new(directory.path().to_owned(), 1 << 20);
        let disk = Disk::open(config, NOW).unwrap();
        let is_synced = || disk.inner.ledger.lock().removals_are_synced();
        assert!(!is_synced(), "what the last process removed");
        let key = CacheKey::of_general("/a").unwrap();
        disk.remove(std::slice::from_ref(&key)).await;
        assert!(is_synced());
        let entry = Entry {
            name: description::name_of(&key),
            id: disk.new_id(),
            variant: 0,
            bytes: 1,
            expires: u32::MAX,
            used: seconds(NOW),
        };
        {
            let mut state = disk.inner.ledger.lock();
            let admission = Admission::Contested;
            let reserved = state.reserve(entry.name, 1, 0, admission, &mut Vec::new());
            reserved.unwrap();
            state.insert(entry, 1, &mut Vec::new());
        }
        disk.inner.forget(entry, "damaged");
        assert!(!is_synced());
        disk.remove(&[key]).await;
        assert!(is_synced());
    }

    #[test]
    fn an_entry_takes_about_a_hundred_bytes() {
        assert_eq!(size_of::<Entry>(), 32);
        const { assert!(catalog::NODE_BYTES <= 48) };
    }
}
