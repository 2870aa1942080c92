//! Objects as files of one directory.

mod cached;
mod folders;
mod opening;
mod read;
mod space;
mod uploads;
mod walk;
mod write;

use std::fs;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use folders::Folders;
use media::{Micros, Timestamp};
use opening::Prepared;
use space::Space;

use super::{
    Chunks, KeyFailure, ObjectBody, ObjectError, ObjectFuture, ObjectHead, ObjectRange,
    ObjectStore, PAGE_KEYS, Page, PresignedRequest, PutOptions, Upload, UploadId, UploadPage,
    UploadedPart, check_key, check_prefix,
};

/// What a put that has returned survives. That nothing is ever seen half-written holds
/// with each, as long as the machine runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// The end of the process, also by `kill -9`. A power cut may take what was put in the
    /// last minute, or leave it empty or torn. For tests, and for what can be made again.
    Process,
    /// And a power cut never leaves a torn object: the content is flushed before it gets
    /// its name. The newest names may be lost.
    Content,
    /// And a power cut loses nothing: the folder is flushed too, and each that is new to
    /// this process.
    #[default]
    Name,
}

/// Objects as files of one directory, which several processes may share.
///
/// An object is written under a temporary name in the same filesystem, flushed as
/// [`Durability`] says, and renamed. What a killed process left half-written is removed by
/// the next [`FileStore::open`]; uploads in parts stay. A deletion is not flushed: after a
/// power cut an object may be back.
///
/// The last of the disk is left to others: an eighth of it, but 64 MiB at
/// most. What would take of it fails with [`ObjectError::Full`], and so does `health` when
/// less is free. Reading and deleting need no room.
#[derive(Debug, Clone)]
pub struct FileStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    uploads: PathBuf,
    durability: Durability,
    space: Space,
    folders: Folders,
    next_temporary: AtomicU64,
    /// Made by whoever first writes and finds room for it.
    prepared: OnceLock<Prepared>,
    preparing: Mutex<()>,
}

impl FileStore {
    /// Opens the store in `root`, making the directory when it does not exist. Blocks on
    /// the disk for a moment: for a program's start, not for a request.
    ///
    /// A full disk can be opened: what is there can be read and deleted.
    pub fn open(root: &Path) -> Result<Self, ObjectError> {
        Self::open_with(root, Durability::default())
    }

    /// As [`Self::open`], with another [`Durability`].
    pub fn open_with(root: &Path, durability: Durability) -> Result<Self, ObjectError> {
        let space = Space::but(space::headroom);
        Ok(Self(Arc::new(Inner::open(root, durability, space)?)))
    }

    /// As [`Self::open_with`], and leaves `headroom` of the disk's size alone.
    #[cfg(test)]
    pub(super) fn open_but(root: &Path, headroom: fn(u64) -> u64) -> Result<Self, ObjectError> {
        let inner = Inner::open(root, Durability::Process, Space::but(headroom))?;
        Ok(Self(Arc::new(inner)))
    }

    /// Runs `work` where it may block.
    fn blocking<'a, T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, ObjectError> + Send + 'static,
    ) -> ObjectFuture<'a, T> {
        let inner = self.0.clone();
        Box::pin(async move {
            let working = tokio::task::spawn_blocking(move || work(&inner));
            working.await.map_err(ObjectError::task)?
        })
    }
}

