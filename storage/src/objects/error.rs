//! Why an object store did not do what it was asked.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::keys::MAX_KEY_BYTES;
use super::{MAX_PRESIGNED, Sha256, UploadId};

/// Why an object store did not do what it was asked. No text holds a secret.
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
    /// The object or the part is too large for what was asked.
    #[error("object {key:?} of {size} bytes is too large: {limit} bytes at most")]
    TooLarge {
        /// Its key.
        key: String,
        /// Its size in bytes, or of as much as had come.
        size: u64,
        /// The most there may be, in bytes.
        limit: u64,
    },
    /// The range runs backwards.
    #[error("range {start}..{end} of object {key:?} runs backwards")]
    InvalidRange {
        /// The object's key.
        key: String,
        /// First byte.
        start: u64,
        /// The byte after the last.
        end: u64,
    },
    /// The object ends before the range begins.
    #[error("object {key:?} of {size} bytes has no byte {start}")]
    RangeNotSatisfiable {
        /// The object's key.
        key: String,
        /// First byte asked for.
        start: u64,
        /// Bytes of the object.
        size: u64,
    },
    /// The body is not what its sender said. Nothing is stored.
    #[error("the body for object {key:?} has SHA-256 {actual}, not {expected}: send it again")]
    Sha256Mismatch {
        /// The object's key.
        key: String,
        /// What the sender said.
        expected: Sha256,
        /// What came.
        actual: Sha256,
    },
    /// The body to store ended with an error. Nothing is stored.
    #[error("the body for object {key:?} broke off: {source}")]
    BodyFailed {
        /// The object's key.
        key: String,
        /// What the body said.
        source: io::Error,
    },
    /// What came is not what was stored: cut short, or altered on its way or on its disk.
    #[error("object {key:?} came damaged: {reason}")]
    Damaged {
        /// The object's key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such upload: completed, aborted, or never created.
    #[error("object {key:?} has no upload {:?}", upload.0)]
    UploadNotFound {
        /// The upload's key.
        key: String,
        /// Its name.
        upload: UploadId,
    },
    /// These parts do not make the object.
    #[error("the parts for object {key:?} do not make it: {reason}")]
    InvalidParts {
        /// The object's key.
        key: String,
        /// What is wrong with them.
        reason: String,
    },
    /// The store cannot do this at all.
    #[error("{store} have no {what}")]
    Unsupported {
        /// The kind of store.
        store: &'static str,
        /// What it does not have.
        what: &'static str,
    },
    /// A presigned request cannot be good for so long, or so short.
    #[error("a presigned request cannot be good for {0:?}: expected 1 s to {MAX_PRESIGNED:?}")]
    InvalidExpiry(Duration),
    /// Some objects under a prefix could not be deleted; the others are gone.
    #[error("{} could not be deleted: {}", count(failures), first(failures))]
    NotDeleted {
        /// Which, and why; at most [`PAGE_KEYS`](super::PAGE_KEYS) of them.
        failures: Vec<KeyFailure>,
    },
    /// The URL names no store.
    #[error("object store URL {0:?} is not valid: expected file:DIR or s3://BUCKET/PREFIX")]
    InvalidUrl(String),
    /// The endpoint is not a URL.
    #[error("S3 endpoint {0:?} is not valid: expected http://HOST:PORT or https://HOST")]
    InvalidEndpoint(String),
    /// A file stands where the directory should be.
    #[error(
        "object store {}: not a directory; name a directory in objects.url, or move the file away", .0.display()
    )]
    NotADirectory(PathBuf),
    /// The directory cannot be written.
    #[error(
        "object store {}: cannot be written ({source}); give this user write permission, or name another directory in objects.url", path.display()
    )]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no room: the disk, a quota or the memory limit.
    #[error("object store is full: {what}: {source}; free space, or keep recordings for less time")]
    Full {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// No credentials for S3.
    #[error(
        "object store: no usable AWS credentials ({0}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or a role"
    )]
    NoCredentials(String),
    /// S3 does not take the credentials, or they do not permit this.
    #[error(
        "object store: {what}: S3 refused the credentials ({code}); check the access key, its secret and its permissions on the bucket"
    )]
    Denied {
        /// What was being done.
        what: String,
        /// S3's own word.
        code: String,
    },
    /// S3 refuses what was signed at another time than its own.
    #[error(
        "object store: {what}: S3 says that this machine's clock is off ({code}); set it, and keep it set by NTP"
    )]
    ClockOff {
        /// What was being done.
        what: String,
        /// S3's own word.
        code: String,
    },
    /// The bucket is not there.
    #[error(
        "object store: bucket {bucket:?} does not exist at {endpoint}; make it, or correct objects.url"
    )]
    NoBucket {
        /// Its name.
        bucket: String,
        /// Where it was looked for.
        endpoint: String,
    },
    /// The bucket is in another region, or the endpoint has another.
    #[error(
        "object store: bucket {bucket:?} is not in region {region:?} ({code}); correct objects.s3_region"
    )]
    WrongRegion {
        /// Its name.
        bucket: String,
        /// The region that was tried.
        region: String,
        /// S3's own word.
        code: String,
    },
    /// Nobody answers.
    #[error(
        "object store: cannot reach {endpoint} ({reason}); check objects.s3_endpoint, and that the service runs and the network lets us through"
    )]
    Unreachable {
        /// Where it was tried.
        endpoint: String,
        /// What the network said.
        reason: String,
    },
    /// S3 cannot now; worth a retry.
    #[error("object store: {what}: S3 answered {status} ({code}); it may be busy, try later")]
    Unavailable {
        /// What was being done.
        what: String,
        /// The HTTP status.
        status: u16,
        /// S3's own word.
        code: String,
    },
    /// S3 refused for a reason of its own.
    #[error("object store: {what}: S3 answered {status} ({code}): {message}")]
    Refused {
        /// What was being done.
        what: String,
        /// The HTTP status.
        status: u16,
        /// S3's own word.
        code: String,
        /// S3's own sentence.
        message: String,
    },
    /// No answer in time. What was asked may happen all the same.
    #[error("object store: {what}: no answer within {limit:?}")]
    TimedOut {
        /// What was being done.
        what: &'static str,
        /// How long was waited.
        limit: Duration,
    },
    /// The disk failed.
    #[error("object store: {what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

