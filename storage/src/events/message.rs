//! What is published, and what is received.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::nats::Link;
use super::{BusError, Subject, check_payload};

/// Something that happened, to be published.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// What subscribers know the event by when it comes twice. Travels through NATS as
    /// the header `Nova-Event-Id`.
    pub id: Option<Uuid>,
    /// Whom it is for.
    pub subject: Subject,
    /// What is said, [`MAX_PAYLOAD_BYTES`](super::MAX_PAYLOAD_BYTES) at most.
    pub payload: Bytes,
}

impl Event {
    /// An event without an id.
    pub fn new(subject: Subject, payload: impl Into<Bytes>) -> Self {
        Self {
            id: None,
            subject,
            payload: payload.into(),
        }
    }

    /// The same with an id.
    pub fn with_id(self, id: Uuid) -> Self {
        Self {
            id: Some(id),
            ..self
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The payload may be what somebody wrote to somebody.
        f.debug_struct("Event")
            .field("id", &self.id)
            .field("subject", &self.subject)
            .field("bytes", &self.payload.len())
            .finish()
    }
}

/// An event or a request, as a subscription receives it. Clones share the payload.
#[derive(Clone, Debug)]
pub struct Message {
    /// What was published.
    pub event: Event,
    /// Where an answer goes, if this is a request.
    pub reply_to: Option<ReplyTo>,
}

/// Answers one request.
#[derive(Clone)]
pub struct ReplyTo(Route);

/// Who waits for the answer.
pub(super) type Waiting = Arc<Mutex<Option<oneshot::Sender<Bytes>>>>;

#[derive(Clone)]
enum Route {
    Local(Waiting),
    Nats {
        link: Link,
        inbox: async_nats::Subject,
    },
}

impl ReplyTo {
    pub(super) fn local(waiting: Waiting) -> Self {
        Self(Route::Local(waiting))
    }

    pub(super) fn nats(link: Link, inbox: async_nats::Subject) -> Self {
        Self(Route::Nats { link, inbox })
    }

    /// Answers. The first answer to a request counts; who answers later, or after the
    /// deadline, is not told.
    pub async fn send(&self, payload: Bytes) -> Result<(), BusError> {
        check_payload(&payload)?;
        match &self.0 {
            Route::Local(waiting) => {
                let first = waiting
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                if let Some(requester) = first {
                    // Gone when its deadline has passed.
                    let _ = requester.send(payload);
                }
                Ok(())
            }
            Route::Nats { link, inbox } => link.publish(inbox.clone(), None, payload).await,
        }
    }
}

impl fmt::Debug for ReplyTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyTo")
    }
}
