//! Whose something is that caches have.

use std::collections::HashSet;

use media::{StreamName, UserId, VideoId};
use storage::rows::streams::{self, Visibility};
use storage::rows::videos;

use crate::caller::{Caller, Role, Scope};
use crate::error::Missing;
use crate::operation::Actor;
use crate::people::is_administrator;
use crate::{ServiceError, Services};

/// A folder that caches have, with all below it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Folder {
    Stream(StreamName),
    Video(VideoId),
}

/// By which right something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    /// It is theirs.
    Owner,
    /// They run the installation.
    Administrator,
}

impl Folder {
    /// The one that a path, the beginning of one, or a pattern of paths is in, if all that it
    /// selects is.
    pub(super) fn of(path: &str) -> Option<Self> {
        let mut segments = path.strip_prefix('/')?.split('/');
        let (kind, name) = (segments.next()?, segments.next()?);
        // What stands behind the slash is in the folder, if only nothing.
        segments.next()?;
        match kind {
            "live" => name.parse().ok().map(Self::Stream),
            "vod" => name.parse().ok().map(Self::Video),
            _ => None,
        }
    }
}

/// Whether a path can be read in one way only: nothing in it is encoded, empty or leads elsewhere.
fn is_plain(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./*".contains(&byte);
    path.bytes().all(is_plain) && !path.contains("..") && !path.contains("//")
}

impl Services {
    /// By which right somebody does something to these paths, beginnings or patterns: their own, or
    /// any for administrators. `field` is where they stand.
    pub(super) async fn right_to_paths(
        &self,
        caller: &Caller,
        actor: Actor,
        field: &str,
        paths: impl IntoIterator<Item = &str>,
    ) -> Result<Right, ServiceError> {
        if is_administrator(caller) {
            return Ok(Right::Administrator);
        }
        let mut seen = HashSet::new();
        for path in paths {
            if !path.starts_with('/') {
                let expected = "expected a path, such as /live/NAME/index.m3u8";
                return Err(ServiceError::invalid(field, expected));
            }
            let folder = match is_plain(path) {
                true => Folder::of(path),
                false => None,
            };
            let folder = folder.ok_or_else(|| not_an_administrator(actor))?;
            if !seen.contains(&folder) {
                self.own_folder(caller, actor, &folder).await?;
                seen.insert(folder);
            }
        }
        Ok(Right::Owner)
    }

    /// The same of a folder.
    pub(super) async fn right_to(
        &self,
        caller: &Caller,
        actor: Actor,
        folder: &Folder,
    ) -> Result<Right, ServiceError> {
        if is_administrator(caller) {
            return Ok(Right::Administrator);
        }
        self.own_folder(caller, actor, folder).await?;
        Ok(Right::Owner)
    }

    async fn own_folder(
        &self,
        caller: &Caller,
        actor: Actor,
        folder: &Folder,
    ) -> Result<(), ServiceError> {
        match folder {
            Folder::Stream(name) => {
                let name = name.as_str();
                self.find_own_stream(caller, actor, name).await.map(drop)
            }
            Folder::Video(id) => self.find_own_video(actor.user, *id).await,
        }
    }

    /// Sees that a video is theirs. Who it is for else, nobody asks here: it is not found.
    pub(super) async fn find_own_video(
        &self,
        user: UserId,
        id: VideoId,
    ) -> Result<(), ServiceError> {
        let video = videos::get(&self.db, id).await?;
        match video.is_some_and(|video| video.owner == user) {
            true => Ok(()),
            false => Err(ServiceError::NotFound("video".into())),
        }
    }

    /// Whether what is in a folder is not for everybody.
    pub(super) async fn is_signed(&self, folder: &Folder) -> Result<bool, ServiceError> {
        Ok(match folder {
            Folder::Stream(name) => {
                let stream = streams::by_name(&self.db, name).await?;
                stream.is_some_and(|stream| stream.visibility != Visibility::Public)
            }
            Folder::Video(id) => {
                let audience = videos::playback::audience(&self.db, *id).await?;
                audience.is_some_and(|audience| audience.is_signed)
            }
        })
    }
}

/// What is lacking to do it to what is nobody's own.
pub(super) fn not_an_administrator(actor: Actor) -> ServiceError {
    ServiceError::Forbidden(match actor.role {
        // Of whom it was a token that is not for this.
        Role::Admin => Missing::Scope(Scope::Admin),
        _ => Missing::Role(Role::Admin),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_what_is_below_it_and_nothing_else() {
        let ada = Folder::Stream("ada".parse().unwrap());
        for path in [
            "/live/ada/",
            "/live/ada/index.m3u8",
            "/live/ada/**",
            "/live/ada/0/*/1.m4s",
        ] {
            assert!(is_plain(path), "{path}");
            assert_eq!(Folder::of(path).as_ref(), Some(&ada), "{path}");
        }
        for path in [
            "",
            "/",
            "/live/",
            "/live/ada",
            "/live/ad*/",
            "/live/**",
            "/live/Ada/",
            "/vod/ada/",
            "live/ada/",
        ] {
            assert_eq!(Folder::of(path), None, "{path}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not_plain() {
        for path in [
            "/live/ada/../bob/index.m3u8",
            "/live/ada/%2e%2e/bob/index.m3u8",
            "/live/ada//index.m3u8",
            "/live/ada\\/../bob",
            "/live/~1.k.token/ada/index.m3u8",
            "/live/ada/index.m3u8?x=1",
            "/live/ada/é",
            "/live/ada/\n/live/bob/index.m3u8",
        ] {
            assert!(!is_plain(path), "{path}");
        }
    }
}
