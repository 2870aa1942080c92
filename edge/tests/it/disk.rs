//! The second tier: what is on disk is given as what is in memory is, also after a restart,
//! and nothing else is.

use std::path::{Path, PathBuf};

use edge::{Disk, DiskConfig, DiskError, EdgeConfig};
use media::Timestamp;
use tempfile::TempDir;

use crate::origin::*;

const MIB: u64 = 1 << 20;

pub(crate) fn disk(directory: &TempDir) -> DiskConfig {
    DiskConfig::new(directory.path().to_owned(), 64 * MIB)
}

/// An origin that gives `a1` to the first request, `a2` to the second.
pub(crate) fn counting(fields: &'static [(&'static str, &'static str)]) -> Origin {
    const BODIES: [&str; 4] = ["a1", "a2", "a3", "a4"];
    Origin::new(move |n| async move { Ok(response(200, fields, OriginBody::whole(BODIES[n - 1]))) })
}

pub(crate) const FRESH: &[(&str, &str)] = &[("cache-control", "max-age=60"), ("etag", "\"a\"")];

/// Paths of all cached files.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path()));
        }
    }
    files
}

#[tokio::test]
async fn what_was_stored_is_given_after_a_restart_and_is_in_memory_then() {
    let directory = tempfile::tempdir().unwrap();
    let config = EdgeConfig::default();
    let house = House::on_disk(counting(FRESH), config.clone(), &disk(&directory));
    assert_eq!(house.text("/a").await, (200, "a1".to_owned()));
    house.written(1).await;
    let house = house.restarted(config, &disk(&directory)).await;
    assert_eq!(house.disk().files, 1);
    house.pass(5_000);
    let response = house.get("/a").await;
    assert_eq!(status(&response), "nova; hit; detail=disk; ttl=55");
    assert_eq!(field(&response, "age"), Some("5"));
    assert_eq!(field(&response, "etag"), Some("\"a\""));
    assert_eq!(field(&response, "content-length"), Some("2"));
    assert_eq!(text(response).await, "a1");
    let response = house.get("/a").await;
    assert_eq!(status(&response), "nova; hit; ttl=55");
    assert_eq!(house.origin.calls(), 1);
}

#[tokio::test]
async fn e01_a_disk_is_asked_once_for_many() {
    let directory = tempfile::tempdir().unwrap();
    let config = EdgeConfig::default();
    let house = House::on_disk(counting(FRESH), config.clone(), &disk(&directory));
    house.text("/a").await;
    house.written(1).await;
    let house = house.restarted(config, &disk(&directory)).await;
    let pending: Vec<_> = (0..100).map(|_| house.ask(get("/a"))).collect();
    for pending in pending {
        let response = pending.await;
        assert!(status(&response).contains("hit"));
        assert_eq!(text(response).await, "a1");
    }
    assert_eq!(house.origin.calls(), 1);
}

#[tokio::test]
async fn e10_ranges_heads_and_conditions_are_answered_from_disk() {
    let directory = tempfile::tempdir().unwrap();
    let config = EdgeConfig::general();
    let mut house = House::on_disk(counting(FRESH), config.clone(), &disk(&directory));
    house.text("/a").await;
    house.written(1).await;
    for (request, status_code, body) in [
        (get_with("/a", &[("range", "bytes=1-")]), 206, "1"),
        (get_with("/a", &[("range", "bytes=7-")]), 416, ""),
        (get_with("/a", &[("if-none-match", "\"a\"")]), 304, ""),
        (send_with("HEAD", "/a", &[]), 200, ""),
    ] {
        house = house.restarted(config.clone(), &disk(&directory)).await;
        let response = house.ask(request).await;
        assert_eq!(response.status(), status_code);
        assert_eq!(status(&response), "nova; hit; detail=disk; ttl=60");
        if status_code != 416 {
            assert_eq!(text(response).await, body);
        }
    }
    assert_eq!(house.origin.calls(), 1);
}

