//! One's own videos: recordings, and what was imported.

use std::collections::HashMap;

use media::{Micros, SessionId, Timestamp, UserId, VideoId};
use storage::rows::streams::Visibility;
use storage::rows::videos as rows;
use storage::rows::videos::owned::{self, OwnedVideo, Recorded};
use storage::rows::videos::recordings::Kept;

use super::Played;
use crate::caller::Caller;
use crate::model::{Video, VideoState};
use crate::operation::Operation;
use crate::paging::{PageRequest, Paged};
use crate::{ServiceError, Services};

impl Services {
    /// The caller's videos, the newest first.
    pub async fn list_videos(
        &self,
        caller: &Caller,
        page: PageRequest,
    ) -> Result<Paged<Video>, ServiceError> {
        let owner = self.begin_known(caller, Operation::ListVideos)?.user;
        // Before the rows are read: what bars somebody afterwards bars these tokens.
        let asked_at = self.now();
        let rows = owned::of_owner(&self.db, owner, page.after(), page.limit()).await?;
        let recorded = rows.iter().filter_map(|row| row.recorded.as_ref());
        let recordings: Vec<_> = recorded.map(|of| of.recording.clone()).collect();
        let kept = self.kept(&recordings).await?;
        let shown: Result<Vec<_>, ServiceError> = rows
            .iter()
            .map(|row| Ok((row.id, self.video(caller, owner, row, &kept, asked_at)?)))
            .collect();
        let place = |(id, _): &(VideoId, Video)| id.as_uuid();
        Ok(page.page(shown?, place, |(_, video)| video))
    }

    fn video(
        &self,
        caller: &Caller,
        owner: UserId,
        row: &OwnedVideo,
        kept: &HashMap<SessionId, Kept>,
        asked_at: Timestamp,
    ) -> Result<Video, ServiceError> {
        let recorded = row.recorded.as_ref();
        // What was imported is for everybody.
        let visibility = recorded.map_or(Visibility::Public, |of| of.visibility);
        let played = Played { owner, visibility };
        let duration = match recorded {
            Some(of) => Some(kept_of(of, kept).duration),
            None => row.duration,
        };
        let playback = match row.state {
            rows::VideoState::Ready => Some(self.video_playback(caller, played, row.id, asked_at)?),
            _ => None,
        };
        Ok(Video {
            id: row.id.to_string().into(),
            title: row.title.clone(),
            state: state_of(row),
            stream: recorded.map(|of| of.stream.to_string()),
            duration: duration.map(Micros::as_secs_f64),
            started_at: recorded.map(|of| of.recording.started_at.into()),
            created_at: row.created_at.into(),
            playback,
        })
    }
}

fn kept_of(of: &Recorded, kept: &HashMap<SessionId, Kept>) -> Kept {
    kept.get(&of.recording.session).copied().unwrap_or_default()
}

fn state_of(row: &OwnedVideo) -> VideoState {
    match row.state {
        rows::VideoState::Transcoding => VideoState::Transcoding,
        rows::VideoState::Ready => VideoState::Ready,
        // Those that are cancelled are in no list.
        rows::VideoState::Failed | rows::VideoState::Cancelled => VideoState::Failed,
    }
}
