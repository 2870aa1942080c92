//! Where a stream is played, for one viewer.

use media::{Micros, Timestamp, UserId};
use storage::rows::streams::{StreamRow, Visibility};

use super::Viewing;
use crate::caller::{Caller, Identity};
use crate::model::Playback;
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
        let found = self.find_stream(caller, name).await?;
        self.playback_of(caller, &found.stream)
    }

    /// The same of a stream that was found for them.
    pub(super) fn playback_of(
        &self,
        caller: &Caller,
        stream: &StreamRow,
    ) -> Result<Playback, ServiceError> {
        let expires = self.playback_expires();
        let folder = format!("/live/{}", stream.name);
        let played = Played {
            owner: stream.owner,
            visibility: stream.visibility,
        };
        let url = |file: &str| self.signed(caller, played, &format!("{folder}/{file}"), expires);
        let (playlist, is_signed) = url("index.m3u8")?;
        let (manifest, _) = url("manifest.mpd")?;
        Ok(Playback {
            playlist,
            manifest,
            expires_at: is_signed.then(|| expires.into()),
        })
    }

    /// Until when a token is good that is given now.
    pub(crate) fn playback_expires(&self) -> Timestamp {
        self.now() + seconds(self.settings.playback_token_seconds)
    }

    /// The URL of a file of what is played, for one viewer who may see it, and whether it has a
    /// token.
    pub(crate) fn signed(
        &self,
        caller: &Caller,
        played: Played,
        path: &str,
        expires: Timestamp,
    ) -> Result<(String, bool), ServiceError> {
        let viewing = Viewing {
            owner: played.owner,
            viewer: caller.user(),
            shown: match &caller.identity {
                Identity::Anonymous => None,
                Identity::Session { session, .. } => Some(session.as_uuid()),
                Identity::Token { token, .. } => Some(token.as_uuid()),
            },
            at: self.now(),
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
