//! Opening a store: its folders, and what killed processes left in them.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, OnceLock, PoisonError};

use uuid::Uuid;

use super::folders::{Folders, flush_root, missing_folders, sync_folder};
use super::space::{Room, Space};
use super::{Durability, Inner};
use crate::objects::ObjectError;

/// Holds what is being written. No key can name it, since no segment of a key begins
/// with a dot.
const TEMPORARY: &str = ".tmp";

/// Holds uploads in parts.
const UPLOADS: &str = ".uploads";

/// Held while a store is opened, so that nobody takes a half-made folder for a stale one.
const OPEN_LOCK: &str = "open.lock";

/// Held, in a store's own folder of temporaries, for as long as its process lives.
const LIVE_LOCK: &str = "live.lock";

/// Written by [`Inner::health`]. Not a number, so it is no other temporary.
const PROBE: &str = "probe";

/// What a process has in a store that it writes to.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Its own folder of temporaries.
    pub(super) temporary: PathBuf,
    /// The root.
    pub(super) root: File,
    /// Never read: the kernel drops its lock when the process ends, however it ends.
    _live: File,
}

impl Prepared {
    fn make(root: &Path, uploads: &Path, durability: Durability) -> io::Result<Self> {
        let all = root.join(TEMPORARY);
        let made = missing_folders(root);
        fs::create_dir_all(&all)?;
        fs::create_dir_all(uploads)?;
        if durability == Durability::Name {
            flush_root(root, &made, sync_folder)?;
        }
        let opening = File::create(all.join(OPEN_LOCK))?;
        opening.lock()?;
        remove_stale(&all)?;
        let temporary = all.join(Uuid::now_v7().to_string());
        fs::create_dir(&temporary)?;
        let live = File::create(temporary.join(LIVE_LOCK))?;
        live.lock()?;
        Ok(Self {
            temporary,
            root: File::open(root)?,
            _live: live,
        })
    }
}

impl Inner {
    pub(super) fn open(
        root: &Path,
        durability: Durability,
        space: Space,
    ) -> Result<Self, ObjectError> {
        let inner = Self::unprepared(root, durability, space);
        match inner.prepared().err() {
            None => Ok(inner),
            Some(source) => prevents_opening(root, source).map(|()| inner),
        }
    }

    fn unprepared(root: &Path, durability: Durability, space: Space) -> Self {
        Self {
            root: root.to_owned(),
            uploads: root.join(UPLOADS),
            durability,
            space,
            folders: Folders::default(),
            next_temporary: AtomicU64::new(0),
            prepared: OnceLock::new(),
            preparing: Mutex::default(),
        }
    }

    pub(super) fn prepared(&self) -> io::Result<&Prepared> {
        if let Some(prepared) = self.prepared.get() {
            return Ok(prepared);
        }
        let _alone = self
            .preparing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = self.prepared.get() {
            return Ok(prepared);
        }
        let prepared = Prepared::make(&self.root, &self.uploads, self.durability)?;
        Ok(self.prepared.get_or_init(|| prepared))
    }

    /// Room for `bytes` more; see [`Space`].
    pub(super) fn room(&self, bytes: u64) -> io::Result<Room<'_>> {
        self.space.room(&self.prepared()?.root, bytes)
    }

    /// Whether the directory takes a file with something in it.
    pub(super) fn health(&self) -> Result<(), ObjectError> {
        self.probe().map_err(|source| unusable(&self.root, source))
    }

    fn probe(&self) -> io::Result<()> {
        const SOMETHING: [u8; 4_096] = [b'.'; 4_096];
        let _room = self.room(SOMETHING.len() as u64)?;
        // Its own name for each: two may ask at once.
        let probe = format!("{PROBE}-{}", Uuid::now_v7());
        let probe = self.prepared()?.temporary.join(probe);
        let written = File::create(&probe).and_then(|mut file| file.write_all(&SOMETHING));
        let removed = match fs::remove_file(&probe) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed,
        };
        written.and(removed)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(prepared) = self.prepared.get() {
            // What cannot be removed now is removed by the next open.
            let _ = fs::remove_dir_all(&prepared.temporary);
        }
    }
}

/// On a full disk whoever puts something tries again; to read and to delete, nothing is
/// missing.
fn prevents_opening(root: &Path, source: io::Error) -> Result<(), ObjectError> {
    match unusable(root, source) {
        ObjectError::Full { .. } => Ok(()),
        error => Err(error),
    }
}

/// Why a directory cannot be a store, in a sentence for whoever configured it.
fn unusable(root: &Path, source: io::Error) -> ObjectError {
    match source.kind() {
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            ObjectError::NotADirectory(root.to_owned())
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => ObjectError::NotWritable {
            path: root.to_owned(),
            source,
        },
        _ => ObjectError::disk("open", root, source),
    }
}

/// Removes the folders of temporaries whose process is gone.
fn remove_stale(all: &Path) -> io::Result<()> {
    for entry in fs::read_dir(all)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            continue;
        }
        match File::open(entry.path().join(LIVE_LOCK)).map(|lock| lock.try_lock()) {
            Ok(Err(TryLockError::WouldBlock)) => continue,
            Ok(Err(TryLockError::Error(error))) => return Err(error),
            // No lock file: its process died between making the folder and the file.
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(Ok(())) | Err(_) => {}
        }
        match fs::remove_dir_all(entry.path()) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::UploadId;
    use crate::objects::file::walk;

    #[test]
    fn only_a_full_disk_prevents_no_opening() {
        let root = Path::new("/objects");
        for code in [libc::ENOSPC, libc::EDQUOT] {
            prevents_opening(root, io::Error::from_raw_os_error(code)).unwrap();
        }
        for code in [libc::EACCES, libc::EROFS, libc::ENOTDIR, libc::EIO] {
            prevents_opening(root, io::Error::from_raw_os_error(code)).unwrap_err();
        }
    }

    #[test]
    fn what_there_was_no_room_for_is_made_by_the_first_put() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("objects");
        let space = Space::but(|_| 0);
        let inner = Inner::unprepared(&root, Durability::Name, space);
        let upload = UploadId(Uuid::now_v7().to_string());
        assert!(matches!(inner.get("a"), Err(ObjectError::NotFound(_))));
        assert!(walk::list(&root, "", None).unwrap().keys.is_empty());
        assert!(inner.list_uploads(None).unwrap().uploads.is_empty());
        inner.delete("a").unwrap();
        inner.delete_prefix("a/").unwrap();
        inner.abort_upload("a", &upload).unwrap();
        assert!(!root.exists());
        inner.put("a", b"data", None).unwrap();
        assert_eq!(inner.get("a").unwrap(), "data");
    }
}
