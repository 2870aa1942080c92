//! The answer that one fill is reading and many readers are sending.
//!
//! Bytes are kept from the first to the last, so that each reader goes at its own
//! pace and none waits for another. Only an answer that is too large to keep goes
//! through a window: the fill then waits for its fastest reader, and a reader that
//! falls a whole window behind loses its stream.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::budget::Reservation;
use crate::head::Head;
use crate::keep::Storage;
use crate::reader::Reader;
use crate::upstream::FillError;

/// What a chunk weighs beside its bytes, so that a body of many tiny ones is not
/// taken for a small one.
const CHUNK_OVERHEAD: u64 = 64;

/// What `chunk` takes in memory.
pub(crate) fn weight_of(chunk: &Bytes) -> u64 {
    chunk.len() as u64 + CHUNK_OVERHEAD
}

/// What became of a chunk given to [`Fill::push`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Push {
    Taken,
    /// The window is full of bytes that the fastest reader has not taken.
    Full,
    /// There is a window, and nobody to read.
    Deserted,
}

/// One answer on its way in.
#[derive(Debug)]
pub(crate) struct Fill {
    state: Mutex<State>,
    /// For the readers: a head, bytes, a window or the end came.
    pub(crate) news: Arc<Notify>,
    /// For the fill's task: a reader left, or took bytes out of the window.
    progress: Notify,
}

/// What a fill knows; readers look at it under its lock.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) head: Option<Arc<Head>>,
    pub(crate) end: Option<Result<(), FillError>>,
    /// Whether the origin's answer was stored; it is there before the end.
    pub(crate) storage: Option<Storage>,
    /// Bytes that came so far.
    pub(crate) received: u64,
    /// The most that may be kept, once not all is kept.
    pub(crate) window: Option<u64>,
    chunks: VecDeque<Bytes>,
    /// Number and byte offset of `chunks[0]`; both zero until a window drops some.
    first_chunk: u64,
    first_offset: u64,
    weight: u64,
    /// The room that the chunks take, until the last reader is through.
    room: Option<Reservation>,
    /// Offset of the next byte of each reader.
    readers: HashMap<u64, u64>,
    next_reader: u64,
}

/// Where a reader is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cursor {
    /// Offset of the next byte.
    pub(crate) offset: u64,
    chunk: u64,
    chunk_offset: u64,
}

impl Fill {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            news: Arc::new(Notify::new()),
            progress: Notify::new(),
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock; were it so, the state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reader at the first byte. It counts from now on, head or not.
    pub(crate) fn reader(self: &Arc<Self>) -> Reader {
        let mut state = self.lock();
        let id = state.next_reader;
        state.next_reader += 1;
        state.readers.insert(id, 0);
        drop(state);
        Reader::new(Arc::clone(self), id)
    }

    /// What came of the head so far.
    pub(crate) fn head(&self) -> Option<Arc<Head>> {
        self.lock().head.clone()
    }

    pub(crate) fn publish_head(&self, head: Arc<Head>) {
        self.lock().head = Some(head);
        self.news.notify_waiters();
    }

    /// From now on keeps no more than `bytes`, or what it holds already.
    pub(crate) fn keep_window(&self, bytes: u64) {
        let mut state = self.lock();
        state.window = Some(bytes.max(state.weight));
        drop(state);
        self.news.notify_waiters();
    }

    pub(crate) fn push(&self, chunk: &Bytes) -> Push {
        let mut state = self.lock();
        if let Some(window) = state.window {
            while state.weight + weight_of(chunk) > window && !state.chunks.is_empty() {
                let Some(&fastest) = state.readers.values().max() else {
                    return Push::Deserted;
                };
                if !state.drop_first_before(fastest) {
                    return Push::Full;
                }
            }
        }
        state.received += chunk.len() as u64;
        state.weight += weight_of(chunk);
        state.chunks.push_back(chunk.clone());
        drop(state);
        self.news.notify_waiters();
        Push::Taken
    }

    /// Keeps this for as long as the chunks.
    pub(crate) fn hold(&self, room: Reservation) {
        self.lock().room = Some(room);
    }

    /// Ends the answer; the first end counts.
    pub(crate) fn finish(&self, end: Result<(), FillError>) {
        self.lock().end.get_or_insert(end);
        self.news.notify_waiters();
    }

    /// All bytes, when none were dropped.
    pub(crate) fn chunks(&self) -> Arc<[Bytes]> {
        self.lock().chunks.iter().cloned().collect()
    }

    /// Waits for a reader to leave or to take bytes out of the window.
    pub(crate) async fn progress(&self) {
        self.progress.notified().await;
    }

    /// Waits until there is no reader.
    pub(crate) async fn deserted(&self) {
        while !self.lock().readers.is_empty() {
            self.progress.notified().await;
        }
    }

