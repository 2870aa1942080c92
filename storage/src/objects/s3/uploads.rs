//! Uploads in parts, as S3 has them.

use std::error::Error;

use aws_sdk_s3::config::Builder;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use media::Timestamp;

use super::{S3Store, answers};
use crate::objects::parts::{check_part, check_parts, invalid};
use crate::objects::{
    MAX_PARTS, ObjectError, PAGE_KEYS, Upload, UploadId, UploadPage, UploadedPart, check_key,
};

impl S3Store {
    pub(super) async fn begin_upload(
        &self,
        key: &str,
        content_type: Option<&str>,
    ) -> Result<UploadId, ObjectError> {
        check_key(key)?;
        let create = self.client.create_multipart_upload().bucket(&self.bucket);
        let created = create
            .key(self.full(key))
            .set_content_type(content_type.map(str::to_owned))
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .send()
            .await
            .map_err(|error| self.error("create an upload", error))?;
        created
            .upload_id
            .map(UploadId)
            .ok_or_else(|| ObjectError::Damaged {
                key: key.to_owned(),
                reason: "its upload was created without a name".to_owned(),
            })
    }

    pub(super) async fn send_part(
        &self,
        key: &str,
        upload: &UploadId,
        number: u32,
        data: Bytes,
    ) -> Result<UploadedPart, ObjectError> {
        check_key(key)?;
        let size = data.len() as u64;
        check_part(key, number, size)?;
        let put = self.client.upload_part().bucket(&self.bucket);
        let sent = put
            .key(self.full(key))
            .upload_id(&upload.0)
            // At most MAX_PARTS, so it fits.
            .part_number(number as i32)
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .body(ByteStream::from(data))
            .send()
            .await
            .map_err(|error| self.upload_error(key, upload, "upload a part", error))?;
        Ok(UploadedPart {
            number,
            size,
            etag: sent.e_tag.unwrap_or_default(),
            crc32: sent.checksum_crc32,
        })
    }

    /// The parts by number, each with the time when it was stored.
    pub(super) async fn listed_parts(
        &self,
        key: &str,
        upload: &UploadId,
    ) -> Result<Vec<(UploadedPart, Timestamp)>, ObjectError> {
        check_key(key)?;
        let (mut parts, mut marker) = (Vec::new(), None::<String>);
        loop {
            let list = self.client.list_parts().bucket(&self.bucket);
            let listed = list
                .key(self.full(key))
                .upload_id(&upload.0)
                .set_part_number_marker(marker.take())
                .send()
                .await
                .map_err(|error| self.upload_error(key, upload, "list parts", error))?;
            parts.extend(listed.parts().iter().filter_map(|part| {
                let number = u32::try_from(part.part_number()?).ok()?;
                let stored = answers::timestamp(part.last_modified());
                let part = UploadedPart {
                    number,
                    size: answers::size(part.size()),
                    etag: part.e_tag().unwrap_or_default().to_owned(),
                    crc32: part.checksum_crc32().map(str::to_owned),
                };
                Some((part, stored))
            }));
            marker = listed.next_part_number_marker;
            let more = listed.is_truncated == Some(true) && marker.is_some();
            if !more || parts.len() > MAX_PARTS as usize {
                parts.sort_unstable_by_key(|(part, _)| part.number);
                return Ok(parts);
            }
        }
    }

    pub(super) async fn join_parts(
        &self,
        key: &str,
        upload: &UploadId,
        parts: &[UploadedPart],
    ) -> Result<(), ObjectError> {
        check_key(key)?;
        check_parts(key, parts)?;
        // An upload that was created with a checksum is completed with that of each part:
        // AWS answers InvalidRequest without, and MinIO InvalidPart.
        let part = |part: &UploadedPart| {
            CompletedPart::builder()
                .part_number(part.number as i32)
                .e_tag(&part.etag)
                .set_checksum_crc32(part.crc32.clone())
                .build()
        };
        let all = parts.iter().map(part).collect();
        let all = CompletedMultipartUpload::builder().set_parts(Some(all));
        let patient = TimeoutConfig::builder().read_timeout(self.join_limit);
        let complete = self.client.complete_multipart_upload().bucket(&self.bucket);
        let completed = complete
            .key(self.full(key))
            .upload_id(&upload.0)
            .multipart_upload(all.build())
            .customize()
            .config_override(Builder::new().timeout_config(patient.build()))
            .send()
            .await;
        match completed {
            Ok(_) => Ok(()),
            Err(error) => Err(self.upload_error(key, upload, "complete an upload", error)),
        }
    }

