//! What a live stream leaves behind: segments as objects, and their rows.
//!
//! The live path hands over what it has cut and never waits. A clerk stores the objects
//! and then their rows; while the store or the database fails it tries again, and what
//! does not fit into memory meanwhile is left out, the oldest first: its row says that
//! there is a gap. An [`Alarm`] tells of it.

mod alarm;
mod clerk;
mod queue;
#[cfg(test)]
mod tests;

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use media::{Clock, EpochNumber, Rendition, RenditionName, Segment, StreamId};
use storage::ObjectStore;
use storage::rows::Database;
use storage::rows::segments::SegmentRow;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use self::alarm::Alarm;
use self::clerk::Clerk;
use self::queue::{Entry, Queue, Waiting};

pub use self::alarm::RecordingHealth;

/// Where segments are kept.
#[derive(Debug, Clone)]
pub(super) struct Shelves {
    pub(super) database: Database,
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) clock: Arc<dyn Clock>,
}

/// What all archives of a process share.
#[derive(Debug, Clone)]
pub(super) struct Archives {
    pub(super) shelves: Shelves,
    pub(super) health: Arc<RecordingHealth>,
    /// Bytes that wait to be stored in all of them.
    pub(super) waiting: Arc<AtomicUsize>,
    /// The clerks. They end some time after their archives.
    pub(super) clerks: TaskTracker,
    /// The process stops: clerks have little time left.
    pub(super) shutdown: CancellationToken,
}

/// The way to the archive of one stream.
#[derive(Debug, Clone)]
pub(super) struct Archive(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    desk: Arc<Desk>,
    /// Tells the clerk that nothing more comes.
    _closing: DropGuard,
}

/// What lies between the live path and the clerk. The lock is held for moments only.
#[derive(Debug, Default)]
struct Desk {
    queue: Mutex<Queue>,
    objects_came: Notify,
    rows_came: Notify,
}

impl Desk {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // No change leaves the queue half-way.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Archives {
    /// Opens the archive of `stream`. Its clerk ends when every clone is dropped and what
    /// waits is stored, or will not be.
    pub(super) fn open(&self, stream: StreamId) -> Archive {
        let desk = Arc::new(Desk {
            queue: Mutex::new(Queue::new(Waiting::among(&self.waiting))),
            ..Desk::default()
        });
        let closed = CancellationToken::new();
        let clerk = Clerk {
            shelves: self.shelves.clone(),
            stream,
            desk: desk.clone(),
            alarm: Alarm::new(stream, self.health.clone()),
            closed: closed.clone(),
            shutdown: self.shutdown.clone(),
        };
        self.clerks.spawn(clerk.run());
        Archive(Arc::new(Inner {
            desk,
            _closing: closed.drop_guard(),
        }))
    }
}

impl Archive {
    /// Stores a rendition's init segment and its row, before any segment of it.
    pub(super) fn rendition(&self, epoch: EpochNumber, rendition: Rendition, init: Bytes) {
        self.push(Entry::rendition(epoch, rendition, init));
    }

    /// Stores a segment. A gap has no bytes, only a row.
    pub(super) fn segment(
        &self,
        epoch: EpochNumber,
        rendition: RenditionName,
        segment: Segment,
        bytes: Bytes,
    ) {
        let row = SegmentRow {
            epoch,
            rendition,
            segment,
        };
        self.push(Entry::segment(row, bytes));
    }

    /// Whether anything waits to be stored.
    #[cfg(test)]
    pub(super) fn is_behind(&self) -> bool {
        let queue = self.0.desk.queue();
        queue.has_objects() || queue.has_rows()
    }

    fn push(&self, entry: Entry) {
        let Inner { desk, .. } = &*self.0;
        let dropped = desk.queue().push(entry);
        desk.objects_came.notify_one();
        dropped.count();
    }
}
