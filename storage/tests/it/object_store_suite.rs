//! What every implementation of `ObjectStore` must do. Runs on an empty store, and leaves
//! it empty.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use storage::objects::{
    Chunks, MAX_OBJECT_BYTES, ObjectError, ObjectStore, PAGE_KEYS, PutOptions, Sha256, one_chunk,
};

use crate::object_uploads_suite::object_uploads_suite;

pub(crate) async fn object_store_suite(store: Arc<dyn ObjectStore>) {
    let store = &*store;
    store.health().await.unwrap();
    puts_and_gets(store).await;
    a_head_tells_what_was_put(store).await;
    takes_unusual_keys(store).await;
    absent_objects_are_not_found(store).await;
    refuses_bad_keys(store).await;
    gets_ranges(store).await;
    puts_and_gets_streams(store).await;
    a_stream_that_fails_leaves_nothing(store).await;
    verifies_hashes(store).await;
    a_body_being_read_is_not_changed(store).await;
    lists_in_byte_order(store).await;
    lists_and_deletes_in_pages(store).await;
    deletes(store).await;
    concurrent_puts_of_one_key_leave_one_of_them(store).await;
    object_uploads_suite(store).await;
    assert_eq!(all_keys(store).await, [""; 0]);
}

/// Bytes in which no two places look alike.
pub(crate) fn pattern(length: u64, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let words = std::iter::repeat_with(next).flat_map(u64::to_le_bytes);
    words.take(length as usize).collect()
}

/// `data` in pieces of `size` bytes.
pub(crate) fn in_pieces(data: &Bytes, size: usize) -> Chunks<io::Error> {
    let pieces: Vec<_> = (0..data.len())
        .step_by(size)
        .map(|at| Ok(data.slice(at..data.len().min(at + size))))
        .collect();
    Box::pin(stream::iter(pieces))
}

pub(crate) async fn collected(chunks: Chunks<ObjectError>) -> Result<Bytes, ObjectError> {
    let pieces: Vec<Bytes> = chunks.try_collect().await?;
    Ok(pieces.concat().into())
}

async fn all_keys(store: &dyn ObjectStore) -> Vec<String> {
    store.list("", None).await.unwrap().keys
}

async fn puts_and_gets(store: &dyn ObjectStore) {
    for data in [&b""[..], b"one", b"another, longer than the one before"] {
        let data = Bytes::from_static(data);
        store.put("live/demo/1.m4s", data.clone()).await.unwrap();
        assert_eq!(store.get("live/demo/1.m4s").await.unwrap(), data);
        let head = store.head("live/demo/1.m4s").await.unwrap();
        assert_eq!(head.size, data.len() as u64);
    }
    let large = pattern(3_000_001, 1);
    store.put("large", large.clone()).await.unwrap();
    assert_eq!(store.get("large").await.unwrap(), large);
    store.delete("large").await.unwrap();
    store.delete_prefix("live/").await.unwrap();
}

async fn a_head_tells_what_was_put(store: &dyn ObjectStore) {
    store.put("a", Bytes::from_static(b"one")).await.unwrap();
    let one = store.head("a").await.unwrap();
    store.put("a", Bytes::from_static(b"two")).await.unwrap();
    let two = store.head("a").await.unwrap();
    assert!(!one.etag.is_empty());
    assert_ne!(one.etag, two.etag);
    assert_eq!(store.head("a").await.unwrap(), two);
    assert!(one.modified <= two.modified);
    // 2020, in case a store does not know.
    assert!(one.modified.as_micros() > 1_577_836_800_000_000);
    store.delete("a").await.unwrap();
}

async fn takes_unusual_keys(store: &dyn ObjectStore) {
    let long = format!("{}/{}", "x".repeat(60), "y".repeat(60));
    let mut keys = vec![
        "-",
        "0",
        "A",
        "A.b",
        "_",
        "a",
        "a..b",
        "a.",
        "con",
        "deep/1/2/3/4/5/6/7/8/9",
        "x.tmp",
        &long,
    ];
    for key in &keys {
        let data = Bytes::from((*key).to_owned());
        store.put(key, data).await.unwrap();
    }
    keys.sort_unstable();
    assert_eq!(all_keys(store).await, keys);
    for key in &keys {
        assert_eq!(store.get(key).await.unwrap(), *key);
        store.delete(key).await.unwrap();
    }
}

