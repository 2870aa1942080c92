//! The body of every answer.

use std::future::poll_fn;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::cache_status::Outcome;
use crate::fill::Fill;
use crate::keep::Storage;
use crate::large::LargeObject;
use crate::push::Subscriber;
use crate::reader::Reader;
use crate::slices::SliceReader;
use crate::store::Stored;
use crate::upstream::FillError;
use crate::usage::Meter;

/// Bytes from memory, or from a fill while it goes on.
///
/// An error means that the rest will never come; the server must cut the connection.
#[derive(Debug)]
pub struct EdgeBody {
    source: Source,
    /// Bytes to come, when known.
    remaining: Option<u64>,
    /// What came before it was asked for.
    ready: Option<Bytes>,
    /// How the answer was come by, where an edge gave it.
    outcome: Option<Outcome>,
    /// What counts the request. It ends with the body.
    meter: Option<Box<Meter>>,
}

#[derive(Debug)]
enum Source {
    Nothing,
    Stored {
        answer: Arc<Stored>,
        chunk: usize,
        /// Bytes of `chunk` to skip.
        skip: u64,
    },
    Text(Bytes),
    Fill(Reader),
    Slices(Box<SliceReader>),
    /// A fill that passes a large object; where it leaves this reader behind, slices go on.
    Pass(Reader, Box<SliceReader>),
    Feed(Box<Subscriber>),
}

/// What a body comes from, for who wants to know after its end what became of it.
#[derive(Debug)]
pub(crate) struct Behind {
    fill: Option<Arc<Fill>>,
    large: Option<Arc<LargeObject>>,
}

impl Behind {
    /// What became of the answer of the fill. None before its end, and where there is none, or
    /// where it did not ask the origin.
    pub(crate) fn storage(&self) -> Option<Storage> {
        self.fill.as_ref()?.lock().storage
    }

    /// The object that is stored in slices.
    pub(crate) fn large(&self) -> Option<&LargeObject> {
        self.large.as_deref()
    }
}

impl EdgeBody {
    fn new(source: Source, remaining: Option<u64>) -> Self {
        Self {
            source,
            remaining,
            ready: None,
            outcome: None,
            meter: None,
        }
    }

    pub(crate) fn empty() -> Self {
        Self::new(Source::Nothing, Some(0))
    }

    pub(crate) fn text(text: impl Into<Bytes>) -> Self {
        let text = text.into();
        let length = text.len() as u64;
        Self::new(Source::Text(text), Some(length))
    }

    /// `bytes` are of the whole object, and stored.
    pub(crate) fn stored(answer: Arc<Stored>, bytes: Option<Range<u64>>) -> Self {
        let Range { start, end } = bytes.unwrap_or(answer.bytes.clone());
        let source = Source::Stored {
            skip: start.saturating_sub(answer.bytes.start),
            answer,
            chunk: 0,
        };
        Self::new(source, Some(end.saturating_sub(start)))
    }

    /// `bytes` of a large object, or all of it.
    pub(crate) fn slices(mut slices: SliceReader, bytes: Option<Range<u64>>) -> Self {
        let bytes = bytes.unwrap_or(0..slices.whole());
        let remaining = bytes.end.saturating_sub(bytes.start);
        slices.narrow(bytes);
        Self::new(Source::Slices(Box::new(slices)), Some(remaining))
    }

    /// What is pushed, as long as it is.
    pub(crate) fn feed(subscriber: Subscriber) -> Self {
        Self::new(Source::Feed(Box::new(subscriber)), None)
    }

    /// All of a large object, from a fill that passes it.
    pub(crate) fn pass(reader: Reader, slices: SliceReader) -> Self {
        let whole = slices.whole();
        Self::new(Source::Pass(reader, Box::new(slices)), Some(whole))
    }

    /// Waits for the first bytes, so that a failure can still be answered as one.
    pub(crate) async fn prime(&mut self) -> Result<(), FillError> {
        if self.remaining != Some(0) && self.ready.is_none() {
            self.ready = poll_fn(|context| self.poll_bytes(context)).await?;
        }
        Ok(())
    }

