//! Large objects: ranges are answered from slices, and nothing is asked for that is there.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use edge::{
    DiskConfig, EdgeConfig, OriginKind, PrewarmConfig, PrewarmEnd, PrewarmOrder, PrewarmProgress,
};
use http::{HeaderMap, Request};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::disk::disk;
use crate::origin::*;

const MIB: u64 = 1 << 20;
/// Four slices and a bit.
const WHOLE: u64 = 4 * MIB + 12_345;

/// An origin of one large object that gives ranges.
#[derive(Clone, Default)]
pub(crate) struct Library {
    version: Arc<AtomicU8>,
    /// What was asked for: the bytes of each request.
    sent: Arc<Mutex<Vec<(u64, u64)>>>,
}

fn content(version: u8, from: u64, to: u64) -> Vec<u8> {
    (from..to)
        .map(|at| (at.wrapping_mul(31) ^ (at / 997)) as u8 ^ version)
        .collect()
}

/// `bytes=first-last` as half-open.
fn asked_range(headers: &HeaderMap) -> Option<(u64, u64)> {
    let range = headers.get("range")?.to_str().unwrap();
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    Some(match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) => (first, (last + 1).min(WHOLE)),
        (Ok(first), Err(_)) => (first, WHOLE),
        (Err(_), Ok(length)) => (WHOLE.saturating_sub(length), WHOLE),
        _ => return None,
    })
}

fn body(version: u8, from: u64, to: u64) -> OriginBody {
    let (pieces, body) = OriginBody::open();
    let all = Bytes::from(content(version, from, to));
    let mut at = 0;
    while at < all.len() {
        let end = (at + 50_000).min(all.len());
        pieces.send(Ok(all.slice(at..end))).unwrap();
        at = end;
    }
    body
}

impl Library {
    fn origin(&self) -> Origin {
        let library = self.clone();
        Origin::told(move |_, request| {
            let answer = library.answer(request);
            async move { Ok(answer) }
        })
    }

    pub(crate) fn answer(&self, request: &Request<()>) -> http::Response<OriginBody> {
        let version = self.version.load(Ordering::SeqCst);
        let tag = format!("\"v{version}\"");
        let headers = request.headers();
        let holds = |name| headers.get(name).is_none_or(|value| value == &*tag);
        if headers.contains_key("if-none-match") && holds("if-none-match") {
            let fields = [("etag", &*tag), ("cache-control", "max-age=60")];
            return response(304, &fields, OriginBody::whole(""));
        }
        let range = asked_range(headers).filter(|_| holds("if-range"));
        let (from, to) = range.unwrap_or((0, WHOLE));
        self.sent.lock().unwrap().push((from, to));
        let length = (to - from).to_string();
        let part = format!("bytes {from}-{}/{WHOLE}", to - 1);
        let mut fields = vec![
            ("etag", &*tag),
            ("cache-control", "max-age=60"),
            ("accept-ranges", "bytes"),
            ("content-length", &*length),
        ];
        let status = match range {
            Some(_) => {
                fields.push(("content-range", &*part));
                206
            }
            None => 200,
        };
        response(status, &fields, body(version, from, to))
    }

