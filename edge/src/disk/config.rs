//! What an operator may set of the disk tier, and why it does not open.

use std::io;
use std::path::PathBuf;

/// Directory and limits of a [`Disk`](crate::Disk).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskConfig {
    /// A directory of its own. One process has it at a time.
    pub directory: PathBuf,
    /// A file outside of the directory that says whether it is the one that was used last. If
    /// another was since, or none ([`Disk::leave`](crate::Disk::leave)), purges may have been
    /// missed, and nothing in it is used. None: it is taken for granted.
    pub witness: Option<PathBuf>,
    /// Bytes that the files may take; the journal takes up to 100 for each file more.
    pub bytes: u64,
    /// Files at most. Each takes about 100 bytes of memory. Fewer than 2^32.
    pub files: u64,
    /// What will be of no use after so many seconds is not written.
    pub min_seconds: u32,
    /// Bytes of the largest object that is written as one file. A larger one is stored in
    /// slices, if its length is known and it has a strong validator. At most
    /// `max_object_bytes` of the edge.
    pub slice_threshold: u64,
    /// Files that are read or written at one time.
    pub max_operations: usize,
    /// Bytes that wait to be written. What finds no room is not written.
    pub max_waiting_bytes: u64,
}

impl DiskConfig {
    /// The defaults, in `directory` and of this size.
    pub fn new(directory: PathBuf, bytes: u64) -> Self {
        Self {
            directory,
            witness: None,
            bytes,
            // Of 16 KiB on average; a segment has more.
            files: (bytes / (16 << 10)).clamp(1_000, 16_000_000),
            min_seconds: 30,
            slice_threshold: 8 << 20,
            max_operations: 32,
            max_waiting_bytes: 64 << 20,
        }
    }
}

/// Why a disk tier does not open.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Another process uses the directory.
    #[error("the disk cache in {} is in use by another process; give each its own directory", .0.display())]
    InUse(PathBuf),
    /// The directory or its journal cannot be read or written.
    #[error("the disk cache in {} cannot be opened: {source}", directory.display())]
    Io {
        /// The directory.
        directory: PathBuf,
        /// What failed.
        source: io::Error,
    },
}

/// What the disk tier has, and whether it works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskStatus {
    /// Space that the files take.
    pub bytes: u64,
    /// Files.
    pub files: u64,
    /// Bytes that wait to be written.
    pub waiting_bytes: u64,
    /// It is left alone for a while, because reading or writing failed.
    pub is_paused: bool,
}
