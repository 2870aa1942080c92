//! Uploads in parts that go wrong on their way.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use storage::objects::faulty::Fault;
use storage::objects::{
    FaultyStore, Layer, MIN_PART_BYTES, MemoryStore, ObjectError, ObjectStore, Operation,
    PutOptions, Retry, Sha256,
};

use crate::object_store_suite::{in_pieces, pattern};

/// Two whole parts of a stream.
const SIZE: u64 = 16 * 1024 * 1024;
const _: () = assert!(SIZE > MIN_PART_BYTES);

fn hasty() -> Retry {
    Retry {
        attempts: 3,
        first_wait: Duration::from_millis(1),
        longest_wait: Duration::from_millis(2),
    }
}

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
