//! A live window rebuilt from rows after a restart.

use std::sync::Arc;

use media::{SegmentNumber, StreamName};
use packager::LiveStream;
use packager::live::{LiveConfig, RestoredEpoch, RestoredStream};
use storage::rows::segments::{self, StoredWindow};
use storage::rows::sessions::SessionRow;
use storage::rows::streams::{self, Visibility};
use storage::rows::{RowError, numbering};

use super::Context;

/// Makes the window of a session known to players: what the rows know of it. Rows that
/// cannot be read leave it empty; numbering goes on all the same, for it is the stream's
/// row that says where.
pub(super) async fn window(
    context: &Context,
    name: &StreamName,
    session: &SessionRow,
) -> Arc<LiveStream> {
    let config = LiveConfig {
        playlist_segments: context.window_segments,
        ..LiveConfig::default()
    };
    let window = LiveStream::new(name.clone(), session.stream, config);
    match stored(context, session).await {
        Ok(restored) => {
            if let Err(error) = window.restore(restored) {
                tracing::error!(stream = %name, %error, "the window was not restored in full");
            }
        }
        Err(error) => tracing::error!(stream = %name, %error, "the window was not restored"),
    }
    window.set_signed(is_signed(context, session).await);
    context.streams.insert(window)
}

/// Whether players need a token. As long as nobody knows they do: the guard looks again.
async fn is_signed(context: &Context, session: &SessionRow) -> bool {
    let standings = streams::standings(&context.shelves.database, &[session.stream]).await;
    match standings {
        Ok(standings) => standings
            .first()
            .is_none_or(|standing| standing.visibility != Visibility::Public),
        Err(error) => {
            tracing::warn!(%error, "whom a stream is for is not known yet");
            true
        }
    }
}

async fn stored(context: &Context, session: &SessionRow) -> Result<RestoredStream, RowError> {
    let database = &context.shelves.database;
    let limit = u32::try_from(context.window_segments).unwrap_or(u32::MAX);
    let stored = segments::latest_segments(database, session.stream, session.id, limit).await?;
    // What may have been listed, not what is reserved.
    let next = numbering::next_unbegun(database, session.stream).await?;
    Ok(restored(stored, next))
}

fn restored(stored: StoredWindow, next_segment: SegmentNumber) -> RestoredStream {
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
    RestoredStream {
        epochs,
        next_segment,
    }
}
