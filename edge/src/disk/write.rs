//! Writes a file, and has it known.

use std::io;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use media::Timestamp;

use super::catalog::Admission;
use super::file::{self, Identity};
use super::journal::Entry;
use super::ledger::NoRoom;
use super::{Inner, PAUSE, count_removed, count_write, seconds};

/// A file to be written.
pub(super) struct Write {
    /// Given in the order in which writes began.
    pub(super) id: u64,
    pub(super) name: u64,
    pub(super) variant: u32,
    pub(super) expires: u32,
    pub(super) description: Vec<u8>,
    pub(super) body: Vec<Bytes>,
    pub(super) now: Timestamp,
    /// Unix time in seconds, and not before the era that it was checked at.
    pub(super) used: u32,
    pub(super) most: usize,
    pub(super) admission: Admission,
    /// Was nothing invalidated since it was asked for?
    pub(super) is_current: Box<dyn FnOnce() -> bool + Send>,
}

impl Inner {
    pub(super) fn write(&self, write: Write) {
        let (id, name) = (write.id, write.name);
        let identity = Identity { id, name };
        let front = file::front(identity, &write.description, &write.body);
        let length: usize = write.body.iter().map(Bytes::len).sum();
        let Ok(bytes) = u32::try_from(front.len() + length) else {
            return count_write("failed");
        };
        let now = seconds(write.now);
        let mut gone = Vec::new();
        let reserved =
            self.ledger
                .lock()
                .reserve(write.name, bytes, now, write.admission, &mut gone);
        count_removed("evicted", gone.len() as u64);
        self.files.remove(&gone);
        if let Err(no_room) = reserved {
            return count_write(match no_room {
                NoRoom::Unwanted => "unwanted",
                NoRoom::Busy => "dropped",
            });
        }
        let path = self.files.path(id);
        if let Err(error) = file::write(&path, &front, &write.body) {
            self.ledger.lock().catalog.release(bytes);
            self.fail_to_write(write.now, id, &error);
            return;
        }
        let entry = Entry {
            name: write.name,
            id,
            variant: write.variant,
            bytes,
            expires: write.expires,
            used: write.used,
        };
        let mut gone = Vec::new();
        {
            let mut state = self.ledger.lock();
            // An invalidation lets it be no longer current first, and removes what is in the
            // catalog then: one of the two meets it.
            if (write.is_current)() {
                state.insert(entry, write.most, &mut gone);
                count_write("stored");
            } else {
                state.catalog.release(bytes);
                gone.push(entry);
            }
        }
        self.files.remove(&gone);
    }

    fn fail_to_write(&self, now: Timestamp, id: u64, error: &io::Error) {
        let path = self.files.path(id);
        tracing::error!(path = %path.display(), %error, "a file cannot be cached; nothing is written for a while");
        metrics::counter!("nova_edge_disk_faults_total", "operation" => "write").increment(1);
        count_write("failed");
        self.no_writes_until
            .store((now + PAUSE).as_micros(), Ordering::Relaxed);
        // What there is of it would only take room.
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!(path = %path.display(), %error, "the rest of it stays until the next start");
        }
    }
}