impl ObjectStore for FileStore {
    fn put_with<'a>(
        &'a self,
        key: &'a str,
        data: Bytes,
        options: PutOptions<'a>,
    ) -> ObjectFuture<'a, ()> {
        let (key, sha256) = (key.to_owned(), options.sha256);
        self.blocking(move |inner| inner.put(&key, &data, sha256))
    }

    fn put_stream<'a>(
        &'a self,
        key: &'a str,
        body: Chunks<io::Error>,
        options: PutOptions<'a>,
    ) -> ObjectFuture<'a, u64> {
        Box::pin(write::put_stream(self.0.clone(), key, body, options.sha256))
    }

    fn get<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, Bytes> {
        Box::pin(async move {
            check_key(key)?;
            match cached::read(&self.0.root.join(key)) {
                Some(data) => Ok(data),
                None => {
                    let key = key.to_owned();
                    self.blocking(move |inner| inner.get(&key)).await
                }
            }
        })
    }

    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> ObjectFuture<'a, ObjectRange> {
        let key = key.to_owned();
        self.blocking(move |inner| inner.get_range(&key, &range))
    }

    fn get_stream<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ObjectBody> {
        let key = key.to_owned();
        self.blocking(move |inner| inner.get_stream(&key))
    }

    fn head<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ObjectHead> {
        let key = key.to_owned();
        self.blocking(move |inner| inner.head(&key))
    }

    fn list<'a>(&'a self, prefix: &'a str, cursor: Option<&'a str>) -> ObjectFuture<'a, Page> {
        let (prefix, cursor) = (prefix.to_owned(), cursor.map(str::to_owned));
        self.blocking(move |inner| walk::list(&inner.root, &prefix, cursor.as_deref()))
    }

    fn delete<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ()> {
        let key = key.to_owned();
        self.blocking(move |inner| inner.delete(&key))
    }

    fn delete_prefix<'a>(&'a self, prefix: &'a str) -> ObjectFuture<'a, ()> {
        let prefix = prefix.to_owned();
        self.blocking(move |inner| inner.delete_prefix(&prefix))
    }

    fn create_upload<'a>(
        &'a self,
        key: &'a str,
        _content_type: Option<&'a str>,
    ) -> ObjectFuture<'a, UploadId> {
        let key = key.to_owned();
        self.blocking(move |inner| inner.create_upload(&key))
    }

    fn upload_part<'a>(
        &'a self,
        key: &'a str,
        upload: &'a UploadId,
        number: u32,
        data: Bytes,
    ) -> ObjectFuture<'a, UploadedPart> {
        let (key, upload) = (key.to_owned(), upload.clone());
        self.blocking(move |inner| inner.upload_part(&key, &upload, number, &data))
    }

    fn list_parts<'a>(
        &'a self,
        key: &'a str,
        upload: &'a UploadId,
    ) -> ObjectFuture<'a, Vec<UploadedPart>> {
        let (key, upload) = (key.to_owned(), upload.clone());
        self.blocking(move |inner| {
            let listed = inner.listed_parts(&key, &upload)?;
            Ok(listed.into_iter().map(|(part, _)| part).collect())
        })
    }

    fn last_part<'a>(
        &'a self,
        key: &'a str,
        upload: &'a UploadId,
    ) -> ObjectFuture<'a, Option<Timestamp>> {
        let (key, upload) = (key.to_owned(), upload.clone());
        self.blocking(move |inner| inner.last_part(&key, &upload))
    }

    fn complete_upload<'a>(
        &'a self,
        key: &'a str,
        upload: &'a UploadId,
        parts: &'a [UploadedPart],
    ) -> ObjectFuture<'a, ()> {
        let (key, upload, parts) = (key.to_owned(), upload.clone(), parts.to_vec());
        self.blocking(move |inner| inner.complete_upload(&key, &upload, &parts))
    }

    fn abort_upload<'a>(&'a self, key: &'a str, upload: &'a UploadId) -> ObjectFuture<'a, ()> {
        let (key, upload) = (key.to_owned(), upload.clone());
        self.blocking(move |inner| inner.abort_upload(&key, &upload))
    }

    fn list_uploads<'a>(&'a self, cursor: Option<&'a Upload>) -> ObjectFuture<'a, UploadPage> {
        let cursor = cursor.cloned();
        self.blocking(move |inner| inner.list_uploads(cursor.as_ref()))
    }

    fn presign_get<'a>(
        &'a self,
        key: &'a str,
        _expires: Duration,
    ) -> ObjectFuture<'a, PresignedRequest> {
        Box::pin(async move { check_key(key).and(Err(UNSIGNED)) })
    }

    fn presign_put<'a>(
        &'a self,
        key: &'a str,
        _expires: Duration,
        _options: PutOptions<'a>,
    ) -> ObjectFuture<'a, PresignedRequest> {
        Box::pin(async move { check_key(key).and(Err(UNSIGNED)) })
    }

    fn health(&self) -> ObjectFuture<'_, ()> {
        self.blocking(Inner::health)
    }
}

const UNSIGNED: ObjectError = ObjectError::Unsupported {
    store: "objects in files",
    what: "presigned requests",
};

impl Inner {
    fn delete(&self, key: &str) -> Result<(), ObjectError> {
        check_key(key)?;
        let path = self.root.join(key);
        match fs::remove_file(&path) {
            Err(source) if !is_absent(&source) => Err(ObjectError::disk("delete", &path, source)),
            _ => Ok(()),
        }
    }

    fn delete_prefix(&self, prefix: &str) -> Result<(), ObjectError> {
        check_prefix(prefix)?;
        match fs::remove_dir_all(self.root.join(prefix)) {
            // Something in it would not go, or came meanwhile: the others go all the same.
            Err(error) if !is_absent(&error) => self.delete_each(prefix),
            _ => Ok(()),
        }
    }

    fn delete_each(&self, prefix: &str) -> Result<(), ObjectError> {
        let (mut failures, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page = walk::list(&self.root, prefix, cursor.as_deref())?;
            for key in page.keys {
                match self.delete(&key) {
                    Err(error) if failures.len() < PAGE_KEYS => failures.push(KeyFailure {
                        key,
                        reason: error.to_string(),
                    }),
                    _ => {}
                }
            }
            match page.next {
                Some(next) => cursor = Some(next),
                None if failures.is_empty() => return Ok(()),
                None => return Err(ObjectError::NotDeleted { failures }),
            }
        }
    }
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
        ObjectError::disk(verb, path, source)
    }
}

fn modified(metadata: &fs::Metadata) -> Timestamp {
    let since = metadata.modified().ok();
    let since = since.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Timestamp::default() + Micros::from(since.unwrap_or_default())
}

/// A file that is written once: another inode, or another time, is another file.
fn etag(metadata: &fs::Metadata) -> String {
    format!(
        "{:x}-{:x}.{:x}-{:x}",
        metadata.ino(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.len()
    )
}
