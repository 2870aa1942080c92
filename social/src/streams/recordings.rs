//! What is kept of a stream's broadcasts.

use std::collections::HashMap;
use std::time::Duration;

use media::{SegmentNumber, SessionId, Timestamp, VideoId};
use moka::sync::Cache;
use storage::rows::streams::StreamRow;
use storage::rows::videos::recordings::{self, Kept, RecordingRow};
use tokio::sync::Mutex;

use super::Played;
use crate::caller::Caller;
use crate::model::{Long, Recording, RecordingState};
use crate::operation::Operation;
use crate::paging::{PageRequest, Paged};
use crate::{ServiceError, Services};

/// Recordings whose size is remembered.
const MOST: u64 = 10_000;
/// How long it is remembered of those to which something may still be added.
const GROWING: Duration = Duration::from_secs(10);

/// What a recording is remembered by: with what is kept of it, its size changes.
type Key = (VideoId, SegmentNumber);

/// How large recordings are: to know it, all of their segments are read.
#[derive(Debug)]
pub(crate) struct KnownRecordings {
    settled: Cache<Key, Kept>,
    growing: Cache<Key, Kept>,
    /// One reads at a time: whoever waits finds what another has read.
    reading: Mutex<()>,
}

impl Default for KnownRecordings {
    fn default() -> Self {
        let growing = Cache::builder().max_capacity(MOST);
        Self {
            settled: Cache::new(MOST),
            growing: growing.time_to_live(GROWING).build(),
            reading: Mutex::default(),
        }
    }
}

impl KnownRecordings {
    fn of(&self, row: &RecordingRow) -> &Cache<Key, Kept> {
        match row.is_settled {
            true => &self.settled,
            false => &self.growing,
        }
    }

    /// How large those are of which that is known, and the others.
    fn find(&self, rows: &[RecordingRow]) -> (HashMap<SessionId, Kept>, Vec<SessionId>) {
        let (mut found, mut unknown) = (HashMap::new(), Vec::new());
        for row in rows {
            // Of what has no epoch there is nothing.
            let kept = match key(row) {
                Some(key) => self.of(row).get(&key),
                None => Some(Kept::default()),
            };
            match kept {
                Some(kept) => drop(found.insert(row.session, kept)),
                None => unknown.push(row.session),
            }
        }
        (found, unknown)
    }

    fn keep(&self, row: &RecordingRow, kept: Kept) {
        if let Some(key) = key(row) {
            self.of(row).insert(key, kept);
        }
    }
}

impl Services {
    /// What is kept of a stream's broadcasts, the newest first, if whoever asks may see the stream.
    pub async fn list_recordings(
        &self,
        caller: &Caller,
        name: &str,
        page: PageRequest,
    ) -> Result<Paged<Recording>, ServiceError> {
        self.begin(caller, Operation::ListRecordings)?;
        // Before the rows are read: what bars somebody afterwards bars these tokens.
        let asked_at = self.now();
        let stream = self.find_stream(caller, name).await?.stream;
        let (before, limit) = (page.after(), page.limit());
        let rows = recordings::of_stream(&self.db, stream.id, before, limit).await?;
        let kept = self.kept(&rows).await?;
        let shown: Result<Vec<_>, ServiceError> = rows
            .iter()
            .map(|row| {
                let kept = kept.get(&row.session).copied().unwrap_or_default();
                let shown = self.recording(caller, &stream, row, kept, asked_at)?;
                Ok((row.id, shown))
            })
            .collect();
        let place = |(id, _): &(VideoId, Recording)| id.as_uuid();
        Ok(page.page(shown?, place, |(_, recording)| recording))
    }

    fn recording(
        &self,
        caller: &Caller,
        stream: &StreamRow,
        row: &RecordingRow,
        kept: Kept,
        asked_at: Timestamp,
    ) -> Result<Recording, ServiceError> {
        let played = Played {
            owner: stream.owner,
            visibility: stream.visibility,
        };
        let playback = self.video_playback(caller, played, row.id, asked_at)?;
        Ok(Recording {
            id: row.id.to_string().into(),
            title: row.title.clone(),
            state: match row.is_settled {
                true => RecordingState::Ready,
                false => RecordingState::Finishing,
            },
            started_at: row.started_at.into(),
            ended_at: row.ended_at.into(),
            duration: kept.duration.as_secs_f64(),
            size: Long(kept.size),
            playlist: playback.playlist,
            manifest: playback.manifest,
            poster: playback.poster,
            expires_at: playback.expires_at,
        })
    }

    /// How much is kept of these, from memory where it is known.
    pub(super) async fn kept(
        &self,
        rows: &[RecordingRow],
    ) -> Result<HashMap<SessionId, Kept>, ServiceError> {
        let known = &self.known_recordings;
        let (found, unknown) = known.find(rows);
        if unknown.is_empty() {
            return Ok(found);
        }
        let _reading = known.reading.lock().await;
        let (mut all, unknown) = known.find(rows);
        if unknown.is_empty() {
            return Ok(all);
        }
        let read: HashMap<_, _> = recordings::kept(&self.db, &unknown)
            .await?
            .into_iter()
            .collect();
        for row in rows.iter().filter(|row| unknown.contains(&row.session)) {
            let kept = read.get(&row.session).copied().unwrap_or_default();
            known.keep(row, kept);
            all.insert(row.session, kept);
        }
        Ok(all)
    }
}

fn key(row: &RecordingRow) -> Option<Key> {
    row.kept_from.map(|from| (row.id, from))
}
