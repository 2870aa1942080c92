//! What a connection has done, as those see it who watch over it.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::bucket::Bucket;
use super::config::ServerConfig;

/// What the connections of a listener share.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) name: &'static str,
    pub(super) config: Arc<ServerConfig>,
    /// What times of rates are counted from.
    pub(super) epoch: Instant,
}

impl Listener {
    pub(super) fn new(name: &'static str, config: ServerConfig) -> Arc<Self> {
        Arc::new(Self {
            name,
            config: Arc::new(config),
            epoch: Instant::now(),
        })
    }
}

/// Why a connection is ended by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Cut {
    /// A request's head took too long.
    SlowHeader = 1,
    /// There was no request for too long.
    Idle,
    /// The client takes an answer too slowly.
    SlowReader,
    /// The client gives up too many requests (CVE-2023-44487).
    Resets,
    /// The server stops, and the requests did not end in time.
    Shutdown,
}

impl Cut {
    const ALL: [Self; 5] = [
        Self::SlowHeader,
        Self::Idle,
        Self::SlowReader,
        Self::Resets,
        Self::Shutdown,
    ];

    /// The label in the metrics.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::SlowHeader => "slow-header",
            Self::Idle => "idle",
            Self::SlowReader => "slow-reader",
            Self::Resets => "resets",
            Self::Shutdown => "shutdown",
        }
    }
}

/// What a connection is told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    GoOn,
    /// Finish what is under way and close.
    Finish(Cut),
    /// End now.
    Cut(Cut),
}

/// Added to the code of a cut where the connection may finish.
const FINISH: u8 = 0x80;

/// Counts of one connection, without a lock and without the time.
#[derive(Debug)]
pub(super) struct Activity {
    pub(super) listener: Arc<Listener>,
    /// Bytes that came from the client.
    received: AtomicU64,
    /// The last of them do not end a head.
    ends_open: AtomicBool,
    /// The last request has a body, so that what came after its head may be no head.
    has_body: AtomicBool,
    /// Requests whose head was read.
    begun: AtomicU64,
    /// Of these those whose answer has not ended.
    under_way: AtomicU32,
    /// Bytes of answers' bodies that were there to be sent.
    given: AtomicU64,
    /// Of these those that the socket took.
    taken: AtomicU64,
    is_http2: AtomicBool,
    /// HTTP has ended, and another protocol goes on (RFC 9110 7.8).
    is_switched: AtomicBool,
    /// Its transport is gone.
    has_left: Notify,
    resets: Bucket,
    order: AtomicU8,
    /// Of the connection's task.
    waker: Mutex<Option<Waker>>,
}

/// The counts at one moment.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) received: u64,
    /// More came than the heads of the requests so far.
    pub(super) has_half_head: bool,
    pub(super) begun: u64,
    pub(super) under_way: u32,
    pub(super) given: u64,
    pub(super) taken: u64,
    pub(super) is_http2: bool,
}

impl Activity {
    pub(super) fn new(listener: &Arc<Listener>) -> Self {
        Self {
            listener: Arc::clone(listener),
            received: AtomicU64::new(0),
            ends_open: AtomicBool::new(false),
            has_body: AtomicBool::new(false),
            begun: AtomicU64::new(0),
            under_way: AtomicU32::new(0),
            given: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            is_http2: AtomicBool::new(false),
            is_switched: AtomicBool::new(false),
            has_left: Notify::new(),
            resets: Bucket::default(),
            order: AtomicU8::new(0),
            waker: Mutex::new(None),
        }
    }

    pub(super) fn sample(&self) -> Sample {
        Sample {
            received: self.received.load(Ordering::Relaxed),
            has_half_head: self.ends_open.load(Ordering::Relaxed)
                && !self.has_body.load(Ordering::Relaxed),
            begun: self.begun.load(Ordering::Relaxed),
            under_way: self.under_way.load(Ordering::Relaxed),
            given: self.given.load(Ordering::Relaxed),
            taken: self.taken.load(Ordering::Relaxed),
            is_http2: self.is_http2.load(Ordering::Relaxed),
        }
    }