async fn absent_objects_are_not_found(store: &dyn ObjectStore) {
    store.put("a/b", Bytes::from_static(b"x")).await.unwrap();
    for absent in ["nothing", "a", "a/c", "a/b/c"] {
        let missing = |error| matches!(error, ObjectError::NotFound(key) if key == absent);
        assert!(missing(store.get(absent).await.unwrap_err()), "{absent}");
        assert!(missing(store.head(absent).await.unwrap_err()), "{absent}");
        let range = store.get_range(absent, 0..1).await;
        assert!(missing(range.unwrap_err()), "{absent}");
        let range = store.get_range(absent, 0..0).await;
        assert!(missing(range.unwrap_err()), "{absent}");
        let stream = store.get_stream(absent).await;
        assert!(missing(stream.unwrap_err()), "{absent}");
        store.delete(absent).await.unwrap();
    }
    store.delete_prefix("nothing/").await.unwrap();
    assert_eq!(store.get("a/b").await.unwrap(), "x");
    store.delete_prefix("a/").await.unwrap();
}

async fn refuses_bad_keys(store: &dyn ObjectStore) {
    for bad in [
        "",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a//b",
        ".hidden",
        "a b",
        "é",
    ] {
        let refused = |error| matches!(error, ObjectError::InvalidKey(_));
        let put = store.put(bad, Bytes::new()).await;
        assert!(refused(put.unwrap_err()), "{bad}");
        let body = one_chunk(Bytes::new());
        let put = store.put_stream(bad, body, PutOptions::default()).await;
        assert!(refused(put.unwrap_err()), "{bad}");
        assert!(refused(store.get(bad).await.unwrap_err()), "{bad}");
        let range = store.get_range(bad, 0..1).await;
        assert!(refused(range.unwrap_err()), "{bad}");
        assert!(refused(store.get_stream(bad).await.unwrap_err()), "{bad}");
        assert!(refused(store.head(bad).await.unwrap_err()), "{bad}");
        assert!(refused(store.delete(bad).await.unwrap_err()), "{bad}");
        let upload = store.create_upload(bad, None).await;
        assert!(refused(upload.unwrap_err()), "{bad}");
    }
    for bad in ["", "a", "/", "../"] {
        let refused = |error| matches!(error, ObjectError::InvalidPrefix(_));
        let deleted = store.delete_prefix(bad).await;
        assert!(refused(deleted.unwrap_err()), "{bad}");
        if !bad.is_empty() {
            let listed = store.list(bad, None).await;
            assert!(refused(listed.unwrap_err()), "{bad}");
        }
    }
}

async fn gets_ranges(store: &dyn ObjectStore) {
    let data = pattern(100_000, 2);
    store.put("r", data.clone()).await.unwrap();
    for (range, got) in [
        (0..1, 0..1),
        (0..100_000, 0..100_000),
        (1..99_999, 1..99_999),
        (99_999..100_000, 99_999..100_000),
        (99_990..100_010, 99_990..100_000),
        (5..u64::MAX, 5..100_000),
        (5..MAX_OBJECT_BYTES * 2, 5..100_000),
        (7..7, 7..7),
        (100_000..100_000, 100_000..100_000),
    ] {
        let answer = store.get_range("r", range.clone()).await.unwrap();
        assert_eq!(answer.size, 100_000, "{range:?}");
        assert_eq!(answer.data, data[got], "{range:?}");
    }
    for past in [100_000..100_001, 100_001..100_001, 200_000..u64::MAX] {
        let error = store.get_range("r", past.clone()).await.unwrap_err();
        assert!(
            matches!(error, ObjectError::RangeNotSatisfiable { start, size: 100_000, .. }
                if start == past.start),
            "{error}"
        );
    }
    let backwards = std::ops::Range { start: 2, end: 1 };
    let error = store.get_range("r", backwards).await.unwrap_err();
    assert!(matches!(error, ObjectError::InvalidRange { .. }), "{error}");

    store.put("r", Bytes::new()).await.unwrap();
    let empty = store.get_range("r", 0..0).await.unwrap();
    assert_eq!((empty.data.len(), empty.size), (0, 0));
    let error = store.get_range("r", 0..1).await.unwrap_err();
    assert!(
        matches!(error, ObjectError::RangeNotSatisfiable { size: 0, .. }),
        "{error}"
    );
    store.delete("r").await.unwrap();
}

