//! Where a stream is played, for one viewer.

use media::{Micros, Timestamp, UserId, VideoId};
use storage::rows::streams::{StreamRow, Visibility};

use super::Viewing;
use crate::caller::{Caller, Identity};
use crate::model::{Playback, VideoPlayback};
use crate::operation::Operation;
use crate::{ServiceError, Services};

/// Something that is played: whose it is, and whom it is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Played {
    pub(crate) owner: UserId,
    pub(crate) visibility: Visibility,
}

impl Services {
    /// Where a stream is played, if whoever asks may see it: with a token that is theirs, where one
    /// is needed.
    pub async fn get_playback(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<Playback, ServiceError> {
        self.begin(caller, Operation::GetPlayback)?;
        let asked_at = self.now();
        let found = self.find_stream(caller, name).await?;
        self.playback_of(caller, &found.stream, asked_at)
    }

    /// The same of a stream that was found for them. `asked_at`: before it was read, so that what
    /// changes meanwhile bars the token.
    pub(super) fn playback_of(
        &self,
        caller: &Caller,
        stream: &StreamRow,
        asked_at: Timestamp,
    ) -> Result<Playback, ServiceError> {
        let expires = self.playback_expires(asked_at);
        let folder = format!("/live/{}", stream.name);
        let played = Played {
            owner: stream.owner,
            visibility: stream.visibility,
        };
        let url = |file: &str| {
            let path = format!("{folder}/{file}");
            self.signed(caller, played, &path, asked_at)
        };
        let (playlist, is_signed) = url("index.m3u8")?;
        let (manifest, _) = url("manifest.mpd")?;
        Ok(Playback {
            playlist,
            manifest,
            expires_at: is_signed.then(|| expires.into()),
        })
    }

    /// Where a video is played that was found for whoever asks, as of `asked_at`.
    pub(crate) fn video_playback(
        &self,
        caller: &Caller,
        played: Played,
        id: VideoId,
        asked_at: Timestamp,
    ) -> Result<VideoPlayback, ServiceError> {
        let url = |file: &str| {
            let path = format!("/vod/{id}/{file}");
            self.signed(caller, played, &path, asked_at)
        };
        let (playlist, is_signed) = url("index.m3u8")?;
        let expires = self.playback_expires(asked_at);
        Ok(VideoPlayback {
            playlist,
            manifest: url("manifest.mpd")?.0,
            poster: url("poster.jpg")?.0,
            expires_at: is_signed.then(|| expires.into()),
        })
    }

    /// Until when a token is good that somebody asked for then.
    fn playback_expires(&self, asked_at: Timestamp) -> Timestamp {
        asked_at + seconds(self.settings.playback_token_seconds)
    }

    /// The URL of a file of what is played, for one viewer who may see it by the rows as they were
    /// read after `asked_at`, and whether it has a token.
    fn signed(
        &self,
        caller: &Caller,
        played: Played,
        path: &str,
        asked_at: Timestamp,
    ) -> Result<(String, bool), ServiceError> {
        let expires = self.playback_expires(asked_at);
        let viewing = Viewing {
            owner: played.owner,
            viewer: caller.user(),
            shown: match &caller.identity {
                Identity::Anonymous => None,
                Identity::Session { session, .. } => Some(session.as_uuid()),
                Identity::Token { token, .. } => Some(token.as_uuid()),
            },
            at: asked_at,
        };
        let is_signed = played.visibility != Visibility::Public;
        let path_there = self
            .media
            .playback_path(path, &viewing, is_signed, expires)?;
        let has_token = path_there != path;
        Ok((self.playback_base.url(&path_there), has_token))
    }
}

fn seconds(count: u32) -> Micros {
    Micros::from_secs(count.into())
}
