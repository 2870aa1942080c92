//! What every implementation of `ObjectStore` must do with uploads in parts.

use std::time::{Duration, Instant};

use bytes::Bytes;
use media::{Micros, Timestamp};
use storage::objects::{
    MAX_PARTS, MIN_PART_BYTES, ObjectError, ObjectStore, Upload, UploadId, UploadedPart,
    abort_stale_uploads,
};

use crate::object_store_suite::pattern;

pub(crate) async fn object_uploads_suite(store: &dyn ObjectStore) {
    parts_in_any_order_make_an_object(store).await;
    an_upload_goes_on_where_it_was(store).await;
    parts_that_do_not_make_it_are_refused(store).await;
    an_aborted_upload_is_gone(store).await;
    uploads_know_their_key(store).await;
    stale_uploads_are_found_and_aborted(store).await;
    an_upload_that_gets_parts_is_not_stale(store).await;
}

async fn uploads(store: &dyn ObjectStore) -> Vec<Upload> {
    store.list_uploads(None).await.unwrap().uploads
}

fn is_not_found<T>(result: Result<T, ObjectError>) -> bool {
    matches!(result, Err(ObjectError::UploadNotFound { .. }))
}

fn is_invalid<T>(result: Result<T, ObjectError>) -> bool {
    matches!(result, Err(ObjectError::InvalidParts { .. }))
}

async fn parts_in_any_order_make_an_object(store: &dyn ObjectStore) {
    let data = pattern(2 * MIN_PART_BYTES + 1_000, 10);
    let piece = |number: u64| {
        let start = ((number - 1) * MIN_PART_BYTES) as usize;
        data.slice(start..data.len().min(start + MIN_PART_BYTES as usize))
    };
    let upload = store.create_upload("m/x", Some("video/mp4")).await.unwrap();
    let mut parts = Vec::new();
    for number in [3, 1, 2] {
        let body = piece(number);
        let size = body.len() as u64;
        let part = store.upload_part("m/x", &upload, number as u32, body).await;
        let part = part.unwrap();
        assert_eq!((part.number, part.size), (number as u32, size));
        parts.push(part);
    }
    parts.sort_unstable_by_key(|part| part.number);
    // Nothing is there until it is complete.
    assert!(store.head("m/x").await.is_err());
    assert!(store.list("", None).await.unwrap().keys.is_empty());
    store.complete_upload("m/x", &upload, &parts).await.unwrap();
    assert_eq!(store.get("m/x").await.unwrap(), data);
    assert_eq!(store.head("m/x").await.unwrap().size, data.len() as u64);
    let range = MIN_PART_BYTES - 5..MIN_PART_BYTES + 5;
    let joint = store.get_range("m/x", range.clone()).await.unwrap();
    assert_eq!(joint.data, data[range.start as usize..range.end as usize]);
    assert!(uploads(store).await.is_empty());
    assert!(is_not_found(store.list_parts("m/x", &upload).await));
    let more = store.upload_part("m/x", &upload, 4, Bytes::new()).await;
    assert!(is_not_found(more));
    store.delete("m/x").await.unwrap();
}

async fn an_upload_goes_on_where_it_was(store: &dyn ObjectStore) {
    let (one, two) = (pattern(MIN_PART_BYTES, 11), pattern(10, 12));
    let upload = store.create_upload("m/y", None).await.unwrap();
    assert_eq!(store.list_parts("m/y", &upload).await.unwrap(), []);
    let wrong = Bytes::from_static(b"sent in haste");
    let replaced = store.upload_part("m/y", &upload, 1, wrong).await.unwrap();
    let sent = store.upload_part("m/y", &upload, 1, one.clone()).await;
    let sent = sent.unwrap();
    assert_ne!(sent, replaced);

    // Whoever comes back knows the upload's name, and nothing else.
    let upload = UploadId(upload.0.clone());
    let mut parts = store.list_parts("m/y", &upload).await.unwrap();
    assert_eq!(parts, [sent]);
    parts.push(
        store
            .upload_part("m/y", &upload, 2, two.clone())
            .await
            .unwrap(),
    );
    assert_eq!(store.list_parts("m/y", &upload).await.unwrap(), parts);
    store.complete_upload("m/y", &upload, &parts).await.unwrap();
    let whole = [one, two].concat();
    assert_eq!(store.get("m/y").await.unwrap(), whole);

    // One part is an object too, also when it is empty, and replaces the one before.
    let upload = store.create_upload("m/y", None).await.unwrap();
    let only = store.upload_part("m/y", &upload, 1, Bytes::new()).await;
    let only = [only.unwrap()];
    assert_eq!(store.get("m/y").await.unwrap(), whole);
    store.complete_upload("m/y", &upload, &only).await.unwrap();
    assert_eq!(store.get("m/y").await.unwrap(), "");
    store.delete("m/y").await.unwrap();
}

