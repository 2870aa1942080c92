//! Where the files are.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::journal::Entry;
use super::ledger::Ledger;

/// So many directories, that none has too many files.
const DIRECTORIES: u64 = 256;
/// Entries that are copied under one lock.
pub(super) const PAGE: usize = 4_096;

/// The directory of a tier.
#[derive(Debug, Clone)]
pub(super) struct Files {
    directory: PathBuf,
}

impl Files {
    /// Makes what is not there.
    pub(super) fn in_directory(directory: &Path) -> io::Result<Self> {
        let files = Self {
            directory: directory.to_owned(),
        };
        for number in 0..DIRECTORIES {
            fs::create_dir_all(files.directory_of(number))?;
        }
        Ok(files)
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.directory.join("journal")
    }

    /// The journal that is to take the other's place.
    pub(super) fn new_journal(&self) -> PathBuf {
        self.directory.join("journal.new")
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    fn directory_of(&self, id: u64) -> PathBuf {
        self.directory.join(format!("{:02x}", id % DIRECTORIES))
    }

    pub(super) fn path(&self, id: u64) -> PathBuf {
        self.directory_of(id).join(format!("{id:016x}"))
    }

    /// Removes files that nobody knows any more. One that stays is swept after a restart.
    pub(super) fn remove(&self, gone: &[Entry]) {
        for entry in gone {
            let path = self.path(entry.id);
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "a cached file cannot be removed");
            }
        }
    }

    /// Removes the files of before `first` that the catalog does not know: they were written
    /// or given up just before the last process ended. Their number.
    pub(super) fn sweep(&self, ledger: &Ledger, first: u64, stop: &AtomicBool) -> u64 {
        // Of before `first` none comes in any more, so that pages at different times will do.
        let mut known = Vec::new();
        let mut at = Some(0);
        while let Some(from) = at {
            let (entries, next) = ledger.lock().catalog.page(from, PAGE);
            known.extend(entries.iter().map(|entry| entry.id));
            at = next;
        }
        known.sort_unstable();
        let mut swept = 0;
        for number in 0..DIRECTORIES {
            let directory = self.directory_of(number);
            let found = match fs::read_dir(&directory) {
                Ok(found) => found,
                Err(error) => {
                    tracing::warn!(path = %directory.display(), %error, "a directory of cached files cannot be read");
                    continue;
                }
            };
            let ids = found.filter_map(|entry| id_of(&entry.ok()?.file_name()));
            for id in ids.filter(|id| *id < first && known.binary_search(id).is_err()) {
                if stop.load(Ordering::Relaxed) {
                    return swept;
                }
                // It may be gone by now; and one that stays is swept the next time.
                swept += u64::from(fs::remove_file(self.path(id)).is_ok());
            }
        }
        swept
    }
}

/// Writes a small file: whole or as it was, and synced.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(new, path)?;
    sync_directory_of(path)
}

/// Lets what was renamed or removed there be so after a power cut.
pub(super) fn sync_directory_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// The number of a file of ours.
fn id_of(name: &OsStr) -> Option<u64> {
    let name = name.to_str()?;
    let is_ours = name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_ours
        .then(|| u64::from_str_radix(name, 16).ok())
        .flatten()
}
