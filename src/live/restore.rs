//! A live window rebuilt from rows after a restart.

use std::sync::Arc;

use media::StreamName;
use packager::LiveStream;
use packager::live::{LiveConfig, RestoredEpoch, RestoredStream};
use storage::rows::RowError;
use storage::rows::segments::{self, StoredWindow};
use storage::rows::sessions::SessionRow;

use super::Context;

/// Makes the window of a session known to players: what the rows know of it.
/// A number that was taken and has no segment becomes a gap.
pub(super) async fn window(
    context: &Context,
    name: &StreamName,
    session: &SessionRow,
) -> Result<Arc<LiveStream>, RowError> {
    let database = &context.shelves.database;
    let config = LiveConfig {
        playlist_segments: context.window_segments,
        ..LiveConfig::default()
    };
    let limit = u32::try_from(context.window_segments).unwrap_or(u32::MAX);
    let stored = segments::latest_segments(database, session.stream, session.id, limit).await?;
    let window = LiveStream::new(name.clone(), session.stream, config);
    if let Err(error) = window.restore(restored(stored)) {
        // Numbering goes on all the same: it is the stream's row that says where.
        tracing::error!(stream = %name, %error, "the window was not restored in full");
    }
    Ok(context.streams.insert(window))
}

fn restored(stored: StoredWindow) -> RestoredStream {
    let StoredWindow { epochs, segments } = stored;
    let epochs = epochs
        .into_iter()
        .map(|stored| RestoredEpoch {
            number: stored.epoch.number,
            first_segment: stored.epoch.first_segment,
            start: stored.epoch.started_at,
            target_duration: stored.epoch.target_duration,
            renditions: stored.renditions,
            segments: segments
                .iter()
                .filter(|row| row.epoch == stored.epoch.number)
                .map(|row| (row.rendition.clone(), row.segment.clone()))
                .collect(),
        })
        .collect();
    RestoredStream { epochs }
}
