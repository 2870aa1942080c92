//! Writing objects: a temporary, flushed, renamed.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::StreamExt;

use super::folders::sync_folder;
use super::{Durability, Inner};
use crate::objects::digest::{Verifier, verify};
use crate::objects::parts::too_long;
use crate::objects::ranges::check_length;
use crate::objects::{Chunks, MAX_STREAM_BYTES, ObjectError, Sha256, check_key};

/// Pieces of a stream are gathered up to this, in bytes, before a thread writes them.
const GATHERED_BYTES: usize = 1024 * 1024;

/// The most pieces that are gathered: they may be small.
const GATHERED_PIECES: usize = 1_024;

/// A file without a key: gone when dropped, unless it was renamed.
pub(super) struct Temporary {
    path: PathBuf,
    file: File,
    durability: Durability,
    renamed: bool,
}

impl Inner {
    pub(super) fn put(
        &self,
        key: &str,
        data: &[u8],
        sha256: Option<Sha256>,
    ) -> Result<(), ObjectError> {
        check_key(key)?;
        check_length(key, data.len() as u64)?;
        verify(key, data, sha256)?;
        let path = self.root.join(key);
        let put = || {
            let _room = self.room(data.len() as u64)?;
            let mut temporary = self.temporary()?;
            temporary.write(data)?;
            self.name(temporary, &path)
        };
        put().map_err(|source| ObjectError::disk("put", &path, source))
    }

    pub(super) fn temporary_path(&self) -> io::Result<PathBuf> {
        let serial = self.next_temporary.fetch_add(1, Ordering::Relaxed);
        Ok(self.prepared()?.temporary.join(serial.to_string()))
    }

    pub(super) fn temporary(&self) -> io::Result<Temporary> {
        let path = self.temporary_path()?;
        Ok(Temporary {
            file: File::create(&path)?,
            path,
            durability: self.durability,
            renamed: false,
        })
    }

    /// Gives what was written its final name. The folder may not exist yet, or a
    /// `delete_prefix` may remove it between its making and the rename.
    pub(super) fn name(&self, mut temporary: Temporary, path: &Path) -> io::Result<()> {
        temporary.flush()?;
        let folder = path.parent().unwrap_or(path);
        let mut renamed = fs::rename(&temporary.path, path);
        for _ in 0..2 {
            match renamed.as_ref().map_err(io::Error::kind) {
                Err(ErrorKind::NotFound) => fs::create_dir_all(folder)?,
                // Every object that was below it has been deleted.
                Err(ErrorKind::IsADirectory) => remove_empty_folders(path)?,
                _ => break,
            }
            renamed = fs::rename(&temporary.path, path);
        }
        renamed?;
        temporary.renamed = true;
        match self.durability {
            Durability::Name => self.folders.flush(&self.root, folder, sync_folder),
            Durability::Process | Durability::Content => Ok(()),
        }
    }

    /// As [`Inner::name`], in a folder that must be there.
    pub(super) fn name_part(&self, mut temporary: Temporary, path: &Path) -> io::Result<()> {
        temporary.flush()?;
        fs::rename(&temporary.path, path)?;
        temporary.renamed = true;
        match self.durability {
            Durability::Name => sync_folder(path.parent().unwrap_or(path)),
            Durability::Process | Durability::Content => Ok(()),
        }
    }
}

impl Temporary {
    pub(super) fn write(&mut self, data: &[u8]) -> io::Result<()> {
        self.file.write_all(data)
    }

    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Without it, a power cut can leave the final name on an empty file.
    fn flush(&self) -> io::Result<()> {
        match self.durability {
            Durability::Process => Ok(()),
            Durability::Content | Durability::Name => self.file.sync_data(),
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed {
            // What stays is removed by an open.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes `folder` and those in it. Fails when there is a file in any.
fn remove_empty_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_empty_folders(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

/// A body on its way to the disk. It moves between the task that waits for pieces and the
/// thread that writes them, so that a slow sender holds no thread.
struct Writing {
    inner: Arc<Inner>,
    key: String,
    temporary: Temporary,
    verifier: Verifier,
    written: u64,
}

pub(super) async fn put_stream(
    inner: Arc<Inner>,
    key: &str,
    mut body: Chunks<io::Error>,
    sha256: Option<Sha256>,
) -> Result<u64, ObjectError> {
    check_key(key)?;
    let mut writing = Writing::begin(inner, key.to_owned(), sha256).await?;
    loop {
        let (mut gathered, mut bytes) = (Vec::new(), 0);
        while bytes < GATHERED_BYTES && gathered.len() < GATHERED_PIECES {
            let Some(chunk) = body.next().await else {
                return writing.end(gathered).await;
            };
            let chunk = chunk.map_err(|source| ObjectError::BodyFailed {
                key: key.to_owned(),
                source,
            })?;
            bytes += chunk.len();
            gathered.push(chunk);
        }
        writing = writing.go_on(gathered).await?;
    }
}

impl Writing {
    async fn begin(
        inner: Arc<Inner>,
        key: String,
        sha256: Option<Sha256>,
    ) -> Result<Self, ObjectError> {
        apart(move || match inner.temporary() {
            Ok(temporary) => Ok(Self {
                inner,
                key,
                temporary,
                verifier: Verifier::expecting(sha256),
                written: 0,
            }),
            Err(source) => Err(ObjectError::disk("put", &inner.root.join(key), source)),
        })
        .await
    }

    async fn go_on(mut self, pieces: Vec<Bytes>) -> Result<Self, ObjectError> {
        apart(move || self.write(&pieces).map(|()| self)).await
    }

    async fn end(mut self, pieces: Vec<Bytes>) -> Result<u64, ObjectError> {
        apart(move || {
            self.write(&pieces)?;
            self.verifier.finish(&self.key)?;
            let path = self.inner.root.join(&self.key);
            match self.inner.name(self.temporary, &path) {
                Ok(()) => Ok(self.written),
                Err(source) => Err(ObjectError::disk("put", &path, source)),
            }
        })
        .await
    }

    fn write(&mut self, pieces: &[Bytes]) -> Result<(), ObjectError> {
        let failed = |source| {
            let path = self.inner.root.join(&self.key);
            ObjectError::disk("put", &path, source)
        };
        let bytes = pieces.iter().map(|piece| piece.len() as u64).sum();
        let _room = self.inner.room(bytes).map_err(failed)?;
        for piece in pieces {
            self.written += piece.len() as u64;
            if self.written > MAX_STREAM_BYTES {
                return Err(too_long(&self.key, self.written));
            }
            self.verifier.update(piece);
            self.temporary.write(piece).map_err(failed)?;
        }
        Ok(())
    }
}

async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ObjectError> + Send + 'static,
) -> Result<T, ObjectError> {
    let working = tokio::task::spawn_blocking(work);
    working.await.map_err(ObjectError::task)?
}