async fn parts_that_do_not_make_it_are_refused(store: &dyn ObjectStore) {
    let upload = store.create_upload("m/z", None).await.unwrap();
    let put = async |number, data| store.upload_part("m/z", &upload, number, data).await;
    for number in [0, MAX_PARTS + 1] {
        assert!(is_invalid(put(number, Bytes::new()).await), "{number}");
    }
    let small = put(1, Bytes::from_static(b"small")).await.unwrap();
    let last = put(2, Bytes::from_static(b"last")).await.unwrap();
    let complete =
        async |parts: &[UploadedPart]| store.complete_upload("m/z", &upload, parts).await;
    assert!(is_invalid(complete(&[]).await));
    assert!(is_invalid(complete(&[small.clone(), last.clone()]).await));
    assert!(is_invalid(complete(std::slice::from_ref(&last)).await));
    let large = put(1, pattern(MIN_PART_BYTES, 13)).await.unwrap();
    // The small one was replaced, and the third never came.
    assert!(is_invalid(complete(std::slice::from_ref(&small)).await));
    let third = UploadedPart {
        number: 3,
        ..last.clone()
    };
    let most = UploadedPart {
        number: 2,
        ..large.clone()
    };
    assert!(is_invalid(complete(&[large.clone(), most, third]).await));
    // The upload is still what it was.
    complete(&[large, last]).await.unwrap();
    let size = store.head("m/z").await.unwrap().size;
    assert_eq!(size, MIN_PART_BYTES + 4);
    store.delete("m/z").await.unwrap();
}

async fn an_aborted_upload_is_gone(store: &dyn ObjectStore) {
    let upload = store.create_upload("m/a", None).await.unwrap();
    let body = Bytes::from_static(b"x");
    let part = store.upload_part("m/a", &upload, 1, body.clone()).await;
    let parts = [part.unwrap()];
    store.abort_upload("m/a", &upload).await.unwrap();
    store.abort_upload("m/a", &upload).await.unwrap();
    assert!(is_not_found(store.list_parts("m/a", &upload).await));
    assert!(is_not_found(
        store.upload_part("m/a", &upload, 2, body).await
    ));
    assert!(is_not_found(
        store.complete_upload("m/a", &upload, &parts).await
    ));
    assert!(uploads(store).await.is_empty());
    assert!(store.head("m/a").await.is_err());
}

async fn uploads_know_their_key(store: &dyn ObjectStore) {
    let upload = store.create_upload("m/b", None).await.unwrap();
    let body = Bytes::from_static(b"x");
    let part = store.upload_part("m/b", &upload, 1, body.clone()).await;
    let parts = [part.unwrap()];
    assert!(is_not_found(
        store.upload_part("m/c", &upload, 1, body).await
    ));
    assert!(is_not_found(store.list_parts("m/c", &upload).await));
    assert!(is_not_found(
        store.complete_upload("m/c", &upload, &parts).await
    ));
    store.abort_upload("m/c", &upload).await.unwrap();
    assert_eq!(store.list_parts("m/b", &upload).await.unwrap(), parts);
    for invented in [
        "",
        "../../etc",
        "01890000-0000-7000-8000-000000000000",
        "x y&z",
    ] {
        let invented = UploadId(invented.to_owned());
        if !invented.0.is_empty() {
            let listed = store.list_parts("m/b", &invented).await;
            assert!(is_not_found(listed), "{invented:?}");
        }
    }
    store.abort_upload("m/b", &upload).await.unwrap();
}

async fn stale_uploads_are_found_and_aborted(store: &dyn ObjectStore) {
    let mut ids = Vec::new();
    for key in ["live/2", "live/1", "vod/3"] {
        ids.push(store.create_upload(key, None).await.unwrap());
    }
    let all = uploads(store).await;
    let keys: Vec<_> = all.iter().map(|upload| &*upload.key).collect();
    assert_eq!(keys, ["live/1", "live/2", "vod/3"]);
    assert_eq!(all[1].id, ids[0]);
    let page = store.list_uploads(Some(&all[1])).await.unwrap();
    assert_eq!((page.uploads, page.next), (all[2..].to_vec(), None));

    let before = all.iter().map(|upload| upload.started).min().unwrap();
    assert_eq!(abort_stale_uploads(store, before).await.unwrap(), 0);
    assert_eq!(uploads(store).await, all);
    let later: Timestamp = all.iter().map(|upload| upload.started).max().unwrap();
    let later = later + Micros::from_secs(1);
    // A bucket may be shared.
    let others = store.create_upload("theirs/4", None).await.unwrap();
    assert_eq!(abort_stale_uploads(store, later).await.unwrap(), 3);
    assert_eq!(uploads(store).await.len(), 1);
    store.abort_upload("theirs/4", &others).await.unwrap();
}

async fn an_upload_that_gets_parts_is_not_stale(store: &dyn ObjectStore) {
    let upload = store.create_upload("live/5", None).await.unwrap();
    let last = async || store.last_part("live/5", &upload).await;
    assert_eq!(last().await.unwrap(), None);
    let started = uploads(store).await[0].started;
    let deadline = Instant::now() + Duration::from_secs(20);
    // The clocks of some services have whole seconds only.
    let stored = loop {
        let put = store.upload_part("live/5", &upload, 1, Bytes::new()).await;
        put.unwrap();
        let stored = last().await.unwrap().unwrap();
        if stored > started {
            break stored;
        }
        assert!(Instant::now() < deadline, "{started:?} {stored:?}");
    };
    assert_eq!(abort_stale_uploads(store, stored).await.unwrap(), 0);
    let later = stored + Micros::from_secs(1);
    assert_eq!(abort_stale_uploads(store, later).await.unwrap(), 1);
    assert!(is_not_found(last().await));
}
