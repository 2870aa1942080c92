//! What happens to streams beside their broadcasts.
//!
//! Each is written to the outbox in the transaction that it tells of, under the subject
//! `stream.{stream}.{what}` and the stream's id as its key. The payload is JSON with `stream` and
//! `at`, in microseconds since 1970: what it tells of is in the rows.
//!
//! The outbox's relay may be in another process, which looks for new rows now and then. Who must
//! be fast publishes the event itself, after the commit: it comes twice then, with the same id.

use media::{StreamId, Timestamp};

use super::outbox::{self, NewEvent};
use super::{Database, RowError, Transaction};
use crate::events::{Event, Subject};

/// What subscribers of all of them ask for, and of what is told of broadcasts.
pub const PATTERN: &str = "stream.>";

/// What has happened to a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamEvent {
    /// It was made.
    Created,
    /// What people read of it, whom it is for, or how it is encoded is another.
    Changed,
    /// Keys of it open nothing any more, or will not soon.
    KeysChanged,
    /// Nobody may publish to it.
    Stopped,
    /// Whoever has a key may again.
    Started,
    /// Nobody sees it any more.
    Deleted,
}

impl StreamEvent {
    fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::KeysChanged => "keys-changed",
            Self::Stopped => "stopped",
            Self::Started => "started",
            Self::Deleted => "deleted",
        }
    }
}

/// Tells the outbox; what is published after the commit. The writer has locked the stream.
pub(super) async fn tell(
    db: &Database,
    transaction: &mut Transaction,
    stream: StreamId,
    what: StreamEvent,
    now: Timestamp,
) -> Result<Event, RowError> {
    let key = stream.to_string();
    let subject = Subject::new(&format!("stream.{key}.{}", what.name()))?;
    let payload = serde_json::json!({ "stream": key, "at": now.as_micros() }).to_string();
    let new = NewEvent {
        subject: &subject,
        key: &key,
        payload: payload.clone().into(),
    };
    let id = outbox::append(db, transaction, &new, now).await?;
    Ok(Event::new(subject, payload).with_id(id.as_uuid()))
}
