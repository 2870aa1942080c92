//! Objects: immutable blobs under keys, such as segments and init segments.
//!
//! One trait, [`ObjectStore`], and the store that a URL names: see [`open`].

mod file;

use std::fmt;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

pub use file::FileStore;

/// What an [`ObjectStore`] method returns: a future that can be held behind a pointer,
/// so that the trait is object safe.
pub type ObjectFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, ObjectError>> + Send + 'a>>;

/// The longest key, in bytes: what S3 takes.
pub const MAX_KEY_BYTES: usize = 1_024;

/// The largest object that is put or got in one piece, in bytes.
pub const MAX_OBJECT_BYTES: u64 = 256 * 1024 * 1024;

/// The most keys in one [`Page`]: what S3 gives.
pub const PAGE_KEYS: usize = 1_000;

/// Blobs under keys.
///
/// A key is segments of `A-Z a-z 0-9 . _ -` joined by `/`; no segment is empty or
/// begins with a dot. No key is the folder of another: `a` and `a/b` cannot both be
/// put. A prefix is a folder: empty, or a key followed by `/`.
pub trait ObjectStore: fmt::Debug + Send + Sync {
    /// Stores `data`, replacing what was under `key`. A reader sees all of it or
    /// nothing, also when the writer dies half-way.
    fn put<'a>(&'a self, key: &'a str, data: Bytes) -> ObjectFuture<'a, ()>;

    /// The whole object.
    fn get<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, Bytes>;

    /// What is known of an object without reading it.
    fn head<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ObjectHead>;

    /// The keys under the folder `prefix` that come after `cursor`, in byte order, at
    /// most [`PAGE_KEYS`]. A folder that does not exist is empty.
    fn list<'a>(&'a self, prefix: &'a str, cursor: Option<&'a str>) -> ObjectFuture<'a, Page>;

    /// Deletes an object. Deleting what is not there succeeds.
    fn delete<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ()>;

    /// Deletes everything under the folder `prefix`, which must not be empty.
    fn delete_prefix<'a>(&'a self, prefix: &'a str) -> ObjectFuture<'a, ()>;
}

/// What is known of an object without reading it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ObjectHead {
    /// Bytes of the object.
    pub size: u64,
}

/// One page of a listing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// Keys in byte order.
    pub keys: Vec<String>,
    /// Where the next page begins; `None` when this is the last.
    pub next: Option<String>,
}

/// Why an object store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// Nothing is stored under the key.
    #[error("no object {0:?}")]
    NotFound(String),
    /// The text cannot be a key.
    #[error(
        "object key {0:?} is not valid: expected segments of A-Z a-z 0-9 . _ - joined by '/', none empty or beginning with a dot, {MAX_KEY_BYTES} bytes at most"
    )]
    InvalidKey(String),
    /// The text cannot be a prefix.
    #[error("object prefix {0:?} is not valid: expected a key followed by '/'")]
    InvalidPrefix(String),
    /// The object is larger than [`MAX_OBJECT_BYTES`].
    #[error("object {key:?} of {size} bytes is too large: {MAX_OBJECT_BYTES} bytes at most")]
    TooLarge {
        /// Its key.
        key: String,
        /// Its size in bytes.
        size: u64,
    },
    /// The URL names a store that this version does not have.
    #[error("S3 object storage is not part of this version; use file:DIR")]
    S3NotInThisVersion,
    /// The URL names no store.
    #[error("object store URL {0:?} is not valid: expected file:DIR")]
    InvalidUrl(String),
    /// The disk or the network failed.
    #[error("object store: {what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Opens the store that `url` names: `file:DIR`. Blocks on the disk for a moment: for
/// a program's start, not for a request.
pub fn open(url: &str) -> Result<Arc<dyn ObjectStore>, ObjectError> {
    match url.split_once(':') {
        Some(("file", directory)) if !directory.is_empty() => {
            Ok(Arc::new(FileStore::open(Path::new(directory))?))
        }
        Some(("s3", _)) => Err(ObjectError::S3NotInThisVersion),
        _ => Err(ObjectError::InvalidUrl(url.to_owned())),
    }
}

fn check_key(key: &str) -> Result<(), ObjectError> {
    if is_key(key) {
        Ok(())
    } else {
        Err(ObjectError::InvalidKey(shortened(key)))
    }
}

fn check_prefix(prefix: &str) -> Result<(), ObjectError> {
    match prefix.strip_suffix('/') {
        Some(key) if is_key(key) => Ok(()),
        _ => Err(ObjectError::InvalidPrefix(shortened(prefix))),
    }
}

fn is_key(text: &str) -> bool {
    let valid = |segment: &str| {
        !segment.is_empty()
            && !segment.starts_with('.')
            && segment
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    text.len() <= MAX_KEY_BYTES && text.split('/').all(valid)
}

/// Enough of a refused text to recognise it in an error.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 100;
    text.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_cannot_leave_the_store() {
        for good in ["a", "live/demo/0/source/12.m4s", "A-b_c.d", "a..b"] {
            assert!(check_key(good).is_ok(), "{good}");
        }
        let long = "x".repeat(MAX_KEY_BYTES + 1);
        for bad in [
            "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", ".tmp/a", "a b", "a\\b",
            "a\0", "é", &long,
        ] {
            assert!(
                matches!(check_key(bad), Err(ObjectError::InvalidKey(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn prefixes_are_folders() {
        assert!(check_prefix("live/demo/").is_ok());
        for bad in ["", "/", "live/demo", "live//", "../"] {
            assert!(
                matches!(check_prefix(bad), Err(ObjectError::InvalidPrefix(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn urls_of_other_stores_fail_with_one_sentence() {
        let error = open("s3://bucket/prefix").unwrap_err();
        assert_eq!(
            error.to_string(),
            "S3 object storage is not part of this version; use file:DIR"
        );
        for bad in ["", "file:", "/var/lib/nova", "gs://bucket"] {
            assert!(
                matches!(open(bad), Err(ObjectError::InvalidUrl(_))),
                "{bad}"
            );
        }
    }
}
