//! Streams: what an owner makes, and what is live.

use media::{Clock, StreamName, UserId};
use storage::Database;
use storage::rows::stream_keys::StreamKey;
use storage::rows::streams::{
    self, ListedStream, LiveStream, NewStream, StreamRow, TakeoverPolicy,
};

use crate::ServiceError;

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
