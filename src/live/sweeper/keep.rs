//! Each stream's rules, applied: first the floor, then objects, then rows.

use packager::object_key;
use storage::retention::{self, Holdings};
use storage::rows::leases::Lease;
use storage::rows::retention::{self as rows, KeptStream};
use tokio_util::sync::CancellationToken;

use super::{SweepError, Sweeper, Swept, failed};

/// Streams that are read at a time.
const STREAMS_AT_A_TIME: u32 = 100;
/// Numbers by which a stream's floor is raised in a round.
const NUMBERS_AT_MOST: u32 = 500;
/// Segments of a stream that are deleted in a round.
const SEGMENTS_AT_MOST: u32 = 1_000;
/// Epochs of a stream that are deleted in a round.
const EPOCHS_AT_MOST: u32 = 50;

impl Sweeper {
    /// Every stream gets its share of a round, however much others have to delete.
    pub(super) async fn keep(&self, lease: &Lease, stop: &CancellationToken) -> Swept {
        let (mut swept, mut after) = (Swept::default(), None);
        loop {
            let page = rows::kept_streams(self.database(), after, STREAMS_AT_A_TIME).await;
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    failed("keep", &error.into());
                    return swept;
                }
            };
            let Some(last) = page.last() else {
                return swept;
            };
            after = Some(last.stream);
            for stream in &page {
                if stop.is_cancelled() {
                    return Swept::default();
                }
                match self.keep_stream(lease, stream).await {
                    Ok(more) => swept = swept.and(more),
                    Err(error) => failed("keep", &error),
                }
            }
        }
    }

    async fn keep_stream(&self, lease: &Lease, kept: &KeptStream) -> Result<Swept, SweepError> {
        let raised = self.raise_floor(lease, kept).await?;
        let deleted = self.delete_segments(lease, kept).await?;
        let ended = self.delete_epochs(lease, kept).await?;
        Ok(raised.and(deleted).and(ended))
    }

    async fn raise_floor(&self, lease: &Lease, kept: &KeptStream) -> Result<Swept, SweepError> {
        let (database, stream, from) = (self.database(), kept.stream, kept.kept_from);
        let oldest = rows::oldest_extents(database, stream, from, NUMBERS_AT_MOST).await?;
        let bytes = match kept.rules.byte_quota {
            Some(_) => rows::bytes_from(database, stream, from).await?,
            None => 0,
        };
        let holdings = Holdings {
            kept_from: from,
            bytes,
            oldest: &oldest,
            listed_from: self.listed_from(kept),
            nothing_below: rows::nothing_below(database, stream).await?,
        };
        let now = self.shelves.clock.now();
        let floor = retention::floor(&kept.rules, self.live_window, now, &holdings);
        if floor == from {
            return Ok(Swept::default());
        }
        let mut transaction = self.write(lease).await?;
        rows::raise_floor(&mut transaction, stream, floor).await?;
        transaction.commit().await?;
        let all_went = oldest.last().is_some_and(|last| last.number < floor);
        Ok(Swept {
            more: all_went && oldest.len() as u64 == u64::from(NUMBERS_AT_MOST),
        })
    }

    /// The archive may be behind the playlists, never before them.
    fn listed_from(&self, kept: &KeptStream) -> media::SegmentNumber {
        match kept.newest {
            Some(newest) if kept.open => {
                media::SegmentNumber(newest.next().0.saturating_sub(self.listed))
            }
            _ => media::SegmentNumber(u64::MAX),
        }
    }

    async fn delete_segments(&self, lease: &Lease, kept: &KeptStream) -> Result<Swept, SweepError> {
        let stream = kept.stream;
        let old = rows::below_floor(self.database(), stream, SEGMENTS_AT_MOST).await?;
        if old.is_empty() {
            return Ok(Swept::default());
        }
        let stored = old.iter().filter(|row| !row.segment.is_gap());
        let keys = stored
            .map(|row| object_key::segment(stream, row.epoch, &row.rendition, row.segment.number));
        self.delete_objects(keys.collect()).await?;
        let mut transaction = self.write(lease).await?;
        rows::delete_segments(&mut transaction, stream, &old).await?;
        transaction.commit().await?;
        let bytes = old.iter().map(|row| row.segment.size).sum();
        metrics::counter!("nova_sweeper_bytes_deleted_total").increment(bytes);
        Ok(Swept {
            more: old.len() as u64 == u64::from(SEGMENTS_AT_MOST),
        })
    }

    async fn delete_epochs(&self, lease: &Lease, kept: &KeptStream) -> Result<Swept, SweepError> {
        let stream = kept.stream;
        let ended = rows::finished_epochs(self.database(), stream, EPOCHS_AT_MOST).await?;
        for epoch in &ended {
            let folder = object_key::epoch(stream, *epoch);
            self.shelves.objects.delete_prefix(&folder).await?;
            let mut transaction = self.write(lease).await?;
            rows::delete_epoch(&mut transaction, stream, *epoch).await?;
            transaction.commit().await?;
        }
        Ok(Swept {
            more: ended.len() as u64 == u64::from(EPOCHS_AT_MOST),
        })
    }
}
