//! Objects in a bucket of an S3 service.

mod answers;
mod connect;
mod reading;
mod uploads;

use std::fmt;
use std::io;
use std::ops::Range;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use bytes::Bytes;
use media::Timestamp;

pub(super) use connect::parse_url;
pub use connect::{Credentials, S3Config};

use super::digest::verify_apart;
use super::keys::{check_folder, is_key};
use super::parts::put_in_parts;
use super::ranges::{check_length, satisfy};
use super::{
    Chunks, KeyFailure, MAX_PRESIGNED, ObjectBody, ObjectError, ObjectFuture, ObjectHead,
    ObjectRange, ObjectStore, PAGE_KEYS, Page, PresignedRequest, PutOptions, Sha256, Upload,
    UploadId, UploadPage, UploadedPart, check_key, check_prefix,
};

/// Objects in a bucket of an S3 service, under a prefix of it.
///
/// Every body goes with a checksum that the service verifies (the SHA-256 when the caller
/// gave one, else a CRC-32), and what comes back is checked against the checksum that it
/// was stored with, where the service gives one. Nothing is done again: see
/// [`Retry`](super::Retry).
pub struct S3Store {
    client: Client,
    bucket: String,
    /// Empty, or ends with `/`.
    prefix: String,
    /// As a person would look for it.
    endpoint: String,
    region: String,
    /// How long an answer to a completed upload may take.
    join_limit: Duration,
}

impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Store")
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl S3Store {
    fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// One of our keys, or nothing when somebody else put it there.
    fn own(&self, full: &str) -> Option<String> {
        let key = full.strip_prefix(&self.prefix)?;
        is_key(key).then(|| key.to_owned())
    }

    fn putting(&self, key: &str, options: PutOptions<'_>) -> PutObjectFluentBuilder {
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(self.full(key))
            .set_content_type(options.content_type.map(str::to_owned))
            .set_checksum_sha256(options.sha256.map(base64))
    }

    async fn put_whole(
        &self,
        key: &str,
        data: Bytes,
        options: PutOptions<'_>,
    ) -> Result<(), ObjectError> {
        check_key(key)?;
        check_length(key, data.len() as u64)?;
        // The service would say so too, after all of it was sent.
        verify_apart(key, &data, options.sha256).await?;
        let put = self.putting(key, options).body(ByteStream::from(data));
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.error("put", error)),
        }
    }

    async fn look(&self, key: &str) -> Result<ObjectHead, ObjectError> {
        check_key(key)?;
        let head = self.client.head_object().bucket(&self.bucket);
        let head = head.key(self.full(key)).send().await;
        let head = head.map_err(|error| self.absent_or_error(key, "head", error))?;
        Ok(ObjectHead {
            size: answers::size(head.content_length()),
            modified: answers::timestamp(head.last_modified()),
            etag: head.e_tag.unwrap_or_default(),
        })
    }

    async fn range(&self, key: &str, range: Range<u64>) -> Result<ObjectRange, ObjectError> {
        check_key(key)?;
        super::ranges::check_range(key, &range)?;
        if range.is_empty() {
            // No header can ask for no bytes.
            let size = self.look(key).await?.size;
            satisfy(key, &range, size)?;
            let data = Bytes::new();
            return Ok(ObjectRange { data, size });
        }
        let got = self.fetch(key, Some(&range)).await;
        if let Err(ObjectError::RangeNotSatisfiable { .. }) = got {
            let size = self.look(key).await?.size;
            satisfy(key, &range, size)?;
            return Err(ObjectError::Damaged {
                key: key.to_owned(),
                reason: "it was replaced while a range of it was asked for".to_owned(),
            });
        }
        got?.range(key, &range).await
    }

    async fn page(&self, prefix: &str, cursor: Option<&str>) -> Result<Page, ObjectError> {
        check_folder(prefix)?;
        let listed = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(self.full(prefix))
            .set_start_after(cursor.map(|cursor| self.full(cursor)))
            .max_keys(PAGE_KEYS as i32)
            .send()
            .await
            .map_err(|error| self.error("list", error))?;
        let last = listed.contents().last().and_then(|object| object.key());
        let next = last
            .filter(|_| listed.is_truncated() == Some(true))
            .and_then(|last| last.strip_prefix(&self.prefix))
            .map(str::to_owned);
        let keys = listed.contents().iter().filter_map(|object| object.key());
        Ok(Page {
            keys: keys.filter_map(|key| self.own(key)).collect(),
            next,
        })
    }

    async fn remove_folder(&self, prefix: &str) -> Result<(), ObjectError> {
        check_prefix(prefix)?;
        let (mut failures, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page = self.page(prefix, cursor.as_deref()).await?;
            self.remove_all(&page.keys, &mut failures).await?;
            match page.next {
                Some(next) => cursor = Some(next),
                None if failures.is_empty() => return Ok(()),
                None => return Err(ObjectError::NotDeleted { failures }),
            }
        }
    }

    /// Of one page, so one request. Adds what would not go to `failures`.
    async fn remove_all(
        &self,
        keys: &[String],
        failures: &mut Vec<KeyFailure>,
    ) -> Result<(), ObjectError> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut delete = Delete::builder().quiet(true);
        for key in keys {
            let object = ObjectIdentifier::builder().key(self.full(key)).build();
            delete = delete.objects(object.map_err(answers::unbuilt)?);
        }
        let delete = delete.build().map_err(answers::unbuilt)?;
        let request = self.client.delete_objects().bucket(&self.bucket);
        let deleted = request.delete(delete).send().await;
        let deleted = deleted.map_err(|error| self.error("delete", error))?;
        let room = PAGE_KEYS.saturating_sub(failures.len());
        failures.extend(deleted.errors().iter().take(room).map(|error| {
            let key = error.key().unwrap_or_default();
            KeyFailure {
                key: self.own(key).unwrap_or_default(),
                reason: error.code().unwrap_or("no reason given").to_owned(),
            }
        }));
        Ok(())
    }

    async fn ask(&self) -> Result<(), ObjectError> {
        // Unlike HEAD of a bucket, its answer has a body, which says what is wrong.
        let list = self.client.list_objects_v2().bucket(&self.bucket);
        match list.prefix(&self.prefix).max_keys(1).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.error("list", error)),
        }
    }
}

