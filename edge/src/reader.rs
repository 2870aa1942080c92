//! One client's place in a fill.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::futures::OwnedNotified;

use crate::fill::{Cursor, Fill, State};
use crate::head::Head;
use crate::range::{ByteRange, Extent};
use crate::upstream::FillError;

/// Reads a fill from its first byte on, or from where [`Reader::narrow`] puts it.
#[derive(Debug)]
pub(crate) struct Reader {
    fill: Arc<Fill>,
    id: u64,
    cursor: Cursor,
    until: Option<u64>,
    waiting: Option<Pin<Box<OwnedNotified>>>,
}

impl Reader {
    pub(crate) fn new(fill: Arc<Fill>, id: u64) -> Self {
        Self {
            fill,
            id,
            cursor: Cursor::default(),
            until: None,
            waiting: None,
        }
    }

    pub(crate) fn fill(&self) -> Arc<Fill> {
        Arc::clone(&self.fill)
    }

    /// Waits for the head.
    pub(crate) async fn head(&mut self) -> Result<Arc<Head>, FillError> {
        self.wait_for(|state| match (&state.head, &state.end) {
            (Some(head), _) => Some(Ok(Arc::clone(head))),
            (None, Some(Err(error))) => Some(Err(error.clone())),
            (None, Some(Ok(()))) => Some(Err(FillError::Lost)),
            (None, None) => None,
        })
        .await
    }

    /// Waits until `range` can be answered: until its bytes are there, or the whole
    /// length is known, or it is clear that not all bytes will be kept.
    pub(crate) async fn extent_for(&mut self, range: ByteRange) -> Result<Extent, FillError> {
        self.wait_for(|state| match &state.end {
            Some(Ok(())) => Some(Ok(Extent::Known(state.received))),
            Some(Err(error)) => Some(Err(error.clone())),
            None => {
                let there = range.needs().is_some_and(|bytes| bytes <= state.received);
                (there || state.window.is_some()).then_some(Ok(Extent::AtLeast(state.received)))
            }
        })
        .await
    }

    /// Reads only the bytes from `start` to before `end`.
    pub(crate) fn narrow(&mut self, start: u64, end: u64) {
        self.cursor.offset = start;
        self.until = Some(end);
        self.fill.move_reader(self.id, start);
    }

    /// The next bytes; None at the end.
    pub(crate) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, FillError>> {
        loop {
            let (id, until) = (self.id, self.until);
            let registered = self.waiting.is_some();
            if let Some(taken) = self.fill.take(id, &mut self.cursor, until) {
                return Poll::Ready(taken);
            }
            self.listen();
            if registered {
                ready!(self.poll_news(context));
            }
        }
    }

    #[cfg(test)]
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, FillError> {
        poll_fn(|context| self.poll_next(context)).await
    }

    async fn wait_for<T>(&mut self, look: impl Fn(&State) -> Option<T>) -> T {
        poll_fn(|context| {
            loop {
                self.listen();
                if let Some(found) = look(&self.fill.lock()) {
                    return Poll::Ready(found);
                }
                ready!(self.poll_news(context));
            }
        })
        .await
    }

    /// Starts to listen. News that come after this are not missed, even if they come
    /// before the first poll; so whoever listens first and looks second misses none.
    fn listen(&mut self) {
        if self.waiting.is_none() {
            let news = Arc::clone(&self.fill.news);
            self.waiting = Some(Box::pin(news.notified_owned()));
        }
    }

    fn poll_news(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(waiting) = &mut self.waiting {
            ready!(waiting.as_mut().poll(context));
            waiting.set(Arc::clone(&self.fill.news).notified_owned());
        }
        Poll::Ready(())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.fill.remove_reader(self.id);
    }
}
