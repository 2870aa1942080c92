//! Writers that are killed leave whole objects only.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use media::Timestamp;
use storage::objects::{
    FileStore, MIN_PART_BYTES, ObjectStore, PutOptions, Sha256, abort_stale_uploads,
};

use crate::children::{TestProcess, given_argument};
use crate::file_store::files_under;
use crate::object_store_suite::{in_pieces, pattern};

const MIB: u64 = 1024 * 1024;
/// Keys of each way to store an object: each is written over and over.
const KEYS: u64 = 2;
/// Where the rounds of the next child begin: no child comes so far.
const ROUNDS: u64 = 1 << 32;

#[tokio::test]
async fn kills_leave_whole_objects_only() {
    kill_writers(10).await;
}

#[tokio::test]
async fn long_200_kills_leave_whole_objects_only() {
    kill_writers(200).await;
}

/// How an object comes to be.
#[derive(Clone, Copy)]
enum Way {
    Put,
    Stream,
    Parts,
}

impl Way {
    fn key(self, round: u64) -> String {
        let number = round % KEYS;
        match self {
            Self::Put => format!("live/put/{number}"),
            Self::Stream => format!("live/stream/{number}"),
            Self::Parts => format!("live/parts/{number}"),
        }
    }
}

/// What a key holds after a round: the round, and bytes that follow from both, as many as
/// follow from both. An upload in parts has two.
fn body(key: &str, round: u64) -> Bytes {
    let hash = Sha256::of(format!("{key} {round}").as_bytes()).0;
    let seed = hash[..8]
        .iter()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    let length = match key.contains("/parts/") {
        true => MIN_PART_BYTES + seed % (2 * MIB),
        false => seed % (6 * MIB),
    };
    let mut body = round.to_le_bytes().to_vec();
    body.extend_from_slice(&pattern(length, seed));
    body.into()
}

/// The round of a whole object.
fn round_of(key: &str, stored: &[u8]) -> u64 {
    let round = stored.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    let round = round.unwrap_or_else(|| panic!("{key} has {} bytes", stored.len()));
    let whole = body(key, round);
    assert_eq!(stored.len(), whole.len(), "{key} of round {round}");
    let is_whole = Sha256::of(stored) == Sha256::of(&whole);
    assert!(is_whole, "{key} of round {round} is torn");
    round
}

/// Kills as many writers as told, and goes on, up to ten times as many, until one of the kills
/// has cut a file short and one has left an upload open: where a kill lands is chance.
async fn kill_writers(least: u64) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    // By key: the last round whose end the writer was told.
    let mut told = BTreeMap::<String, u64>::new();
    let (mut kills, mut cut_short, mut open_uploads) = (0, 0, 0);
    while kills < least || cut_short == 0 || open_uploads == 0 {
        assert!(kills < 10 * least, "no kill of {kills} came in between");
        let argument = format!("{} {}", kills * ROUNDS, path.display());
        let child = "object_crashes::child_stores_until_it_is_killed";
        let mut child = TestProcess::spawn(child, "", &argument);
        child.wait_for("storing").await;
        // The kill lands elsewhere each time: between any two steps of three writers.
        let random = uuid::Uuid::now_v7().as_u64_pair().1;
        for _ in 0..random % 6 {
            let stored = child.wait_for("stored ").await;
            let (round, key) = stored.split_once(' ').unwrap();
            told.insert(key.to_owned(), round.parse().unwrap());
        }
        tokio::time::sleep(Duration::from_micros((random >> 8) % 40_000)).await;
        child.kill().await;

        // Now, before whoever opens the store next clears up.
        let found = whole_objects(path);
        for (key, round) in &told {
            let stored = found.get(key).copied();
            assert!(stored >= Some(*round), "{key}: {stored:?}, told {round}");
        }
        cut_short += count(path, ".tmp", |name| name.parse::<u64>().is_ok());
        open_uploads += count(path, ".uploads", |name| name == "key");

        let store = FileStore::open(path).unwrap();
        let keys = store.list("", None).await.unwrap().keys;
        assert_eq!(keys, found.into_keys().collect::<Vec<_>>());
        abort_stale_uploads(&store, Timestamp::from_micros(i64::MAX))
            .await
            .unwrap();
        assert_eq!(fs::read_dir(path.join(".uploads")).unwrap().count(), 0);
        // Its own folder of temporaries, and the lock for opening.
        assert_eq!(fs::read_dir(path.join(".tmp")).unwrap().count(), 2);
        kills += 1;
    }
    println!("{kills} kills: {cut_short} temporaries and {open_uploads} uploads were left");
}

/// What is under a final name, which must be whole: its key and its round.
fn whole_objects(root: &Path) -> BTreeMap<String, u64> {
    let mut whole = BTreeMap::new();
    for file in files_under(root) {
        let key = file.strip_prefix(root).unwrap().to_str().unwrap();
        if !key.starts_with('.') {
            let round = round_of(key, &fs::read(&file).unwrap());
            whole.insert(key.to_owned(), round);
        }
    }
    whole
}

/// Files of such a name, anywhere below a folder of the store's own.
fn count(root: &Path, folder: &str, is_counted: fn(&str) -> bool) -> usize {
    let files = files_under(&root.join(folder));
    let names = files.iter().filter_map(|file| file.file_name()?.to_str());
    names.filter(|name| is_counted(name)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a process of the tests above"]
async fn child_stores_until_it_is_killed() {
    println!();
    let argument = given_argument();
    let (first_round, path) = argument.split_once(' ').unwrap();
    let first_round: u64 = first_round.parse().unwrap();
    let store = FileStore::open(Path::new(path)).unwrap();
    let [one, two, three] = [Way::Put, Way::Stream, Way::Parts].map(|way| {
        let store = &store;
        async move {
            for round in first_round.. {
                let key = way.key(round);
                println!("storing {round} {key}");
                store_one(store, way, &key, body(&key, round)).await;
                println!("stored {round} {key}");
            }
        }
    });
    tokio::join!(one, two, three);
}

async fn store_one(store: &FileStore, way: Way, key: &str, body: Bytes) {
    match way {
        Way::Put => store.put(key, body).await.unwrap(),
        Way::Stream => {
            let pieces = in_pieces(&body, 100_000);
            let stored = store.put_stream(key, pieces, PutOptions::default()).await;
            assert_eq!(stored.unwrap(), body.len() as u64);
        }
        Way::Parts => {
            let upload = store.create_upload(key, None).await.unwrap();
            let mut parts = Vec::new();
            let mut rest = body;
            let first = rest.split_to(MIN_PART_BYTES as usize);
            for (number, part) in [(1, first), (2, rest)] {
                let part = store.upload_part(key, &upload, number, part).await;
                parts.push(part.unwrap());
            }
            store.complete_upload(key, &upload, &parts).await.unwrap();
        }
    }
}