    fn change(&self) {
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    fn sent(&self) -> Vec<(u64, u64)> {
        self.sent.lock().unwrap().clone()
    }
}

fn disk_of_slices(directory: &TempDir) -> DiskConfig {
    DiskConfig {
        slice_threshold: 2 * MIB,
        ..disk(directory)
    }
}

fn range(text: &str) -> Request<http_body_util::Empty<Bytes>> {
    get_with("/a", &[("range", text)])
}

/// A general edge that knows the object, because a byte of it was asked for.
async fn knowing(library: &Library, directory: &TempDir) -> House {
    let config = EdgeConfig::general();
    let house = House::on_disk(library.origin(), config, &disk_of_slices(directory));
    let first = house.ask(range("bytes=0-0")).await;
    assert_eq!(first.status(), 206);
    assert_eq!(bytes(first).await.unwrap(), content(0, 0, 1));
    house.written(1).await;
    library.sent.lock().unwrap().clear();
    house
}

#[tokio::test]
async fn e10_a_range_is_answered_from_slices_and_only_these_are_asked_for() {
    let (library, directory) = (Library::default(), tempfile::tempdir().unwrap());
    let house = knowing(&library, &directory).await;
    let from = 2 * MIB - 10;
    let asked = format!("bytes={from}-{}", from + 99);
    let part = house.ask(range(&asked)).await;
    assert_eq!(part.status(), 206);
    assert_eq!(status(&part), "nova; fwd=partial; stored; ttl=60");
    assert_eq!(
        field(&part, "content-range"),
        Some(&*format!("bytes {from}-{}/{WHOLE}", from + 99))
    );
    assert_eq!(field(&part, "content-length"), Some("100"));
    assert_eq!(bytes(part).await.unwrap(), content(0, from, from + 100));
    assert_eq!(library.sent(), [(MIB, 2 * MIB), (2 * MIB, 3 * MIB)]);
    let asked_headers = house.origin.headers(1);
    assert_eq!(asked_headers["if-range"], "\"v0\"");
    house.written(3).await;
    let part = house.ask(range(&asked)).await;
    assert_eq!(status(&part), "nova; hit; detail=disk; ttl=60");
    assert_eq!(bytes(part).await.unwrap(), content(0, from, from + 100));
    let house = house
        .restarted(EdgeConfig::general(), &disk_of_slices(&directory))
        .await;
    let part = house.ask(range(&asked)).await;
    assert_eq!(status(&part), "nova; hit; detail=disk; ttl=60");
    assert_eq!(bytes(part).await.unwrap(), content(0, from, from + 100));
    assert_eq!(library.sent().len(), 2);
    let outside = house.ask(range(&format!("bytes={WHOLE}-"))).await;
    assert_eq!(outside.status(), 416);
    let head = house.ask(send_with("HEAD", "/a", &[])).await;
    assert_eq!(field(&head, "content-length"), Some(&*WHOLE.to_string()));
    let unchanged = get_with("/a", &[("if-none-match", "\"v0\"")]);
    assert_eq!(house.ask(unchanged).await.status(), 304);
}

#[tokio::test]
async fn e08_slices_of_before_a_purge_are_not_used_again() {
    let (library, directory) = (Library::default(), tempfile::tempdir().unwrap());
    let house = knowing(&library, &directory).await;
    bytes(house.ask(range("bytes=0-99")).await).await.unwrap();
    house.written(2).await;
    house.purge("url", "/a");
    // Nothing that is stored is looked up for this.
    let judged = get_with("/a", &[("if-match", "\"v0\""), ("range", "bytes=0-0")]);
    bytes(house.ask(judged).await).await.unwrap();
    library.sent.lock().unwrap().clear();
    let part = house.ask(range("bytes=0-99")).await;
    assert_eq!(bytes(part).await.unwrap(), content(0, 0, 100));
    assert!(library.sent().contains(&(0, MIB)), "{:?}", library.sent());
}

#[tokio::test]
async fn a_whole_that_passes_is_stored_as_it_passes() {
    for config in [EdgeConfig::default(), EdgeConfig::general()] {
        let (library, directory) = (Library::default(), tempfile::tempdir().unwrap());
        let disk = disk_of_slices(&directory);
        let house = House::on_disk(library.origin(), config.clone(), &disk);
        let whole = house.get("/a").await;
        assert_eq!(status(&whole), "nova; fwd=miss; stored; ttl=60");
        assert_eq!(bytes(whole).await.unwrap(), content(0, 0, WHOLE));
        house.written(6).await;
        let house = house.restarted(config, &disk).await;
        let whole = house.get("/a").await;
        assert_eq!(status(&whole), "nova; hit; detail=disk; ttl=60");
        assert_eq!(field(&whole, "content-length"), Some(&*WHOLE.to_string()));
        assert_eq!(bytes(whole).await.unwrap(), content(0, 0, WHOLE));
        assert_eq!(library.sent(), [(0, WHOLE)]);
    }
}

#[tokio::test]
async fn of_large_media_a_range_asks_for_slices_once_the_length_is_known() {
    let (library, directory) = (Library::default(), tempfile::tempdir().unwrap());
    let config = EdgeConfig::default();
    let house = House::on_disk(library.origin(), config, &disk_of_slices(&directory));
    for _ in 0..2 {
        let part = house.ask(range("bytes=-100")).await;
        assert_eq!(part.status(), 206);
        assert_eq!(bytes(part).await.unwrap(), content(0, WHOLE - 100, WHOLE));
    }
    // The whole was asked for before anybody knew, and given up.
    assert_eq!(library.sent(), [(0, WHOLE), (4 * MIB, WHOLE)]);
}

#[tokio::test]
async fn e01_a_slice_is_asked_for_once() {
    let (library, directory) = (Library::default(), tempfile::tempdir().unwrap());
    let house = knowing(&library, &directory).await;
    let pending: Vec<_> = (0..50)
        .map(|n| house.ask(range(&format!("bytes={}-{}", MIB + n, MIB + 2 * n))))
        .collect();
    for (n, pending) in (0..50).zip(pending) {
        let part = bytes(pending.await).await.unwrap();
        assert_eq!(part, content(0, MIB + n, MIB + 2 * n + 1));
    }
    assert_eq!(library.sent(), [(MIB, 2 * MIB)]);
}

#[tokio::test]
async fn e10_an_object_that_has_changed_is_asked_for_anew() {
    for config in [EdgeConfig::general(), EdgeConfig::default()] {
        let (library, directory) = (Library::default(), tempfile::tempdir().unwrap());
        let house = House::on_disk(library.origin(), config, &disk_of_slices(&directory));
        let part = house.ask(range("bytes=0-9")).await;
        assert_eq!(bytes(part).await.unwrap(), content(0, 0, 10));
        let part = house.ask(range("bytes=0-9")).await;
        assert_eq!(bytes(part).await.unwrap(), content(0, 0, 10));
        library.change();
        // Nobody asked, and it is fresh.
        until(|| house.disk().waiting_bytes == 0).await;
        let part = house.ask(range("bytes=0-9")).await;
        assert_eq!(bytes(part).await.unwrap(), content(0, 0, 10));
        // But a slice that is missing is no longer to be had.
        let from = 3 * MIB;
        for asked in [from, 0] {
            let part = house
                .ask(range(&format!("bytes={asked}-{}", asked + 9)))
                .await;
            assert_eq!(part.status(), 206);
            assert_eq!(field(&part, "etag"), Some("\"v1\""));
            assert_eq!(bytes(part).await.unwrap(), content(1, asked, asked + 10));
        }
    }
}

#[tokio::test]
async fn a_stale_large_object_is_asked_about_and_keeps_its_slices() {
    let (library, directory) = (Library::default(), tempfile::tempdir().unwrap());
    let house = knowing(&library, &directory).await;
    let part = house.ask(range("bytes=5-9")).await;
    assert_eq!(bytes(part).await.unwrap(), content(0, 5, 10));
    house.written(2).await;
    house.pass(61_000);
    let part = house.ask(range("bytes=5-9")).await;
    assert_eq!(
        status(&part),
        "nova; fwd=stale; fwd-status=304; stored; ttl=60"
    );
    assert_eq!(bytes(part).await.unwrap(), content(0, 5, 10));
    assert_eq!(library.sent(), [(0, MIB)]);
}

#[tokio::test]
async fn e08_slices_of_before_an_invalidation_are_not_used_again() {
    let (library, directory) = (Library::default(), tempfile::tempdir().unwrap());
    let house = knowing(&library, &directory).await;
    let part = house.ask(range("bytes=5-9")).await;
    assert_eq!(bytes(part).await.unwrap(), content(0, 5, 10));
    house.written(2).await;
    house.ask(send_with("POST", "/a", &[])).await;
    library.sent.lock().unwrap().clear();
    for _ in 0..2 {
        let part = house.ask(range("bytes=5-9")).await;
        assert_eq!(bytes(part).await.unwrap(), content(0, 5, 10));
    }
    // The head first, and then a slice, although the validator is the same.
    assert_eq!(library.sent(), [(5, 10), (0, MIB)]);
}

#[tokio::test]
async fn e03_a_reader_that_a_pass_leaves_behind_goes_on_in_slices() {
    let (library, directory) = (Library::default(), tempfile::tempdir().unwrap());
    let config = EdgeConfig::general();
    let house = House::on_disk(library.origin(), config, &disk_of_slices(&directory));
    let (fast, slow) = (house.ask(get("/a")), house.ask(get("/a")));
    let (fast, slow) = tokio::join!(fast, slow);
    assert_eq!(bytes(fast).await.unwrap(), content(0, 0, WHOLE));
    assert_eq!(bytes(slow).await.unwrap(), content(0, 0, WHOLE));
}

#[tokio::test]
async fn e04_a_pass_that_breaks_off_goes_on_in_slices() {
    let (library, directory) = (Library::default(), tempfile::tempdir().unwrap());
    let inner = library.clone();
    let origin = Origin::told(move |n, request| {
        let mut answer = inner.answer(request);
        if n == 1 {
            let (pieces, broken) = OriginBody::open();
            pieces.send(Ok(content(0, 0, MIB + 5).into())).unwrap();
            pieces.send(Err("broken".to_owned())).unwrap();
            *answer.body_mut() = broken;
        }
        async move { Ok(answer) }
    });
    let house = House::on_disk(origin, EdgeConfig::general(), &disk_of_slices(&directory));
    let whole = house.get("/a").await;
    assert_eq!(bytes(whole).await.unwrap(), content(0, 0, WHOLE));
}

#[tokio::test]
async fn an_origin_that_gives_no_ranges_although_it_said_so_is_passed() {
    let (library, directory) = (Library::default(), tempfile::tempdir().unwrap());
    let inner = library.clone();
    let origin = Origin::told(move |_, request| {
        let mut without = Request::new(());
        *without.uri_mut() = request.uri().clone();
        let answer = inner.answer(&without);
        async move { Ok(answer) }
    });
    let config = EdgeConfig::default();
    let house = House::on_disk(origin, config, &disk_of_slices(&directory));
    let ask = async || {
        let part = house.ask(range("bytes=100-199")).await;
        assert_eq!(part.status(), 206);
        assert_eq!(bytes(part).await.unwrap(), content(0, 100, 200));
    };
    ask().await;
    // The head, a slice, and once more the whole, which is small enough to be stored; a slice
    // more where the first answer has not ended when it is asked for again.
    let calls = house.origin.calls();
    assert!((3..=4).contains(&calls), "{calls}");
    ask().await;
    ask().await;
    assert_eq!(house.origin.calls(), calls);
}

#[tokio::test]
async fn an_object_that_changes_whenever_it_is_asked_for_is_passed() {
    let (library, directory) = (Library::default(), tempfile::tempdir().unwrap());
    let inner = library.clone();
    let origin = Origin::told(move |_, request| {
        let answer = inner.answer(request);
        inner.change();
        async move { Ok(answer) }
    });
    let config = EdgeConfig::default();
    let house = House::on_disk(origin, config, &disk_of_slices(&directory));
    let part = house.ask(range("bytes=100-199")).await;
    assert_eq!(part.status(), 206);
    assert_eq!(bytes(part).await.unwrap().len(), 100);
}

#[tokio::test]
async fn a_failure_before_the_first_byte_is_answered_as_one() {
    let (library, directory) = (Library::default(), tempfile::tempdir().unwrap());
    let inner = library.clone();
    let origin = Origin::told(move |n, request| {
        let answer = match n {
            1 => inner.answer(request),
            _ => response(503, &[], OriginBody::whole("")),
        };
        async move { Ok(answer) }
    });
    let house = House::on_disk(origin, EdgeConfig::general(), &disk_of_slices(&directory));
    bytes(house.ask(range("bytes=0-0")).await).await.unwrap();
    let failed = house.ask(range("bytes=5-9")).await;
    assert_eq!(failed.status(), 502);
    let only = [("range", "bytes=5-9"), ("cache-control", "only-if-cached")];
    assert_eq!(house.ask(get_with("/a", &only)).await.status(), 504);
}

#[tokio::test]
async fn a_damaged_slice_is_asked_for_anew() {
    let (library, directory) = (Library::default(), tempfile::tempdir().unwrap());
    let house = knowing(&library, &directory).await;
    let part = house.ask(range("bytes=5-9")).await;
    assert_eq!(bytes(part).await.unwrap(), content(0, 5, 10));
    house.written(2).await;
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(path).unwrap() {
            let path = file.unwrap().path();
            let mut bytes = std::fs::read(&path).unwrap();
            if bytes.len() as u64 > MIB {
                let at = bytes.len() - 1_000_000;
                bytes[at] ^= 4;
                std::fs::write(path, bytes).unwrap();
            }
        }
    }
    let part = house.ask(range("bytes=0-299999")).await;
    assert_eq!(bytes(part).await.unwrap(), content(0, 0, 300_000));
    assert_eq!(library.sent(), [(0, MIB), (0, MIB)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever ranges are asked for: the bytes are right, and no slice is asked for twice.
    #[test]
    fn e10_ranges_are_what_the_object_has(
        ranges in proptest::collection::vec((0..WHOLE, 1..2 * MIB, 0..8u8), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (library, directory) = (Library::default(), tempfile::tempdir().unwrap());
            let mut house = knowing(&library, &directory).await;
            for (from, length, step) in ranges {
                let to = (from + length).min(WHOLE);
                let asked = match step {
                    0 => format!("bytes={from}-"),
                    1 => format!("bytes=-{length}"),
                    _ => format!("bytes={from}-{}", to - 1),
                };
                let (from, to) = match step {
                    0 => (from, WHOLE),
                    1 => (WHOLE - length, WHOLE),
                    _ => (from, to),
                };
                let part = house.ask(range(&asked)).await;
                assert_eq!(part.status(), 206);
                assert_eq!(bytes(part).await.unwrap(), content(0, from, to));
                until(|| house.disk().waiting_bytes == 0).await;
                if step == 7 {
                    let config = EdgeConfig::general();
                    house = house.restarted(config, &disk_of_slices(&directory)).await;
                }
            }
            let mut sent = library.sent();
            assert!(sent.iter().all(|(from, to)| from % MIB == 0 && to - from <= MIB));
            sent.sort_unstable();
            sent.dedup();
            assert_eq!(sent.len(), library.sent().len());
        });
    }
}

#[tokio::test]
async fn a_prewarmed_object_is_stored_in_slices() {
    let (library, directory) = (Library::default(), tempfile::tempdir().unwrap());
    let disk = disk_of_slices(&directory);
    let house = House::on_disk(library.origin(), EdgeConfig::default(), &disk);
    let order = PrewarmOrder::parse(OriginKind::Media, "urls", "/film", None, &[]).unwrap();
    for _ in 0..2 {
        let progress = PrewarmProgress::default();
        let prewarmer = house.edge.prewarmer(PrewarmConfig::default());
        let end = within(prewarmer.run(&order, &progress)).await;
        assert_eq!(end, PrewarmEnd::Done, "{:?}", progress.errors());
        assert_eq!(progress.figures().bytes, WHOLE);
        assert_eq!(house.disk().files, 6, "the last slice, too");
    }
    assert_eq!(library.sent(), [(0, WHOLE)]);
    let response = house
        .ask(get_with("/film", &[("range", "bytes=-1000")]))
        .await;
    assert!(status(&response).starts_with("nova; hit; detail=disk"));
}

#[tokio::test]
async fn a_prewarm_of_what_is_known_ends_with_all_slices_on_disk() {
    let (library, directory) = (Library::default(), tempfile::tempdir().unwrap());
    let house = knowing(&library, &directory).await;
    let order = PrewarmOrder::parse(OriginKind::General, "urls", "/a", None, &[]).unwrap();
    let progress = PrewarmProgress::default();
    let prewarmer = house.edge.prewarmer(PrewarmConfig::default());
    let end = within(prewarmer.run(&order, &progress)).await;
    assert_eq!(end, PrewarmEnd::Done, "{:?}", progress.errors());
    assert_eq!(house.disk().files, 6);
}
