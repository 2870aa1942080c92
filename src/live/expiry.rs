//! Old segments leave the object store, whether their stream is live or not.

use std::time::Duration;

use media::{StreamId, Timestamp};
use packager::object_key;
use storage::rows::expiry;
use tokio_util::sync::CancellationToken;

use super::archive::{ArchiveError, Shelves};

/// How often old segments are looked for.
const ROUND: Duration = Duration::from_secs(30);
/// Streams in one round.
const STREAMS_AT_MOST: u32 = 500;
/// Segments of a stream in one round.
const SEGMENTS_AT_MOST: u32 = 1_000;

/// Deletes what is older than the shelves keep, round after round, until `shutdown`.
pub(super) async fn run(shelves: Shelves, shutdown: CancellationToken) {
    loop {
        if let Err(error) = round(&shelves).await {
            tracing::error!(%error, "old segments were not deleted");
            metrics::counter!("nova_live_expiry_failures_total").increment(1);
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(ROUND) => {}
        }
    }
}

async fn round(shelves: &Shelves) -> Result<(), ArchiveError> {
    let before = shelves.clock.now() - shelves.keep;
    let streams = expiry::streams_with_expired(&shelves.database, before, STREAMS_AT_MOST).await?;
    for stream in streams {
        expire(shelves, stream, before).await?;
    }
    Ok(())
}

/// Objects go before their rows: a row always says where there may be an object.
async fn expire(
    shelves: &Shelves,
    stream: StreamId,
    before: Timestamp,
) -> Result<(), ArchiveError> {
    let Shelves {
        database, objects, ..
    } = shelves;
    let old = expiry::expired_segments(database, stream, before, SEGMENTS_AT_MOST).await?;
    for row in &old {
        let number = row.segment.number;
        let key = object_key::segment(stream, row.epoch, &row.rendition, number);
        objects.delete(&key).await?;
    }
    expiry::delete_segments(database, stream, &old).await?;
    for epoch in expiry::expired_epochs(database, stream, before).await? {
        objects
            .delete_prefix(&object_key::epoch(stream, epoch))
            .await?;
        expiry::delete_epoch(database, stream, epoch).await?;
    }
    Ok(())
}
