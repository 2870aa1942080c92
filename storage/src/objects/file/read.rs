//! Reading objects: whole, a range, in pieces.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::stream;

use super::{Inner, absent_or_failed, etag, modified};
use crate::objects::ranges::{check_length, check_range, satisfy};
use crate::objects::{Chunks, ObjectBody, ObjectError, ObjectHead, ObjectRange, check_key};

/// One piece of a stream, in bytes.
const STREAM_READ_BYTES: u64 = 256 * 1024;

/// An object that was opened: it stays what it is when its key is put again.
struct Opened {
    key: String,
    path: PathBuf,
    file: File,
    size: u64,
}

impl Inner {
    fn open_object(&self, key: &str) -> Result<Opened, ObjectError> {
        check_key(key)?;
        let path = self.root.join(key);
        let failed = |source| absent_or_failed(key, "get", &path, source);
        let file = File::open(&path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(ObjectError::NotFound(key.to_owned()));
        }
        Ok(Opened {
            key: key.to_owned(),
            path,
            file,
            size: metadata.len(),
        })
    }

    pub(super) fn get(&self, key: &str) -> Result<Bytes, ObjectError> {
        let mut object = self.open_object(key)?;
        check_length(key, object.size)?;
        object.read_all()
    }

    pub(super) fn get_range(
        &self,
        key: &str,
        range: &Range<u64>,
    ) -> Result<ObjectRange, ObjectError> {
        check_range(key, range)?;
        let mut object = self.open_object(key)?;
        let range = satisfy(key, range, object.size)?;
        let size = object.size;
        object.seek(range.start)?;
        let data = object.read(range.end - range.start)?;
        Ok(ObjectRange { data, size })
    }

    pub(super) fn get_stream(&self, key: &str) -> Result<ObjectBody, ObjectError> {
        let object = self.open_object(key)?;
        let size = object.size;
        Ok(ObjectBody {
            size,
            chunks: object.chunks(),
        })
    }

    pub(super) fn head(&self, key: &str) -> Result<ObjectHead, ObjectError> {
        check_key(key)?;
        let path = self.root.join(key);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => Err(ObjectError::NotFound(key.to_owned())),
            Ok(metadata) => Ok(head_of(&metadata)),
            Err(source) => Err(absent_or_failed(key, "head", &path, source)),
        }
    }
}

fn head_of(metadata: &Metadata) -> ObjectHead {
    ObjectHead {
        size: metadata.len(),
        modified: modified(metadata),
        etag: etag(metadata),
    }
}

impl Opened {
    fn seek(&mut self, start: u64) -> Result<(), ObjectError> {
        match self.file.seek(SeekFrom::Start(start)) {
            Ok(_) => Ok(()),
            Err(source) => Err(ObjectError::disk("get", &self.path, source)),
        }
    }

    /// All of it: a file knows its size and reads in one go, which a part of it does not.
    fn read_all(&mut self) -> Result<Bytes, ObjectError> {
        let mut data = Vec::with_capacity(usize::try_from(self.size).unwrap_or_default());
        let read = self.file.read_to_end(&mut data);
        self.checked(read, data, self.size)
    }

    /// The next `length` bytes, which are at most what is left.
    fn read(&mut self, length: u64) -> Result<Bytes, ObjectError> {
        let mut data = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        let read = (&self.file).take(length).read_to_end(&mut data);
        self.checked(read, data, length)
    }

    fn checked(
        &self,
        read: io::Result<usize>,
        data: Vec<u8>,
        expected: u64,
    ) -> Result<Bytes, ObjectError> {
        let read = read.map_err(|source| ObjectError::disk("get", &self.path, source))?;
        if read as u64 == expected {
            return Ok(data.into());
        }
        Err(ObjectError::Damaged {
            key: self.key.clone(),
            reason: format!("its file has {read} bytes where {expected} should be"),
        })
    }

    fn chunks(self) -> Chunks<ObjectError> {
        let next = |(mut object, left): (Self, u64)| async move {
            if left == 0 {
                return Ok(None);
            }
            let reading = tokio::task::spawn_blocking(move || {
                let length = left.min(STREAM_READ_BYTES);
                let data = object.read(length)?;
                Ok(Some((data, (object, left - length))))
            });
            reading.await.map_err(ObjectError::task)?
        };
        let size = self.size;
        Box::pin(stream::try_unfold((self, size), next))
    }
}
