//! Reading what is in memory already, without another thread.
//!
//! A file may be on a disk that is slow or hangs, so reading one is work for a thread that
//! may block. Waking that thread costs as much as copying a segment, though, and a segment
//! that is asked for was mostly written or read a moment ago. Linux can be asked for
//! exactly that: a path that is in its cache (`openat2` with `RESOLVE_CACHED`, Linux 5.12)
//! and pages that are (`preadv2` with `RWF_NOWAIT`, Linux 4.14). Where it cannot answer
//! at once, or does not know how, the answer is no.

use std::io::IoSliceMut;
use std::path::Path;

use bytes::Bytes;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::ReadWriteFlags;

/// The largest file that is copied on the caller's thread, in bytes: a fraction of a
/// millisecond.
const MAX_BYTES: u64 = 2 * 1024 * 1024;

/// All of a file, if no disk is needed for it. `None` says nothing about the file.
pub(super) fn read(path: &Path) -> Option<Bytes> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED).ok()?;
    let stat = rustix::fs::fstat(&file).ok()?;
    let size = u64::try_from(stat.st_size).ok()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || size > MAX_BYTES {
        return None;
    }
    let mut data = vec![0; usize::try_from(size).ok()?];
    let mut read = 0;
    while read < data.len() {
        let mut rest = [IoSliceMut::new(&mut data[read..])];
        match rustix::io::preadv2(&file, &mut rest, read as u64, ReadWriteFlags::NOWAIT) {
            Ok(0) | Err(_) => return None,
            Ok(more) => read += more,
        }
    }
    Some(data.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_just_written_is_in_memory() {
        // Beside the sources: a temporary directory may be of a kind without such reads.
        let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = directory.path().join("segment");
        for size in [0, 1, 300_000, MAX_BYTES] {
            let data: Vec<u8> = (0..size).map(|index| index as u8).collect();
            std::fs::write(&path, &data).unwrap();
            assert_eq!(read(&path).as_deref(), Some(&data[..]), "{size}");
        }
    }

    #[test]
    fn what_is_not_a_file_of_that_size_is_left_to_others() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read(directory.path()), None);
        assert_eq!(read(&directory.path().join("nothing")), None);
        let large = directory.path().join("large");
        let file = std::fs::File::create(&large).unwrap();
        file.set_len(MAX_BYTES + 1).unwrap();
        assert_eq!(read(&large), None);
    }
}
