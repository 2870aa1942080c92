//! One client's way through a large object: slice by slice, from disk where it is there, from
//! the origin where it is not.

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::large::{LargeObject, SLICE_BYTES, slices_of};
use crate::reader::Reader;
use crate::request::Asked;
use crate::shared::Shared;
use crate::slice_fill;
use crate::upstream::FillError;

/// What is read of a file at once, so that a client holds no more than this of a slice that
/// is on disk.
const PIECE_BYTES: u64 = 128 << 10;

/// Reads a large object from any byte on.
pub(crate) struct SliceReader {
    shared: Arc<Shared>,
    object: Arc<LargeObject>,
    /// The client's request, whose fields go with those for slices.
    asked: Arc<Asked>,
    /// The bytes to come.
    bytes: Range<u64>,
    source: Source,
    /// The fill of the slice after this one, begun ahead.
    ahead: Option<(u64, Reader)>,
}

enum Source {
    None,
    Disk(Pin<Box<dyn Future<Output = Option<Bytes>> + Send>>),
    /// A fill, and where it was begun.
    Fill(Reader, u64),
}

impl SliceReader {
    pub(crate) fn new(shared: Arc<Shared>, object: Arc<LargeObject>, asked: Arc<Asked>) -> Self {
        Self {
            shared,
            bytes: 0..object.whole,
            object,
            asked,
            source: Source::None,
            ahead: None,
        }
    }

    /// Reads only these bytes.
    pub(crate) fn narrow(&mut self, bytes: Range<u64>) {
        self.bytes = bytes.start..bytes.end.min(self.object.whole);
        self.source = Source::None;
        self.ahead = None;
    }

    /// A reader of the same from byte `start` on.
    pub(crate) fn clone_at(&self, start: u64) -> Self {
        let shared = Arc::clone(&self.shared);
        let mut other = Self::new(shared, Arc::clone(&self.object), Arc::clone(&self.asked));
        other.narrow(start..self.object.whole);
        other
    }

    pub(crate) fn object(&self) -> Arc<LargeObject> {
        Arc::clone(&self.object)
    }

    /// Bytes of the whole object.
    pub(crate) fn whole(&self) -> u64 {
        self.object.whole
    }

    /// The next bytes; None at the end.
    pub(crate) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, FillError>> {
        loop {
            if self.bytes.is_empty() {
                return Poll::Ready(Ok(None));
            }
            match &mut self.source {
                Source::None => self.source = self.begin(),
                Source::Disk(reading) => {
                    let read = ready!(reading.as_mut().poll(context));
                    self.source = match read {
                        Some(bytes) => {
                            self.source = Source::None;
                            return Poll::Ready(Ok(Some(self.pass(bytes))));
                        }
                        // It is gone or damaged, or the disk is busy.
                        None => self.fill(),
                    };
                }
                Source::Fill(reader, began) => {
                    match ready!(reader.poll_next(context)) {
                        Ok(Some(bytes)) => return Poll::Ready(Ok(Some(self.pass(bytes)))),
                        // The slice is through; or there is a window, and others were faster.
                        Ok(None) | Err(FillError::ReaderLagged) if *began < self.bytes.start => {
                            self.source = Source::None;
                        }
                        Ok(None) => return Poll::Ready(Err(FillError::Lost)),
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
            }
        }
    }

    fn pass(&mut self, bytes: Bytes) -> Bytes {
        self.bytes.start += bytes.len() as u64;
        bytes
    }

    fn begin(&mut self) -> Source {
        let number = self.bytes.start / SLICE_BYTES;
        let slice = self.object.slice(number);
        let Some(tier) = &self.shared.disk else {
            return self.fill();
        };
        if !tier.disk.has_slice(slice) {
            return self.fill();
        }
        let of_slice = self.object.bytes_of(number);
        // To the end of a piece, so that the next begins where a block does.
        let end = (self.bytes.start / PIECE_BYTES + 1) * PIECE_BYTES;
        let end = end.min(self.bytes.end).min(of_slice.end);
        let bytes = self.bytes.start - of_slice.start..end - of_slice.start;
        let shared = Arc::clone(&self.shared);
        Source::Disk(Box::pin(async move {
            let tier = shared.disk.as_ref()?;
            let now = shared.clock.now();
            tier.disk.read_slice(slice, bytes, now).await
        }))
    }

    /// Joins or begins the fill of the slice, and of the next.
    fn fill(&mut self) -> Source {
        let number = self.bytes.start / SLICE_BYTES;
        let mut reader = match self.ahead.take() {
            Some((ahead, reader)) if ahead == number => reader,
            _ => self.open(number),
        };
        let of_slice = self.object.bytes_of(number);
        let end = of_slice.end.min(self.bytes.end);
        reader.narrow(self.bytes.start - of_slice.start, end - of_slice.start);
        self.ahead = self.reads_ahead(number + 1);
        Source::Fill(reader, self.bytes.start)
    }

    fn reads_ahead(&self, number: u64) -> Option<(u64, Reader)> {
        let is_needed = slices_of(&self.bytes).contains(&number);
        // What finds no room would wait for its reader, which is not there yet.
        let has_room = self.shared.fill_memory.has_room(2 * SLICE_BYTES);
        let tier = self.shared.disk.as_ref()?;
        let begins = is_needed && has_room && !tier.disk.has_slice(self.object.slice(number));
        begins.then(|| (number, self.open(number)))
    }

    fn open(&self, number: u64) -> Reader {
        slice_fill::open(&self.shared, &self.object, number, &self.asked)
    }
}

impl fmt::Debug for SliceReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SliceReader")
            .field("object", &self.object)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}
