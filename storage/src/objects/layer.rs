//! What stands around a store: one place that forwards, so that a layer says only what
//! it adds.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use media::Timestamp;

use super::{
    Chunks, ObjectBody, ObjectError, ObjectFuture, ObjectHead, ObjectRange, ObjectStore, Page,
    PresignedRequest, PutOptions, Upload, UploadId, UploadPage, UploadedPart,
};

/// A method of [`ObjectStore`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "each is the method of its name")]
pub enum Operation {
    Put,
    PutStream,
    Get,
    GetRange,
    GetStream,
    Head,
    List,
    Delete,
    DeletePrefix,
    CreateUpload,
    UploadPart,
    ListParts,
    LastPart,
    CompleteUpload,
    AbortUpload,
    ListUploads,
    PresignGet,
    PresignPut,
    Health,
}

impl Operation {
    /// How many there are.
    pub const COUNT: usize = Self::Health as usize + 1;

    /// The method's name, for a metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::PutStream => "put_stream",
            Self::Get => "get",
            Self::GetRange => "get_range",
            Self::GetStream => "get_stream",
            Self::Head => "head",
            Self::List => "list",
            Self::Delete => "delete",
            Self::DeletePrefix => "delete_prefix",
            Self::CreateUpload => "create_upload",
            Self::UploadPart => "upload_part",
            Self::ListParts => "list_parts",
            Self::LastPart => "last_part",
            Self::CompleteUpload => "complete_upload",
            Self::AbortUpload => "abort_upload",
            Self::ListUploads => "list_uploads",
            Self::PresignGet => "presign_get",
            Self::PresignPut => "presign_put",
            Self::Health => "health",
        }
    }

    /// Whether it moves a body of any size.
    pub const fn moves_a_body(self) -> bool {
        matches!(
            self,
            Self::Put | Self::PutStream | Self::Get | Self::GetRange | Self::UploadPart
        )
    }

    /// Whether one call may stand for many requests, or for much work in the store.
    pub const fn takes_long(self) -> bool {
        matches!(self, Self::DeletePrefix | Self::CompleteUpload)
    }

    /// Whether it needs room in the store.
    pub const fn stores(self) -> bool {
        matches!(
            self,
            Self::Put
                | Self::PutStream
                | Self::CreateUpload
                | Self::UploadPart
                | Self::CompleteUpload
        )
    }
}

/// What a [`Layered`] store adds to the one it stands around.
pub trait Layer: fmt::Debug + Send + Sync + Sized {
    /// Does an operation; `run` begins it, and may begin it again.
    fn call<'a, T: Send + 'a>(
        &'a self,
        operation: Operation,
        run: impl Fn() -> ObjectFuture<'a, T> + Send + 'a,
    ) -> ObjectFuture<'a, T>;

    /// Stores a body that can be read only once. `layered` is the whole store, and
    /// `layered.inner()` what this layer stands around.
    fn put_stream<'a>(
        &'a self,
        layered: &'a Layered<Self>,
        key: &'a str,
        body: Chunks<io::Error>,
        options: PutOptions<'a>,
    ) -> ObjectFuture<'a, u64>;

    /// The pieces of a body on their way to the caller.
    fn chunks(&self, chunks: Chunks<ObjectError>) -> Chunks<ObjectError> {
        chunks
    }

    /// This layer around `inner`.
    fn around(self, inner: Arc<dyn ObjectStore>) -> Arc<Layered<Self>> {
        Arc::new(Layered { layer: self, inner })
    }
}

/// A store with a [`Layer`] around it.
#[derive(Debug)]
pub struct Layered<L> {
    layer: L,
    inner: Arc<dyn ObjectStore>,
}

impl<L> Layered<L> {
    /// What this store adds.
    pub fn layer(&self) -> &L {
        &self.layer
    }

    /// The store inside.
    pub fn inner(&self) -> &dyn ObjectStore {
        &*self.inner
    }
}

