//! The file of one entry: who it is, what it says, and a checksum for each block of it.
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | the format |
//! | 8 | id, which no other file ever had |
//! | 8 | name |
//! | 8 | bytes of the body |
//! | 8 | bytes of the description |
//! | .. | the description |
//! | 8 each | a checksum of each 64 KiB of the body |
//! | 8 | a checksum of all before |
//! | .. | the body |
//!
//! Numbers are little-endian. All checksums are seeded with the id, so that a piece of
//! another file is as damaged as a flipped bit.

use std::fs::File;
use std::hash::Hasher;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;
use twox_hash::XxHash3_64;

const FORMAT: [u8; 8] = *b"NovaEdg1";
/// Bytes that a checksum stands for.
pub(super) const BLOCK_BYTES: u64 = 64 << 10;
const PREAMBLE_BYTES: usize = 40;
const CHECKSUM_BYTES: usize = 8;
/// Bytes of the longest description: of a head whose fields fill what HTTP allows here.
const MAX_DESCRIPTION_BYTES: u64 = 1 << 20;
/// Bytes of the longest body; the journal counts a file in 32 bits.
pub(super) const MAX_BODY_BYTES: u64 = 1 << 31;
/// What is read of a file first. Most heads fit.
const FIRST_READ_BYTES: usize = 8 << 10;

/// XXH3 of `bytes`.
pub(super) fn checksum(seed: u64, bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(seed, bytes)
}

/// Which file an entry is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: u64,
    pub(super) name: u64,
}

/// What stands before a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Front {
    identity: Identity,
    pub(super) description: Vec<u8>,
    pub(super) body_bytes: u64,
    blocks: Vec<u64>,
    /// Where the body begins.
    body_at: u64,
}

/// Why a file gives nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    #[error("the file is gone")]
    Missing,
    /// Which check failed.
    #[error("the file is damaged: {0}")]
    Damaged(&'static str),
    #[error(transparent)]
    Io(io::Error),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            // It was measured before: somebody cut it since.
            io::ErrorKind::UnexpectedEof => Self::Damaged("it is shorter than it was"),
            _ => Self::Io(error),
        }
    }
}

/// What [`Front::parse`] makes of the beginning of a file.
#[derive(Debug)]
pub(super) enum Parsed {
    Front(Front),
    /// So many bytes of the file are needed.
    Needs(usize),
}

impl Front {
    /// Reads the front of the file of `identity`, which has `file_bytes` bytes, from its first
    /// bytes.
    pub(super) fn parse(
        start: &[u8],
        identity: Identity,
        file_bytes: u64,
    ) -> Result<Parsed, Unread> {
        let word = |at: usize| {
            let bytes: Option<[u8; 8]> = start.get(at..at + 8).and_then(|b| b.try_into().ok());
            bytes.map(u64::from_le_bytes)
        };
        let (Some(id), Some(name), Some(body_bytes), Some(description_bytes)) =
            (word(8), word(16), word(24), word(32))
        else {
            return needs(PREAMBLE_BYTES as u64, file_bytes);
        };
        if start[..8] != FORMAT {
            return Err(Unread::Damaged("it has another format"));
        }
        if (Identity { id, name }) != identity {
            return Err(Unread::Damaged("it is another entry's"));
        }
        if body_bytes > MAX_BODY_BYTES || description_bytes > MAX_DESCRIPTION_BYTES {
            return Err(Unread::Damaged("its lengths cannot be"));
        }
        let blocks = body_bytes.div_ceil(BLOCK_BYTES);
        let described = PREAMBLE_BYTES as u64 + description_bytes;
        let summed = described + blocks * CHECKSUM_BYTES as u64;
        let body_at = summed + CHECKSUM_BYTES as u64;
        if body_at + body_bytes != file_bytes {
            return Err(Unread::Damaged("it has another length than it says"));
        }
        // Below the limits above, so they fit.
        let (described, summed) = (described as usize, summed as usize);
        let Some(sum) = word(summed) else {
            return needs(body_at, file_bytes);
        };
        if sum != checksum(id, &start[..summed]) {
            return Err(Unread::Damaged("its head has another checksum"));
        }
        let table = start[described..summed].chunks_exact(CHECKSUM_BYTES);
        Ok(Parsed::Front(Self {
            identity,
            description: start[PREAMBLE_BYTES..described].to_vec(),
            body_bytes,
            blocks: table
                .filter_map(|sum| sum.try_into().ok().map(u64::from_le_bytes))
                .collect(),
            body_at,
        }))
    }

