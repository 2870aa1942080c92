//! Reading what is in memory already, without another thread.
//!
//! A file may be on a disk that is slow or hangs, so reading one is work for a thread that
//! may block. Waking that thread costs as much as copying a segment, though, and a segment
//! that is asked for was mostly written or read a moment ago. Linux can be asked for
//! exactly that: a path that is in its cache (`openat2` with `RESOLVE_CACHED`, Linux 5.12)
//! and pages that are (`preadv2` with `RWF_NOWAIT`, Linux 4.14). Where it cannot answer
//! at once, or does not know how, the answer is no.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use bytes::Bytes;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};

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
    let size = usize::try_from(size).ok()?;
    let mut data = Vec::with_capacity(size);
    while data.len() < size {
        if read_more(&file, &mut data, size)? == 0 {
            return None;
        }
    }
    Some(data.into())
}

/// Appends what is in memory of the file, up to `size` bytes in all, and tells how much that
/// was. Writing zeros into a megabyte first would cost a fifth of the whole.
fn read_more(file: &OwnedFd, data: &mut Vec<u8>, size: usize) -> Option<usize> {
    let filled = data.len();
    let spare = data.spare_capacity_mut();
    let room = spare.len().min(size - filled);
    let part = libc::iovec {
        iov_base: spare.as_mut_ptr().cast(),
        iov_len: room,
    };
    let offset = libc::off_t::try_from(filled).ok()?;
    // SAFETY: the file is open, and the one part is memory of ours that nobody else uses,
    // of which at most `room` bytes are written.
    let read = unsafe { libc::preadv2(file.as_raw_fd(), &part, 1, offset, libc::RWF_NOWAIT) };
    let read = usize::try_from(read).ok()?;
    // SAFETY: the kernel has written so many bytes behind what was there, within the capacity.
    unsafe { data.set_len(filled + read.min(room)) };
    Some(read)
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
