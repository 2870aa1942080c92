//! Uploads in parts that go wrong on their way.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use media::Timestamp;
use storage::objects::faulty::Fault;
use storage::objects::{
    Chunks, FaultyStore, Layer, Layered, MIN_PART_BYTES, MemoryStore, ObjectError, ObjectFuture,
    ObjectStore, Operation, PutOptions, Sha256, abort_stale_uploads,
};

use crate::object_layers::hasty;
use crate::object_store_suite::{in_pieces, pattern};

/// Two whole parts of a stream.
const SIZE: u64 = 16 * 1024 * 1024;
const _: () = assert!(SIZE > MIN_PART_BYTES);

/// With the hash of the body, and without.
fn options(data: &Bytes) -> [PutOptions<'static>; 2] {
    let hash = |sha256| PutOptions {
        sha256,
        ..PutOptions::default()
    };
    [hash(None), hash(Some(Sha256::of(data)))]
}

#[tokio::test]
async fn a_completion_whose_answer_was_lost_is_found_done() {
    let data = pattern(SIZE, 2);
    for options in options(&data) {
        let memory = Arc::new(MemoryStore::default());
        let faulty = FaultyStore::new(memory.clone());
        let store = hasty().around(faulty.clone());
        // Another of the same size is replaced.
        memory.put("a", pattern(SIZE, 1)).await.unwrap();
        faulty.fail(Fault::CompletionLost);
        let put = store.put_stream("a", in_pieces(&data, 1_000_000), options);
        assert_eq!(put.await.unwrap(), SIZE);
        assert_eq!(faulty.calls(Operation::CompleteUpload), 2);
        assert_eq!(memory.get("a").await.unwrap(), data);
    }
}

#[tokio::test]
async fn an_upload_that_somebody_aborted_is_not_taken_for_done() {
    let data = pattern(SIZE, 2);
    for options in options(&data) {
        let memory = Arc::new(MemoryStore::default());
        let store = hasty().around(memory.clone());
        let before = pattern(SIZE, 1);
        memory.put("a", before.clone()).await.unwrap();
        // The end of the body is looked for when both parts have been sent.
        let aborting = memory.clone();
        let abort = stream::once(async move {
            for upload in aborting.list_uploads(None).await.unwrap().uploads {
                let parts = aborting.list_parts(&upload.key, &upload.id).await.unwrap();
                assert_eq!(parts.len(), 2);
                aborting
                    .abort_upload(&upload.key, &upload.id)
                    .await
                    .unwrap();
            }
            Ok(Bytes::new())
        });
        let body = Box::pin(in_pieces(&data, 1_000_000).chain(abort));
        let error = store.put_stream("a", body, options).await.unwrap_err();
        assert!(
            matches!(error, ObjectError::UploadNotFound { .. }),
            "{error}"
        );
        assert_eq!(memory.get("a").await.unwrap(), before);
    }
}

/// Refuses to abort, once.
#[derive(Debug, Default)]
struct FirstAbortFails(AtomicBool);

impl Layer for FirstAbortFails {
    fn call<'a, T: Send + 'a>(
        &'a self,
        operation: Operation,
        run: impl Fn() -> ObjectFuture<'a, T> + Send + 'a,
    ) -> ObjectFuture<'a, T> {
        if operation == Operation::AbortUpload && !self.0.swap(true, Ordering::AcqRel) {
            return Box::pin(async move {
                Err(ObjectError::Denied {
                    what: operation.as_str().to_owned(),
                    code: "AccessDenied".to_owned(),
                })
            });
        }
        run()
    }

    fn put_stream<'a>(
        &'a self,
        layered: &'a Layered<Self>,
        key: &'a str,
        body: Chunks<io::Error>,
        options: PutOptions<'a>,
    ) -> ObjectFuture<'a, u64> {
        layered.inner().put_stream(key, body, options)
    }
}

#[tokio::test]
async fn an_upload_that_cannot_be_aborted_keeps_no_other() {
    let memory = Arc::new(MemoryStore::default());
    let store = FirstAbortFails::default().around(memory.clone());
    for key in ["live/1", "live/2", "live/3"] {
        store.create_upload(key, None).await.unwrap();
    }
    let never = Timestamp::from_micros(i64::MAX);
    let error = abort_stale_uploads(&*store, never).await.unwrap_err();
    assert!(matches!(error, ObjectError::Denied { .. }), "{error}");
    let left = memory.list_uploads(None).await.unwrap().uploads;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].key, "live/1");
    assert_eq!(abort_stale_uploads(&*store, never).await.unwrap(), 1);
}
