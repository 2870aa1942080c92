//! Objects: immutable blobs under keys, such as segments and init segments.
//!
//! One trait, [`ObjectStore`], and three stores: [`FileStore`], [`S3Store`] and, for
//! tests, [`MemoryStore`]. What every store needs around it is a [`Layer`]: [`Retry`],
//! [`Timeout`], [`Metrics`] and, for tests, [`FaultyStore`]. [`open`] puts together what
//! a configuration names.

mod digest;
mod error;
pub mod faulty;
mod file;
mod keys;
mod layer;
mod memory;
mod metered;
mod open;
mod parts;
mod ranges;
mod retry;
mod s3;
mod timeout;

use std::fmt;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use media::Timestamp;

pub use digest::Sha256;
pub use error::{ErrorKind, KeyFailure, ObjectError};
pub use faulty::FaultyStore;
pub use file::{Durability, FileStore};
pub use keys::{KEY_ROOTS, MAX_KEY_BYTES, MAX_SEGMENT_BYTES, check_key, check_prefix};
pub use layer::{Layer, Layered, Operation};
pub use memory::MemoryStore;
pub use metered::Metrics;
pub use open::{ObjectsConfig, check_url, open};
pub use parts::abort_stale_uploads;
pub use retry::Retry;
pub use s3::{Credentials, S3Config, S3Store};
pub use timeout::Timeout;

/// What an [`ObjectStore`] method returns: a future that can be held behind a pointer,
/// so that the trait is object safe.
pub type ObjectFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, ObjectError>> + Send + 'a>>;

/// A body that comes in pieces, of any size.
pub type Chunks<E> = Pin<Box<dyn Stream<Item = Result<Bytes, E>> + Send>>;

/// The largest object that is put or got in one piece, and the largest part, in bytes.
pub const MAX_OBJECT_BYTES: u64 = 256 * 1024 * 1024;

/// The smallest part of an upload, in bytes; the last may be smaller. What S3 asks.
pub const MIN_PART_BYTES: u64 = 5 * 1024 * 1024;

/// The highest number of a part, the lowest being 1: what S3 takes.
pub const MAX_PARTS: u32 = 10_000;

/// The largest object that is put as a stream, in bytes.
pub const MAX_STREAM_BYTES: u64 = parts::STREAM_PART_BYTES as u64 * MAX_PARTS as u64;

/// The most keys in one [`Page`], and uploads in one [`UploadPage`]: what S3 gives.
pub const PAGE_KEYS: usize = 1_000;

/// The longest that a presigned request is good for: what S3 takes.
pub const MAX_PRESIGNED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Blobs under keys.
///
/// A key is segments of `A-Z a-z 0-9 . _ -` joined by `/`; no segment is empty or
/// begins with a dot. No key is the folder of another: `a` and `a/b` are not both put.
/// A prefix is a folder: empty, or a key followed by `/`.
///
/// An object appears whole or not at all, also when the writer dies half-way. After an
/// error whose [`is_transient`](ObjectError::is_transient) is true, a change may have
/// happened all the same: its answer was lost.
pub trait ObjectStore: fmt::Debug + Send + Sync {
    /// [`Self::put_with`] without options.
    fn put<'a>(&'a self, key: &'a str, data: Bytes) -> ObjectFuture<'a, ()> {
        self.put_with(key, data, PutOptions::default())
    }