    pub(super) async fn drop_upload(
        &self,
        key: &str,
        upload: &UploadId,
    ) -> Result<(), ObjectError> {
        check_key(key)?;
        let abort = self.client.abort_multipart_upload().bucket(&self.bucket);
        let aborted = abort.key(self.full(key)).upload_id(&upload.0).send().await;
        match aborted.map_err(|error| self.upload_error(key, upload, "abort an upload", error)) {
            Ok(_) | Err(ObjectError::UploadNotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn uploads_there(
        &self,
        cursor: Option<&Upload>,
    ) -> Result<UploadPage, ObjectError> {
        let listed = self
            .client
            .list_multipart_uploads()
            .bucket(&self.bucket)
            .prefix(&self.prefix)
            .set_key_marker(cursor.map(|cursor| self.full(&cursor.key)))
            .set_upload_id_marker(cursor.map(|cursor| cursor.id.0.clone()))
            .max_uploads(PAGE_KEYS as i32)
            .send()
            .await
            .map_err(|error| self.error("list uploads", error))?;
        let upload = |key: &str, id: &str, started| Upload {
            key: key.to_owned(),
            id: UploadId(id.to_owned()),
            started,
        };
        let uploads = listed.uploads().iter().filter_map(|one| {
            let started = answers::timestamp(one.initiated());
            Some(upload(&self.own(one.key()?)?, one.upload_id()?, started))
        });
        let markers = || {
            let key = listed.next_key_marker()?.strip_prefix(&self.prefix)?;
            let id = listed.next_upload_id_marker()?;
            Some(upload(key, id, answers::timestamp(None)))
        };
        let more = listed.is_truncated() == Some(true);
        Ok(UploadPage {
            uploads: uploads.collect(),
            next: more.then(markers).flatten(),
        })
    }

    fn upload_error<E>(
        &self,
        key: &str,
        upload: &UploadId,
        what: &str,
        error: SdkError<E>,
    ) -> ObjectError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let said = error.as_service_error();
        match said.and_then(ProvideErrorMetadata::code) {
            Some("NoSuchUpload") => ObjectError::UploadNotFound {
                key: key.to_owned(),
                upload: upload.clone(),
            },
            Some(code @ ("InvalidPart" | "InvalidPartOrder" | "EntityTooSmall")) => {
                invalid(key, format!("S3 says {code}"))
            }
            _ => self.error(what, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use super::*;
    use crate::objects::s3::connect::Limits;
    use crate::objects::{Credentials, ErrorKind, ObjectStore, S3Config};

    const ANSWER: Duration = Duration::from_millis(100);

    /// Completes uploads, four times as slowly as an answer may be; says nothing to others.
    async fn slow_service(tasks: &mut JoinSet<()>) -> SocketAddr {
        const COMPLETED: &str = "<CompleteMultipartUploadResult><ETag>\"x-1\"</ETag>\
            </CompleteMultipartUploadResult>";
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                connections.spawn(async move {
                    let (mut seen, mut buffer) = (Vec::new(), [0; 4_096]);
                    while !String::from_utf8_lossy(&seen).contains("</CompleteMultipartUpload>") {
                        match stream.read(&mut buffer).await {
                            Ok(length @ 1..) => seen.extend_from_slice(&buffer[..length]),
                            _ => return,
                        }
                    }
                    tokio::time::sleep(ANSWER * 4).await;
                    let length = COMPLETED.len();
                    let answer =
                        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{COMPLETED}");
                    // A client that gave up has failed already.
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn a_slow_completion_is_waited_for() {
        let mut tasks = JoinSet::new();
        let address = slow_service(&mut tasks).await;
        let config = S3Config {
            url: "s3://bucket".to_owned(),
            endpoint: Some(format!("http://{address}")),
            region: None,
            path_style: true,
            credentials: Credentials::Key {
                id: "id".to_owned(),
                secret: "secret".to_owned(),
            },
        };
        let limits = Limits {
            answer: ANSWER,
            ..Limits::default()
        };
        let store = S3Store::connect_within(&config, limits).await.unwrap();
        let part = UploadedPart {
            number: 1,
            size: 1,
            etag: "\"x\"".to_owned(),
            crc32: Some("NhCmhg==".to_owned()),
        };
        let upload = UploadId("upload".to_owned());
        let completed = store.complete_upload("a", &upload, &[part]).await;
        completed.unwrap();
        // And nothing else is.
        let error = store.list_parts("a", &upload).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
}