async fn puts_and_gets_streams(store: &dyn ObjectStore) {
    // Around what a store may hold at once.
    let part = 8 * 1024 * 1024;
    for (length, piece) in [
        (0, 1),
        (1, 1),
        (70_000, 999),
        (part, 1_000_000),
        (2 * part + 1, 3_000_000),
    ] {
        let data = pattern(length, length);
        let body = in_pieces(&data, piece);
        let stored = store.put_stream("s", body, PutOptions::default()).await;
        assert_eq!(stored.unwrap(), length);
        assert_eq!(store.get("s").await.unwrap(), data, "{length}");
        let body = store.get_stream("s").await.unwrap();
        assert_eq!(body.size, length);
        assert_eq!(collected(body.chunks).await.unwrap(), data, "{length}");
    }
    // Pieces may be empty, and may be larger than a part.
    let data = pattern(part + 5, 3);
    let pieces = [Bytes::new(), data.clone(), Bytes::new()];
    let body = Box::pin(stream::iter(pieces.map(Ok)));
    let stored = store.put_stream("s", body, PutOptions::default()).await;
    assert_eq!(stored.unwrap(), part + 5);
    assert_eq!(store.get("s").await.unwrap(), data);
    store.delete("s").await.unwrap();
}

fn breaking_off(data: &Bytes) -> Chunks<io::Error> {
    let broken = stream::iter([Err(io::ErrorKind::ConnectionReset.into())]);
    Box::pin(in_pieces(data, 1_000_000).chain(broken))
}

async fn a_stream_that_fails_leaves_nothing(store: &dyn ObjectStore) {
    store.put("old", Bytes::from_static(b"old")).await.unwrap();
    for length in [0, 10, 9_000_000] {
        let data = pattern(length, 4);
        for key in ["new", "old"] {
            let body = breaking_off(&data);
            let put = store.put_stream(key, body, PutOptions::default()).await;
            let error = put.unwrap_err();
            assert!(
                matches!(&error, ObjectError::BodyFailed { key: its, .. } if its == key),
                "{error}"
            );
        }
    }
    assert_eq!(all_keys(store).await, ["old"]);
    assert_eq!(store.get("old").await.unwrap(), "old");
    assert!(store.list_uploads(None).await.unwrap().uploads.is_empty());
    store.delete("old").await.unwrap();
}

async fn verifies_hashes(store: &dyn ObjectStore) {
    for length in [0, 5, 200_000, 9_000_000] {
        let data = pattern(length, 5);
        let hash = Sha256::of(&data);
        let right = PutOptions {
            sha256: Some(hash),
            ..PutOptions::default()
        };
        let wrong = PutOptions {
            sha256: Some(Sha256::of(b"another")),
            ..PutOptions::default()
        };
        let refused =
            |error| matches!(error, ObjectError::Sha256Mismatch { actual, .. } if actual == hash);
        let put = store.put_with("h", data.clone(), wrong).await;
        assert!(refused(put.unwrap_err()), "{length}");
        let put = store.put_stream("h", in_pieces(&data, 65_536), wrong).await;
        assert!(refused(put.unwrap_err()), "{length}");
        assert_eq!(all_keys(store).await, [""; 0], "{length}");

        store.put_with("h", data.clone(), right).await.unwrap();
        assert_eq!(store.get("h").await.unwrap(), data);
        let put = store.put_with("h", Bytes::new(), wrong).await;
        assert!(put.is_err(), "{length}");
        assert_eq!(store.get("h").await.unwrap(), data);
        let put = store.put_stream("h", in_pieces(&data, 65_536), right).await;
        assert_eq!(put.unwrap(), length);
        assert_eq!(store.get("h").await.unwrap(), data);
        store.delete("h").await.unwrap();
    }
    assert!(store.list_uploads(None).await.unwrap().uploads.is_empty());
}

async fn a_body_being_read_is_not_changed(store: &dyn ObjectStore) {
    let (old, new) = (pattern(9_000_000, 6), pattern(8_000_000, 7));
    store.put("o", old.clone()).await.unwrap();
    let body = store.get_stream("o").await.unwrap();
    store.put("o", new.clone()).await.unwrap();
    let replaced = store.get_stream("o").await.unwrap();
    assert_eq!(collected(body.chunks).await.unwrap(), old);
    assert_eq!(replaced.size, 8_000_000);
    // Whoever stops reading half-way disturbs nobody.
    let mut chunks = replaced.chunks;
    chunks.next().await.unwrap().unwrap();
    drop(chunks);
    assert_eq!(store.get("o").await.unwrap(), new);
    store.delete("o").await.unwrap();
}

