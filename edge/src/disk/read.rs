//! Reads answers and slices. What cannot be used is forgotten.

use std::ops::Range;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::HeaderMap;
use media::Timestamp;

use super::file::{EntryFile, Identity, Unread};
use super::journal::Entry;
use super::{Inner, PAUSE, count_damaged, count_read, count_removed, description, seconds};
use crate::era::Era;
use crate::freshness::Rules;
use crate::head::Head;
use crate::key::CacheKey;
use crate::large::SliceName;
use crate::store::Stored;

impl Inner {
    pub(super) fn read_answer(
        &self,
        key: &CacheKey,
        request: &HeaderMap,
        rules: &Rules,
        now: Timestamp,
        is_gone: impl Fn(&Head, Era) -> bool,
    ) -> Option<Stored> {
        let name = description::name_of(key);
        let entries = self.ledger.lock().catalog.of(name);
        for entry in entries {
            let opened = self.open(entry, now);
            let Some(file) = opened else { continue };
            let revived = description::revive(&file.front.description, key, rules);
            let Some((head, checked)) = revived else {
                // Another key's, or what would not be stored today.
                self.forget(entry, "useless");
                continue;
            };
            if is_gone(&head, checked) {
                self.forget(entry, "purged");
                continue;
            }
            if !head.selecting.matches(request, &head.headers) {
                continue;
            }
            let read = file.read(0..file.front.body_bytes);
            let Some(body) = self.settle(entry, read, now) else {
                continue;
            };
            self.ledger.lock().touch(name, seconds(now));
            count_read("hit");
            return Some(Stored::revived(head, body).begun_at(checked));
        }
        count_read("miss");
        None
    }

    pub(super) fn read_slice(
        &self,
        slice: SliceName,
        bytes: Range<u64>,
        now: Timestamp,
    ) -> Option<Bytes> {
        let name = description::name_of_slice(slice);
        let entry = *self.ledger.lock().catalog.of(name).first()?;
        let file = self.open(entry, now)?;
        let is_it = file.front.description == description::of_slice(slice);
        let read = match is_it && bytes.end <= file.front.body_bytes {
            true => file.read(bytes),
            false => Err(Unread::Damaged("it is of another slice")),
        };
        let bytes = self.settle(entry, read, now)?;
        self.ledger.lock().touch(name, seconds(now));
        count_read("hit");
        Some(bytes)
    }

    pub(super) fn open(&self, entry: Entry, now: Timestamp) -> Option<EntryFile> {
        if entry.expires <= seconds(now) {
            self.forget(entry, "expired");
            return None;
        }
        let identity = Identity {
            id: entry.id,
            name: entry.name,
        };
        let opened = EntryFile::open(&self.files.path(entry.id), identity);
        self.settle(entry, opened, now)
    }

    /// What was read; what could not be is forgotten.
    fn settle<T>(&self, entry: Entry, read: Result<T, Unread>, now: Timestamp) -> Option<T> {
        match read {
            Ok(read) => return Some(read),
            // It may have been given up since it was looked up.
            Err(Unread::Missing) => self.forget(entry, "missing"),
            Err(error @ Unread::Damaged(_)) => {
                tracing::warn!(path = %self.files.path(entry.id).display(), %error, "a cached file is removed");
                count_damaged(1);
                self.forget(entry, "damaged");
            }
            Err(Unread::Io(error)) => {
                tracing::error!(path = %self.files.path(entry.id).display(), %error, "a cached file cannot be read; nothing is read from disk for a while");
                metrics::counter!("nova_edge_disk_faults_total", "operation" => "read")
                    .increment(1);
                self.no_reads_until
                    .store((now + PAUSE).as_micros(), Ordering::Relaxed);
            }
        }
        None
    }

    pub(super) fn forget(&self, entry: Entry, reason: &'static str) {
        let gone = self.ledger.lock().remove(entry.name, entry.id);
        if let Some(gone) = gone {
            count_removed(reason, 1);
            self.files.remove(&[gone]);
        }
    }
}
