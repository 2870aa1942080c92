//! Where a stream is played, for one viewer.

use media::{Micros, Timestamp};
use storage::rows::streams::{StreamRow, Visibility};

use super::Viewing;
use crate::caller::{Caller, Identity};
use crate::model::Playback;
use crate::operation::Operation;
use crate::{ServiceError, Services};

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
        let expires = asked_at + seconds(self.settings.playback_token_seconds);
        let folder = format!("/live/{}", stream.name);
        let url = |file: &str| {
            let path = format!("{folder}/{file}");
            self.signed(caller, stream, &path, asked_at, expires)
        };
        let (playlist, is_signed) = url("index.m3u8")?;
        let (manifest, _) = url("manifest.mpd")?;
        Ok(Playback {
            playlist,
            manifest,
            expires_at: is_signed.then(|| expires.into()),
        })
    }

    /// The URL of something of a stream, and whether it has a token.
    fn signed(
        &self,
        caller: &Caller,
        stream: &StreamRow,
        path: &str,
        asked_at: Timestamp,
        expires: Timestamp,
    ) -> Result<(String, bool), ServiceError> {
        let viewing = Viewing {
            owner: stream.owner,
            viewer: caller.user(),
            shown: match &caller.identity {
                Identity::Anonymous => None,
                Identity::Session { session, .. } => Some(session.as_uuid()),
                Identity::Token { token, .. } => Some(token.as_uuid()),
            },
            at: asked_at,
        };
        let is_signed = stream.visibility != Visibility::Public;
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