    /// `ends_a_head`: the last of these bytes do.
    pub(super) fn received(&self, bytes: usize, ends_a_head: bool) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
        self.ends_open.store(!ends_a_head, Ordering::Relaxed);
    }

    /// Whether the request whose head was read last has a body. Those of the fast path have
    /// none, and come after none that has.
    pub(super) fn has_body(&self, has_body: bool) {
        self.has_body.store(has_body, Ordering::Relaxed);
    }

    pub(super) fn is_http2(&self) {
        self.is_http2.store(true, Ordering::Relaxed);
    }

    /// What comes from here on is another protocol's, like one request that does not end: who
    /// took it sees to it that the client says something now and then.
    pub(super) fn switches(&self) {
        self.request_begins();
        self.is_switched.store(true, Ordering::Release);
    }

    pub(super) fn is_switched(&self) -> bool {
        self.is_switched.load(Ordering::Acquire)
    }

    /// The transport is gone.
    pub(super) fn leaves(&self) {
        if self.is_switched() {
            self.request_ends();
        }
        self.has_left.notify_one();
    }

    /// Returns when the transport is gone, also when it was before.
    pub(super) async fn left(&self) {
        self.has_left.notified().await;
    }

    pub(super) fn request_begins(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn request_ends(&self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }

    /// The client gave a request up.
    pub(super) fn request_reset(&self, now: Instant) {
        let Listener { config, epoch, .. } = &*self.listener;
        let since = now.saturating_duration_since(*epoch);
        if self.is_http2.load(Ordering::Relaxed) && self.resets.take(since, config.resets).is_err()
        {
            self.order(Order::Cut(Cut::Resets));
        }
    }

    pub(super) fn given(&self, bytes: usize) {
        self.given.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn taken(&self, bytes: usize) {
        self.taken.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// These bytes will not be sent.
    pub(super) fn withdrawn(&self, bytes: usize) {
        self.given.fetch_sub(bytes as u64, Ordering::Relaxed);
    }

    /// What the connection is to do. The first order stays, but for a cut after a finish.
    pub(super) fn order(&self, order: Order) {
        // With the lock an order comes before `listen`, which then is followed by a look at
        // it, or finds the waker.
        let waker = self.waker.lock().unwrap_or_else(|e| e.into_inner());
        let code = match (order, self.ordered()) {
            (Order::GoOn, _) | (_, Order::Cut(_)) | (Order::Finish(_), Order::Finish(_)) => return,
            (Order::Finish(cut), _) => FINISH | cut as u8,
            (Order::Cut(cut), _) => cut as u8,
        };
        self.order.store(code, Ordering::Release);
        if let Some(waker) = &*waker {
            waker.wake_by_ref();
        }
    }

    pub(super) fn ordered(&self) -> Order {
        let code = self.order.load(Ordering::Acquire);
        if code == 0 {
            return Order::GoOn;
        }
        let order = match code & FINISH {
            0 => Order::Cut,
            _ => Order::Finish,
        };
        Cut::ALL
            .into_iter()
            .find(|cut| *cut as u8 == code & !FINISH)
            .map_or(Order::GoOn, order)
    }

    /// The task that polls with `context` is woken by orders from now on. A task's waker
    /// stays good, so that once is enough.
    pub(super) fn listen(&self, context: &Context<'_>) {
        let mut waker = self.waker.lock().unwrap_or_else(|e| e.into_inner());
        *waker = Some(context.waker().clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::config::Rate;

    fn activity() -> Activity {
        let resets = Rate {
            per_second: 1,
            burst: 2,
        };
        let config = ServerConfig {
            resets,
            ..ServerConfig::default()
        };
        Activity::new(&Listener::new("test", config))
    }

    #[test]
    fn an_order_is_told_as_it_was_given_and_a_cut_is_final() {
        assert_eq!(activity().ordered(), Order::GoOn);
        for cut in Cut::ALL {
            let activity = activity();
            activity.order(Order::Finish(cut));
            assert_eq!(activity.ordered(), Order::Finish(cut));
            activity.order(Order::Finish(Cut::Shutdown));
            assert_eq!(activity.ordered(), Order::Finish(cut));
            activity.order(Order::Cut(cut));
            assert_eq!(activity.ordered(), Order::Cut(cut));
            activity.order(Order::Finish(cut));
            activity.order(Order::Cut(Cut::Shutdown));
            assert_eq!(activity.ordered(), Order::Cut(cut));
        }
    }

    #[test]
    fn only_a_flood_of_resets_on_http2_ends_a_connection() {
        let activity = activity();
        let now = activity.listener.epoch;
        (0..9).for_each(|_| activity.request_reset(now));
        assert_eq!(activity.ordered(), Order::GoOn);
        activity.is_http2();
        (0..2).for_each(|_| activity.request_reset(now));
        assert_eq!(activity.ordered(), Order::GoOn);
        activity.request_reset(now);
        assert_eq!(activity.ordered(), Order::Cut(Cut::Resets));
    }
}
