//! Uploads in parts: cutting a stream into them, what makes an object, and stale ones.

use std::io;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use media::Timestamp;

use super::digest::Verifier;
use super::{
    Chunks, KEY_ROOTS, MAX_OBJECT_BYTES, MAX_PARTS, MIN_PART_BYTES, ObjectError, ObjectHead,
    ObjectStore, PutOptions, Sha256, Upload, UploadId, UploadedPart, check_key,
};

/// What is held of a stream at once, in bytes. With [`MAX_PARTS`] it makes the largest.
pub(super) const STREAM_PART_BYTES: usize = 8 * 1024 * 1024;

const _: () = assert!(STREAM_PART_BYTES as u64 >= MIN_PART_BYTES);

/// `put_stream` for a store that takes whole bodies only: a body of at most one part is
/// put, a longer one uploaded in parts. One part is in memory at a time.
///
/// When the future is dropped, the upload stays, for [`abort_stale_uploads`] to find.
pub(super) async fn put_in_parts(
    store: &dyn ObjectStore,
    key: &str,
    body: Chunks<io::Error>,
    options: PutOptions<'_>,
) -> Result<u64, ObjectError> {
    check_key(key)?;
    let mut cutter = Cutter {
        key,
        body,
        rest: Bytes::new(),
        verifier: Verifier::expecting(options.sha256),
    };
    let first = cutter.next_part().await?;
    if first.len() < STREAM_PART_BYTES {
        cutter.verifier.finish(key)?;
        let size = first.len() as u64;
        // Its hash goes along: a store may check it once more.
        store.put_with(key, first, options).await?;
        return Ok(size);
    }
    let upload = store.create_upload(key, options.content_type).await?;
    let sent = send(store, cutter, &upload, first, options.sha256).await;
    if sent.is_err()
        && let Err(error) = store.abort_upload(key, &upload).await
    {
        tracing::warn!(key, %error, "an upload that failed stays until it is stale");
    }
    sent
}

async fn send(
    store: &dyn ObjectStore,
    mut cutter: Cutter<'_>,
    upload: &UploadId,
    first: Bytes,
    sha256: Option<Sha256>,
) -> Result<u64, ObjectError> {
    let key = cutter.key;
    let (mut part, mut parts, mut size) = (first, Vec::new(), 0);
    for number in 1..=MAX_PARTS {
        let length = part.len();
        size += length as u64;
        parts.push(store.upload_part(key, upload, number, part).await?);
        part = match length {
            STREAM_PART_BYTES => cutter.next_part().await?,
            _ => Bytes::new(),
        };
        if part.is_empty() {
            cutter.verifier.finish(key)?;
            complete(store, key, upload, &parts, Sent { size, sha256 }).await?;
            return Ok(size);
        }
    }
    Err(too_long(key, size + part.len() as u64))
}

/// What is known of a body that was sent.
struct Sent {
    size: u64,
    sha256: Option<Sha256>,
}

/// Completes an upload. Whoever does that again because the answer was lost is told that
/// there is no such upload; then what is under the key tells whether it is ours.
async fn complete(
    store: &dyn ObjectStore,
    key: &str,
    upload: &UploadId,
    parts: &[UploadedPart],
    sent: Sent,
) -> Result<(), ObjectError> {
    let before = match sent.sha256 {
        Some(_) => None,
        None => look(store, key).await?,
    };
    let not_found = match store.complete_upload(key, upload, parts).await {
        Err(error @ ObjectError::UploadNotFound { .. }) => error,
        completed => return completed,
    };
    let now = look(store, key).await?;
    let is_ours = match (now, sent.sha256) {
        (Some(now), Some(hash)) if now.size == sent.size => has(store, key, hash).await?,
        (Some(now), None) => now.size == sent.size && Some(now) != before,
        _ => false,
    };
    match is_ours {
        true => Ok(()),
        false => Err(not_found),
    }
}

