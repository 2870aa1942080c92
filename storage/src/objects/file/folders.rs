//! Which folders a power cut keeps.
//!
//! A folder's name stands in its parent, so a name in a new folder lasts when every folder
//! above it has been flushed too. Whoever made a folder may not have come that far, in this
//! process or in another: so each process flushes every folder's parent once itself, and
//! remembers which folder that was, not only its path.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// The most folders that are remembered. Forgetting them costs flushes.
const REMEMBERED: usize = 4_096;

/// Folders whose names last, and the names of all above them up to the root.
#[derive(Debug, Default)]
pub(super) struct Folders(Mutex<HashSet<Identity>>);

/// Device, inode and birth. A folder that is removed and made again has the same path, and
/// often the same inode.
type Identity = (u64, u64, SystemTime);

impl Folders {
    /// Makes the names in `folder` last, its own, and those above it up to `root`.
    pub(super) fn flush(
        &self,
        root: &Path,
        folder: &Path,
        mut sync: impl FnMut(&Path) -> io::Result<()>,
    ) -> io::Result<()> {
        sync(folder)?;
        let mut flushed = Vec::new();
        for folder in folder.ancestors().take_while(|folder| *folder != root) {
            // Before its parent is flushed: what is made in its place afterwards is another.
            let identity = match identity(folder) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                identity => identity?,
            };
            if identity.is_some_and(|identity| self.lasts(&identity)) {
                break;
            }
            sync(folder.parent().unwrap_or(root))?;
            flushed.extend(identity);
        }
        self.remember(flushed);
        Ok(())
    }

    fn lasts(&self, identity: &Identity) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(identity)
    }

    fn remember(&self, flushed: Vec<Identity>) {
        if flushed.is_empty() {
            return;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() + flushed.len() > REMEMBERED {
            known.clear();
        }
        known.extend(flushed);
    }
}

/// `None` on a file system that does not know when a folder was made.
fn identity(folder: &Path) -> io::Result<Option<Identity>> {
    let metadata = fs::metadata(folder)?;
    let born = metadata.created().ok();
    Ok(born.map(|born| (metadata.dev(), metadata.ino(), born)))
}

/// The folders that have to be made so that `folder` is there.
pub(super) fn missing_folders(folder: &Path) -> Vec<PathBuf> {
    let missing = folder.ancestors().take_while(|path| !path.exists());
    missing.map(Path::to_owned).collect()
}

/// Makes the names in the root of a store last, the root's own, and those of `made`, which
/// were made above it.
pub(super) fn flush_root(
    root: &Path,
    made: &[PathBuf],
    mut sync: impl FnMut(&Path) -> io::Result<()>,
) -> io::Result<()> {
    sync(root)?;
    let above = made.iter().filter_map(|folder| folder.parent());
    for parent in root.parent().into_iter().chain(above.skip(1)) {
        match sync(parent) {
            // It is somebody else's, and so was the making of what is in it.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
            synced => synced?,
        }
    }
    Ok(())
}

pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    // The parent of a relative path may be the working directory.
    let here = folder.as_os_str().is_empty();
    match File::open(if here { Path::new(".") } else { folder }) {
        Ok(folder) => folder.sync_all(),
        // A `delete_prefix` came after the rename: there is no name left to keep.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which folders a flush of `folder` flushes, below the root.
    fn flushed(folders: &Folders, root: &Path, folder: &str) -> Vec<String> {
        let mut seen = Vec::new();
        let sync = |path: &Path| {
            seen.push(shown(root, path));
            Ok(())
        };
        folders.flush(root, &root.join(folder), sync).unwrap();
        seen
    }

    fn shown(root: &Path, path: &Path) -> String {
        path.strip_prefix(root).unwrap().display().to_string()
    }

    #[test]
    fn each_name_above_is_flushed_once() {
        // Beside the sources: a temporary directory may be of a kind without births.
        let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let (root, folders) = (directory.path(), Folders::default());
        fs::create_dir_all(root.join("a/b/c")).unwrap();
        assert_eq!(flushed(&folders, root, ""), [""]);
        // `rename` had no folder to make, and still nobody knows whether they last.
        assert_eq!(flushed(&folders, root, "a/b/c"), ["a/b/c", "a/b", "a", ""]);
        assert_eq!(flushed(&folders, root, "a/b/c"), ["a/b/c"]);
        assert_eq!(flushed(&folders, root, "a/b"), ["a/b"]);
        fs::create_dir(root.join("a/b/d")).unwrap();
        assert_eq!(flushed(&folders, root, "a/b/d"), ["a/b/d", "a/b"]);
        assert_eq!(flushed(&Folders::default(), root, "a"), ["a", ""]);
    }

    #[test]
    fn nobody_relies_on_a_flush_that_is_under_way() {
        let directory = tempfile::tempdir().unwrap();
        let (root, folders) = (directory.path(), Folders::default());
        fs::create_dir_all(root.join("a/b")).unwrap();
        let mut others = Vec::new();
        let sync = |path: &Path| {
            if shown(root, path) == "a" {
                // Another put comes between the folder's flush and its parent's.
                others = flushed(&folders, root, "a/b");
            }
            Ok(())
        };
        folders.flush(root, &root.join("a/b"), sync).unwrap();
        assert_eq!(others, ["a/b", "a", ""]);
    }

    #[test]
    fn what_was_not_flushed_is_not_remembered() {
        let directory = tempfile::tempdir().unwrap();
        let (root, folders) = (directory.path(), Folders::default());
        fs::create_dir_all(root.join("a/b")).unwrap();
        let failing = |path: &Path| match &*shown(root, path) {
            "" => Err(io::Error::from_raw_os_error(libc::EIO)),
            _ => Ok(()),
        };
        folders.flush(root, &root.join("a/b"), failing).unwrap_err();
        assert_eq!(flushed(&folders, root, "a/b"), ["a/b", "a", ""]);
    }

    #[test]
    fn a_folder_that_was_made_again_is_another() {
        let directory = tempfile::tempdir().unwrap();
        let (root, folders) = (directory.path(), Folders::default());
        let a = root.join("a");
        fs::create_dir_all(a.join("b")).unwrap();
        assert_eq!(flushed(&folders, root, "a/b"), ["a/b", "a", ""]);
        let births = || [&a, &a.join("b")].map(|path| fs::metadata(path).unwrap().created().ok());
        let before = births();
        // A disk's clock ticks a few hundred times a second, slower than this.
        while births()
            .iter()
            .zip(&before)
            .any(|(now, before)| now.is_some() && now == before)
        {
            fs::remove_dir_all(&a).unwrap();
            fs::create_dir_all(a.join("b")).unwrap();
        }
        assert_eq!(flushed(&folders, root, "a/b"), ["a/b", "a", ""]);
        fs::remove_dir_all(&a).unwrap();
        assert_eq!(flushed(&folders, root, "a/b"), ["a/b"]);
    }

    #[test]
    fn only_so_many_are_remembered() {
        let folders = Folders::default();
        let born = SystemTime::UNIX_EPOCH;
        for inode in 0..2 * REMEMBERED as u64 {
            folders.remember(vec![(0, inode, born)]);
            assert!(folders.lasts(&(0, inode, born)));
        }
        assert!(folders.0.lock().unwrap().len() <= REMEMBERED);
    }

    #[test]
    fn a_root_and_what_was_made_for_it_last() {
        let mut seen = Vec::new();
        let mut sync = |path: &Path| {
            seen.push(path.display().to_string());
            match path.ends_with("var") {
                // Not ours to read.
                true => Err(ErrorKind::PermissionDenied.into()),
                false => Ok(()),
            }
        };
        flush_root(Path::new("/var/there"), &[], &mut sync).unwrap();
        let made = ["/var/a/b/c", "/var/a/b", "/var/a"].map(PathBuf::from);
        flush_root(&made[0], &made, &mut sync).unwrap();
        flush_root(Path::new("objects"), &[], &mut sync).unwrap();
        let root = ["/var/there", "/var"];
        let new = ["/var/a/b/c", "/var/a/b", "/var/a", "/var"];
        assert_eq!(seen, [&root[..], &new, &["objects", ""]].concat());
    }
}