    /// The blocks that `bytes` of the body lie in, as bytes of the body.
    pub(super) fn blocks_around(&self, bytes: &Range<u64>) -> Range<u64> {
        let start = bytes.start / BLOCK_BYTES * BLOCK_BYTES;
        let end = bytes.end.div_ceil(BLOCK_BYTES) * BLOCK_BYTES;
        start..end.min(self.body_bytes)
    }

    /// Are `read`, from the beginning of a block on, the bytes that were written?
    pub(super) fn verify(&self, at: u64, read: &[u8]) -> Result<(), Unread> {
        let first = at / BLOCK_BYTES;
        for (number, block) in (first..).zip(read.chunks(BLOCK_BYTES as usize)) {
            let known = usize::try_from(number)
                .ok()
                .and_then(|n| self.blocks.get(n));
            if known != Some(&checksum(seed(self.identity.id, number), block)) {
                return Err(Unread::Damaged("a block has another checksum"));
            }
        }
        Ok(())
    }
}

fn needs(bytes: u64, file_bytes: u64) -> Result<Parsed, Unread> {
    match usize::try_from(bytes) {
        Ok(needed) if bytes <= file_bytes => Ok(Parsed::Needs(needed)),
        _ => Err(Unread::Damaged("it is too short")),
    }
}

/// Tells the same bytes in two blocks of one file apart.
fn seed(id: u64, block: u64) -> u64 {
    id ^ (block + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// What [`write`] puts before this body.
pub(super) fn front(identity: Identity, description: &[u8], body: &[Bytes]) -> Vec<u8> {
    let body_bytes: u64 = body.iter().map(|piece| piece.len() as u64).sum();
    let mut front = Vec::with_capacity(PREAMBLE_BYTES + description.len() + 64);
    front.extend(FORMAT);
    for number in [
        identity.id,
        identity.name,
        body_bytes,
        description.len() as u64,
    ] {
        front.extend(number.to_le_bytes());
    }
    front.extend(description);
    let mut block = 0;
    let mut room = BLOCK_BYTES as usize;
    let mut hasher = XxHash3_64::with_seed(seed(identity.id, block));
    for piece in body {
        let mut rest = &piece[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(room));
            hasher.write(now);
            room -= now.len();
            rest = later;
            if room == 0 {
                front.extend(hasher.finish().to_le_bytes());
                block += 1;
                room = BLOCK_BYTES as usize;
                hasher = XxHash3_64::with_seed(seed(identity.id, block));
            }
        }
    }
    if room < BLOCK_BYTES as usize {
        front.extend(hasher.finish().to_le_bytes());
    }
    let sum = checksum(identity.id, &front);
    front.extend(sum.to_le_bytes());
    front
}

/// Writes a file whole. Not synced: what a power cut leaves of it has another checksum.
pub(super) fn write(path: &Path, front: &[u8], body: &[Bytes]) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(BLOCK_BYTES as usize, File::create(path)?);
    file.write_all(front)?;
    for piece in body {
        file.write_all(piece)?;
    }
    file.flush()
}

/// A file whose front is whole.
#[derive(Debug)]
pub(super) struct EntryFile {
    file: File,
    pub(super) front: Front,
}

impl EntryFile {
    pub(super) fn open(path: &Path, identity: Identity) -> Result<Self, Unread> {
        let file = File::open(path)?;
        let file_bytes = file.metadata()?.len();
        let mut wanted = FIRST_READ_BYTES;
        loop {
            let most = usize::try_from(file_bytes).unwrap_or(usize::MAX);
            let mut start = vec![0; wanted.min(most)];
            file.read_exact_at(&mut start, 0)?;
            match Front::parse(&start, identity, file_bytes)? {
                Parsed::Front(front) => return Ok(Self { file, front }),
                Parsed::Needs(bytes) => wanted = bytes,
            }
        }
    }

    /// These bytes of the body, and nothing that was not written so.
    pub(super) fn read(&self, bytes: Range<u64>) -> Result<Bytes, Unread> {
        let around = self.front.blocks_around(&bytes);
        let length = around.end.saturating_sub(around.start);
        let length = usize::try_from(length).map_err(|_| Unread::Damaged("it is too long"))?;
        let mut read = vec![0; length];
        self.file
            .read_exact_at(&mut read, self.front.body_at + around.start)?;
        self.front.verify(around.start, &read)?;
        let from = (bytes.start - around.start) as usize;
        let to = from + (bytes.end.min(self.front.body_bytes) - bytes.start) as usize;
        Ok(Bytes::from(read).slice(from..to))
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
