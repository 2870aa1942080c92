//! Objects in memory, for tests.

use std::collections::BTreeMap;
use std::io;
use std::ops::{Bound, Range};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use media::{Clock, SystemClock, Timestamp};

use super::digest::{Verifier, verify_apart};
use super::keys::check_folder;
use super::parts::{check_part, check_parts, check_stored};
use super::ranges::{check_length, satisfy};
use super::{
    Chunks, ObjectBody, ObjectError, ObjectFuture, ObjectHead, ObjectRange, ObjectStore, PAGE_KEYS,
    Page, PresignedRequest, PutOptions, Upload, UploadId, UploadPage, UploadedPart, check_key,
    check_prefix,
};

/// Objects in memory, for tests: gone with the process. What does not fit under its limit
/// fails with [`ObjectError::Full`], as on a full disk.
#[derive(Debug)]
pub struct MemoryStore {
    limit: u64,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    objects: BTreeMap<String, Blob>,
    uploads: BTreeMap<(String, UploadId), Parts>,
    bytes: u64,
    puts: u64,
}

#[derive(Debug, Clone)]
struct Blob {
    data: Bytes,
    modified: Timestamp,
    etag: String,
}

#[derive(Debug)]
struct Parts {
    started: Timestamp,
    blobs: BTreeMap<u32, Blob>,
}

impl Default for MemoryStore {
    /// Of 1 GiB.
    fn default() -> Self {
        Self::with_limit(1 << 30)
    }
}

impl MemoryStore {
    /// Holds at most `bytes` of objects and parts.
    pub fn with_limit(bytes: u64) -> Self {
        Self {
            limit: bytes,
            held: Mutex::default(),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Whoever panicked held nothing half-changed: each change below is one step.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self, key: &str, data: Bytes) -> Result<(), ObjectError> {
        let mut held = self.held();
        let replaced = held.objects.get(key).map_or(0, Blob::len);
        let blob = held.blob("put", data, replaced, self.limit)?;
        held.objects.insert(key.to_owned(), blob);
        Ok(())
    }

    fn blob(&self, key: &str) -> Result<Blob, ObjectError> {
        check_key(key)?;
        let held = self.held();
        let found = held.objects.get(key).cloned();
        found.ok_or_else(|| ObjectError::NotFound(key.to_owned()))
    }
}

impl Blob {
    fn len(&self) -> u64 {
        self.data.len() as u64
    }
}

impl Held {
    /// Makes room for `data` in place of `replaced` bytes.
    fn blob(
        &mut self,
        what: &str,
        data: Bytes,
        replaced: u64,
        limit: u64,
    ) -> Result<Blob, ObjectError> {
        let bytes = self.bytes - replaced + data.len() as u64;
        if bytes > limit {
            return Err(ObjectError::Full {
                what: what.to_owned(),
                source: io::ErrorKind::StorageFull.into(),
            });
        }
        self.bytes = bytes;
        self.puts += 1;
        Ok(Blob {
            data,
            modified: SystemClock.now(),
            etag: self.puts.to_string(),
        })
    }

    fn remove(&mut self, key: &str) {
        if let Some(blob) = self.objects.remove(key) {
            self.bytes -= blob.len();
        }
    }

    fn end_upload(&mut self, name: &(String, UploadId)) {
        if let Some(parts) = self.uploads.remove(name) {
            self.bytes -= parts.blobs.values().map(Blob::len).sum::<u64>();
        }
    }

