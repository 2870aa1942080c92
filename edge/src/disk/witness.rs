//! Whether a directory is the one that the last process used. While another was used, or none,
//! nobody noted in it what was purged.
//!
//! The directory and a file outside of it, the *witness*, have the same word as long as it is.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;

use super::files::{replace, sync_directory_of};

const FILE: &str = "witness";

/// Does `witness` tell of `directory`?
pub(super) fn agrees(directory: &Path, witness: &Path) -> io::Result<bool> {
    let known = read(witness)?;
    Ok(known.is_some() && known == read(&directory.join(FILE))?)
}

/// From now on it does.
pub(super) fn agree(directory: &Path, witness: &Path) -> io::Result<()> {
    let word = format!("{:016x}", RandomState::new().hash_one(directory));
    if let Some(parent) = witness.parent() {
        fs::create_dir_all(parent)?;
    }
    replace(&directory.join(FILE), &word)?;
    replace(witness, &word)
}

/// From now on it tells of no directory.
pub(super) fn leave(witness: &Path) -> io::Result<()> {
    match fs::remove_file(witness) {
        Ok(()) => sync_directory_of(witness),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// What a power cut or anything else left that is not a word is none.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(word) => Ok((word.len() == 16).then_some(word)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_of_the_last_directory_only() {
        let directory = tempfile::tempdir().unwrap();
        let [first, second, witness] = ["a", "b", "of/witness"].map(|n| directory.path().join(n));
        fs::create_dir(&first).unwrap();
        fs::create_dir(&second).unwrap();
        assert!(!agrees(&first, &witness).unwrap());
        agree(&first, &witness).unwrap();
        assert!(agrees(&first, &witness).unwrap() && !agrees(&second, &witness).unwrap());
        agree(&second, &witness).unwrap();
        assert!(agrees(&second, &witness).unwrap() && !agrees(&first, &witness).unwrap());
        for empty in [&witness, &second.join(FILE)] {
            fs::write(empty, "").unwrap();
            assert!(!agrees(&second, &witness).unwrap());
        }
        agree(&first, &witness).unwrap();
        leave(&witness).unwrap();
        leave(&witness).unwrap();
        assert!(!agrees(&first, &witness).unwrap());
    }
}
