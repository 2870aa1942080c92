//! What S3 does and `s3s-fs` does not.
//!
//! `s3s-fs` 0.14 differs from S3 where the suite of object stores looks, so what it lacks
//! is added here:
//!
//! - it does not list uploads, and lists parts without their ETags and in any order;
//! - it does not compare the ETags of parts, and has no `NoSuchUpload`;
//! - it neither checks nor keeps the checksums of parts, and completes without them;
//! - a folder on its disk answers as an object, and stays in the way of one;
//! - an object made of parts keeps the checksum of the one that was there before;
//! - it renames an object and then its checksum, so a reader between the two is told that
//!   the body is damaged: a lock makes it one step.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::TryStreamExt;
use s3s::checksum::ChecksumHasher;
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::sync::RwLock;

/// The buckets below a folder.
pub(super) struct Buckets {
    files: FileSystem,
    root: PathBuf,
    gate: RwLock<()>,
    uploads: Mutex<BTreeMap<Name, Pending>>,
}

/// An upload that is not complete.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    bucket: String,
    key: String,
    id: String,
}

struct Pending {
    started: SystemTime,
    /// By number: the ETag, and the CRC-32 in base64.
    parts: BTreeMap<i32, (ETag, String)>,
}

impl Buckets {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            files: FileSystem::new(root).expect("a folder of buckets"),
            root: root.to_owned(),
            gate: RwLock::default(),
            uploads: Mutex::default(),
        }
    }

    fn uploads(&self) -> MutexGuard<'_, BTreeMap<Name, Pending>> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_folder(&self, bucket: &str, key: &str) -> bool {
        self.root.join(bucket).join(key).is_dir()
    }

    fn check_upload(&self, name: &Name) -> S3Result<()> {
        match self.uploads().contains_key(name) {
            true => Ok(()),
            false => Err(s3_error!(NoSuchUpload)),
        }
    }
}

/// A part's body again, and its CRC-32 in base64. Every upload here is created with that
/// algorithm, so every part comes with it.
async fn check_part(
    body: Option<StreamingBlob>,
    given: Option<&str>,
) -> S3Result<(StreamingBlob, String)> {
    let body = body.ok_or_else(|| s3_error!(IncompleteBody))?;
    let pieces: Result<Vec<Bytes>, _> = body.try_collect().await;
    let body = pieces.map_err(|_| s3_error!(IncompleteBody))?.concat();
    let mut hasher = ChecksumHasher {
        crc32: Some(Default::default()),
        ..ChecksumHasher::default()
    };
    hasher.update(&body);
    let crc32 = hasher.finalize().checksum_crc32.unwrap_or_default();
    match given {
        None => Err(s3_error!(InvalidRequest, "Checksum Type mismatch occurred")),
        Some(given) if given != crc32 => Err(s3_error!(BadDigest)),
        Some(_) => Ok((s3s::Body::from(Bytes::from(body)).into(), crc32)),
    }
}

/// What stays where objects were: it is in the way of an object of that name.
fn remove_empty_folders(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        remove_empty_folders(&entry.path());
    }
    // Fails for a file, and for a folder with a file in it.
    let _ = std::fs::remove_dir(folder);
}

/// The upload that a request is about.
macro_rules! name {
    ($request:ident) => {
        Name {
            bucket: $request.input.bucket.clone(),
            key: $request.input.key.clone(),
            id: $request.input.upload_id.clone(),
        }
    };
}

/// `async` methods of `s3s::S3`, which is an `async_trait`.
macro_rules! answers {
    ($($name:ident($this:ident, $request:ident: $input:ty) -> $output:ty $body:block)*) => {
        $(fn $name<'life0, 'async_trait>(
            &'life0 self,
            $request: S3Request<$input>,
        ) -> Pin<Box<dyn Future<Output = S3Result<S3Response<$output>>> + Send + 'async_trait>>
        where
            'life0: 'async_trait,
            Self: 'async_trait,
        {
            let $this = self;
            Box::pin(async move $body)
        })*
    };
}