    /// Takes the next chunk for `reader`, cut at `until`. None when it has to wait.
    pub(crate) fn take(
        &self,
        reader: u64,
        cursor: &mut Cursor,
        until: Option<u64>,
    ) -> Option<Result<Option<Bytes>, FillError>> {
        let mut state = self.lock();
        let taken = state.take(cursor, until);
        if let Some(Ok(Some(_))) = &taken {
            state.readers.insert(reader, cursor.offset);
            let windowed = state.window.is_some();
            drop(state);
            if windowed {
                self.progress.notify_one();
            }
        }
        taken
    }

    pub(crate) fn move_reader(&self, reader: u64, offset: u64) {
        self.lock().readers.insert(reader, offset);
        self.progress.notify_one();
    }

    pub(crate) fn remove_reader(&self, reader: u64) {
        self.lock().readers.remove(&reader);
        self.progress.notify_one();
    }
}

impl State {
    /// Drops the first chunk if it ends at or before `offset`.
    fn drop_first_before(&mut self, offset: u64) -> bool {
        let ends = |first: &Bytes, at: u64| at + first.len() as u64;
        let first_offset = self.first_offset;
        if self
            .chunks
            .front()
            .is_none_or(|first| ends(first, first_offset) > offset)
        {
            return false;
        }
        if let Some(first) = self.chunks.pop_front() {
            self.weight -= weight_of(&first);
            self.first_offset = ends(&first, self.first_offset);
            self.first_chunk += 1;
        }
        true
    }

    fn take(
        &self,
        cursor: &mut Cursor,
        until: Option<u64>,
    ) -> Option<Result<Option<Bytes>, FillError>> {
        if until.is_some_and(|until| cursor.offset >= until) {
            return Some(Ok(None));
        }
        if cursor.offset < self.first_offset {
            return Some(Err(FillError::ReaderLagged));
        }
        if cursor.chunk < self.first_chunk {
            cursor.chunk = self.first_chunk;
            cursor.chunk_offset = self.first_offset;
        }
        while let Some(chunk) = self.chunk(cursor.chunk) {
            let end = cursor.chunk_offset + chunk.len() as u64;
            if cursor.offset < end {
                let stop = until.unwrap_or(end).min(end);
                // Both differences are at most the chunk's length, so they fit.
                let from = (cursor.offset - cursor.chunk_offset) as usize;
                let to = (stop - cursor.chunk_offset) as usize;
                cursor.offset = stop;
                return Some(Ok(Some(chunk.slice(from..to))));
            }
            cursor.chunk += 1;
            cursor.chunk_offset = end;
        }
        match &self.end {
            None => None,
            Some(Ok(())) => Some(Ok(None)),
            Some(Err(error)) => Some(Err(error.clone())),
        }
    }

    fn chunk(&self, number: u64) -> Option<&Bytes> {
        let index = usize::try_from(number - self.first_chunk).ok()?;
        self.chunks.get(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(length: usize) -> Bytes {
        Bytes::from(vec![7; length])
    }

    #[test]
    fn e03_a_fill_that_keeps_all_never_waits() {
        let fill = Fill::new();
        let _slow = fill.reader();
        for _ in 0..1_000 {
            assert_eq!(fill.push(&chunk(1_000)), Push::Taken);
        }
    }

    #[tokio::test]
    async fn a_window_waits_for_the_fastest_reader_and_drops_the_slowest() {
        let fill = Fill::new();
        fill.keep_window(2 * weight_of(&chunk(10)));
        let (mut fast, mut slow) = (fill.reader(), fill.reader());
        assert_eq!(fill.push(&chunk(10)), Push::Taken);
        assert_eq!(fill.push(&chunk(10)), Push::Taken);
        assert_eq!(fill.push(&chunk(10)), Push::Full);
        assert_eq!(fast.next().await.unwrap().unwrap().len(), 10);
        fill.progress().await;
        assert_eq!(fill.push(&chunk(10)), Push::Taken);
        assert_eq!(slow.next().await, Err(FillError::ReaderLagged));
        drop((fast, slow));
        assert_eq!(fill.push(&chunk(10)), Push::Deserted);
    }

    #[tokio::test]
    async fn a_chunk_larger_than_the_window_passes_alone() {
        let fill = Fill::new();
        fill.keep_window(1);
        let mut reader = fill.reader();
        for _ in 0..3 {
            assert_eq!(fill.push(&chunk(100)), Push::Taken);
            assert_eq!(fill.push(&chunk(100)), Push::Full);
            assert_eq!(reader.next().await.unwrap().unwrap().len(), 100);
        }
    }

    #[tokio::test]
    async fn bytes_before_a_failure_are_still_given() {
        let fill = Fill::new();
        let mut reader = fill.reader();
        fill.push(&chunk(3));
        fill.finish(Err(FillError::BodyStalled));
        fill.finish(Ok(()));
        assert_eq!(reader.next().await.unwrap().unwrap().len(), 3);
        assert_eq!(reader.next().await, Err(FillError::BodyStalled));
    }
}
