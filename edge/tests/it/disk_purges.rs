//! Purges and what is on disk: what was purged is gone there too, also after a restart.

use std::path::Path;
use std::sync::Mutex;

use edge::{Disk, DiskConfig, EdgeConfig};
use tempfile::TempDir;

use crate::disk::{FRESH, counting, disk, files};
use crate::origin::*;
use crate::purging::rule;

/// All that is stored is on disk only.
fn no_memory() -> EdgeConfig {
    EdgeConfig {
        memory_bytes: 0,
        ..EdgeConfig::default()
    }
}

async fn stored(origin: Origin, config: EdgeConfig, disk: &DiskConfig) -> House {
    let house = House::on_disk(origin, config, disk);
    assert_eq!(house.text("/a").await, (200, "a1".to_owned()));
    house.written(1).await;
    house
}

async fn swept(house: &House) {
    let control = house.edge.control();
    let obeyed = control.purge(&rule("url", "/nothing", false));
    eventually(|| control.has_swept(obeyed)).await;
}

fn copied(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.path().join(path.file_name().unwrap());
        if path.is_dir() {
            std::fs::create_dir(&copy).unwrap();
            for file in std::fs::read_dir(&path).unwrap() {
                let file = file.unwrap().path();
                std::fs::copy(&file, copy.join(file.file_name().unwrap())).unwrap();
            }
        } else {
            std::fs::copy(&path, &copy).unwrap();
        }
    }
    to
}

#[tokio::test]
async fn e08_what_is_only_on_disk_is_purged_and_removed() {
    for (kind, text) in [("url", "/a"), ("prefix", "/"), ("everything", "")] {
        for sweeps in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let config = EdgeConfig {
                memory_bytes: 0,
                ..EdgeConfig::general()
            };
            let house = stored(counting(FRESH), config, &disk(&directory)).await;
            house.purge(kind, text);
            if sweeps {
                swept(&house).await;
            }
            let only = get_with("/a", &[("cache-control", "only-if-cached")]);
            assert_eq!(house.ask(only).await.status(), 504, "{kind} {sweeps}");
            assert_eq!(house.disk().files, 0);
            assert_eq!(files(directory.path()), Vec::<std::path::PathBuf>::new());
            house.text("/a").await;
            house.written(1).await;
            assert_eq!(house.text("/a").await.1, "a2", "what came since stays");
            assert_eq!(house.origin.calls(), 2);
        }
    }
}

#[tokio::test]
async fn what_is_only_on_disk_and_purged_softly_is_asked_about() {
    let directory = tempfile::tempdir().unwrap();
    let origin = Origin::told(|_, request| {
        let asks = request.headers().contains_key("if-none-match");
        async move {
            let (status, body) = if asks { (304, "") } else { (200, "a1") };
            Ok(response(status, FRESH, OriginBody::whole(body)))
        }
    });
    let house = stored(origin, no_memory(), &disk(&directory)).await;
    house.purge_softly("url", "/a");
    assert_eq!(house.text("/a").await.1, "a1");
    assert_eq!(house.origin.calls(), 2);
    assert!(house.origin.headers(1).contains_key("if-none-match"));
    house.written(1).await;
    assert_eq!(house.text("/a").await.1, "a1");
    assert_eq!(house.origin.calls(), 2, "it is fresh again");
}

#[tokio::test]
async fn e08_a_purge_outlives_a_restart() {
    for (soft, sweeps) in [(false, false), (false, true), (true, false), (true, true)] {
        let directory = tempfile::tempdir().unwrap();
        let house = stored(counting(FRESH), no_memory(), &disk(&directory)).await;
        house.edge.control().purge(&rule("url", "/a", soft));
        if sweeps {
            swept(&house).await;
        }
        house.text("/b").await;
        house.written(2).await;
        let house = house.restarted(no_memory(), &disk(&directory)).await;
        let calls = house.origin.calls();
        house.text("/b").await;
        assert_eq!(house.origin.calls(), calls, "what came since stays");
        house.text("/a").await;
        assert_eq!(house.origin.calls(), calls + 1, "{soft} {sweeps}");
        within(house.edge.shutdown()).await;
    }
}

#[tokio::test]
async fn e08_a_purge_that_was_noted_outlives_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    let house = stored(counting(FRESH), no_memory(), &disk(&directory)).await;
    for purge in ["/b", "/a"] {
        house.purge("url", purge);
        house.edge.control().note_purges().await.unwrap();
    }
    // Its record is written as well.
    let journal = directory.path().join("journal");
    until(|| std::fs::metadata(&journal).unwrap().len() > 16).await;
    let copy = copied(directory.path());
    let (origin, clock) = (house.origin.clone(), house.clock.clone());
    let after = House::opened(origin, no_memory(), &disk(&copy), clock);
    assert_eq!(after.disk().files, 1);
    assert_eq!(after.text("/a").await.1, "a2");
    within(after.edge.shutdown()).await;
    within(house.edge.shutdown()).await;
}

