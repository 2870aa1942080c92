//! What only files have; the suite is in `object_stores`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use storage::objects::{
    self, Durability, ErrorKind, FileStore, MAX_KEY_BYTES, MAX_OBJECT_BYTES, MIN_PART_BYTES,
    ObjectError, ObjectStore, ObjectsConfig, PutOptions, UploadedPart,
};

use crate::object_store_suite::pattern;
use crate::processes::{Lines, given, test_process};

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
    assert_eq!(objects_in(directory.path()), [directory.path().join("a")]);
}

#[tokio::test]
async fn a_stream_that_nobody_waits_for_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(directory.path()).unwrap();
    let body = pattern(3_000_000, 1);
    let (taken, mut begun) = tokio::sync::mpsc::unbounded_channel();
    // Three megabytes, and then nothing more ever.
    let pieces = stream::iter([Ok(body)]).chain(stream::pending());
    let pieces = pieces.inspect(move |_| taken.send(()).unwrap());
    {
        let put = store.put_stream("a", Box::pin(pieces), PutOptions::default());
        tokio::select! {
            put = put => panic!("{put:?}"),
            begun = begun.recv() => assert!(begun.is_some()),
        }
    }
    // The write under way goes on, on its thread, and then removes what it wrote.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !objects_in(directory.path()).is_empty() {
        assert!(std::time::Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_upload_in_parts_outlives_its_process() {
    let directory = tempfile::tempdir().unwrap();
    let one = pattern(MIN_PART_BYTES, 2);
    let upload = {
        let store = FileStore::open(directory.path()).unwrap();
        let upload = store.create_upload("a/b", None).await.unwrap();
        store
            .upload_part("a/b", &upload, 1, one.clone())
            .await
            .unwrap();
        upload
    };
    let store = FileStore::open(directory.path()).unwrap();
    let found = store.list_uploads(None).await.unwrap().uploads;
    assert_eq!((&*found[0].key, &found[0].id), ("a/b", &upload));
    let mut parts: Vec<UploadedPart> = store.list_parts("a/b", &upload).await.unwrap();
    let last = Bytes::from_static(b"last");
    parts.push(
        store
            .upload_part("a/b", &upload, 2, last.clone())
            .await
            .unwrap(),
    );
    store.complete_upload("a/b", &upload, &parts).await.unwrap();
    assert_eq!(store.get("a/b").await.unwrap(), [one, last].concat());
    drop(store);
    let left = objects_in(directory.path());
    assert_eq!(left, [directory.path().join("a/b")]);
}

#[tokio::test]
async fn the_longest_keys_are_files() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(directory.path()).unwrap();
    let key = ["x"; 3].map(|x| x.repeat(255)).join("/");
    assert!((MAX_KEY_BYTES - 10..=MAX_KEY_BYTES).contains(&key.len()));
    store.put(&key, Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(store.list("", None).await.unwrap().keys, [key]);
}

#[tokio::test]
async fn what_is_no_object_is_not_listed() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(directory.path()).unwrap();
    for name in [".DS_Store", "with space", "lost~"] {
        fs::write(directory.path().join(name), "").unwrap();
    }
    assert!(store.list("", None).await.unwrap().keys.is_empty());
}

/// Root may write everywhere, so this process becomes somebody else.
fn become_nobody() {
    const NOBODY: libc::uid_t = 65_534;
    // SAFETY: they read and set this process's user, and touch no memory.
    unsafe {
        if libc::geteuid() == 0 {
            assert_eq!(libc::setuid(NOBODY), 0);
        }
    }
}

#[tokio::test]
async fn a_folder_goes_but_for_what_will_not() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(directory.path()).unwrap();
    for key in ["d/1", "d/kept/2", "d/z/3"] {
        store.put(key, Bytes::from_static(b"x")).await.unwrap();
    }
    drop(store);
    // Anyone may write anywhere, but nobody in one folder.
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    for path in folders_under(directory.path()) {
        mode(&path, 0o777);
    }
    mode(&directory.path().join(".tmp/open.lock"), 0o666);
    mode(&directory.path().join("d/kept"), 0o555);
    let path = directory.path().display().to_string();
    let mut child = test_process("file_store::child_deletes_what_it_may", "", &path)
        .spawn()
        .unwrap();
    Lines::of(&mut child).wait_for("deleted").await;
    mode(&directory.path().join("d/kept"), 0o755);
}

#[tokio::test]
#[ignore = "a process of a_folder_goes_but_for_what_will_not"]
async fn child_deletes_what_it_may() {
    become_nobody();
    let store = FileStore::open(Path::new(&given("TEST_ARGUMENT"))).unwrap();
    let error = store.delete_prefix("d/").await.unwrap_err();
    let ObjectError::NotDeleted { failures } = error else {
        panic!("{error}");
    };
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0].key, "d/kept/2");
    assert_eq!(store.list("", None).await.unwrap().keys, ["d/kept/2"]);
    println!("\ndeleted");
}

fn folders_under(directory: &Path) -> Vec<PathBuf> {
    let mut folders = vec![directory.to_owned()];
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            folders.extend(folders_under(&path));
        }
    }
    folders
}

fn files_at(path: &Path) -> ObjectsConfig {
    ObjectsConfig {
        url: format!("file:{}", path.display()),
        ..ObjectsConfig::default()
    }
}

#[tokio::test]
async fn a_file_in_place_of_the_directory_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = objects::open(&files_at(&path)).await.unwrap_err();
        assert!(matches!(error, ObjectError::NotADirectory(_)), "{error}");
        let sentence = error.to_string();
        assert!(sentence.contains(&*path.to_string_lossy()), "{sentence}");
        assert!(sentence.contains("objects.url"), "{sentence}");
    }
}

#[tokio::test]
async fn a_read_only_directory_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o555)).unwrap();
    let path = directory.path().display().to_string();
    let mut child = test_process("file_store::child_opens_a_read_only_directory", "", &path)
        .spawn()
        .unwrap();
    Lines::of(&mut child).wait_for("refused").await;
}

#[tokio::test]
#[ignore = "a process of a_read_only_directory_says_what_to_do"]
async fn child_opens_a_read_only_directory() {
    become_nobody();
    let path = given("TEST_ARGUMENT");
    let error = objects::open(&files_at(Path::new(&path)))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    let sentence = error.to_string();
    assert!(sentence.contains(&path), "{sentence}");
    assert!(sentence.contains("write permission"), "{sentence}");
    println!("\nrefused");
}

#[tokio::test]
async fn a_directory_that_goes_away_is_unhealthy() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("objects");
    let store = FileStore::open_with(&path, Durability::Process).unwrap();
    store.health().await.unwrap();
    fs::remove_dir_all(&path).unwrap();
    store.health().await.unwrap_err();
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

/// All files but locks: objects, temporaries, parts.
fn objects_in(directory: &Path) -> Vec<PathBuf> {
    let mut files = files_under(directory);
    files.retain(|path| path.extension().is_none_or(|extension| extension != "lock"));
    files
}

pub(crate) fn files_under(directory: &Path) -> Vec<PathBuf> {
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