impl<L: Layer> ObjectStore for Layered<L> {
    fn put_with<'a>(
        &'a self,
        key: &'a str,
        data: Bytes,
        options: PutOptions<'a>,
    ) -> ObjectFuture<'a, ()> {
        let run = move || self.inner.put_with(key, data.clone(), options);
        self.layer.call(Operation::Put, run)
    }

    fn put_stream<'a>(
        &'a self,
        key: &'a str,
        body: Chunks<io::Error>,
        options: PutOptions<'a>,
    ) -> ObjectFuture<'a, u64> {
        self.layer.put_stream(self, key, body, options)
    }

    fn get<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, Bytes> {
        self.layer.call(Operation::Get, || self.inner.get(key))
    }

    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> ObjectFuture<'a, ObjectRange> {
        let run = move || self.inner.get_range(key, range.clone());
        self.layer.call(Operation::GetRange, run)
    }

    fn get_stream<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ObjectBody> {
        let run = || self.inner.get_stream(key);
        let called = self.layer.call(Operation::GetStream, run);
        Box::pin(async move {
            let ObjectBody { size, chunks } = called.await?;
            let chunks = self.layer.chunks(chunks);
            Ok(ObjectBody { size, chunks })
        })
    }

    fn head<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ObjectHead> {
        self.layer.call(Operation::Head, || self.inner.head(key))
    }

    fn list<'a>(&'a self, prefix: &'a str, cursor: Option<&'a str>) -> ObjectFuture<'a, Page> {
        let run = move || self.inner.list(prefix, cursor);
        self.layer.call(Operation::List, run)
    }

    fn delete<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ()> {
        let run = || self.inner.delete(key);
        self.layer.call(Operation::Delete, run)
    }

    fn delete_prefix<'a>(&'a self, prefix: &'a str) -> ObjectFuture<'a, ()> {
        let run = || self.inner.delete_prefix(prefix);
        self.layer.call(Operation::DeletePrefix, run)
    }

    fn create_upload<'a>(
        &'a self,
        key: &'a str,
        content_type: Option<&'a str>,
    ) -> ObjectFuture<'a, UploadId> {
        let run = move || self.inner.create_upload(key, content_type);
        self.layer.call(Operation::CreateUpload, run)
    }

    fn upload_part<'a>(
        &'a self,
        key: &'a str,
        upload: &'a UploadId,
        number: u32,
        data: Bytes,
    ) -> ObjectFuture<'a, UploadedPart> {
        let run = move || self.inner.upload_part(key, upload, number, data.clone());
        self.layer.call(Operation::UploadPart, run)
    }

    fn list_parts<'a>(
        &'a self,
        key: &'a str,
        upload: &'a UploadId,
    ) -> ObjectFuture<'a, Vec<UploadedPart>> {
        let run = || self.inner.list_parts(key, upload);
        self.layer.call(Operation::ListParts, run)
    }

    fn last_part<'a>(
        &'a self,
        key: &'a str,
        upload: &'a UploadId,
    ) -> ObjectFuture<'a, Option<Timestamp>> {
        let run = || self.inner.last_part(key, upload);
        self.layer.call(Operation::LastPart, run)
    }

    fn complete_upload<'a>(
        &'a self,
        key: &'a str,
        upload: &'a UploadId,
        parts: &'a [UploadedPart],
    ) -> ObjectFuture<'a, ()> {
        let run = || self.inner.complete_upload(key, upload, parts);
        self.layer.call(Operation::CompleteUpload, run)
    }

    fn abort_upload<'a>(&'a self, key: &'a str, upload: &'a UploadId) -> ObjectFuture<'a, ()> {
        let run = || self.inner.abort_upload(key, upload);
        self.layer.call(Operation::AbortUpload, run)
    }

    fn list_uploads<'a>(&'a self, cursor: Option<&'a Upload>) -> ObjectFuture<'a, UploadPage> {
        let run = move || self.inner.list_uploads(cursor);
        self.layer.call(Operation::ListUploads, run)
    }

    fn presign_get<'a>(
        &'a self,
        key: &'a str,
        expires: Duration,
    ) -> ObjectFuture<'a, PresignedRequest> {
        let run = move || self.inner.presign_get(key, expires);
        self.layer.call(Operation::PresignGet, run)
    }

    fn presign_put<'a>(
        &'a self,
        key: &'a str,
        expires: Duration,
        options: PutOptions<'a>,
    ) -> ObjectFuture<'a, PresignedRequest> {
        let run = move || self.inner.presign_put(key, expires, options);
        self.layer.call(Operation::PresignPut, run)
    }

    fn health(&self) -> ObjectFuture<'_, ()> {
        self.layer.call(Operation::Health, || self.inner.health())
    }
}