    /// Stores `data`, at most [`MAX_OBJECT_BYTES`], replacing what was under `key`.
    fn put_with<'a>(
        &'a self,
        key: &'a str,
        data: Bytes,
        options: PutOptions<'a>,
    ) -> ObjectFuture<'a, ()>;

    /// Stores a body of unknown length, at most [`MAX_STREAM_BYTES`], replacing what was
    /// under `key`, and tells its size. When the body fails, nothing is stored.
    fn put_stream<'a>(
        &'a self,
        key: &'a str,
        body: Chunks<io::Error>,
        options: PutOptions<'a>,
    ) -> ObjectFuture<'a, u64>;

    /// The whole object, at most [`MAX_OBJECT_BYTES`].
    fn get<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, Bytes>;

    /// Bytes `start..end` of an object; an `end` past its last byte means up to there.
    ///
    /// [`ObjectError::RangeNotSatisfiable`] when the object has no byte `start`, as
    /// RFC 9110 15.5.17; an empty range may also stand at its very end.
    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> ObjectFuture<'a, ObjectRange>;

    /// The whole object, of any size, in pieces. It is the object that was there when
    /// this was called, also when it is replaced meanwhile. A body that is cut short or
    /// altered on its way ends with an error, never quietly.
    fn get_stream<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ObjectBody>;

    /// What is known of an object without reading it.
    fn head<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ObjectHead>;

    /// The keys under the folder `prefix` that come after `cursor`, in byte order, at
    /// most [`PAGE_KEYS`]. A folder that does not exist is empty.
    fn list<'a>(&'a self, prefix: &'a str, cursor: Option<&'a str>) -> ObjectFuture<'a, Page>;

    /// Deletes an object. Deleting what is not there succeeds.
    fn delete<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ()>;

    /// Deletes everything under the folder `prefix`, which must not be empty. Objects
    /// that would not go do not keep the others: [`ObjectError::NotDeleted`] names them.
    fn delete_prefix<'a>(&'a self, prefix: &'a str) -> ObjectFuture<'a, ()>;

    /// Begins an upload in parts. It goes on over restarts of this process, until it is
    /// completed or aborted.
    fn create_upload<'a>(
        &'a self,
        key: &'a str,
        content_type: Option<&'a str>,
    ) -> ObjectFuture<'a, UploadId>;

    /// Stores part `number` (1 to [`MAX_PARTS`], in any order), replacing the one that had
    /// that number.
    fn upload_part<'a>(
        &'a self,
        key: &'a str,
        upload: &'a UploadId,
        number: u32,
        data: Bytes,
    ) -> ObjectFuture<'a, UploadedPart>;

    /// The parts that an upload has, by number: where to go on after a restart.
    fn list_parts<'a>(
        &'a self,
        key: &'a str,
        upload: &'a UploadId,
    ) -> ObjectFuture<'a, Vec<UploadedPart>>;

    /// When the newest part of an upload was stored, by the store's clock; `None` when it
    /// has no part.
    fn last_part<'a>(
        &'a self,
        key: &'a str,
        upload: &'a UploadId,
    ) -> ObjectFuture<'a, Option<Timestamp>>;

    /// Makes `parts`, joined in this order, the object under `key`, and ends the upload.
    ///
    /// Numbers rise, from 1 and without a gap; every part but the last has at least
    /// [`MIN_PART_BYTES`]. [`ObjectError::InvalidParts`] leaves the upload as it was.
    /// [`ObjectError::UploadNotFound`] may mean that an earlier call, whose answer was
    /// lost, has done it: [`Self::head`] tells.
    fn complete_upload<'a>(
        &'a self,
        key: &'a str,
        upload: &'a UploadId,
        parts: &'a [UploadedPart],
    ) -> ObjectFuture<'a, ()>;

    /// Ends an upload and drops its parts. Aborting what is not there succeeds.
    fn abort_upload<'a>(&'a self, key: &'a str, upload: &'a UploadId) -> ObjectFuture<'a, ()>;

    /// The uploads that were neither completed nor aborted, those after `cursor`, by key
    /// and then in an order of the store's own. See [`abort_stale_uploads`].
    fn list_uploads<'a>(&'a self, cursor: Option<&'a Upload>) -> ObjectFuture<'a, UploadPage>;

    /// A request that gets the object for whoever has it, for `expires` (1 s to
    /// [`MAX_PRESIGNED`]). [`ObjectError::Unsupported`] by a store without an HTTP server
    /// of its own: serve the bytes yourself.
    fn presign_get<'a>(
        &'a self,
        key: &'a str,
        expires: Duration,
    ) -> ObjectFuture<'a, PresignedRequest>;

    /// A request that puts an object for whoever has it: as [`Self::presign_get`].
    fn presign_put<'a>(
        &'a self,
        key: &'a str,
        expires: Duration,
        options: PutOptions<'a>,
    ) -> ObjectFuture<'a, PresignedRequest>;

    /// Whether the store can be used, by one cheap request. The error is a sentence that
    /// says what to do.
    fn health(&self) -> ObjectFuture<'_, ()>;
}

/// What may go with an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PutOptions<'a> {
    /// What a presigned GET of the object answers as `Content-Type`. Kept by S3; the
    /// other stores answer no HTTP and drop it.
    pub content_type: Option<&'a str>,
    /// The SHA-256 that the body must have. When it has another, nothing is stored and
    /// the error is [`ObjectError::Sha256Mismatch`].
    pub sha256: Option<Sha256>,
}

/// What is known of an object without reading it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObjectHead {
    /// Bytes of the object.
    pub size: u64,
    /// When it was put, by the store's clock.
    pub modified: Timestamp,
    /// Another after every put of the key; not always a hash of the content.
    pub etag: String,
}

/// Some bytes of an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObjectRange {
    /// The bytes.
    pub data: Bytes,
    /// Bytes of the whole object.
    pub size: u64,
}

/// An object in pieces.
pub struct ObjectBody {
    /// Bytes of the object.
    pub size: u64,
    /// Its pieces; together they have `size` bytes, or end with an error.
    pub chunks: Chunks<ObjectError>,
}

impl fmt::Debug for ObjectBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectBody")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// One page of a listing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// Keys in byte order.
    pub keys: Vec<String>,
    /// Where the next page begins; `None` when this is the last.
    pub next: Option<String>,
}

/// The store's name of an upload in parts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UploadId(pub String);

/// An upload that is neither completed nor aborted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Upload {
    /// The key that it will have.
    pub key: String,
    /// Its name.
    pub id: UploadId,
    /// When it was created, by the store's clock.
    pub started: Timestamp,
}

/// One page of uploads.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UploadPage {
    /// Uploads by key.
    pub uploads: Vec<Upload>,
    /// Where the next page begins; `None` when this is the last.
    pub next: Option<Upload>,
}

/// A part that the store has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UploadedPart {
    /// From 1.
    pub number: u32,
    /// Bytes of the part.
    pub size: u64,
    /// The store's name for exactly this content.
    pub etag: String,
    /// What the store checks this part by when the upload is completed: its CRC-32 as
    /// S3's `x-amz-checksum-crc32` has it, the base64 of four bytes. `None` from a store
    /// that asks for none. Whoever keeps parts over a restart keeps this too, or takes all
    /// of it from [`ObjectStore::list_parts`].
    pub crc32: Option<String>,
}

/// A request that carries its own permission. Its URL is a secret until it expires.
#[derive(Clone, PartialEq, Eq)]
pub struct PresignedRequest {
    /// `GET` or `PUT`.
    pub method: &'static str,
    /// The URL, signature included.
    pub url: String,
    /// Headers that the request must have, as they were signed.
    pub headers: Vec<(String, String)>,
}

impl fmt::Debug for PresignedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url.split('?').next().unwrap_or_default();
        f.debug_struct("PresignedRequest")
            .field("method", &self.method)
            .field("url", &format_args!("{url}?(hidden)"))
            .finish_non_exhaustive()
    }
}

/// A body that is there already, as a stream of one piece.
pub fn one_chunk(data: Bytes) -> Chunks<io::Error> {
    Box::pin(futures_util::stream::iter([Ok(data)]))
}
