//! An edge that follows a feed here.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use media::feed::{self, Content, FeedError, ObjectHead};
use tokio::sync::mpsc;
use tokio::time::{Sleep, sleep};

use super::feeds::Seat;
use crate::access::NOVA_ACCESS;
use crate::budget::Reservation;

/// An object that has come, as it is handed on.
#[derive(Debug)]
pub(super) struct Pushed {
    /// As it is sent to who lacks some of what makes it.
    head: Bytes,
    chunks: Arc<[Bytes]>,
    length: u64,
    /// As it is sent to who has been sent so many objects before it.
    joined: Option<(Bytes, u32)>,
    /// For as long as it waits anywhere.
    _room: Reservation,
    /// There is room for it beside what waits already.
    has_room: bool,
    /// It is for holders of a token.
    is_signed: bool,
}

impl Pushed {
    /// `joined`: it is made of so many before it. `room` is none yet.
    pub(super) fn new(
        head: &ObjectHead,
        chunks: Arc<[Bytes]>,
        joined: Option<u32>,
        mut room: Reservation,
    ) -> Result<Self, FeedError> {
        let length: usize = chunks.iter().map(Bytes::len).sum();
        let joined = match joined {
            Some(count) => Some((feed::encode(head, Content::Joined(count))?, count)),
            None => None,
        };
        let mut fields = head.fields.iter();
        Ok(Self {
            is_signed: fields.any(|(name, _)| NOVA_ACCESS.as_str().eq_ignore_ascii_case(name)),
            head: feed::encode(head, Content::bytes(length)?)?,
            chunks,
            length: length as u64,
            joined,
            has_room: room.grow(length as u64),
            _room: room,
        })
    }
}

/// What is sent of an object.
#[derive(Debug)]
struct Delivery {
    pushed: Arc<Pushed>,
    is_joined: bool,
}

impl Delivery {
    /// Bytes that it keeps in memory.
    fn weight(&self) -> u64 {
        match self.is_joined {
            true => 0,
            false => self.pushed.length,
        }
    }
}

/// What became of an object that was handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handed {
    Taken,
    /// The subscriber has left.
    Left,
    /// As much waits for it as may.
    TooSlow,
    /// It may not have it.
    NotForIt,
}

/// Where a feed leaves what it has for one subscriber.
#[derive(Debug)]
pub(super) struct Outlet {
    deliveries: mpsc::Sender<Delivery>,
    queued: Arc<AtomicU64>,
    max_queued: u64,
    /// Objects that it was sent.
    sent: u32,
    /// Whoever it is may have what is for everybody.
    is_public: bool,
}

impl Outlet {
    /// Hands an object on.
    pub(super) fn send(&mut self, pushed: &Arc<Pushed>) -> Handed {
        if self.is_public && pushed.is_signed {
            return Handed::NotForIt;
        }
        let count = pushed.joined.as_ref().map(|(_, count)| *count);
        let delivery = Delivery {
            pushed: Arc::clone(pushed),
            is_joined: count.is_some_and(|count| count <= self.sent),
        };
        let weight = delivery.weight();
        // One may wait always, whatever its size.
        let queued = self.queued.load(Ordering::Relaxed);
        let fits = pushed.has_room && queued + weight <= self.max_queued;
        if queued > 0 && weight > 0 && !fits {
            return Handed::TooSlow;
        }
        // Before it can be taken out.
        self.queued.fetch_add(weight, Ordering::Relaxed);
        self.sent = self.sent.saturating_add(1);
        match self.deliveries.try_send(delivery) {
            Ok(()) => Handed::Taken,
            Err(mpsc::error::TrySendError::Full(_)) => Handed::TooSlow,
            Err(mpsc::error::TrySendError::Closed(_)) => Handed::Left,
        }
    }

    /// Nobody waits for it any more.
    pub(super) fn is_closed(&self) -> bool {
        self.deliveries.is_closed()
    }
}

/// The body of a feed's answer.
#[derive(Debug)]
pub(crate) struct Subscriber {
    deliveries: mpsc::Receiver<Delivery>,
    queued: Arc<AtomicU64>,
    /// What is left to send of the object that was taken last.
    left: VecDeque<Bytes>,
    /// When it is told that the feed lives, if nothing comes before.
    alive: Pin<Box<Sleep>>,
    _seat: Seat,
}

/// Both ends. At most so many objects and bytes are between them.
/// `is_public`: the subscriber may have what is for everybody.
pub(super) fn pair(
    seat: Seat,
    max_queued: usize,
    max_queued_bytes: u64,
    is_public: bool,
) -> (Outlet, Subscriber) {
    let (sender, deliveries) = mpsc::channel(max_queued.max(1));
    let queued = Arc::new(AtomicU64::new(0));
    let outlet = Outlet {
        deliveries: sender,
        queued: Arc::clone(&queued),
        max_queued: max_queued_bytes,
        sent: 0,
        is_public,
    };
    let subscriber = Subscriber {
        deliveries,
        queued,
        left: VecDeque::new(),
        alive: Box::pin(sleep(feed::KEEP_ALIVE)),
        _seat: seat,
    };
    (outlet, subscriber)
}

impl Subscriber {
    /// The next bytes. None when the feed has ended.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(bytes) = self.left.pop_front() {
            return Poll::Ready(Some(bytes));
        }
        let Poll::Ready(delivery) = self.deliveries.poll_recv(context) else {
            ready!(self.alive.as_mut().poll(context));
            self.alive.set(sleep(feed::KEEP_ALIVE));
            return Poll::Ready(Some(Bytes::from_static(&feed::ALIVE)));
        };
        let Some(delivery) = delivery else {
            return Poll::Ready(None);
        };
        self.alive.set(sleep(feed::KEEP_ALIVE));
        self.queued.fetch_sub(delivery.weight(), Ordering::Relaxed);
        Poll::Ready(Some(match &delivery.pushed.joined {
            Some((head, _)) if delivery.is_joined => head.clone(),
            _ => {
                self.left.extend(delivery.pushed.chunks.iter().cloned());
                delivery.pushed.head.clone()
            }
        }))
    }
}