async fn lists_in_byte_order(store: &dyn ObjectStore) {
    let keys = ["a", "b-c/1", "b.c", "b/1", "b/10", "b/2/x", "b/2/y", "c"];
    for key in keys {
        store.put(key, Bytes::from_static(b"x")).await.unwrap();
    }
    let all = store.list("", None).await.unwrap();
    assert_eq!(all.keys, keys);
    assert_eq!(all.next, None);
    let folder = store.list("b/", None).await.unwrap();
    assert_eq!(folder.keys, ["b/1", "b/10", "b/2/x", "b/2/y"]);
    let rest = store.list("b/", Some("b/10")).await.unwrap();
    assert_eq!(rest.keys, ["b/2/x", "b/2/y"]);
    let rest = store.list("", Some("b/2/x")).await.unwrap();
    assert_eq!(rest.keys, ["b/2/y", "c"]);
    // A cursor need not be there any more, nor be in the folder.
    let rest = store.list("", Some("b/15")).await.unwrap();
    assert_eq!(rest.keys, ["b/2/x", "b/2/y", "c"]);
    let rest = store.list("b/2/", Some("a")).await.unwrap();
    assert_eq!(rest.keys, ["b/2/x", "b/2/y"]);
    let rest = store.list("b/2/", Some("c")).await.unwrap();
    assert_eq!(rest.keys, [""; 0]);
    assert!(store.list("none/", None).await.unwrap().keys.is_empty());
    for key in keys {
        store.delete(key).await.unwrap();
    }
    assert_eq!(all_keys(store).await, [""; 0]);
}

async fn put_all(store: &dyn ObjectStore, keys: &[String]) {
    let puts = keys
        .iter()
        .map(|key| store.put(key, Bytes::from_static(b"x")));
    let done: Result<Vec<()>, _> = stream::iter(puts).buffer_unordered(8).try_collect().await;
    done.unwrap();
}

async fn lists_and_deletes_in_pages(store: &dyn ObjectStore) {
    let keys: Vec<_> = (0..=PAGE_KEYS).map(|n| format!("page/{n:05}")).collect();
    put_all(store, &keys).await;
    let first = store.list("page/", None).await.unwrap();
    assert_eq!(first.keys, keys[..PAGE_KEYS]);
    let last = store.list("page/", first.next.as_deref()).await.unwrap();
    assert_eq!(last.keys, keys[PAGE_KEYS..]);
    assert_eq!(last.next, None);
    store.delete(&keys[PAGE_KEYS]).await.unwrap();
    let full = store.list("page/", None).await.unwrap();
    assert_eq!((full.keys.len(), full.next), (PAGE_KEYS, None));
    put_all(store, &keys[PAGE_KEYS..]).await;
    store.delete_prefix("page/").await.unwrap();
    assert_eq!(all_keys(store).await, [""; 0]);
}

async fn deletes(store: &dyn ObjectStore) {
    for key in ["d/1", "d/2/x", "dd/1", "d-/1", "d.x"] {
        store.put(key, Bytes::from_static(b"x")).await.unwrap();
    }
    store.delete_prefix("d/").await.unwrap();
    assert_eq!(all_keys(store).await, ["d-/1", "d.x", "dd/1"]);
    for key in ["d-/1", "d.x", "dd/1"] {
        store.delete(key).await.unwrap();
        let gone = store.get(key).await.unwrap_err();
        assert!(matches!(gone, ObjectError::NotFound(_)));
    }
    // What was a folder may be a key once nothing is in it.
    store.put("e/f/g", Bytes::new()).await.unwrap();
    store.delete("e/f/g").await.unwrap();
    store.put("e", Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(store.get("e").await.unwrap(), "x");
    store.delete("e").await.unwrap();
}

async fn concurrent_puts_of_one_key_leave_one_of_them(store: &dyn ObjectStore) {
    let bodies: Vec<_> = (1..=8_u8)
        .map(|n| Bytes::from(vec![n; 100_000 * usize::from(n)]))
        .collect();
    let [a, b, c, d] = [0, 2, 4, 6].map(|n| {
        let (one, other) = (bodies[n].clone(), bodies[n + 1].clone());
        async move {
            store.put("race/x", one).await.unwrap();
            let seen = store.get("race/x").await.unwrap();
            store.put("race/x", other).await.unwrap();
            seen
        }
    });
    let seen = tokio::join!(a, b, c, d);
    let last = store.get("race/x").await.unwrap();
    for seen in [seen.0, seen.1, seen.2, seen.3, last] {
        assert!(bodies.contains(&seen), "{} bytes, torn", seen.len());
    }
    store.delete_prefix("race/").await.unwrap();
}