#[tokio::test]
async fn what_is_stale_on_disk_is_asked_about() {
    let directory = tempfile::tempdir().unwrap();
    let config = EdgeConfig::default();
    let origin = Origin::told(|_, request| {
        let known = request.headers().contains_key("if-none-match");
        let status = if known { 304 } else { 200 };
        async move {
            Ok(response(
                status,
                FRESH,
                OriginBody::whole(if known { "" } else { "a" }),
            ))
        }
    });
    let house = House::on_disk(origin, config.clone(), &disk(&directory));
    house.text("/a").await;
    house.written(1).await;
    let house = house.restarted(config.clone(), &disk(&directory)).await;
    house.pass(61_000);
    let response = house.get("/a").await;
    assert_eq!(
        status(&response),
        "nova; fwd=miss; fwd-status=304; stored; ttl=60"
    );
    assert_eq!(text(response).await, "a");
    // The newer head is on disk as well.
    house.written(1).await;
    let house = house.restarted(config, &disk(&directory)).await;
    house.pass(30_000);
    let response = house.get("/a").await;
    assert_eq!(status(&response), "nova; hit; detail=disk; ttl=30");
    assert_eq!(house.origin.calls(), 2);
}

#[tokio::test]
async fn what_is_stale_on_disk_is_given_while_it_is_asked_for_anew_or_the_origin_fails() {
    let directory = tempfile::tempdir().unwrap();
    let config = EdgeConfig::default();
    let fields = &[("cache-control", "max-age=60, stale-while-revalidate=60")];
    let house = House::on_disk(counting(fields), config.clone(), &disk(&directory));
    house.text("/a").await;
    house.written(1).await;
    let house = house.restarted(config.clone(), &disk(&directory)).await;
    house.pass(70_000);
    let given = house.get("/a").await;
    assert_eq!(status(&given), "nova; hit; detail=disk; ttl=-10");
    assert_eq!(text(given).await, "a1");
    until(|| house.origin.calls() == 2).await;
    within(async {
        while house.text("/a").await.1 != "a2" {
            tokio::task::yield_now().await;
        }
    })
    .await;

    let directory = tempfile::tempdir().unwrap();
    let origin = Origin::new(|n| async move {
        let fields = [("cache-control", "max-age=60")];
        let status = if n == 1 { 200 } else { 503 };
        Ok(response(status, &fields, OriginBody::whole("a")))
    });
    let house = House::on_disk(origin, config.clone(), &disk(&directory));
    house.text("/a").await;
    house.written(1).await;
    let house = house.restarted(config, &disk(&directory)).await;
    house.pass(63_000);
    let given = house.get("/a").await;
    assert_eq!(
        status(&given),
        "nova; fwd=stale; detail=origin-error; ttl=-3"
    );
    assert_eq!(text(given).await, "a");
}

#[tokio::test]
async fn e11_variants_are_told_apart_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let config = EdgeConfig::general();
    let origin = Origin::told(|_, request| {
        let language = request.headers().get("accept-language").cloned();
        let body = match language.as_ref().map(http::HeaderValue::as_bytes) {
            Some(b"de") => "deutsch",
            _ => "english",
        };
        let fields = [("cache-control", "max-age=60"), ("vary", "accept-language")];
        async move { Ok(response(200, &fields, OriginBody::whole(body))) }
    });
    let house = House::on_disk(origin, config.clone(), &disk(&directory));
    let ask = |house: &House, language| house.ask(get_with("/a", &[("accept-language", language)]));
    for language in ["de", "en"] {
        text(ask(&house, language).await).await;
    }
    house.written(2).await;
    let house = house.restarted(config, &disk(&directory)).await;
    // Both at once: they may not share what the other selects.
    let (german, english) = (ask(&house, "de"), ask(&house, "en"));
    assert_eq!(text(german.await).await, "deutsch");
    assert_eq!(text(english.await).await, "english");
    for (language, body) in [("de", "deutsch"), ("en", "english")] {
        let response = ask(&house, language).await;
        assert!(status(&response).contains("hit"), "{language}");
        assert_eq!(text(response).await, body);
    }
    let response = ask(&house, "fr").await;
    assert!(status(&response).contains("fwd=vary-miss"));
    assert_eq!(house.origin.calls(), 3);
}

