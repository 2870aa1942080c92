//! Objects as files of one directory.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use uuid::Uuid;

use super::{
    MAX_OBJECT_BYTES, ObjectError, ObjectFuture, ObjectHead, ObjectStore, PAGE_KEYS, Page,
    check_key, check_prefix,
};

/// Holds what is being written. No key can name it, since no segment of a key begins
/// with a dot.
const TEMPORARY: &str = ".tmp";

/// Held while a store is opened, so that nobody takes a half-made folder for a stale one.
const OPEN_LOCK: &str = "open.lock";

/// Held, in a store's own folder of temporaries, for as long as its process lives.
const LIVE_LOCK: &str = "live.lock";

/// Objects as files of one directory, which several processes may share.
///
/// An object is written under a temporary name in the same filesystem, flushed to the
/// disk, and renamed. What a killed process left half-written is removed by the next
/// [`FileStore::open`].
#[derive(Debug, Clone)]
pub struct FileStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    temporary: PathBuf,
    next_temporary: AtomicU64,
    /// Never read: the kernel drops its lock when the process ends, however it ends.
    _live: File,
}

impl FileStore {
    /// Opens the store in `root`, making the directory when it does not exist.
    pub fn open(root: &Path) -> Result<Self, ObjectError> {
        let failed = |source| failure("open", root, source);
        let all = root.join(TEMPORARY);
        fs::create_dir_all(&all).map_err(failed)?;
        let opening = File::create(all.join(OPEN_LOCK)).map_err(failed)?;
        opening.lock().map_err(failed)?;
        remove_stale(&all).map_err(failed)?;
        let temporary = all.join(Uuid::now_v7().to_string());
        fs::create_dir(&temporary).map_err(failed)?;
        let live = File::create(temporary.join(LIVE_LOCK)).map_err(failed)?;
        live.lock().map_err(failed)?;
        Ok(Self(Arc::new(Inner {
            root: root.to_owned(),
            temporary,
            next_temporary: AtomicU64::new(0),
            _live: live,
        })))
    }

    /// Runs `work` where it may block.
    fn blocking<'a, T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, ObjectError> + Send + 'static,
    ) -> ObjectFuture<'a, T> {
        let inner = self.0.clone();
        Box::pin(async move {
            match tokio::task::spawn_blocking(move || work(&inner)).await {
                Ok(result) => result,
                Err(error) => Err(ObjectError::Io {
                    what: "a blocking task ended early".to_owned(),
                    source: io::Error::other(error),
                }),
            }
        })
    }
}

impl ObjectStore for FileStore {
    fn put<'a>(&'a self, key: &'a str, data: Bytes) -> ObjectFuture<'a, ()> {
        let key = key.to_owned();
        self.blocking(move |inner| inner.put(&key, &data))
    }

    fn get<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, Bytes> {
        let key = key.to_owned();
        self.blocking(move |inner| inner.get(&key))
    }

    fn head<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ObjectHead> {
        let key = key.to_owned();
        self.blocking(move |inner| inner.head(&key))
    }

    fn list<'a>(&'a self, prefix: &'a str, cursor: Option<&'a str>) -> ObjectFuture<'a, Page> {
        let (prefix, cursor) = (prefix.to_owned(), cursor.map(str::to_owned));
        self.blocking(move |inner| inner.list(&prefix, cursor.as_deref()))
    }

    fn delete<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ()> {
        let key = key.to_owned();
        self.blocking(move |inner| inner.delete(&key))
    }

    fn delete_prefix<'a>(&'a self, prefix: &'a str) -> ObjectFuture<'a, ()> {
        let prefix = prefix.to_owned();
        self.blocking(move |inner| inner.delete_prefix(&prefix))
    }
}

impl Inner {
    fn put(&self, key: &str, data: &[u8]) -> Result<(), ObjectError> {
        check_key(key)?;
        check_size(key, data.len() as u64)?;
        let serial = self.next_temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = self.temporary.join(serial.to_string());
        let path = self.root.join(key);
        write_flushed(&temporary, data)
            .and_then(|()| rename_into(&temporary, &path))
            .map_err(|source| {
                // The first failure is the one to tell; an open removes what stays.
                let _ = fs::remove_file(&temporary);
                failure("put", &path, source)
            })
    }