/// An object that would not go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyFailure {
    /// Its key.
    pub key: String,
    /// Why.
    pub reason: String,
}

/// What an error is about: a name for metrics, and who has to act.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorKind {
    /// It is not there.
    NotFound,
    /// The caller asked for what cannot be.
    Invalid,
    /// The body that the caller sent is broken.
    BadBody,
    /// The store cannot do it at all.
    Unsupported,
    /// The configuration is wrong, or the credentials are: an operator has to act.
    Configuration,
    /// There is no room: an operator has to act.
    Full,
    /// The store cannot now: worth a retry.
    Unavailable,
    /// No answer in time: worth a retry.
    TimedOut,
    /// What came is damaged: worth a retry.
    Damaged,
    /// The store failed.
    Failed,
}

impl ErrorKind {
    /// Lower case, for a metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Invalid => "invalid",
            Self::BadBody => "bad_body",
            Self::Unsupported => "unsupported",
            Self::Configuration => "configuration",
            Self::Full => "full",
            Self::Unavailable => "unavailable",
            Self::TimedOut => "timed_out",
            Self::Damaged => "damaged",
            Self::Failed => "failed",
        }
    }
}

impl ObjectError {
    /// What it is about.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) | Self::UploadNotFound { .. } => ErrorKind::NotFound,
            Self::InvalidKey(_)
            | Self::InvalidPrefix(_)
            | Self::TooLarge { .. }
            | Self::InvalidRange { .. }
            | Self::RangeNotSatisfiable { .. }
            | Self::InvalidParts { .. }
            | Self::InvalidExpiry(_) => ErrorKind::Invalid,
            Self::Sha256Mismatch { .. } | Self::BodyFailed { .. } => ErrorKind::BadBody,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::InvalidUrl(_)
            | Self::InvalidEndpoint(_)
            | Self::NotADirectory(_)
            | Self::NotWritable { .. }
            | Self::NoCredentials(_)
            | Self::Denied { .. }
            | Self::ClockOff { .. }
            | Self::NoBucket { .. }
            | Self::WrongRegion { .. } => ErrorKind::Configuration,
            Self::Full { .. } => ErrorKind::Full,
            Self::Unreachable { .. } | Self::Unavailable { .. } => ErrorKind::Unavailable,
            Self::TimedOut { .. } => ErrorKind::TimedOut,
            Self::Damaged { .. } => ErrorKind::Damaged,
            Self::NotDeleted { .. } | Self::Refused { .. } | Self::Io { .. } => ErrorKind::Failed,
        }
    }

    /// Whether the same call may succeed a moment later, with nobody having acted.
    pub const fn is_transient(&self) -> bool {
        matches!(
            self.kind(),
            ErrorKind::Unavailable | ErrorKind::TimedOut | ErrorKind::Damaged
        )
    }

    /// What the disk said while `verb` was done to `path`.
    pub(super) fn disk(verb: &str, path: &Path, source: io::Error) -> Self {
        let what = format!("{verb} {}", path.display());
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { what, source }
            }
            _ => Self::Io { what, source },
        }
    }

    /// A blocking task that panicked, or that the runtime's end cut off.
    pub(super) fn task(error: tokio::task::JoinError) -> Self {
        Self::Io {
            what: "a blocking task ended early".to_owned(),
            source: io::Error::other(error),
        }
    }
}

fn count(failures: &[KeyFailure]) -> impl fmt::Display {
    match failures.len() {
        1 => "1 object".to_owned(),
        many => format!("{many} objects"),
    }
}

fn first(failures: &[KeyFailure]) -> String {
    failures
        .first()
        .map(|failure| format!("{:?}: {}", failure.key, failure.reason))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_has_a_name_of_its_own() {
        for code in [libc::ENOSPC, libc::EDQUOT] {
            let error = io::Error::from_raw_os_error(code);
            let error = ObjectError::disk("put", Path::new("/objects/a"), error);
            assert_eq!(error.kind(), ErrorKind::Full, "{error}");
            assert!(!error.is_transient());
        }
        let error = io::Error::from_raw_os_error(libc::EIO);
        let error = ObjectError::disk("put", Path::new("/objects/a"), error);
        assert_eq!(error.kind(), ErrorKind::Failed, "{error}");
    }

    #[test]
    fn what_was_not_deleted_is_counted() {
        let failure = |key: &str| KeyFailure {
            key: key.to_owned(),
            reason: "AccessDenied".to_owned(),
        };
        let error = ObjectError::NotDeleted {
            failures: vec![failure("a/1"), failure("a/2")],
        };
        assert_eq!(
            error.to_string(),
            "2 objects could not be deleted: \"a/1\": AccessDenied"
        );
    }
}