#[tokio::test]
async fn e08_what_was_invalidated_does_not_come_back_from_disk() {
    let directory = tempfile::tempdir().unwrap();
    let config = EdgeConfig::general();
    let house = House::on_disk(counting(FRESH), config.clone(), &disk(&directory));
    house.text("/a").await;
    house.written(1).await;
    assert_eq!(house.ask(send_with("POST", "/a", &[])).await.status(), 200);
    let house = house.restarted(config.clone(), &disk(&directory)).await;
    assert_eq!(house.disk().files, 0);
    assert!(status(&house.get("/a").await).contains("fwd=miss"));

    // What was asked for before it does not come in after it.
    let directory = tempfile::tempdir().unwrap();
    let (pieces, body) = OriginBody::open();
    let body = std::sync::Mutex::new(Some(body));
    let origin = Origin::told(move |_, request| {
        let body = match request.method().as_str() {
            "GET" => body.lock().unwrap().take().unwrap(),
            _ => OriginBody::whole(""),
        };
        async move { Ok(response(200, FRESH, body)) }
    });
    let house = House::on_disk(origin, config.clone(), &disk(&directory));
    let old = house.get("/a").await;
    house.ask(send_with("POST", "/a", &[])).await;
    send(&pieces, "old");
    drop(pieces);
    assert_eq!(text(old).await, "old");
    let house = house.restarted(config, &disk(&directory)).await;
    assert_eq!(house.disk().files, 0);
    assert_eq!(files(directory.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_head_that_tells_of_another_removes_what_is_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let config = EdgeConfig::general();
    let origin = Origin::told(|_, request| {
        let is_head = request.method() == "HEAD";
        let tag = if is_head { "\"b\"" } else { "\"a\"" };
        let fields = [("cache-control", "max-age=0"), ("etag", tag)];
        async move {
            Ok(response(
                200,
                &fields,
                OriginBody::whole(if is_head { "" } else { "a" }),
            ))
        }
    });
    let house = House::on_disk(origin, config.clone(), &disk(&directory));
    house.text("/a").await;
    house.written(1).await;
    let house = house.restarted(config, &disk(&directory)).await;
    assert_eq!(house.ask(send_with("HEAD", "/a", &[])).await.status(), 200);
    house.written(0).await;
}

#[tokio::test]
async fn what_only_a_cache_may_answer_is_looked_for_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let config = EdgeConfig::general();
    let house = House::on_disk(counting(FRESH), config.clone(), &disk(&directory));
    house.text("/a").await;
    house.written(1).await;
    let house = house.restarted(config, &disk(&directory)).await;
    let only = |target| get_with(target, &[("cache-control", "only-if-cached")]);
    assert_eq!(text(house.ask(only("/a")).await).await, "a1");
    assert_eq!(house.ask(only("/b")).await.status(), 504);
    house.pass(61_000);
    assert_eq!(house.ask(only("/a")).await.status(), 504);
    assert_eq!(house.origin.calls(), 1);
}

#[tokio::test]
async fn what_is_damaged_is_a_miss_and_goes() {
    let config = EdgeConfig::default();
    for damage in ["cut", "flip", "swap", "empty", "gone"] {
        let directory = tempfile::tempdir().unwrap();
        let house = House::on_disk(counting(FRESH), config.clone(), &disk(&directory));
        house.text("/a").await;
        house.text("/b").await;
        house.written(2).await;
        let both = files(directory.path());
        let [first, second] = &both[..] else {
            panic!("two answers are two files");
        };
        let contents = [second, first].map(|file| std::fs::read(file).unwrap());
        for (file, other) in [first, second].into_iter().zip(contents) {
            let mut bytes = std::fs::read(file).unwrap();
            match damage {
                "cut" => bytes.truncate(bytes.len() - 1),
                "flip" => *bytes.last_mut().unwrap() ^= 1,
                "swap" => bytes = other,
                _ => bytes.clear(),
            }
            std::fs::write(file, bytes).unwrap();
        }
        if damage == "gone" {
            std::fs::remove_file(first).unwrap();
            std::fs::remove_file(second).unwrap();
        }
        let house = house.restarted(config.clone(), &disk(&directory)).await;
        for (target, body) in [("/a", "a3"), ("/b", "a4")] {
            let response = house.get(target).await;
            assert!(status(&response).contains("fwd=miss"), "{damage}");
            assert_eq!(text(response).await, body);
        }
        house.written(2).await;
        assert_eq!(files(directory.path()).len(), 2, "{damage}");
    }
}

#[tokio::test]
async fn the_budget_holds_and_what_is_asked_for_often_stays() {
    let directory = tempfile::tempdir().unwrap();
    let config = EdgeConfig {
        memory_bytes: 0,
        ..EdgeConfig::default()
    };
    let small = DiskConfig {
        bytes: 10 * 8_192,
        ..disk(&directory)
    };
    let body: &'static str = "x".repeat(8_000 - 400).leak();
    let origin =
        Origin::new(
            move |_| async move { Ok(response(200, &FRESH[..1], OriginBody::whole(body))) },
        );
    let house = House::on_disk(origin, config, &small);
    for _ in 0..3 {
        assert_eq!(house.text("/often").await.1, body);
        until(|| house.disk().waiting_bytes == 0 && house.disk().files == 1).await;
    }
    assert_eq!(house.origin.calls(), 1);
    for n in 0..200 {
        house.text(&format!("/once/{n}")).await;
        until(|| house.disk().waiting_bytes == 0).await;
        assert!(house.disk().bytes <= small.bytes);
    }
    let there: u64 = files(directory.path())
        .iter()
        .map(|file| file.metadata().unwrap().len())
        .sum();
    assert!(there <= small.bytes, "{there}");
    let response = house.get("/often").await;
    assert_eq!(status(&response), "nova; hit; detail=disk; ttl=60");
}

#[tokio::test]
async fn a_smaller_disk_after_a_restart_has_less() {
    let directory = tempfile::tempdir().unwrap();
    let config = EdgeConfig::default();
    let origin = Origin::fixed("x", FRESH);
    let house = House::on_disk(origin, config.clone(), &disk(&directory));
    for n in 0..20 {
        house.text(&format!("/{n}")).await;
    }
    house.written(20).await;
    let smaller = DiskConfig {
        files: 5,
        ..disk(&directory)
    };
    let house = house.restarted(config, &smaller).await;
    assert_eq!(house.disk().files, 5);
    until(|| files(directory.path()).len() == 5).await;
}

#[tokio::test]
async fn what_does_not_last_is_not_written() {
    let directory = tempfile::tempdir().unwrap();
    let short = &[("cache-control", "max-age=5"), ("etag", "\"a\"")];
    let house = House::on_disk(counting(short), EdgeConfig::default(), &disk(&directory));
    house.text("/a").await;
    within(house.edge.shutdown()).await;
    assert_eq!(house.disk().files, 0);
    // Of a general origin it is kept to be asked about.
    let directory = tempfile::tempdir().unwrap();
    let house = House::on_disk(counting(short), EdgeConfig::general(), &disk(&directory));
    house.text("/a").await;
    house.written(1).await;
}

#[tokio::test]
async fn a_directory_has_one_process_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let now = Timestamp::from_micros(1);
    let first = Disk::open(disk(&directory), now).unwrap();
    let error = Disk::open(disk(&directory), now).unwrap_err();
    assert!(matches!(error, DiskError::InUse(_)));
    assert!(error.to_string().contains("in use by another process"));
    drop(first);
    Disk::open(disk(&directory), now).unwrap();
}

