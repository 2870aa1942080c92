//! Layers around stores that fail: what is done again, given up, counted.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use measured::Measured;
use storage::objects::faulty::Fault;
use storage::objects::{
    ErrorKind, FaultyStore, Layer, MemoryStore, Metrics, ObjectStore, Operation, PutOptions, Retry,
    Timeout, one_chunk,
};

use crate::object_store_suite::{in_pieces, pattern};

/// Short enough to be met in a test. What meets it never answers, and nothing that must
/// answer is under it.
pub(crate) const SOON: Duration = Duration::from_millis(100);

pub(crate) fn hasty() -> Retry {
    Retry {
        attempts: 3,
        first_wait: Duration::from_millis(1),
        longest_wait: Duration::from_millis(2),
    }
}

pub(crate) fn impatient() -> Timeout {
    Timeout {
        answer: SOON,
        body: SOON,
        long: SOON,
        chunk: SOON,
    }
}

#[tokio::test]
async fn a_stream_in_does_not_wait_for_the_store() {
    let inner = FaultyStore::new(Arc::new(MemoryStore::default()));
    let store = impatient().around(inner.clone());
    inner.fail(Fault::Hang);
    let put = store.put_stream("a", one_chunk(Bytes::new()), PutOptions::default());
    assert_eq!(put.await.unwrap_err().kind(), ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_stream_is_sent_again_part_by_part() {
    let memory = Arc::new(MemoryStore::default());
    let faulty = FaultyStore::new(memory.clone());
    let store = hasty().around(faulty.clone());
    let data = pattern(2 * 8 * 1024 * 1024 + 5, 1);
    // The service is busy after each megabyte, until the first retry.
    let failing = faulty.clone();
    let body = in_pieces(&data, 1_000_000).inspect(move |_| failing.fail(Fault::Unavailable));
    let healing = faulty.clone();
    let healer = tokio::spawn(async move {
        let mut calls = 0;
        loop {
            let now: u64 = [
                Operation::CreateUpload,
                Operation::UploadPart,
                Operation::CompleteUpload,
            ]
            .map(|operation| healing.calls(operation))
            .iter()
            .sum();
            if now > calls {
                healing.recover();
                calls = now;
            }
            tokio::task::yield_now().await;
        }
    });
    let put = store.put_stream("a", Box::pin(body), PutOptions::default());
    assert_eq!(put.await.unwrap(), data.len() as u64);
    healer.abort();
    assert_eq!(memory.get("a").await.unwrap(), data);
    assert!(faulty.calls(Operation::UploadPart) > 3);
    assert_eq!(faulty.calls(Operation::PutStream), 0);
}

#[tokio::test]
async fn a_faulty_store_fails_as_told() {
    let store = FaultyStore::new(Arc::new(MemoryStore::default()));
    let data = Bytes::from_static(b"data");
    store.put("a", data.clone()).await.unwrap();
    store.fail(Fault::DiskFull);
    let error = store.put("b", data.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    let put = store.put_stream("b", one_chunk(data.clone()), PutOptions::default());
    assert_eq!(put.await.unwrap_err().kind(), ErrorKind::Full);
    // Reading goes on, and so does making room.
    assert_eq!(store.get("a").await.unwrap(), "data");
    store.delete("a").await.unwrap();
    store.fail(Fault::Denied);
    let error = store.get("a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    store.fail(Fault::Unavailable);
    assert!(store.health().await.unwrap_err().is_transient());
    store.recover();
    store.put("b", data).await.unwrap();
    assert_eq!(store.calls(Operation::Put), 3);
    assert_eq!(store.calls(Operation::PutStream), 1);
}

#[tokio::test]
async fn operations_are_counted_by_outcome() {
    let counted = Measured::default();
    let _recording = metrics::set_default_local_recorder(&counted);
    let faulty = FaultyStore::new(Arc::new(MemoryStore::default()));
    let store = Metrics { store: "memory" }.around(hasty().around(faulty.clone()));
    store.put("a", Bytes::from_static(b"data")).await.unwrap();
    store.get("b").await.unwrap_err();
    faulty.fail(Fault::Unavailable);
    store.get("a").await.unwrap_err();
    faulty.fail(Fault::Hang);
    tokio::select! {
        biased;
        got = store.get("a") => panic!("{got:?}"),
        () = std::future::ready(()) => {}
    }
    let of = |operation: &str, outcome: &str| {
        counted.count(&format!(
            "nova_object_operations_total store=memory operation={operation} outcome={outcome}"
        ))
    };
    assert_eq!(of("put", "ok"), 1);
    assert_eq!(of("get", "not_found"), 1);
    assert_eq!(of("get", "unavailable"), 1);
    assert_eq!(of("get", "cancelled"), 1);
    assert_eq!(counted.count("nova_object_retries_total operation=get"), 2);
}
