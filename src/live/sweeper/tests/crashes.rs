//! `kill -9` of a process that stores and sweeps, at any moment.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use media::{Micros, StreamId, Timestamp};
use packager::object_key;
use storage::objects::{Durability, FileStore};
use storage::rows::settling::{self, UnsettledSession};
use storage::rows::{Database, IfMissing, retention, segments, sessions, streams};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use crate::live::simulation::{START, World, all_keys};

const DEADLINE: Duration = Duration::from_secs(60);
/// What the second stream may have.
const QUOTA: u64 = 200_000;
/// Simulated time from one round to the next.
const ROUND: Micros = Micros::from_secs(1_000_000);
const NAMES: [&str; 2] = ["window", "recorded"];

fn store(directory: &Path) -> Arc<FileStore> {
    // A power cut is not what is tried here.
    Arc::new(FileStore::open_with(directory, Durability::Process).unwrap())
}

fn start_of(round: u64) -> Timestamp {
    START + Micros::new(round as i64 * ROUND.as_micros())
}

async fn ids(database: &Database) -> [StreamId; 2] {
    let mut ids = Vec::new();
    for name in NAMES {
        let stream = streams::by_name(database, &name.parse().unwrap()).await;
        ids.push(stream.unwrap().unwrap().id);
    }
    ids.try_into().unwrap()
}

/// This test binary again.
fn spawn(url: &str, objects: &Path, round: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "live::sweeper::tests::crashes::child_stores_and_sweeps",
        ])
        .args(["--ignored", "--nocapture"])
        .env("TEST_DATABASE_URL", url)
        .env("TEST_OBJECTS", objects)
        .env("TEST_ROUND", round.to_string())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Two streams go live again and again, while the sweeper is at work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a process of the tests below"]
async fn child_stores_and_sweeps() {
    let given = |name: &str| std::env::var(name).expect("run by another test");
    let database = Database::open(&given("TEST_DATABASE_URL"), IfMissing::Fail)
        .await
        .unwrap();
    let objects = store(Path::new(&given("TEST_OBJECTS")));
    let world = World::new(
        database,
        objects,
        start_of(given("TEST_ROUND").parse().unwrap()),
    )
    .await;
    let (sweeper, lease) = (world.sweeper(), world.lease().await);
    let sweeping = async {
        loop {
            sweeper.round(&lease, &CancellationToken::new()).await;
        }
    };
    let [first, second] = ids(world.database()).await;
    let publishing = async |stream: StreamId, name: &'static str| -> () {
        for length in (5..40).cycle() {
            let mut live = world.go_live(stream, name).await;
            for number in 0..length {
                live.segment().await.unwrap();
                println!("segment");
                if number % 4 == 0 {
                    live.stored().await;
                }
            }
            live.end().await;
        }
    };
    tokio::join!(
        sweeping,
        publishing(first, NAMES[0]),
        publishing(second, NAMES[1])
    );
}

/// What `nova` does at its next start, and the sweeper after.
async fn recover(world: &World) {
    let database = world.database();
    let now = media::Clock::now(world.clock.as_ref());
    for open in sessions::unfinished_sessions(database).await.unwrap() {
        sessions::end_session(database, open.id, now).await.unwrap();
    }
    world.clock.advance(Micros::from_secs(3_600));
    let (sweeper, lease) = (world.sweeper(), world.lease().await);
    while sweeper.round(&lease, &CancellationToken::new()).await.more {}
    lease.release(database).await.unwrap();
}

/// What the rows say there is: keys, and how large each is where that is known.
async fn expected(
    database: &Database,
    all: &[(StreamId, UnsettledSession)],
) -> BTreeMap<String, Option<u64>> {
    let mut expected = BTreeMap::new();
    for (stream, session) in all {
        for epoch in settling::epochs(database, session).await.unwrap() {
            for rendition in settling::renditions(database, *stream, epoch)
                .await
                .unwrap()
            {
                expected.insert(object_key::init(*stream, epoch, &rendition.name), None);
            }
        }
        let window = segments::latest_segments(database, *stream, session.session, u32::MAX);
        for row in window.await.unwrap().segments {
            assert!(!row.segment.is_gap(), "nothing was lost: {row:?}");
            let key = object_key::segment(*stream, row.epoch, &row.rendition, row.segment.number);
            expected.insert(key, Some(row.segment.size));
        }
    }
    expected
}