    fn get(&self, key: &str) -> Result<Bytes, ObjectError> {
        check_key(key)?;
        let path = self.root.join(key);
        let failed = |source| absent_or_failed(key, "get", &path, source);
        let file = File::open(&path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(ObjectError::NotFound(key.to_owned()));
        }
        check_size(key, metadata.len())?;
        let mut data = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
        file.take(MAX_OBJECT_BYTES)
            .read_to_end(&mut data)
            .map_err(failed)?;
        Ok(data.into())
    }

    fn head(&self, key: &str) -> Result<ObjectHead, ObjectError> {
        check_key(key)?;
        let path = self.root.join(key);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => Err(ObjectError::NotFound(key.to_owned())),
            Ok(metadata) => Ok(ObjectHead {
                size: metadata.len(),
            }),
            Err(source) => Err(absent_or_failed(key, "head", &path, source)),
        }
    }

    fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<Page, ObjectError> {
        if !prefix.is_empty() {
            check_prefix(prefix)?;
        }
        let mut walk = Walk {
            cursor,
            keys: Vec::new(),
        };
        walk.folder(&self.root.join(prefix), prefix)
            .map_err(|source| failure("list", &self.root.join(prefix), source))?;
        let mut keys = walk.keys;
        let more = keys.len() > PAGE_KEYS;
        keys.truncate(PAGE_KEYS);
        let next = keys.last().filter(|_| more).cloned();
        Ok(Page { keys, next })
    }

    fn delete(&self, key: &str) -> Result<(), ObjectError> {
        check_key(key)?;
        let path = self.root.join(key);
        match fs::remove_file(&path) {
            Err(source) if !is_absent(&source) => Err(failure("delete", &path, source)),
            _ => Ok(()),
        }
    }

    fn delete_prefix(&self, prefix: &str) -> Result<(), ObjectError> {
        check_prefix(prefix)?;
        let path = self.root.join(prefix);
        match fs::remove_dir_all(&path) {
            Err(source) if !is_absent(&source) => Err(failure("delete", &path, source)),
            _ => Ok(()),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next open.
        let _ = fs::remove_dir_all(&self.temporary);
    }
}

/// A listing in the byte order of keys.
struct Walk<'a> {
    cursor: Option<&'a str>,
    keys: Vec<String>,
}

impl Walk<'_> {
    fn is_full(&self) -> bool {
        self.keys.len() > PAGE_KEYS
    }

    /// Adds the keys of the folder at `path`, each beginning with `prefix`, until there
    /// is one more than a page holds.
    fn folder(&mut self, path: &Path, prefix: &str) -> io::Result<()> {
        for name in names_in_key_order(path)? {
            if self.is_full() {
                break;
            }
            let key = format!("{prefix}{name}");
            if key.ends_with('/') {
                // A folder lies wholly before the cursor unless the cursor is inside it.
                if self
                    .cursor
                    .is_none_or(|c| key.as_str() > c || c.starts_with(&key))
                {
                    self.folder(&path.join(&name), &key)?;
                }
            } else if self.cursor.is_none_or(|c| key.as_str() > c) {
                self.keys.push(key);
            }
        }
        Ok(())
    }
}

/// The names in a folder, a folder's with its `/`: sorted, they give keys in byte order.
fn names_in_key_order(path: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(path) {
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Ok(mut name) = entry.file_name().into_string() else {
            continue;
        };
        if name.starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            name.push('/');
        }
        names.push(name);
    }
    names.sort_unstable();
    Ok(names)
}

fn write_flushed(path: &Path, data: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(data)?;
    // Without it a power cut can leave the final name on an empty file.
    file.sync_data()
}

/// Renames into a folder that may not exist yet, or that a `delete_prefix` removes
/// between its making and the rename.
fn rename_into(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        result => return result,
    }
    let folder = to.parent().unwrap_or(to);
    fs::create_dir_all(folder)?;
    match fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(folder)?;
            fs::rename(from, to)
        }
        result => result,
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

fn check_size(key: &str, size: u64) -> Result<(), ObjectError> {
    if size <= MAX_OBJECT_BYTES {
        return Ok(());
    }
    Err(ObjectError::TooLarge {
        key: key.to_owned(),
        size,
    })
}

/// Whether no object is there: nothing at all, or a folder on the one path or an object
/// on the way.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory
    )
}

fn absent_or_failed(key: &str, verb: &str, path: &Path, source: io::Error) -> ObjectError {
    if is_absent(&source) {
        ObjectError::NotFound(key.to_owned())
    } else {
        failure(verb, path, source)
    }
}

fn failure(verb: &str, path: &Path, source: io::Error) -> ObjectError {
    ObjectError::Io {
        what: format!("{verb} {}", path.display()),
        source,
    }
}
