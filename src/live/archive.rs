//! What a live stream leaves behind: segments as objects, and their rows.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use media::{Clock, EpochNumber, Micros, Rendition, RenditionName, Segment, StreamId};
use packager::object_key;
use storage::ObjectStore;
use storage::rows::segments::SegmentRow;
use storage::rows::{Database, RowError, segments};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Segments that wait to be stored. When the store is slower than the stream for this
/// long, segments are left out of it, and counted, rather than kept in memory.
const MAX_WAITING: usize = 64;
/// How long an epoch's beginning waits for room.
const ROOM: Duration = Duration::from_secs(2);

/// Where segments are kept.
#[derive(Debug, Clone)]
pub(super) struct Shelves {
    pub(super) database: Database,
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) keep: Micros,
}

/// The way to the archive of one stream.
#[derive(Debug, Clone)]
pub(super) struct Archive {
    queue: mpsc::Sender<Item>,
}

#[derive(Debug)]
enum Item {
    Rendition(EpochNumber, Rendition, Bytes),
    Segment(SegmentRow, Bytes),
}

impl Archive {
    /// Starts the archive of `stream`. The task ends when every `Archive` is dropped and
    /// what waits is stored.
    pub(super) fn start(shelves: Shelves, stream: StreamId) -> (Self, JoinHandle<()>) {
        let (queue, items) = mpsc::channel(MAX_WAITING);
        let clerk = Clerk { shelves, stream };
        (Self { queue }, tokio::spawn(clerk.run(items)))
    }

    /// Stores a rendition's row and init segment. Waits a moment for room: without them
    /// no segment of the epoch can be played again.
    pub(super) async fn rendition(&self, epoch: EpochNumber, rendition: Rendition, init: Bytes) {
        let item = Item::Rendition(epoch, rendition, init);
        if self.queue.send_timeout(item, ROOM).await.is_err() {
            tracing::error!(%epoch, "the archive takes no rendition");
            metrics::counter!("nova_live_renditions_not_archived_total").increment(1);
        }
    }

    /// Stores a segment if there is room. A gap has no bytes, only a row.
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
        if self.queue.try_send(Item::Segment(row, bytes)).is_err() {
            metrics::counter!("nova_live_segments_not_archived_total", "reason" => "queue_full")
                .increment(1);
        }
    }
}

struct Clerk {
    shelves: Shelves,
    stream: StreamId,
}

impl Clerk {
    async fn run(self, mut items: mpsc::Receiver<Item>) {
        while let Some(item) = items.recv().await {
            if let Err(error) = self.store(item).await {
                tracing::error!(stream = %self.stream, %error, "a segment was not archived");
                metrics::counter!("nova_live_segments_not_archived_total", "reason" => "failed")
                    .increment(1);
            }
        }
    }

    /// An object goes before its row, so that a row always has its object.
    async fn store(&self, item: Item) -> Result<(), ArchiveError> {
        let Shelves {
            database, objects, ..
        } = &self.shelves;
        match item {
            Item::Rendition(epoch, rendition, init) => {
                let key = object_key::init(self.stream, epoch, &rendition.name);
                objects.put(&key, init).await?;
                segments::insert_rendition(database, self.stream, epoch, &rendition).await?;
            }
            Item::Segment(row, bytes) => {
                if !row.segment.is_gap() {
                    let number = row.segment.number;
                    let key = object_key::segment(self.stream, row.epoch, &row.rendition, number);
                    objects.put(&key, bytes).await?;
                }
                segments::insert_segment(database, self.stream, &row).await?;
            }
        }
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum ArchiveError {
    #[error(transparent)]
    Object(#[from] storage::ObjectError),
    #[error(transparent)]
    Row(#[from] RowError),
}