#[tokio::test]
async fn a_directory_that_cannot_be_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file"), "").unwrap();
    let config = DiskConfig::new(directory.path().join("file/under"), MIB);
    let error = Disk::open(config, Timestamp::from_micros(1)).unwrap_err();
    assert!(matches!(error, DiskError::Io { .. }));
    assert!(error.to_string().contains("file/under"), "{error}");
}

/// Puts a file where each directory of files was: whatever is opened there is an I/O error.
fn break_directories(directory: &Path) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            std::fs::remove_dir_all(&path).unwrap();
            std::fs::write(&path, "").unwrap();
        }
    }
}

#[tokio::test]
async fn requests_are_served_although_the_disk_fails() {
    let directory = tempfile::tempdir().unwrap();
    let config = EdgeConfig {
        memory_bytes: 0,
        ..EdgeConfig::default()
    };
    let house = House::on_disk(Origin::fixed("x", FRESH), config, &disk(&directory));
    house.text("/a").await;
    house.written(1).await;
    break_directories(directory.path());
    assert_eq!(house.text("/b").await, (200, "x".to_owned()));
    until(|| house.disk().is_paused).await;
    assert_eq!(house.text("/a").await, (200, "x".to_owned()));
    assert_eq!(house.origin.calls(), 3);
    // It is left alone for a while, and then tried again.
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().len() == 2 {
            std::fs::remove_file(&path).unwrap();
            std::fs::create_dir(&path).unwrap();
        }
    }
    house.pass(31_000);
    until(|| !house.disk().is_paused).await;
    house.text("/c").await;
    until(|| files(directory.path()).len() == 1).await;
}