    /// `length` is that of the whole body, as far as the origin told it.
    pub(crate) fn fill(mut reader: Reader, length: Option<u64>, bytes: Option<Range<u64>>) -> Self {
        let remaining = match bytes {
            Some(Range { start, end }) => {
                reader.narrow(start, end);
                Some(end.saturating_sub(start))
            }
            None => length,
        };
        Self::new(Source::Fill(reader), remaining)
    }

    /// The body of an answer that was come by so.
    pub(crate) fn come_by(mut self, outcome: Outcome) -> Self {
        self.outcome = Some(outcome);
        self
    }

    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// What it comes from.
    pub(crate) fn behind(&self) -> Behind {
        let (fill, large) = match &self.source {
            Source::Fill(reader) => (Some(reader.fill()), None),
            Source::Slices(slices) => (None, Some(slices.object())),
            Source::Pass(_, slices) => (None, Some(slices.object())),
            _ => (None, None),
        };
        Behind { fill, large }
    }

    pub(crate) fn count_with(&mut self, meter: Box<Meter>) {
        self.meter = Some(meter);
    }

    fn poll_bytes(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, FillError>> {
        if let Some(ready) = self.ready.take() {
            return Poll::Ready(Ok(Some(ready)));
        }
        let remaining = self.remaining.unwrap_or(u64::MAX);
        match &mut self.source {
            Source::Nothing => Poll::Ready(Ok(None)),
            Source::Text(text) => Poll::Ready(Ok(Some(std::mem::take(text)))),
            Source::Stored {
                answer,
                chunk,
                skip,
            } => Poll::Ready(Ok(next_stored(answer, chunk, skip, remaining))),
            Source::Fill(reader) => reader.poll_next(context),
            Source::Slices(slices) => slices.poll_next(context),
            Source::Feed(subscriber) => subscriber.poll_next(context).map(Ok),
            Source::Pass(reader, slices) => {
                if let Ok(bytes) = ready!(reader.poll_next(context)) {
                    return Poll::Ready(Ok(bytes));
                }
                // It broke off, or others were faster.
                let mut slices = slices.clone_at(slices.whole().saturating_sub(remaining));
                let next = slices.poll_next(context);
                self.source = Source::Slices(Box::new(slices));
                next
            }
        }
    }
}

/// The next piece of a stored body, of at most `limit` bytes.
fn next_stored(answer: &Stored, at: &mut usize, skip: &mut u64, limit: u64) -> Option<Bytes> {
    loop {
        let chunk = answer.chunks.get(*at)?;
        *at += 1;
        let length = chunk.len() as u64;
        if *skip >= length {
            *skip -= length;
            continue;
        }
        let from = std::mem::take(skip);
        let to = length.min(from.saturating_add(limit));
        // Both are at most the chunk's length, so they fit.
        return Some(chunk.slice(from as usize..to as usize));
    }
}

impl Body for EdgeBody {
    type Data = Bytes;
    type Error = FillError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, FillError>>> {
        if self.remaining == Some(0) && !matches!(self.source, Source::Fill(_)) {
            return Poll::Ready(None);
        }
        self.poll_bytes(context).map(|next| match next {
            Ok(Some(bytes)) => {
                let length = bytes.len() as u64;
                if let Some(remaining) = &mut self.remaining {
                    *remaining = remaining.saturating_sub(length);
                }
                if let Some(meter) = &mut self.meter {
                    meter.sent(length);
                }
                Some(Ok(Frame::data(bytes)))
            }
            Ok(None) => {
                self.source = Source::Nothing;
                None
            }
            Err(error) => {
                self.source = Source::Nothing;
                metrics::counter!("nova_edge_broken_bodies_total", "reason" => error.reason())
                    .increment(1);
                if let Some(meter) = &mut self.meter {
                    meter.broke();
                }
                Some(Err(error))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == Some(0) || matches!(self.source, Source::Nothing)
    }

    fn size_hint(&self) -> SizeHint {
        self.remaining
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
