//! Who may publish: the one answer for whoever asks with a stream key.

use ingest::{Grant, Refusal, TakeoverPolicy};
use media::Timestamp;
use storage::rows::Database;
use storage::rows::stream_keys::{self, FoundKey};
use storage::rows::streams::TakeoverPolicy as StoredPolicy;

/// Leave to publish with `key`, if it is good and its stream is not stopped.
pub async fn grant(database: &Database, key: &str, now: Timestamp) -> Result<Grant, Refusal> {
    match stream_keys::find_stream_by_key(database, key, now).await {
        Ok(Some(FoundKey { stream, .. })) if stream.stopped_at.is_some() => {
            let why = "the stream is stopped: its owner has to start it first";
            Err(Refusal::Forbidden(why.to_owned()))
        }
        Ok(Some(FoundKey { key, stream })) => Ok(Grant {
            stream: stream.id,
            key,
            name: stream.name,
            policy: match stream.takeover {
                StoredPolicy::Takeover => TakeoverPolicy::Takeover,
                StoredPolicy::Reject => TakeoverPolicy::Reject,
            },
        }),
        Ok(None) => Err(Refusal::BadKey),
        Err(error) => {
            tracing::error!(%error, "a stream key could not be looked up");
            Err(Refusal::Internal)
        }
    }
}