impl S3 for Buckets {
    answers! {
        put_object(this, request: PutObjectInput) -> PutObjectOutput {
            let _alone = this.gate.write().await;
            remove_empty_folders(&this.root.join(&request.input.bucket).join(&request.input.key));
            this.files.put_object(request).await
        }

        get_object(this, request: GetObjectInput) -> GetObjectOutput {
            if this.is_folder(&request.input.bucket, &request.input.key) {
                return Err(s3_error!(NoSuchKey));
            }
            let _one_of_many = this.gate.read().await;
            let mut got = this.files.get_object(request).await?;
            let etag = got.output.e_tag.as_ref().map(|etag| etag.value().to_owned());
            if etag.is_some_and(|etag| etag.contains('-')) {
                got.output.checksum_crc32 = None;
                got.output.checksum_sha256 = None;
            }
            Ok(got)
        }

        head_object(this, request: HeadObjectInput) -> HeadObjectOutput {
            if this.is_folder(&request.input.bucket, &request.input.key) {
                return Err(s3_error!(NoSuchKey));
            }
            let _one_of_many = this.gate.read().await;
            this.files.head_object(request).await
        }

        delete_object(this, request: DeleteObjectInput) -> DeleteObjectOutput {
            if this.is_folder(&request.input.bucket, &request.input.key) {
                return Ok(S3Response::new(DeleteObjectOutput::default()));
            }
            this.files.delete_object(request).await
        }

        delete_objects(this, request: DeleteObjectsInput) -> DeleteObjectsOutput {
            this.files.delete_objects(request).await
        }

        list_objects_v2(this, request: ListObjectsV2Input) -> ListObjectsV2Output {
            this.files.list_objects_v2(request).await
        }

        create_multipart_upload(
            this, request: CreateMultipartUploadInput
        ) -> CreateMultipartUploadOutput {
            let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
            let created = this.files.create_multipart_upload(request).await?;
            let id = created.output.upload_id.clone().unwrap_or_default();
            let pending = Pending {
                started: SystemTime::now(),
                parts: BTreeMap::new(),
            };
            this.uploads().insert(Name { bucket, key, id }, pending);
            Ok(created)
        }

        upload_part(this, request: UploadPartInput) -> UploadPartOutput {
            let name = name!(request);
            this.check_upload(&name)?;
            let mut request = request;
            let number = request.input.part_number;
            let given = request.input.checksum_crc32.take();
            let (body, crc32) = check_part(request.input.body.take(), given.as_deref()).await?;
            request.input.body = Some(body);
            let mut done = this.files.upload_part(request).await?;
            done.output.checksum_crc32 = Some(crc32.clone());
            if let (Some(pending), Some(etag)) = (
                this.uploads().get_mut(&name),
                done.output.e_tag.clone(),
            ) {
                pending.parts.insert(number, (etag, crc32));
            }
            Ok(done)
        }

        list_parts(this, request: ListPartsInput) -> ListPartsOutput {
            let name = name!(request);
            this.check_upload(&name)?;
            let mut listed = this.files.list_parts(request).await?;
            let uploads = this.uploads();
            let parts = uploads.get(&name).map(|pending| &pending.parts);
            for part in listed.output.parts.iter_mut().flatten() {
                let number = part.part_number.unwrap_or_default();
                let known = parts.and_then(|parts| parts.get(&number)).cloned();
                (part.e_tag, part.checksum_crc32) = known.unzip();
            }
            Ok(listed)
        }

        complete_multipart_upload(
            this, request: CompleteMultipartUploadInput
        ) -> CompleteMultipartUploadOutput {
            let name = name!(request);
            this.check_upload(&name)?;
            let given = request.input.multipart_upload.clone().and_then(|all| all.parts);
            let given = given.unwrap_or_default();
            if given.iter().any(|part| part.checksum_crc32.is_none()) {
                return Err(s3_error!(
                    InvalidRequest,
                    "The complete request must include the checksum for each part"
                ));
            }
            let is_there = this.uploads().get(&name).is_some_and(|pending| {
                given.iter().all(|part| {
                    let known = pending.parts.get(&part.part_number.unwrap_or_default());
                    known.is_some_and(|(etag, crc32)| {
                        (part.e_tag.as_ref(), part.checksum_crc32.as_ref())
                            == (Some(etag), Some(crc32))
                    })
                })
            });
            if !is_there {
                return Err(s3_error!(InvalidPart));
            }
            let _alone = this.gate.write().await;
            remove_empty_folders(&this.root.join(&name.bucket).join(&name.key));
            let done = this.files.complete_multipart_upload(request).await?;
            this.uploads().remove(&name);
            Ok(done)
        }

        abort_multipart_upload(
            this, request: AbortMultipartUploadInput
        ) -> AbortMultipartUploadOutput {
            let name = name!(request);
            this.check_upload(&name)?;
            let done = this.files.abort_multipart_upload(request).await?;
            this.uploads().remove(&name);
            Ok(done)
        }

        list_multipart_uploads(
            this, request: ListMultipartUploadsInput
        ) -> ListMultipartUploadsOutput {
            let bucket = request.input.bucket;
            let prefix = request.input.prefix.unwrap_or_default();
            let after = Name {
                bucket: bucket.clone(),
                key: request.input.key_marker.unwrap_or_default(),
                id: request.input.upload_id_marker.unwrap_or_default(),
            };
            let uploads = this.uploads();
            let listed = uploads
                .iter()
                .filter(|(name, _)| name.bucket == bucket && name.key.starts_with(&prefix))
                .filter(|(name, _)| **name > after)
                .map(|(name, pending)| MultipartUpload {
                    key: Some(name.key.clone()),
                    upload_id: Some(name.id.clone()),
                    initiated: Some(pending.started.into()),
                    ..MultipartUpload::default()
                });
            Ok(S3Response::new(ListMultipartUploadsOutput {
                uploads: Some(listed.collect()),
                is_truncated: Some(false),
                ..ListMultipartUploadsOutput::default()
            }))
        }
    }
}
