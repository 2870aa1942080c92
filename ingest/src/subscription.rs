//! A publication's frames on their way to its readers: bounded queues that share
//! the frames' bytes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use media::{Epoch, Frame, SourceFit, TrackKind};
use tokio::sync::Notify;

/// What a subscription delivers: epochs and their frames, in order.
pub use media::timeline::Output as Feed;

/// What bounds a subscription. Beyond `frames` or `bytes` the reader lags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SubscriptionLimits {
    /// Frames that wait to be read.
    pub frames: usize,
    /// Bytes of frames that wait to be read.
    pub bytes: usize,
    /// Starts and ends of epochs that wait to be read. They are never dropped: a reader
    /// that leaves more than this is cut off.
    pub epoch_events: usize,
}

impl Default for SubscriptionLimits {
    /// About ten seconds of a 60 frames per second, 25 Mbit/s source.
    fn default() -> Self {
        Self {
            frames: 1_200,
            bytes: 32 << 20,
            epoch_events: 64,
        }
    }
}

/// The way to more subscriptions of one publication.
#[derive(Clone, Debug)]
pub struct Subscriptions(Arc<Mutex<Fanout>>);

#[derive(Debug)]
struct Fanout {
    limits: SubscriptionLimits,
    epoch: Option<Arc<Epoch>>,
    readers: Vec<Arc<Reader>>,
    ended: bool,
}

/// A reader's end: the feed from where it subscribed.
#[derive(Debug)]
pub struct Subscription {
    reader: Arc<Reader>,
}

#[derive(Debug)]
struct Reader {
    queue: Mutex<Queue>,
    ready: Notify,
}

/// What a reader gets of the frames that come now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    /// All of them.
    Flowing,
    /// None before the next segment starts: it has just subscribed.
    UntilSegment,
    /// None before the next key frame: it lagged, and what lies between cannot be decoded.
    UntilKeyFrame,
}

/// Where a reader can come into an epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Entry {
    /// Sound alone: where a segment starts.
    AnySegment,
    /// A key frame that starts a segment.
    KeySegment,
    /// Any key frame: segments are cut between them.
    AnyKeyFrame,
}

impl Entry {
    fn of(epoch: &Epoch) -> Self {
        match (&epoch.video, epoch.source_fit) {
            (None, _) => Self::AnySegment,
            (Some(_), SourceFit::Passthrough) => Self::KeySegment,
            (Some(_), SourceFit::GopTooLong) => Self::AnyKeyFrame,
        }
    }

    /// Whether a new reader, or one that lagged, can begin with this frame. Not within a
    /// segment: what it has of it would seem to last over the hole.
    fn begins(self, frame: &Frame) -> bool {
        let picture = frame.track == TrackKind::Video && frame.key;
        match self {
            Self::AnySegment => frame.starts.is_some(),
            Self::KeySegment => picture && frame.starts.is_some(),
            Self::AnyKeyFrame => picture,
        }
    }
}

#[derive(Debug)]
struct Queue {
    limits: SubscriptionLimits,
    items: VecDeque<Feed>,
    mode: Mode,
    entry: Entry,
    frames: usize,
    bytes: usize,
    epoch_events: usize,
    lost: u64,
    ended: bool,
    cut_off: bool,
    abandoned: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that can panic runs under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Subscriptions {
    /// A fan-out without readers.
    pub(crate) fn new(limits: SubscriptionLimits) -> Self {
        Self(Arc::new(Mutex::new(Fanout {
            limits,
            epoch: None,
            readers: Vec::new(),
            ended: false,
        })))
    }

    /// A subscription that sees the current epoch, then frames from the next segment on.
    /// Of a publication that has ended it sees nothing.
    pub fn subscribe(&self) -> Subscription {
        self.add(Mode::UntilSegment)
    }

    /// The subscription made before media flows, which sees everything.
    pub(crate) fn first(&self) -> Subscription {
        self.add(Mode::Flowing)
    }

    fn add(&self, mode: Mode) -> Subscription {
        let mut fanout = lock(&self.0);
        let mut queue = Queue::new(fanout.limits, mode);
        if let Some(epoch) = &fanout.epoch {
            queue.push(&Feed::EpochStarted(epoch.clone()));
        }
        queue.ended = fanout.ended;
        let reader = Arc::new(Reader {
            queue: Mutex::new(queue),
            ready: Notify::new(),
        });
        if !fanout.ended {
            fanout.readers.push(reader.clone());
        }
        Subscription { reader }
    }

    /// Gives `item` to every reader: a pointer each, never a copy of the bytes.
    pub(crate) fn publish(&self, item: &Feed) {
        let mut fanout = lock(&self.0);
        match item {
            Feed::EpochStarted(epoch) => fanout.epoch = Some(epoch.clone()),
            Feed::EpochEnded => fanout.epoch = None,
            Feed::Frame(_) => {}
        }
        fanout.readers.retain(|reader| {
            let mut queue = lock(&reader.queue);
            queue.push(item);
            let keep = !queue.abandoned && !queue.ended;
            drop(queue);
            reader.ready.notify_one();
            keep
        });
    }

    /// No more items: readers get what waits, then `None`.
    pub(crate) fn end(&self) {
        let mut fanout = lock(&self.0);
        fanout.ended = true;
        fanout.epoch = None;
        for reader in fanout.readers.drain(..) {
            lock(&reader.queue).ended = true;
            reader.ready.notify_one();
        }
    }
}

impl Subscription {
    /// The next item; `None` when the publication has ended. Cancel safe.
    pub async fn recv(&mut self) -> Option<Feed> {
        loop {
            {
                let mut queue = lock(&self.reader.queue);
                if let Some(item) = queue.pop() {
                    return Some(item);
                }
                if queue.ended {
                    return None;
                }
            }
            // A notification between the check and here is kept as a permit.
            self.reader.ready.notified().await;
        }
    }

