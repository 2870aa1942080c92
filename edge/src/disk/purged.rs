//! The last purge, as it outlives the process: of what was stored before nobody knows after a
//! restart whether it was purged.

use std::fs;
use std::io;
use std::path::Path;

use super::file::checksum;
use super::files::replace;

/// Its file holds Unix time in microseconds, in digits, and a checksum of these.
const FILE: &str = "purged";
const SEED: u64 = 0x7075_7267_6564_2031;

/// Whole or not there, and synced.
pub(super) fn write(directory: &Path, micros: i64) -> io::Result<()> {
    let digits = micros.to_string();
    let sum = checksum(SEED, digits.as_bytes());
    replace(&directory.join(FILE), &format!("{digits} {sum:016x}"))
}

/// None where nothing was purged. A damaged file counts as a purge at `now`.
pub(super) fn read(directory: &Path, now: i64) -> io::Result<Option<i64>> {
    match fs::read(directory.join(FILE)) {
        Ok(bytes) => Ok(Some(parse(&bytes).unwrap_or_else(|| {
            tracing::warn!("the time of the last purge is damaged: nothing on disk is used");
            now
        }))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn parse(bytes: &[u8]) -> Option<i64> {
    let (digits, sum) = std::str::from_utf8(bytes).ok()?.split_once(' ')?;
    let is_whole = sum == format!("{:016x}", checksum(SEED, digits.as_bytes()));
    is_whole.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written_and_a_damaged_one_says_now() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        assert_eq!(read(directory, 9).unwrap(), None);
        for micros in [5, 7] {
            write(directory, micros).unwrap();
            assert_eq!(read(directory, 9).unwrap(), Some(micros));
        }
        let whole = fs::read(directory.join(FILE)).unwrap();
        let cuts = (0..whole.len()).map(|length| whole[..length].to_vec());
        let flips = (0..whole.len() * 8).map(|bit| {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            flipped
        });
        for damaged in cuts.chain(flips).chain([b"7".to_vec(), b"7 0".to_vec()]) {
            fs::write(directory.join(FILE), &damaged).unwrap();
            assert_eq!(read(directory, 9).unwrap(), Some(9), "{damaged:?}");
        }
    }
}