impl ObjectStore for S3Store {
    fn put_with<'a>(
        &'a self,
        key: &'a str,
        data: Bytes,
        options: PutOptions<'a>,
    ) -> ObjectFuture<'a, ()> {
        Box::pin(self.put_whole(key, data, options))
    }

    fn put_stream<'a>(
        &'a self,
        key: &'a str,
        body: Chunks<io::Error>,
        options: PutOptions<'a>,
    ) -> ObjectFuture<'a, u64> {
        Box::pin(put_in_parts(self, key, body, options))
    }

    fn get<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, Bytes> {
        Box::pin(async move {
            check_key(key)?;
            self.fetch(key, None).await?.whole(key).await
        })
    }

    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> ObjectFuture<'a, ObjectRange> {
        Box::pin(self.range(key, range))
    }

    fn get_stream<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ObjectBody> {
        Box::pin(async move {
            check_key(key)?;
            Ok(self.fetch(key, None).await?.stream(key))
        })
    }

    fn head<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ObjectHead> {
        Box::pin(self.look(key))
    }

    fn list<'a>(&'a self, prefix: &'a str, cursor: Option<&'a str>) -> ObjectFuture<'a, Page> {
        Box::pin(self.page(prefix, cursor))
    }

    fn delete<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ()> {
        Box::pin(async move {
            check_key(key)?;
            let delete = self.client.delete_object().bucket(&self.bucket);
            let deleted = delete.key(self.full(key)).send().await;
            match deleted.map_err(|error| self.absent_or_error(key, "delete", error)) {
                Ok(_) | Err(ObjectError::NotFound(_)) => Ok(()),
                Err(error) => Err(error),
            }
        })
    }

    fn delete_prefix<'a>(&'a self, prefix: &'a str) -> ObjectFuture<'a, ()> {
        Box::pin(self.remove_folder(prefix))
    }

    fn create_upload<'a>(
        &'a self,
        key: &'a str,
        content_type: Option<&'a str>,
    ) -> ObjectFuture<'a, UploadId> {
        Box::pin(self.begin_upload(key, content_type))
    }

    fn upload_part<'a>(
        &'a self,
        key: &'a str,
        upload: &'a UploadId,
        number: u32,
        data: Bytes,
    ) -> ObjectFuture<'a, UploadedPart> {
        Box::pin(self.send_part(key, upload, number, data))
    }

    fn list_parts<'a>(
        &'a self,
        key: &'a str,
        upload: &'a UploadId,
    ) -> ObjectFuture<'a, Vec<UploadedPart>> {
        Box::pin(async move {
            let listed = self.listed_parts(key, upload).await?;
            Ok(listed.into_iter().map(|(part, _)| part).collect())
        })
    }

    fn last_part<'a>(
        &'a self,
        key: &'a str,
        upload: &'a UploadId,
    ) -> ObjectFuture<'a, Option<Timestamp>> {
        Box::pin(async move {
            let listed = self.listed_parts(key, upload).await?;
            Ok(listed.into_iter().map(|(_, stored)| stored).max())
        })
    }

    fn complete_upload<'a>(
        &'a self,
        key: &'a str,
        upload: &'a UploadId,
        parts: &'a [UploadedPart],
    ) -> ObjectFuture<'a, ()> {
        Box::pin(self.join_parts(key, upload, parts))
    }

    fn abort_upload<'a>(&'a self, key: &'a str, upload: &'a UploadId) -> ObjectFuture<'a, ()> {
        Box::pin(self.drop_upload(key, upload))
    }

    fn list_uploads<'a>(&'a self, cursor: Option<&'a Upload>) -> ObjectFuture<'a, UploadPage> {
        Box::pin(self.uploads_there(cursor))
    }

    fn presign_get<'a>(
        &'a self,
        key: &'a str,
        expires: Duration,
    ) -> ObjectFuture<'a, PresignedRequest> {
        Box::pin(async move {
            check_key(key)?;
            let get = self.client.get_object().bucket(&self.bucket);
            let signed = get.key(self.full(key)).presigned(presigning(expires)?);
            match signed.await {
                Ok(request) => Ok(answers::presigned("GET", &request)),
                Err(error) => Err(self.error("presign", error)),
            }
        })
    }

    fn presign_put<'a>(
        &'a self,
        key: &'a str,
        expires: Duration,
        options: PutOptions<'a>,
    ) -> ObjectFuture<'a, PresignedRequest> {
        Box::pin(async move {
            check_key(key)?;
            let put = self.putting(key, options);
            match put.presigned(presigning(expires)?).await {
                Ok(request) => Ok(answers::presigned("PUT", &request)),
                Err(error) => Err(self.error("presign", error)),
            }
        })
    }

    fn health(&self) -> ObjectFuture<'_, ()> {
        Box::pin(self.ask())
    }
}

fn presigning(expires: Duration) -> Result<PresigningConfig, ObjectError> {
    let refused = || ObjectError::InvalidExpiry(expires);
    if !(Duration::from_secs(1)..=MAX_PRESIGNED).contains(&expires) {
        return Err(refused());
    }
    PresigningConfig::expires_in(expires).map_err(|_| refused())
}

/// As the checksum headers of S3 have it.
fn base64(hash: Sha256) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |bits: u32| char::from(DIGITS[(bits & 63) as usize]);
    let mut text = String::with_capacity(44);
    for chunk in hash.0.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        text.push(digit(bits >> 18));
        text.push(digit(bits >> 12));
        text.push(if chunk.len() > 1 {
            digit(bits >> 6)
        } else {
            '='
        });
        text.push(if chunk.len() > 2 { digit(bits) } else { '=' });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_in_base64() {
        assert_eq!(
            base64(Sha256::of(b"abc")),
            "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
        );
    }
}
