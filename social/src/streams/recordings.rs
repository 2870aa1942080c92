//! What is kept of a stream's broadcasts.

use std::collections::HashMap;

use media::{SegmentNumber, SessionId, StreamId, Timestamp, VideoId};
use moka::sync::Cache;
use storage::rows::streams::StreamRow;
use storage::rows::videos::recordings::{self, Kept, RecordingRow};

use super::Played;
use crate::caller::Caller;
use crate::model::{Long, Recording, RecordingState};
use crate::operation::Operation;
use crate::paging::{PageRequest, Paged};
use crate::{ServiceError, Services};

/// Recordings whose size is remembered.
const MOST: u64 = 10_000;

/// How large recordings are to which nothing is added any more, by what is kept of them: to know
/// it, all of their segments are read.
#[derive(Debug)]
pub(crate) struct KnownRecordings(Cache<(VideoId, SegmentNumber), Kept>);

impl Default for KnownRecordings {
    fn default() -> Self {
        Self(Cache::new(MOST))
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
        let kept = self.kept(stream.id, &rows).await?;
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
        let id = row.id;
        let played = Played {
            owner: stream.owner,
            visibility: stream.visibility,
        };
        let url = |file: &str| {
            let path = format!("/vod/{id}/{file}");
            self.signed(caller, played, &path, asked_at)
        };
        let (playlist, is_signed) = url("index.m3u8")?;
        let expires = self.playback_expires(asked_at);
        Ok(Recording {
            id: id.to_string().into(),
            title: row.title.clone(),
            state: match row.is_settled {
                true => RecordingState::Ready,
                false => RecordingState::Finishing,
            },
            started_at: row.started_at.into(),
            ended_at: row.ended_at.into(),
            duration: kept.duration.as_secs_f64(),
            size: Long(kept.size),
            playlist,
            manifest: url("manifest.mpd")?.0,
            poster: url("poster.jpg")?.0,
            expires_at: is_signed.then(|| expires.into()),
        })
    }

    /// How much is kept of these, from memory where it is known.
    async fn kept(
        &self,
        stream: StreamId,
        rows: &[RecordingRow],
    ) -> Result<HashMap<SessionId, Kept>, ServiceError> {
        let known = &self.known_recordings.0;
        let mut all = HashMap::new();
        let mut unknown = Vec::new();
        for row in rows {
            match key(row).and_then(|key| known.get(&key)) {
                Some(kept) => drop(all.insert(row.session, kept)),
                None => unknown.push(row.session),
            }
        }
        if unknown.is_empty() {
            return Ok(all);
        }
        let read: HashMap<_, _> = recordings::kept(&self.db, stream, &unknown)
            .await?
            .into_iter()
            .collect();
        for row in rows {
            if let (Some(kept), Some(key)) = (read.get(&row.session), key(row)) {
                known.insert(key, *kept);
            }
        }
        all.extend(read);
        Ok(all)
    }
}

/// What a recording is remembered by that gets larger no more.
fn key(row: &RecordingRow) -> Option<(VideoId, SegmentNumber)> {
    let kept_from = row.kept_from.filter(|_| row.is_settled);
    kept_from.map(|from| (row.id, from))
}