#[tokio::test]
async fn e08_a_clock_that_was_set_back_lets_nothing_escape() {
    for restarts in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let house = House::on_disk(counting(FRESH), no_memory(), &disk(&directory));
        house.pass(10_000);
        house.text("/a").await;
        house.written(1).await;
        house.pass(-30_000);
        let house = match restarts {
            true => house.restarted(no_memory(), &disk(&directory)).await,
            false => house,
        };
        house.purge("url", "/a");
        assert_eq!(house.text("/a").await.1, "a2", "{restarts}");
        house.written(1).await;
        assert_eq!(house.text("/a").await.1, "a2", "what came since stays");
        // What the next process knows of is later than its clock.
        let house = house.restarted(no_memory(), &disk(&directory)).await;
        assert_eq!(house.text("/a").await.1, "a2");
        house.purge("url", "/a");
        assert_eq!(house.text("/a").await.1, "a3");
        within(house.edge.shutdown()).await;
    }
}

#[tokio::test]
async fn e08_a_tag_that_a_path_no_longer_has_was_purged_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let house = House::on_disk(counting(FRESH), no_memory(), &disk(&directory));
    let control = house.edge.control();
    control.tag_prefixes([("/a".to_owned(), vec!["x".to_owned()])]);
    house.text("/a").await;
    house.written(1).await;
    house.purge("tag", "x");
    control.tag_prefixes([]);
    assert_eq!(house.text("/a").await.1, "a2");
}

#[tokio::test]
async fn e08_a_directory_that_was_not_used_last_is_not_trusted() {
    let place = tempfile::tempdir().unwrap();
    let named = |name: &str| DiskConfig {
        witness: Some(place.path().join("witness")),
        ..DiskConfig::new(place.path().join(name), 64 << 20)
    };
    let (first, second) = (named("first"), named("second"));
    let house = stored(counting(FRESH), no_memory(), &first).await;
    let house = house.restarted(no_memory(), &first).await;
    assert_eq!(house.disk().files, 1, "it is the same");
    let house = house.restarted(no_memory(), &second).await;
    let house = house.restarted(no_memory(), &first).await;
    assert_eq!(house.disk().files, 0);
    assert_eq!(house.text("/a").await.1, "a2");
    house.written(1).await;
    within(house.edge.shutdown()).await;
    let House {
        edge,
        origin,
        clock,
    } = house;
    drop(edge);
    Disk::leave(&place.path().join("witness")).unwrap();
    let house = House::opened(origin, no_memory(), &first, clock);
    assert_eq!(house.text("/a").await.1, "a3");
    within(house.edge.shutdown()).await;
}

#[tokio::test]
async fn where_a_purge_cannot_be_noted_memory_is_swept_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let house = stored(counting(FRESH), EdgeConfig::default(), &disk(&directory)).await;
    let in_the_way = directory.path().join("purged");
    std::fs::create_dir_all(in_the_way.join("x")).unwrap();
    let control = house.edge.control();
    let obeyed = control.purge(&rule("url", "/a", false));
    assert!(control.note_purges().await.is_err());
    until(|| control.load().memory_bytes == 0).await;
    assert!(!control.has_swept(obeyed), "a restart would undo it");
    std::fs::remove_dir_all(in_the_way).unwrap();
    until(|| control.has_swept(obeyed)).await;
    within(house.edge.shutdown()).await;
}

#[tokio::test]
async fn e08_what_was_asked_before_a_head_told_of_another_is_not_stored() {
    let directory = tempfile::tempdir().unwrap();
    let (pieces, body) = OriginBody::open();
    let slow = Mutex::new(Some(body));
    let origin = Origin::told(move |n, request| {
        let is_head = request.method() == "HEAD";
        let tag = if is_head || n > 3 { "\"b\"" } else { "\"a\"" };
        let body = match n {
            2 => slow.lock().unwrap().take().unwrap(),
            _ if is_head => OriginBody::whole(""),
            _ => OriginBody::whole("a1"),
        };
        let fields = [("cache-control", "max-age=60"), ("etag", tag)];
        async move { Ok(response(200, &fields, body)) }
    });
    let house = stored(origin, EdgeConfig::general(), &disk(&directory)).await;
    let anew = [("cache-control", "no-cache")];
    let early = house.ask(get_with("/a", &anew)).await;
    let head = house.ask(send_with("HEAD", "/a", &anew)).await;
    assert_eq!(field(&head, "etag"), Some("\"b\""));
    send(&pieces, "old");
    drop(pieces);
    assert_eq!(text(early).await, "old");
    house.text("/a").await;
    assert_eq!(house.origin.calls(), 4);
}