async fn check(world: &World, all: &[(StreamId, UnsettledSession)], round: u64) -> usize {
    let database = world.database();
    let far = Timestamp::from_micros(i64::MAX);
    assert_eq!(
        settling::unsettled(database, far, 0, 10).await.unwrap(),
        [],
        "round {round}"
    );
    for (stream, _) in all {
        let below = retention::below_floor(database, *stream, 10).await.unwrap();
        assert_eq!(below, [], "round {round}");
    }
    let expected = expected(database, all).await;
    let objects = world.shelves().objects.as_ref();
    let found = all_keys(objects).await;
    let named: Vec<_> = expected.keys().cloned().collect();
    assert_eq!(found, named, "round {round}: objects, and what rows name");
    for (key, size) in &expected {
        let head = objects.head(key).await.unwrap();
        if let Some(size) = size {
            assert_eq!(head.size, *size, "round {round}: {key}");
        }
    }
    assert_eq!(database.check().await.unwrap(), [], "round {round}");
    named.len()
}

async fn survives(url: String, rounds: u64) {
    let directory = tempfile::tempdir().unwrap();
    let objects = directory.path();
    let database = Database::open(&url, IfMissing::Create).await.unwrap();
    database.migrate().await.unwrap();
    let world = World::new(database.clone(), store(objects), START).await;
    for name in NAMES {
        world.stream(name).await;
    }
    let [_, recorded] = ids(&database).await;
    let rules = |rules: &mut storage::retention::Rules| {
        rules.recording = true;
        rules.byte_quota = Some(QUOTA);
    };
    retention::change_rules(&database, recorded, rules)
        .await
        .unwrap();
    let (mut most, mut mended) = (0, 0);
    for round in 0..rounds {
        let mut child = spawn(&url, objects, round);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Each time elsewhere in what it does.
        let mut segments = 1 + round * 37 % 90;
        let working = async {
            while segments > 0 {
                let line = lines.next_line().await.unwrap().expect("the child ended");
                segments -= u64::from(line.ends_with("segment"));
            }
        };
        tokio::time::timeout(DEADLINE, working).await.unwrap();
        tokio::time::sleep(Duration::from_micros(round * 7_919 % 5_000)).await;
        child.kill().await.unwrap();

        let later = start_of(round) + Micros::new(ROUND.as_micros() / 2);
        let world = World::new(database.clone(), store(objects), later).await;
        let left = every_session(&database).await;
        let named = expected(&database, &left).await;
        let found = all_keys(world.shelves().objects.as_ref()).await;
        mended += usize::from(!named.keys().eq(&found));
        recover(&world).await;
        let ended = every_session(&database).await;
        most = most.max(check(&world, &ended, round).await);
    }
    assert!(most > 4, "nothing was stored");
    println!(
        "{rounds} kills, {mended} of which left objects without rows or rows below the floor; at most {most} objects were kept"
    );
}

/// Sessions that have epochs.
async fn every_session(database: &Database) -> Vec<(StreamId, UnsettledSession)> {
    let rows = storage::rows::sql::query(
        "SELECT DISTINCT stream_id, session_id FROM epochs ORDER BY stream_id, session_id",
    );
    let rows: Vec<(StreamId, media::SessionId)> = rows.all(database).await.unwrap();
    rows.into_iter()
        .map(|(stream, session)| (stream, UnsettledSession { session, stream }))
        .collect()
}

async fn on_sqlite(rounds: u64) {
    let directory = tempfile::tempdir().unwrap();
    survives(
        format!("sqlite:{}", directory.path().join("nova.db").display()),
        rounds,
    )
    .await;
}

async fn on_postgres(rounds: u64) {
    let database = tokio::task::spawn_blocking(peers::postgres::database);
    let database = database.await.unwrap();
    survives(database.url(), rounds).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_leaves_nothing_that_sweeping_does_not_mend_on_sqlite() {
    on_sqlite(8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_leaves_nothing_that_sweeping_does_not_mend_on_postgres() {
    on_postgres(8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_200_kills_on_sqlite() {
    on_sqlite(200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_200_kills_on_postgres() {
    on_postgres(200).await;
}
