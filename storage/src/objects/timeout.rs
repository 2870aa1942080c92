//! Giving up what takes too long.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::{Chunks, Layer, Layered, ObjectError, ObjectFuture, Operation, PutOptions};

/// [`Timeout::long`] by default. The network's own limits must not be shorter.
pub(super) const LONG: Duration = Duration::from_secs(600);

/// Ends what takes longer than its limit with [`ObjectError::TimedOut`].
///
/// A body as a stream has no limit as a whole, only for each time the store makes us wait
/// for it: the next piece on the way out; on the way in, from one piece to asking for the
/// next. The time that the caller takes does not count.
#[derive(Debug, Clone)]
pub struct Timeout {
    /// For what moves no body.
    pub answer: Duration,
    /// For what moves a body in one piece.
    pub body: Duration,
    /// For what stands for many requests: deleting a folder, joining parts.
    pub long: Duration,
    /// For one piece of a stream. On the way in, it may be twice as long until we notice.
    pub chunk: Duration,
}

impl Default for Timeout {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(10),
            body: Duration::from_secs(60),
            long: LONG,
            chunk: Duration::from_secs(20),
        }
    }
}

impl Layer for Timeout {
    fn call<'a, T: Send + 'a>(
        &'a self,
        operation: Operation,
        run: impl Fn() -> ObjectFuture<'a, T> + Send + 'a,
    ) -> ObjectFuture<'a, T> {
        let limit = if operation.takes_long() {
            self.long
        } else if operation.moves_a_body() {
            self.body
        } else {
            self.answer
        };
        let what = operation.as_str();
        let run = run();
        Box::pin(async move {
            let timed = tokio::time::timeout(limit, run).await;
            timed.unwrap_or(Err(ObjectError::TimedOut { what, limit }))
        })
    }

    fn put_stream<'a>(
        &'a self,
        layered: &'a Layered<Self>,
        key: &'a str,
        body: Chunks<io::Error>,
        options: PutOptions<'a>,
    ) -> ObjectFuture<'a, u64> {
        let turns = Arc::new(Turns::default());
        let body = watched(body, turns.clone());
        let put = layered.inner().put_stream(key, body, options);
        let limit = self.chunk;
        Box::pin(async move {
            tokio::select! {
                stored = put => stored,
                () = turns.store_stalls(limit) => Err(ObjectError::TimedOut {
                    what: Operation::PutStream.as_str(),
                    limit,
                }),
            }
        })
    }

    fn chunks(&self, chunks: Chunks<ObjectError>) -> Chunks<ObjectError> {
        let limit = self.chunk;
        let next = move |mut chunks: Chunks<ObjectError>| async move {
            match tokio::time::timeout(limit, chunks.next()).await {
                Ok(None) => Ok(None),
                Ok(Some(chunk)) => Ok(Some((chunk?, chunks))),
                Err(_) => Err(ObjectError::TimedOut {
                    what: "a piece of a body",
                    limit,
                }),
            }
        };
        Box::pin(stream::try_unfold(chunks, next))
    }
}

/// Whose turn it is while a body is put: the caller's, to give a piece, or the store's, to
/// take it.
#[derive(Debug, Default)]
struct Turns {
    taken: AtomicU64,
    callers: AtomicBool,
}

impl Turns {
    /// Ends when it was the store's turn for all of `limit`.
    async fn store_stalls(&self, limit: Duration) {
        loop {
            let before = self.taken();
            tokio::time::sleep(limit).await;
            if self.is_the_stores_since(before) {
                return;
            }
        }
    }

    /// Pieces that have come.
    fn taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }

    /// Whether it is the store's turn, and was when `taken` pieces had come.
    fn is_the_stores_since(&self, taken: u64) -> bool {
        self.taken() == taken && !self.callers.load(Ordering::Acquire)
    }
}

fn watched(body: Chunks<io::Error>, turns: Arc<Turns>) -> Chunks<io::Error> {
    let next = |(mut body, turns): (Chunks<io::Error>, Arc<Turns>)| async move {
        turns.callers.store(true, Ordering::Release);
        let chunk = body.next().await;
        turns.taken.fetch_add(1, Ordering::AcqRel);
        turns.callers.store(false, Ordering::Release);
        Some((chunk?, (body, turns)))
    };
    Box::pin(stream::unfold((body, turns), next))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::FutureExt;
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    #[test]
    fn a_store_stalls_only_while_it_is_its_turn() {
        let turns = Arc::new(Turns::default());
        let (sender, receiver) = unbounded_channel();
        let body = stream::unfold(receiver, |mut receiver| async move {
            Some((Ok(receiver.recv().await?), receiver))
        });
        let mut body = watched(Box::pin(body), turns.clone());
        assert!(turns.is_the_stores_since(turns.taken()));

        // The sender may take as long as it likes.
        let before = turns.taken();
        assert!(body.next().now_or_never().is_none());
        assert!(!turns.is_the_stores_since(before));

        sender.send(Bytes::from_static(b"x")).unwrap();
        assert!(body.next().now_or_never().is_some());
        assert!(!turns.is_the_stores_since(before));
        assert!(turns.is_the_stores_since(turns.taken()));

        // The store has the whole body, and has to store it.
        drop(sender);
        assert!(body.next().now_or_never().unwrap().is_none());
        assert!(turns.is_the_stores_since(turns.taken()));
    }
}
