//! A request's place at a member, from the choice to the end of the body.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::upstream::board::Seat;

/// Where requests report what became of them.
pub(crate) trait Desk: Send + Sync {
    /// The member has sent the head of an answer.
    fn lives(&self, seat: Seat);
    /// The member gave an answer, all of it.
    fn answered(&self, seat: Seat);
    /// The member is to blame that there is none, or not all of it.
    fn failed(&self, seat: Seat);
    /// The place is free.
    fn leave(&self, seat: Seat);
    /// May a request be sent once more? That counts as a retry.
    fn grants_retry(&self) -> bool;
}

/// Whom to ask before a request that was lost with its connection is sent to the same member
/// once more. An extension of requests that a pool sends and that no other member can be asked:
/// where one can, the budget is for that.
#[derive(Clone)]
pub(crate) struct Retries(Arc<dyn Desk>);

impl Retries {
    /// Takes one.
    pub(crate) fn grant(&self) -> bool {
        self.0.grants_retry()
    }
}

/// A place, given back when dropped.
pub(crate) struct Place {
    desk: Arc<dyn Desk>,
    seat: Seat,
}

impl Place {
    pub(crate) fn new(desk: Arc<dyn Desk>, seat: Seat) -> Self {
        Self { desk, seat }
    }

    pub(crate) fn seat(&self) -> Seat {
        self.seat
    }

    pub(crate) fn retries(&self) -> Retries {
        Retries(Arc::clone(&self.desk))
    }

    pub(crate) fn lives(&self) {
        self.desk.lives(self.seat);
    }

    pub(crate) fn answered(&self) {
        self.desk.answered(self.seat);
    }

    pub(crate) fn failed(&self) {
        self.desk.failed(self.seat);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.desk.leave(self.seat);
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.seat).finish()
    }
}

/// Comes when a feed should be followed elsewhere.
pub(crate) struct Moves(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Moves {
    pub(crate) fn new(moves: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Box::pin(moves))
    }
}

impl fmt::Debug for Moves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Moves").finish_non_exhaustive()
    }
}

/// The body of a member's answer. Its end, or that nobody reads on, counts for the member;
/// that it breaks off, or stands still, counts against it. It is not asked for again. A feed has
/// no end to count, and ends when it should be asked of another member.
#[derive(Debug)]
pub struct PoolBody<B> {
    inner: B,
    /// None once the body has ended.
    place: Option<Place>,
    /// The head has counted against the member already.
    is_blamed: bool,
    stall: Duration,
    /// Since when bytes are waited for.
    waiting: Option<Instant>,
    /// Of a feed.
    moves: Option<Moves>,
}

impl<B> PoolBody<B> {
    pub(crate) fn new(inner: B, place: Place, is_blamed: bool, stall: Duration) -> Self {
        Self {
            inner,
            place: Some(place),
            is_blamed,
            stall,
            waiting: None,
            moves: None,
        }
    }

    /// The body of a feed, whose head has counted for its member.
    pub(crate) fn feed(inner: B, moves: Moves) -> Self {
        Self {
            inner,
            place: None,
            is_blamed: false,
            stall: Duration::MAX,
            waiting: None,
            moves: Some(moves),
        }
    }

    /// Reports, the first time, and gives the place back.
    fn end(&mut self, is_whole: bool) {
        match self.place.take() {
            Some(_) if self.is_blamed => {}
            Some(place) if is_whole => place.answered(),
            Some(place) => place.failed(),
            None => {}
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for PoolBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.inner).poll_frame(context);
        match &polled {
            Poll::Pending => {
                this.waiting.get_or_insert_with(Instant::now);
                if let Some(moves) = &mut this.moves
                    && moves.0.as_mut().poll(context).is_ready()
                {
                    // It is not polled after its end.
                    this.moves = None;
                    return Poll::Ready(None);
                }
            }
            Poll::Ready(Some(Ok(_))) => this.waiting = None,
            Poll::Ready(Some(Err(_))) => this.end(false),
            Poll::Ready(None) => this.end(true),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> Drop for PoolBody<B> {
    fn drop(&mut self) {
        let stands_still = self
            .waiting
            .is_some_and(|since| since.elapsed() >= self.stall);
        self.end(!stands_still);
    }
}