    fn upload(&self, name: &(String, UploadId)) -> Result<&Parts, ObjectError> {
        self.uploads.get(name).ok_or_else(|| not_found(name))
    }
}

fn not_found((key, upload): &(String, UploadId)) -> ObjectError {
    ObjectError::UploadNotFound {
        key: key.clone(),
        upload: upload.clone(),
    }
}

impl Parts {
    fn listed(&self) -> Vec<UploadedPart> {
        let part = |(number, blob): (&u32, &Blob)| UploadedPart {
            number: *number,
            size: blob.len(),
            etag: blob.etag.clone(),
            crc32: None,
        };
        self.blobs.iter().map(part).collect()
    }
}

impl ObjectStore for MemoryStore {
    fn put_with<'a>(
        &'a self,
        key: &'a str,
        data: Bytes,
        options: PutOptions<'a>,
    ) -> ObjectFuture<'a, ()> {
        Box::pin(async move {
            check_key(key)?;
            check_length(key, data.len() as u64)?;
            verify_apart(key, &data, options.sha256).await?;
            self.store(key, data)
        })
    }

    fn put_stream<'a>(
        &'a self,
        key: &'a str,
        mut body: Chunks<io::Error>,
        options: PutOptions<'a>,
    ) -> ObjectFuture<'a, u64> {
        Box::pin(async move {
            check_key(key)?;
            let mut verifier = Verifier::expecting(options.sha256);
            let mut data = BytesMut::new();
            while let Some(chunk) = body.next().await {
                let chunk = chunk.map_err(|source| ObjectError::BodyFailed {
                    key: key.to_owned(),
                    source,
                })?;
                verifier.update(&chunk);
                data.extend_from_slice(&chunk);
                if data.len() as u64 > self.limit {
                    break;
                }
            }
            verifier.finish(key)?;
            let size = data.len() as u64;
            self.store(key, data.freeze())?;
            Ok(size)
        })
    }

    fn get<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, Bytes> {
        Box::pin(async move {
            let blob = self.blob(key)?;
            check_length(key, blob.len())?;
            Ok(blob.data)
        })
    }

    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> ObjectFuture<'a, ObjectRange> {
        Box::pin(async move {
            let blob = self.blob(key)?;
            let size = blob.len();
            let range = satisfy(key, &range, size)?;
            // Both lie within the data, so they fit.
            let data = blob.data.slice(range.start as usize..range.end as usize);
            Ok(ObjectRange { data, size })
        })
    }

    fn get_stream<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ObjectBody> {
        Box::pin(async move {
            let blob = self.blob(key)?;
            Ok(ObjectBody {
                size: blob.len(),
                chunks: Box::pin(stream::iter([Ok(blob.data)])),
            })
        })
    }

    fn head<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ObjectHead> {
        Box::pin(async move {
            let blob = self.blob(key)?;
            Ok(ObjectHead {
                size: blob.len(),
                modified: blob.modified,
                etag: blob.etag,
            })
        })
    }

    fn list<'a>(&'a self, prefix: &'a str, cursor: Option<&'a str>) -> ObjectFuture<'a, Page> {
        Box::pin(async move {
            check_folder(prefix)?;
            let from = match cursor {
                Some(cursor) if cursor >= prefix => Bound::Excluded(cursor),
                _ => Bound::Included(prefix),
            };
            let held = self.held();
            let mut keys: Vec<_> = held
                .objects
                .range::<str, _>((from, Bound::Unbounded))
                .map(|(key, _)| key)
                .take_while(|key| key.starts_with(prefix))
                .take(PAGE_KEYS + 1)
                .cloned()
                .collect();
            let more = keys.len() > PAGE_KEYS;
            keys.truncate(PAGE_KEYS);
            let next = keys.last().filter(|_| more).cloned();
            Ok(Page { keys, next })
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ()> {
        Box::pin(async move {
            check_key(key)?;
            self.held().remove(key);
            Ok(())
        })
    }

    fn delete_prefix<'a>(&'a self, prefix: &'a str) -> ObjectFuture<'a, ()> {
        Box::pin(async move {
            check_prefix(prefix)?;
            let mut held = self.held();
            let keys: Vec<_> = held
                .objects
                .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
                .map(|(key, _)| key.clone())
                .take_while(|key| key.starts_with(prefix))
                .collect();
            keys.iter().for_each(|key| held.remove(key));
            Ok(())
        })
    }

    fn create_upload<'a>(
        &'a self,
        key: &'a str,
        _content_type: Option<&'a str>,
    ) -> ObjectFuture<'a, UploadId> {
        Box::pin(async move {
            check_key(key)?;
            let id = UploadId(uuid::Uuid::now_v7().to_string());
            let parts = Parts {
                started: SystemClock.now(),
                blobs: BTreeMap::new(),
            };
            let name = (key.to_owned(), id.clone());
            self.held().uploads.insert(name, parts);
            Ok(id)
        })
    }

    fn upload_part<'a>(
        &'a self,
        key: &'a str,
        upload: &'a UploadId,
        number: u32,
        data: Bytes,
    ) -> ObjectFuture<'a, UploadedPart> {
        Box::pin(async move {
            check_key(key)?;
            let size = data.len() as u64;
            check_part(key, number, size)?;
            let name = (key.to_owned(), upload.clone());
            let mut held = self.held();
            let replaced = held.upload(&name)?.blobs.get(&number).map_or(0, Blob::len);
            let blob = held.blob("upload_part", data, replaced, self.limit)?;
            let etag = blob.etag.clone();
            let parts = held
                .uploads
                .get_mut(&name)
                .ok_or_else(|| not_found(&name))?;
            parts.blobs.insert(number, blob);
            Ok(UploadedPart {
                number,
                size,
                etag,
                crc32: None,
            })
        })
    }

    fn list_parts<'a>(
        &'a self,
        key: &'a str,
        upload: &'a UploadId,
    ) -> ObjectFuture<'a, Vec<UploadedPart>> {
        Box::pin(async move {
            check_key(key)?;
            let name = (key.to_owned(), upload.clone());
            self.held().upload(&name).map(Parts::listed)
        })
    }

    fn last_part<'a>(
        &'a self,
        key: &'a str,
        upload: &'a UploadId,
    ) -> ObjectFuture<'a, Option<Timestamp>> {
        Box::pin(async move {
            check_key(key)?;
            let name = (key.to_owned(), upload.clone());
            let held = self.held();
            let blobs = held.upload(&name)?.blobs.values();
            Ok(blobs.map(|blob| blob.modified).max())
        })
    }

    fn complete_upload<'a>(
        &'a self,
        key: &'a str,
        upload: &'a UploadId,
        parts: &'a [UploadedPart],
    ) -> ObjectFuture<'a, ()> {
        Box::pin(async move {
            check_key(key)?;
            check_parts(key, parts)?;
            let name = (key.to_owned(), upload.clone());
            let mut held = self.held();
            let stored = held.upload(&name)?;
            check_stored(key, parts, &stored.listed())?;
            let mut data = BytesMut::new();
            for part in parts {
                if let Some(blob) = stored.blobs.get(&part.number) {
                    data.extend_from_slice(&blob.data);
                }
            }
            held.end_upload(&name);
            let replaced = held.objects.get(key).map_or(0, Blob::len);
            // What the parts took is enough: they were under the limit.
            let blob = held.blob("complete_upload", data.freeze(), replaced, u64::MAX)?;
            held.objects.insert(key.to_owned(), blob);
            Ok(())
        })
    }

    fn abort_upload<'a>(&'a self, key: &'a str, upload: &'a UploadId) -> ObjectFuture<'a, ()> {
        Box::pin(async move {
            check_key(key)?;
            self.held().end_upload(&(key.to_owned(), upload.clone()));
            Ok(())
        })
    }

    fn list_uploads<'a>(&'a self, cursor: Option<&'a Upload>) -> ObjectFuture<'a, UploadPage> {
        Box::pin(async move {
            let held = self.held();
            let after = match cursor {
                Some(cursor) => Bound::Excluded((cursor.key.clone(), cursor.id.clone())),
                None => Bound::Unbounded,
            };
            let mut uploads: Vec<_> = held
                .uploads
                .range((after, Bound::Unbounded))
                .take(PAGE_KEYS + 1)
                .map(|((key, id), parts)| Upload {
                    key: key.clone(),
                    id: id.clone(),
                    started: parts.started,
                })
                .collect();
            let more = uploads.len() > PAGE_KEYS;
            uploads.truncate(PAGE_KEYS);
            let next = uploads.last().filter(|_| more).cloned();
            Ok(UploadPage { uploads, next })
        })
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
        Box::pin(async { Ok(()) })
    }
}

const UNSIGNED: ObjectError = ObjectError::Unsupported {
    store: "objects in memory",
    what: "presigned requests",
};