    /// Frames this reader lost because it was slow.
    pub fn lost(&self) -> u64 {
        lock(&self.reader.queue).lost
    }

    /// Whether the feed ended because this reader left too many epochs unread, and not
    /// because the publication did.
    pub fn was_cut_off(&self) -> bool {
        lock(&self.reader.queue).cut_off
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut queue = lock(&self.reader.queue);
        queue.abandoned = true;
        queue.items = VecDeque::new();
    }
}

impl Queue {
    fn new(limits: SubscriptionLimits, mode: Mode) -> Self {
        Self {
            limits,
            items: VecDeque::new(),
            mode,
            entry: Entry::AnySegment,
            frames: 0,
            bytes: 0,
            epoch_events: 0,
            lost: 0,
            ended: false,
            cut_off: false,
            abandoned: false,
        }
    }

    fn push(&mut self, item: &Feed) {
        if self.ended || self.abandoned {
            return;
        }
        match item {
            Feed::Frame(frame) => {
                if !self.admits(frame) {
                    if self.mode == Mode::UntilKeyFrame {
                        self.lost += 1;
                        metrics::counter!("nova_ingest_frames_lost_total").increment(1);
                    }
                    return;
                }
                self.mode = Mode::Flowing;
                self.frames += 1;
                self.bytes += frame.data.len();
            }
            Feed::EpochStarted(epoch) => {
                self.entry = Entry::of(epoch);
                self.epoch_events += 1;
            }
            Feed::EpochEnded => self.epoch_events += 1,
        }
        if self.epoch_events > self.limits.epoch_events {
            self.cut_off = true;
            self.ended = true;
            metrics::counter!("nova_ingest_subscriptions_cut_off_total").increment(1);
            return;
        }
        self.items.push_back(item.clone());
    }

    /// Whether the reader gets this frame. Turns to [`Mode::UntilKeyFrame`] when there
    /// is no room.
    fn admits(&mut self, frame: &Frame) -> bool {
        let room = match self.mode {
            Mode::Flowing => {
                self.frames < self.limits.frames
                    && self.bytes.saturating_add(frame.data.len()) <= self.limits.bytes
            }
            Mode::UntilSegment => self.entry.begins(frame),
            // Half empty, or a reader on the edge would lose a little of every group.
            Mode::UntilKeyFrame => {
                self.entry.begins(frame)
                    && self.frames <= self.limits.frames / 2
                    && self.bytes <= self.limits.bytes / 2
            }
        };
        if self.mode == Mode::Flowing && !room {
            self.mode = Mode::UntilKeyFrame;
        }
        room
    }

    fn pop(&mut self) -> Option<Feed> {
        let item = self.items.pop_front()?;
        match &item {
            Feed::Frame(frame) => {
                self.frames -= 1;
                self.bytes -= frame.data.len();
            }
            Feed::EpochStarted(_) | Feed::EpochEnded => self.epoch_events -= 1,
        }
        Some(item)
    }
}

#[cfg(test)]
mod tests;
