//! A data directory has one process, and an id that others know it by.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use media::NodeId;

/// Why this process may not have a data directory.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Another has it.
    #[error(
        "another nova process uses the data directory {}: stop it, or name another with --data-dir",
        directory.display()
    )]
    InUse {
        /// The data directory.
        directory: PathBuf,
    },
    /// A file in it.
    #[error(
        "cannot use {}: {source}; let the user that runs Nova write to it, or name another data directory with --data-dir",
        file.display()
    )]
    File {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The data directory, locked until this is dropped.
#[derive(Debug)]
pub struct DirectoryLock {
    directory: PathBuf,
    _file: File,
}

impl DirectoryLock {
    /// Locks it until the file is closed, by a crash too. Child processes do not inherit it.
    pub fn take(directory: &Path) -> Result<Self, DirectoryError> {
        let file = directory.join("nova.lock");
        let opened = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&file)
            .map_err(|source| DirectoryError::File {
                file: file.clone(),
                source,
            })?;
        match opened.try_lock() {
            Ok(()) => Ok(Self {
                directory: directory.to_owned(),
                _file: opened,
            }),
            Err(TryLockError::WouldBlock) => Err(DirectoryError::InUse {
                directory: directory.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(DirectoryError::File { file, source }),
        }
    }

    /// The directory's id.
    pub fn node_id(&self) -> Result<NodeId, DirectoryError> {
        node_id(&self.directory)
    }
}

/// The id that was made for a directory. Of two directories with one id, a copy, the process
/// that started last counts.
fn node_id(directory: &Path) -> Result<NodeId, DirectoryError> {
    let file = directory.join("node-id");
    let failed = |source| DirectoryError::File {
        file: file.clone(),
        source,
    };
    match fs::read_to_string(&file) {
        Ok(text) => match text.trim().parse::<NodeId>() {
            Ok(id) => Ok(id),
            Err(error) => Err(failed(io::Error::new(io::ErrorKind::InvalidData, error))),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let id = NodeId::new();
            make(directory, &file, id).map_err(failed)?;
            Ok(id)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Whole or not there.
fn make(directory: &Path, file: &Path, id: NodeId) -> io::Result<()> {
    let unfinished = directory.join("node-id.new");
    let mut new = File::create(&unfinished)?;
    new.write_all(format!("{id}\n").as_bytes())?;
    new.sync_all()?;
    fs::rename(unfinished, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_user_and_keeps_its_id() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let lock = DirectoryLock::take(path).unwrap();
        let second = DirectoryLock::take(path).unwrap_err();
        assert!(matches!(second, DirectoryError::InUse { .. }), "{second}");
        let id = lock.node_id().unwrap();
        drop(lock);
        let again = DirectoryLock::take(path).unwrap();
        assert_eq!(again.node_id().unwrap(), id);
    }

    #[test]
    fn an_id_that_is_none_says_which_file() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("node-id"), "x").unwrap();
        let error = node_id(directory.path()).unwrap_err().to_string();
        assert!(error.contains("node-id"), "{error}");
    }
}
