//! The last of a disk is left to others.
//!
//! Rows and objects share a disk unless somebody says otherwise. A recording that cannot be
//! stored is a gap; a database that cannot grow stops live. So objects leave some of it.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};

/// The most that is left, in bytes. SQLite's log alone takes 4 MiB before it is folded into
/// the file.
const MOST: u64 = 64 * 1024 * 1024;

/// What is left of a disk of `total` bytes.
pub(super) fn headroom(total: u64) -> u64 {
    (total / 8).min(MOST)
}

/// The room that objects may take.
#[derive(Debug)]
pub(super) struct Space {
    headroom: fn(u64) -> u64,
    /// Bytes of writes under way, which the disk may not count yet.
    coming: AtomicU64,
}

/// Bytes that somebody is about to write, until it is dropped.
#[derive(Debug)]
pub(super) struct Room<'a> {
    coming: &'a AtomicU64,
    bytes: u64,
}

impl Space {
    /// All of a disk but what `headroom` says of its size.
    pub(super) fn but(headroom: fn(u64) -> u64) -> Self {
        Self {
            headroom,
            coming: AtomicU64::new(0),
        }
    }

    /// Room for `bytes` on the file system of `root`; an error of kind
    /// [`ErrorKind::StorageFull`] when they would take of the headroom.
    pub(super) fn room(&self, root: &File, bytes: u64) -> io::Result<Room<'_>> {
        let coming = self.coming.fetch_add(bytes, Ordering::AcqRel) + bytes;
        let room = Room {
            coming: &self.coming,
            bytes,
        };
        let stat = rustix::fs::fstatvfs(root)?;
        let bytes_of = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        let (total, free) = (bytes_of(stat.f_blocks), bytes_of(stat.f_bavail));
        let kept = (self.headroom)(total);
        // Some file systems do not know how large they are.
        if total == 0 || free >= kept.saturating_add(coming) {
            return Ok(room);
        }
        let reason = format!("{free} bytes are free, and the last {kept} are left to others");
        Err(io::Error::new(ErrorKind::StorageFull, reason))
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.coming.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::objects::{
        ErrorKind as Kind, FileStore, MIN_PART_BYTES, ObjectError, ObjectStore, PutOptions,
        UploadedPart, one_chunk,
    };

    #[test]
    fn an_eighth_is_left_of_a_small_disk() {
        const MIB: u64 = 1024 * 1024;
        for (total, left) in [
            (0, 0),
            (64 * MIB, 8 * MIB),
            (512 * MIB, 64 * MIB),
            (u64::MAX, 64 * MIB),
        ] {
            assert_eq!(headroom(total), left, "{total}");
        }
    }

    #[test]
    fn writes_under_way_count() {
        let directory = tempfile::tempdir().unwrap();
        let root = File::open(directory.path()).unwrap();
        let stat = rustix::fs::fstatvfs(&root).unwrap();
        // More than half of what is free, whoever else writes.
        let much = stat.f_bavail * stat.f_frsize / 4 * 3;
        let space = Space::but(|_| 0);
        let room = space.room(&root, much).unwrap();
        let error = space.room(&root, much).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
        drop(room);
        space.room(&root, much).unwrap();
    }

    #[tokio::test]
    async fn below_the_headroom_nothing_is_stored_but_all_else_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let roomy = FileStore::open_but(directory.path(), |_| 0).unwrap();
        let full = FileStore::open_but(directory.path(), |_| u64::MAX).unwrap();
        let data = Bytes::from_static(b"data");
        roomy.put("a", data.clone()).await.unwrap();
        let upload = roomy.create_upload("u", None).await.unwrap();
        let part = roomy.upload_part("u", &upload, 1, data.clone()).await;
        let parts: [UploadedPart; 1] = [part.unwrap()];

        let is_full =
            |result: Result<(), ObjectError>| result.is_err_and(|error| error.kind() == Kind::Full);
        assert!(is_full(full.health().await));
        assert!(is_full(full.put("b", data.clone()).await));
        let body = one_chunk(data.clone());
        let put = full.put_stream("b", body, PutOptions::default()).await;
        assert!(is_full(put.map(drop)));
        assert!(is_full(full.create_upload("b", None).await.map(drop)));
        let more = Bytes::from(vec![7; MIN_PART_BYTES as usize]);
        let part = full.upload_part("u", &upload, 2, more).await;
        assert!(is_full(part.map(drop)));
        assert!(is_full(full.complete_upload("u", &upload, &parts).await));

        assert_eq!(full.get("a").await.unwrap(), data);
        assert_eq!(full.list("", None).await.unwrap().keys, ["a"]);
        assert_eq!(full.list_parts("u", &upload).await.unwrap(), parts);
        full.delete("a").await.unwrap();
        full.abort_upload("u", &upload).await.unwrap();
        assert!(full.list_uploads(None).await.unwrap().uploads.is_empty());
        roomy.health().await.unwrap();
        roomy.put("a", data).await.unwrap();
    }

    #[tokio::test]
    async fn the_error_says_how_much_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let full = FileStore::open_but(directory.path(), |_| u64::MAX).unwrap();
        let sentence = full.put("b", Bytes::new()).await.unwrap_err().to_string();
        assert!(sentence.contains("18446744073709551615"), "{sentence}");
        assert!(sentence.contains("free space"), "{sentence}");
    }
}
