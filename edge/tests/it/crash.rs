//! A process that is killed while it writes: what comes back is whole, and nothing that was
//! invalidated.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use edge::{DiskConfig, EdgeConfig};
use proptest::prelude::*;

use crate::disk::disk;
use crate::origin::*;

/// Names the directory of the process that is to be killed.
const DIRECTORY: &str = "NOVA_EDGE_CRASH_DIRECTORY";
const KEYS: u64 = 12;
const ROUNDS: u64 = 12;

/// What an answer says: its key and version, over and over, as long as the key makes it.
fn content(key: u64, version: u64) -> Vec<u8> {
    let line = format!("{key} {version}\n");
    line.repeat(usize::try_from(1 + key * key * 400).unwrap())
        .into_bytes()
}

/// An origin that gives the version that the last POST to a key made.
fn origin(versions: Arc<Vec<AtomicU64>>) -> Origin {
    Origin::told(move |_, request| {
        let key: u64 = request.uri().path()[1..].parse().unwrap();
        let version = &versions[usize::try_from(key).unwrap()];
        let answer = match request.method().as_str() {
            "POST" => {
                version.fetch_add(1, Ordering::SeqCst);
                response(204, &[], OriginBody::whole(""))
            }
            _ => {
                let (pieces, body) = OriginBody::open();
                let content = content(key, version.load(Ordering::SeqCst));
                pieces.send(Ok(content.into())).unwrap();
                response(200, &[("cache-control", "max-age=6000")], body)
            }
        };
        async move { Ok(answer) }
    })
}

fn versions(start: u64) -> Arc<Vec<AtomicU64>> {
    Arc::new((0..KEYS).map(|_| AtomicU64::new(start)).collect())
}

fn small_memory() -> EdgeConfig {
    EdgeConfig {
        memory_bytes: 0,
        ..EdgeConfig::general()
    }
}

/// The process that is killed: asks and changes for ever, and says what it has changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let start: u64 = std::env::var("START").unwrap().parse().unwrap();
    let config = DiskConfig::new(directory.into(), 1 << 20);
    let house = House::on_disk(origin(versions(start)), small_memory(), &config);
    for step in start.. {
        let key = step * 7 % KEYS;
        let got = house.get(&format!("/{key}")).await;
        bytes(got).await.unwrap();
        if step % 5 == 0 {
            let key = step * 3 % KEYS;
            house.ask(send_with("POST", &format!("/{key}"), &[])).await;
            println!("changed {key} {step}");
        }
    }
}

/// Whatever the disk gives: it is whole, and of the version that is current or a later one.
async fn check(directory: &tempfile::TempDir, least: &HashMap<u64, u64>) -> usize {
    let config = DiskConfig::new(directory.path().to_owned(), 1 << 20);
    let house = House::on_disk(origin(versions(0)), small_memory(), &config);
    let mut hits = 0;
    for key in 0..KEYS {
        let only = [("cache-control", "only-if-cached")];
        let given = house.ask(get_with(&format!("/{key}"), &only)).await;
        if given.status() == 504 {
            continue;
        }
        hits += 1;
        assert_eq!(given.status(), 200);
        let body = bytes(given).await.unwrap();
        let text = std::str::from_utf8(&body).unwrap();
        let (of, version) = text.lines().next().unwrap().split_once(' ').unwrap();
        assert_eq!(of, key.to_string());
        let version: u64 = version.parse().unwrap();
        assert_eq!(body, content(key, version));
        let least = least.get(&key).copied().unwrap_or(0);
        assert!(
            version >= least,
            "{key}: {version} was invalidated, {least} is current"
        );
    }
    assert_eq!(house.origin.calls(), 0);
    hits
}

#[tokio::test]
async fn e08_a_killed_process_leaves_nothing_damaged_and_nothing_invalidated() {
    let directory = tempfile::tempdir().unwrap();
    let mut least: HashMap<u64, u64> = HashMap::new();
    let mut hits = 0;
    for round in 0..ROUNDS {
        // Versions go on where no earlier process was.
        let start = round * 1_000_000;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .env("START", start.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut changes: HashMap<u64, u64> = HashMap::new();
        // Killed at another point each time.
        for _ in 0..=round * 7 % 40 {
            read_change(&mut lines, start, &mut changes, &mut least);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        while read_change(&mut lines, start, &mut changes, &mut least) {}
        hits += check(&directory, &least).await;
    }
    assert!(hits > 0);
}

/// Reads what the child says next; false at its end. Each change makes the next version.
fn read_change(
    lines: &mut impl Iterator<Item = std::io::Result<String>>,
    start: u64,
    changes: &mut HashMap<u64, u64>,
    least: &mut HashMap<u64, u64>,
) -> bool {
    for line in lines {
        let line = line.unwrap();
        let Some((_, change)) = line.split_once("changed ") else {
            continue;
        };
        let key: u64 = change.split(' ').next().unwrap().parse().unwrap();
        let count = changes.entry(key).or_default();
        *count += 1;
        least.insert(key, start + *count);
        return true;
    }
    false
}

/// What a power cut may leave of a file.
#[derive(Debug, Clone)]
enum Damage {
    Cut(prop::sample::Index),
    Flip(prop::sample::Index, u8),
    Zero(prop::sample::Index),
    Mix(prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        at().prop_map(Damage::Cut),
        (at(), 0..8u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        at().prop_map(Damage::Zero),
        at().prop_map(Damage::Mix),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Any damage to any files, the journal among them: what is given is whole.
    #[test]
    fn a_power_cut_leaves_nothing_damaged(
        damages in proptest::collection::vec((any::<prop::sample::Index>(), damage()), 1..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let versions = versions(3);
            let origin = origin(Arc::clone(&versions));
            let house = House::on_disk(origin, small_memory(), &disk(&directory));
            for key in 0..KEYS {
                bytes(house.get(&format!("/{key}")).await).await.unwrap();
            }
            house.written(KEYS).await;
            // These stay on disk, and only `purged` tells of it.
            house.purge("everything", "");
            versions[0].fetch_add(1, Ordering::SeqCst);
            bytes(house.get("/0").await).await.unwrap();
            within(house.edge.shutdown()).await;
            drop(house);
            let mut files = vec![directory.path().join("journal"), directory.path().join("purged")];
            for entry in std::fs::read_dir(directory.path()).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    files.extend(std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path()));
                }
            }
            files.sort();
            for (file, damage) in damages {
                let path = file.get(&files);
                let mut bytes = std::fs::read(path).unwrap();
                if bytes.is_empty() {
                    continue;
                }
                let length = bytes.len();
                match damage {
                    Damage::Cut(at) => bytes.truncate(at.index(length)),
                    Damage::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
                    Damage::Zero(at) => bytes[at.index(length)..].fill(0),
                    Damage::Mix(other) => {
                        let other = std::fs::read(other.get(&files)).unwrap();
                        let common = other.len().min(length);
                        bytes[common / 2..common].copy_from_slice(&other[common / 2..common]);
                    }
                }
                std::fs::write(path, Bytes::from(bytes)).unwrap();
            }
            let least = (0..KEYS).map(|key| (key, 4)).collect();
            check(&directory, &least).await;
        });
    }
}
