//! Streams: what an owner makes, changes and deletes, its keys, and who sees it.

mod analytics;
mod fields;
mod keys;
mod lists;
mod making;
mod media_plane;
mod playback;
mod playback_base;
mod recordings;
mod removal;
mod status;
mod videos;
mod viewer_writes;
mod viewers;

use media::{Clock, StreamName, Timestamp, UserId};
use storage::Database;
use storage::events::Event;
use storage::rows::stream_keys::StreamKey;
use storage::rows::streams::{self, ListedStream, NewStream, StreamRow, TakeoverPolicy};

use crate::caller::Caller;
use crate::error::Missing;
use crate::model::{PostStream, Stream, StreamSettings};
use crate::operation::Actor;
use crate::{ServiceError, Services};

pub(crate) use keys::shown as shown_key;
pub use media_plane::{InvalidLadder, MediaPlane, Viewing};
pub(crate) use playback::Played;
pub use playback_base::{InvalidPlaybackBase, PlaybackBase};
pub(crate) use recordings::KnownRecordings;
pub(crate) use viewer_writes::{UnwrittenViewers, ViewerWrites};

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

/// Streams by name, those after `after`, at most `limit`, whoever they are for.
pub async fn list_streams(
    db: &Database,
    after: Option<&StreamName>,
    limit: u32,
) -> Result<Vec<ListedStream>, ServiceError> {
    Ok(streams::list(db, after, limit).await?)
}

impl Services {
    /// The stream of that name, if whoever asks may see it.
    pub(crate) async fn find_stream(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<ListedStream, ServiceError> {
        let name: StreamName = name.parse().map_err(|_| missing())?;
        let found = streams::find(&self.db, &name, caller.user()).await?;
        found.ok_or_else(missing)
    }

    /// The same of one that is the actor's own.
    pub(crate) async fn find_own_stream(
        &self,
        caller: &Caller,
        actor: Actor,
        name: &str,
    ) -> Result<ListedStream, ServiceError> {
        let found = self.find_stream(caller, name).await?;
        match found.stream.owner == actor.user {
            true => Ok(found),
            false => Err(ServiceError::Forbidden(Missing::Ownership)),
        }
    }

    /// Tells all nodes what a transaction has written that is committed, without waiting for the
    /// outbox, which tells them again.
    pub(crate) async fn publish(&self, events: Vec<Event>) {
        for event in events {
            if let Err(error) = self.bus.publish(event).await {
                tracing::debug!(%error, "other nodes hear of it by the outbox");
            }
        }
    }
}

fn missing() -> ServiceError {
    ServiceError::NotFound("stream".into())
}

/// A stream, as its owner or as somebody else sees it.
pub(crate) fn shown(row: &ListedStream, viewer: Option<UserId>, now: Timestamp) -> Stream {
    let stream = &row.stream;
    let is_own = viewer == Some(stream.owner);
    Stream {
        id: stream.id.to_string().into(),
        name: stream.name.to_string(),
        title: stream.called().to_owned(),
        description: stream.description.clone(),
        visibility: stream.visibility.into(),
        owner: row.owner_name.clone(),
        is_live: row.is_live(),
        live_since: row.live_since.map(Into::into),
        viewers: row.viewers(now),
        created_at: stream.created_at.into(),
        settings: is_own.then(|| StreamSettings {
            title: stream.title.clone(),
            takeover: stream.takeover.into(),
            recording: stream.recording,
            ladder: stream.ladder.clone(),
            post_when_live: stream.post_when_live.into(),
            is_stopped: stream.stopped_at.is_some(),
        }),
    }
}

/// A stream of a list, as posts show it.
pub(crate) fn listed(row: ListedStream) -> PostStream {
    PostStream {
        title: row.stream.called().to_owned(),
        name: row.stream.name.to_string(),
        is_live: row.is_live(),
        owner: row.owner_name,
    }
}
