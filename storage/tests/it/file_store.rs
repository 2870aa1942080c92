//! `FileStore`: the suite, and what only files have.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use storage::objects::{self, FileStore, MAX_OBJECT_BYTES, ObjectError, ObjectStore};

use crate::object_store_suite::object_store_suite;

#[tokio::test]
async fn file_store_is_an_object_store() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!(
        "file:{}",
        directory.path().join("made/when/opened").display()
    );
    object_store_suite(&*objects::open(&url).unwrap()).await;
}

#[tokio::test]
async fn two_stores_on_one_directory_see_each_other_and_keep_their_temporaries() {
    let directory = tempfile::tempdir().unwrap();
    let one = FileStore::open(directory.path()).unwrap();
    let other = FileStore::open(directory.path()).unwrap();
    one.put("a", Bytes::from_static(b"1")).await.unwrap();
    other.put("b", Bytes::from_static(b"2")).await.unwrap();
    // The second open must not have taken the first's folder of temporaries for stale.
    one.put("c", Bytes::from_static(b"3")).await.unwrap();
    assert_eq!(other.list("", None).await.unwrap().keys, ["a", "b", "c"]);
}

#[tokio::test]
async fn opening_removes_what_a_killed_process_left() {
    let directory = tempfile::tempdir().unwrap();
    let stale = directory
        .path()
        .join(".tmp/01890000-0000-7000-8000-000000000000");
    fs::create_dir_all(&stale).unwrap();
    fs::write(stale.join("live.lock"), "").unwrap();
    fs::write(stale.join("17"), "half an obj").unwrap();
    let lockless = directory
        .path()
        .join(".tmp/01890000-0000-7000-8000-000000000001");
    fs::create_dir_all(&lockless).unwrap();

    let store = FileStore::open(directory.path()).unwrap();
    assert!(!stale.exists() && !lockless.exists());
    assert!(store.list("", None).await.unwrap().keys.is_empty());
}

#[tokio::test]
async fn a_failed_put_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(directory.path()).unwrap();
    store.put("a", Bytes::from_static(b"file")).await.unwrap();
    // `a` is an object: it cannot be a folder too.
    let error = store
        .put("a/b", Bytes::from_static(b"x"))
        .await
        .unwrap_err();
    assert!(matches!(error, ObjectError::Io { .. }), "{error}");
    assert_eq!(store.get("a").await.unwrap(), "file");
    let left: Vec<_> = files_under(directory.path())
        .into_iter()
        .filter(|path| path.extension().is_none_or(|e| e != "lock"))
        .collect();
    assert_eq!(left, [directory.path().join("a")]);
}

#[tokio::test]
async fn an_object_too_large_is_refused_before_it_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(directory.path()).unwrap();
    let sparse = fs::File::create(directory.path().join("large")).unwrap();
    sparse.set_len(MAX_OBJECT_BYTES + 1).unwrap();
    let error = store.get("large").await.unwrap_err();
    assert!(matches!(error, ObjectError::TooLarge { .. }), "{error}");
}

fn files_under(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_under(&path));
        } else {
            files.push(path);
        }
    }
    files
}
