//! The last purge, as it outlives the process: of what was stored before nobody knows after a
//! restart whether it was purged.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Its file holds Unix time in microseconds, in digits.
const FILE: &str = "purged";
const NEW_FILE: &str = "purged.new";

/// Whole or not there, and synced.
pub(super) fn write(directory: &Path, micros: i64) -> io::Result<()> {
    let new = directory.join(NEW_FILE);
    let mut file = File::create(&new)?;
    write!(file, "{micros}")?;
    file.sync_all()?;
    fs::rename(new, directory.join(FILE))?;
    File::open(directory)?.sync_all()
}

/// None where nothing was purged. A file that says nothing counts as purged at `now`.
pub(super) fn read(directory: &Path, now: i64) -> io::Result<Option<i64>> {
    match fs::read_to_string(directory.join(FILE)) {
        Ok(text) => Ok(Some(text.parse().unwrap_or(now))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Some(now)),
        Err(error) => Err(error),
    }
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
        for damaged in [&b""[..], b"7x", b"\xff"] {
            fs::write(directory.join(FILE), damaged).unwrap();
            assert_eq!(read(directory, 9).unwrap(), Some(9));
        }
    }
}
