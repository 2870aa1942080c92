//! Opening a store: its folders, and what killed processes left in them.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::atomic::AtomicU64;

use uuid::Uuid;

use super::folders::{Folders, flush_root, missing_folders, sync_folder};
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

impl Inner {
    pub(super) fn open(root: &Path, durability: Durability) -> Result<Self, ObjectError> {
        let failed = |source| unusable(root, source);
        let all = root.join(TEMPORARY);
        let uploads = root.join(UPLOADS);
        let made = missing_folders(root);
        fs::create_dir_all(&all).map_err(failed)?;
        fs::create_dir_all(&uploads).map_err(failed)?;
        if durability == Durability::Name {
            flush_root(root, &made, sync_folder).map_err(failed)?;
        }
        let opening = File::create(all.join(OPEN_LOCK)).map_err(failed)?;
        opening.lock().map_err(failed)?;
        remove_stale(&all).map_err(failed)?;
        let temporary = all.join(Uuid::now_v7().to_string());
        fs::create_dir(&temporary).map_err(failed)?;
        let live = File::create(temporary.join(LIVE_LOCK)).map_err(failed)?;
        live.lock().map_err(failed)?;
        Ok(Self {
            root: root.to_owned(),
            temporary,
            uploads,
            durability,
            folders: Folders::default(),
            next_temporary: AtomicU64::new(0),
            _live: live,
        })
    }

    /// Whether the directory takes a file with something in it.
    pub(super) fn health(&self) -> Result<(), ObjectError> {
        const SOMETHING: [u8; 4_096] = [b'.'; 4_096];
        // Its own name for each: two may ask at once.
        let probe = self.temporary.join(format!("{PROBE}-{}", Uuid::now_v7()));
        let written = File::create(&probe).and_then(|mut file| file.write_all(&SOMETHING));
        let removed = match fs::remove_file(&probe) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed,
        };
        written
            .and(removed)
            .map_err(|source| unusable(&self.root, source))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next open.
        let _ = fs::remove_dir_all(&self.temporary);
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
