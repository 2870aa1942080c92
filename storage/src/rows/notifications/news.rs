//! Who has something new to read: what wakes those who look at it.
//!
//! It goes over the bus after the commit, under [`NEWS`], as JSON with `users`. Losing it loses
//! nothing: whoever looks again finds the rows.

use media::UserId;
use serde::{Deserialize, Serialize};

use crate::events::{Bus, Event, Subject, SubjectError};

/// The subject.
pub const NEWS: &str = "notifications.changed";

/// The most users that one event names.
pub const USERS_AT_ONCE: usize = 1_000;

/// Users whose notifications changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct News(pub Vec<UserId>);

#[derive(Serialize, Deserialize)]
struct Payload {
    users: Vec<String>,
}

/// The bytes on the bus are no such event.
#[derive(Debug, thiserror::Error)]
#[error("not news of notifications: {0}")]
pub struct NotNews(String);

impl News {
    /// As it is published: [`USERS_AT_ONCE`] users an event.
    fn events(&self) -> Result<Vec<Event>, SubjectError> {
        let subject = Subject::new(NEWS)?;
        let event = |users: &[UserId]| {
            let users = users.iter().map(ToString::to_string).collect();
            let payload = serde_json::json!(Payload { users }).to_string();
            Event::new(subject.clone(), payload)
        };
        Ok(self.0.chunks(USERS_AT_ONCE).map(event).collect())
    }

    /// Reads what came over the bus.
    pub fn read(payload: &[u8]) -> Result<Self, NotNews> {
        let payload: Payload =
            serde_json::from_slice(payload).map_err(|error| NotNews(error.to_string()))?;
        let users = payload.users.iter().map(|user| user.parse());
        let users = users.collect::<Result<_, _>>();
        users
            .map(Self)
            .map_err(|error| NotNews(format!("a user: {error}")))
    }

    /// Tells whoever looks at these users' notifications, on every node. The rows are committed.
    pub async fn publish(&self, bus: &dyn Bus) {
        let events = match self.events() {
            Ok(events) => events,
            Err(error) => return tracing::error!(%error, "nobody is told of notifications"),
        };
        for event in events {
            if let Err(error) = bus.publish(event).await {
                tracing::debug!(%error, "whoever looks at notifications looks again later");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_published_is_read_again() {
        let users: Vec<_> = (0..USERS_AT_ONCE + 1).map(|_| UserId::new()).collect();
        let events = News(users.clone()).events().unwrap();
        assert_eq!(events.len(), 2);
        let read = events
            .iter()
            .map(|event| News::read(&event.payload).unwrap());
        let read: Vec<_> = read.flat_map(|news| news.0).collect();
        assert_eq!(read, users);
        for event in events {
            assert!(event.payload.len() < crate::events::MAX_PAYLOAD_BYTES);
        }
    }

    #[test]
    fn what_is_no_such_event_is_told() {
        for payload in ["{}", r#"{"users":["nobody"]}"#] {
            let error = News::read(payload.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("not news of notifications"), "{error}");
        }
    }
}