async fn look(store: &dyn ObjectStore, key: &str) -> Result<Option<ObjectHead>, ObjectError> {
    match store.head(key).await {
        Ok(head) => Ok(Some(head)),
        Err(ObjectError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn has(store: &dyn ObjectStore, key: &str, hash: Sha256) -> Result<bool, ObjectError> {
    let mut verifier = Verifier::expecting(Some(hash));
    let mut body = store.get_stream(key).await?.chunks;
    while let Some(chunk) = body.next().await {
        verifier.update(&chunk?);
    }
    Ok(verifier.finish(key).is_ok())
}

pub(super) fn too_long(key: &str, size: u64) -> ObjectError {
    ObjectError::TooLarge {
        key: key.to_owned(),
        size,
        limit: super::MAX_STREAM_BYTES,
    }
}

/// Cuts a stream into parts of [`STREAM_PART_BYTES`], the last shorter.
struct Cutter<'a> {
    key: &'a str,
    body: Chunks<io::Error>,
    /// What came with the part before.
    rest: Bytes,
    verifier: Verifier,
}

impl Cutter<'_> {
    /// Shorter than a part when the body has ended.
    async fn next_part(&mut self) -> Result<Bytes, ObjectError> {
        let mut part = BytesMut::new();
        loop {
            while self.rest.is_empty() {
                match self.body.next().await {
                    None => return Ok(part.freeze()),
                    Some(Ok(chunk)) => {
                        self.verifier.update(&chunk);
                        self.rest = chunk;
                    }
                    Some(Err(source)) => {
                        return Err(ObjectError::BodyFailed {
                            key: self.key.to_owned(),
                            source,
                        });
                    }
                }
            }
            let missing = STREAM_PART_BYTES - part.len();
            let piece = self.rest.split_to(missing.min(self.rest.len()));
            if piece.len() == STREAM_PART_BYTES {
                return Ok(piece);
            }
            part.extend_from_slice(&piece);
            if part.len() == STREAM_PART_BYTES {
                return Ok(part.freeze());
            }
        }
    }
}

/// Refuses a part that no store takes.
pub(super) fn check_part(key: &str, number: u32, size: u64) -> Result<(), ObjectError> {
    if !(1..=MAX_PARTS).contains(&number) {
        return Err(invalid(
            key,
            format!("number {number} is not 1 to {MAX_PARTS}"),
        ));
    }
    if size > MAX_OBJECT_BYTES {
        return Err(ObjectError::TooLarge {
            key: key.to_owned(),
            size,
            limit: MAX_OBJECT_BYTES,
        });
    }
    Ok(())
}

/// Refuses parts that no store joins.
pub(super) fn check_parts(key: &str, parts: &[UploadedPart]) -> Result<(), ObjectError> {
    let Some((last, others)) = parts.split_last() else {
        return Err(invalid(key, "there are none".to_owned()));
    };
    for (part, expected) in parts.iter().zip(1..) {
        if part.number != expected {
            let reason = format!("number {} stands where {expected} should", part.number);
            return Err(invalid(key, reason));
        }
    }
    check_part(key, last.number, last.size)?;
    if let Some(small) = others.iter().find(|part| part.size < MIN_PART_BYTES) {
        let reason = format!(
            "part {} has {} bytes, and only the last may have less than {MIN_PART_BYTES}",
            small.number, small.size
        );
        return Err(invalid(key, reason));
    }
    Ok(())
}

/// Refuses parts that are not those which the store has; `stored` is by number.
pub(super) fn check_stored(
    key: &str,
    parts: &[UploadedPart],
    stored: &[UploadedPart],
) -> Result<(), ObjectError> {
    let is_there = |part: &UploadedPart| {
        let found = stored.binary_search_by_key(&part.number, |one| one.number);
        found.is_ok_and(|index| stored[index] == *part)
    };
    match parts.iter().find(|part| !is_there(part)) {
        None => Ok(()),
        Some(part) => {
            let reason = format!("part {} is not there, or was replaced", part.number);
            Err(invalid(key, reason))
        }
    }
}

pub(super) fn invalid(key: &str, reason: String) -> ObjectError {
    ObjectError::InvalidParts {
        key: key.to_owned(),
        reason,
    }
}

/// Aborts the uploads under [`KEY_ROOTS`] that were created before `before` and got no part
/// since, and tells how many. One that cannot be aborted keeps no other: the first error
/// is told at the end.
pub async fn abort_stale_uploads(
    store: &dyn ObjectStore,
    before: Timestamp,
) -> Result<u64, ObjectError> {
    let (mut aborted, mut first_error, mut cursor) = (0, None, None);
    loop {
        let page = match store.list_uploads(cursor.as_ref()).await {
            Ok(page) => page,
            Err(error) => return Err(first_error.unwrap_or(error)),
        };
        let ours = |upload: &&Upload| KEY_ROOTS.iter().any(|root| upload.key.starts_with(*root));
        for upload in page.uploads.iter().filter(ours) {
            match abort_if_stale(store, upload, before).await {
                Ok(stale) => aborted += u64::from(stale),
                Err(error) => _ = first_error.get_or_insert(error),
            }
        }
        cursor = page.next;
        match first_error {
            _ if cursor.is_some() => {}
            Some(error) => return Err(error),
            None => return Ok(aborted),
        }
    }
}

async fn abort_if_stale(
    store: &dyn ObjectStore,
    upload: &Upload,
    before: Timestamp,
) -> Result<bool, ObjectError> {
    if upload.started >= before {
        return Ok(false);
    }
    match store.last_part(&upload.key, &upload.id).await {
        Ok(last) if last.is_none_or(|stored| stored < before) => {}
        // Somebody goes on with it, or has ended it meanwhile.
        Ok(_) | Err(ObjectError::UploadNotFound { .. }) => return Ok(false),
        Err(error) => return Err(error),
    }
    store.abort_upload(&upload.key, &upload.id).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use proptest::prelude::*;

    use super::*;

    fn part(number: u32, size: u64) -> UploadedPart {
        UploadedPart {
            number,
            size,
            etag: String::new(),
            crc32: None,
        }
    }

    #[test]
    fn parts_are_numbered_from_one_without_a_gap() {
        let big = MIN_PART_BYTES;
        let ok = |parts: &[_]| check_parts("a", parts).is_ok();
        assert!(ok(&[part(1, 0)]));
        assert!(ok(&[part(1, big), part(2, big), part(3, 1)]));
        assert!(!ok(&[]));
        assert!(!ok(&[part(2, big)]));
        assert!(!ok(&[part(1, big), part(3, big)]));
        assert!(!ok(&[part(2, big), part(1, big)]));
        assert!(!ok(&[part(1, big), part(1, big)]));
        assert!(!ok(&[part(1, big - 1), part(2, big)]));
        for number in [0, MAX_PARTS + 1] {
            assert!(check_part("a", number, 1).is_err());
        }
        assert!(check_part("a", MAX_PARTS, MAX_OBJECT_BYTES).is_ok());
        assert!(check_part("a", 1, MAX_OBJECT_BYTES + 1).is_err());
    }

    #[test]
    fn a_replaced_part_is_not_the_one_that_was_there() {
        let stored = [part(1, 5), part(2, 5)];
        assert!(check_stored("a", &stored[..1], &stored).is_ok());
        assert!(check_stored("a", &[part(1, 6)], &stored).is_err());
        assert!(check_stored("a", &[part(3, 5)], &stored).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn a_cut_body_is_whole(chunks in proptest::collection::vec(0..9_000_000_usize, 0..5)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let total: usize = chunks.iter().sum();
            let body = chunks.into_iter().map(|length| Ok(Bytes::from(vec![7; length])));
            let mut cutter = Cutter {
                key: "a",
                body: Box::pin(stream::iter(body.collect::<Vec<_>>())),
                rest: Bytes::new(),
                verifier: Verifier::expecting(None),
            };
            let mut cut = 0;
            runtime.block_on(async {
                loop {
                    let part = cutter.next_part().await.unwrap().len();
                    cut += part;
                    if part < STREAM_PART_BYTES {
                        break;
                    }
                }
            });
            prop_assert_eq!(cut, total);
        }
    }
}
