//! Streams: what an owner makes, and what is live.

use std::str::FromStr;

use media::{Clock, StreamName, UserId};
use storage::Database;
use storage::rows::stream_keys::StreamKey;
use storage::rows::streams::{
    self, ListedStream, LiveStream, NewStream, StreamRow, TakeoverPolicy,
};

use crate::caller::Caller;
use crate::model::LiveEntry;
use crate::operation::Operation;
use crate::{ServiceError, Services};

/// Streams in one answer.
const LIVE_LISTED: u32 = 200;

/// Makes a stream that a second publisher takes over, and its key: to be shown now, for
/// only its hash is kept.
pub async fn create_stream(
    db: &Database,
    clock: &dyn Clock,
    owner: UserId,
    name: &StreamName,
) -> Result<(StreamRow, StreamKey), ServiceError> {
    let key = StreamKey::generate().map_err(|error| ServiceError::internal("stream key", error))?;
    let stream = NewStream {
        owner,
        name,
        takeover: TakeoverPolicy::default(),
    };
    let row = streams::create(db, stream, &key, clock.now()).await?;
    Ok((row, key))
}

/// Streams by name, those after `after`, at most `limit`.
pub async fn list_streams(
    db: &Database,
    after: Option<&StreamName>,
    limit: u32,
) -> Result<Vec<ListedStream>, ServiceError> {
    Ok(streams::list(db, after, limit).await?)
}

/// Streams that are live, the newest first, at most `limit`.
pub async fn list_live(db: &Database, limit: u32) -> Result<Vec<LiveStream>, ServiceError> {
    Ok(streams::live_streams(db, limit).await?)
}

impl Services {
    /// The streams that are live, the newest first.
    pub async fn list_live(&self, caller: &Caller) -> Result<Vec<LiveEntry>, ServiceError> {
        self.begin(caller, Operation::ListLive)?;
        let live = list_live(&self.db, LIVE_LISTED).await?;
        let PlaybackBase(base) = &self.playback_base;
        Ok(live.iter().map(|stream| entry(base, stream)).collect())
    }
}

fn entry(base: &str, stream: &LiveStream) -> LiveEntry {
    let name = stream.name.as_str();
    LiveEntry {
        name: name.to_owned(),
        started_at: stream.started_at.into(),
        playlist: format!("{base}/live/{name}/index.m3u8"),
        manifest: format!("{base}/live/{name}/manifest.mpd"),
    }
}

/// What playback URLs begin with: nothing where this server plays back itself, or the
/// edge's address, as in `https://edge.example.org`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PlaybackBase(pub(crate) String);

/// Why a text cannot be a playback base.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("playback base URL {0:?} is not valid: expected http(s)://HOST[:PORT][/PATH]")]
pub struct InvalidPlaybackBase(String);

impl PlaybackBase {
    /// This server plays back itself.
    pub fn same_origin() -> Self {
        Self::default()
    }
}

impl FromStr for PlaybackBase {
    type Err = InvalidPlaybackBase;
    fn from_str(text: &str) -> Result<Self, InvalidPlaybackBase> {
        let invalid = || InvalidPlaybackBase(text.to_owned());
        let url: axum::http::Uri = text.parse().map_err(|_| invalid())?;
        let absolute = matches!(url.scheme_str(), Some("http" | "https"));
        if !absolute || url.query().is_some() || text.contains(['#', '@']) {
            return Err(invalid());
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn playback_bases() {
        for (good, base) in [
            ("http://localhost:8081", "http://localhost:8081"),
            ("https://edge.example.org/", "https://edge.example.org"),
            ("https://example.org/nova/", "https://example.org/nova"),
        ] {
            assert_eq!(good.parse(), Ok(PlaybackBase(base.to_owned())));
        }
        for bad in [
            "",
            "localhost:8081",
            "/nova",
            "ftp://example.org",
            "http://",
            "http://user:secret@example.org",
            "http://example.org/?a=b",
            "http://example.org/#a",
            "http://exa mple.org",
        ] {
            assert!(bad.parse::<PlaybackBase>().is_err(), "{bad}");
        }
    }
}
