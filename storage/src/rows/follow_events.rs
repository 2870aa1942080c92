//! What happened between those who follow and those who are followed.
//!
//! Each is written to the outbox in the transaction that it tells of, under the subject
//! `follow.{followed}.{what}` and both users as its key. The payload is JSON with `follower`,
//! `followed` and `at`, in microseconds since 1970; of an accepted request also `asked`. Nobody is
//! told of the end of a follow: whoever shows something asks whether there is one.

use media::{Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::outbox::{self, NewEvent};
use super::{Database, RowError, Transaction};
use crate::events::Subject;

/// What subscribers of all of them ask for.
pub const PATTERN: &str = "follow.>";

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FollowChange {
    /// `follow.{followed}.requested`: somebody asks to follow.
    Requested,
    /// `follow.{followed}.accepted`: somebody follows from now on.
    Accepted {
        /// Whether the followed one has said yes to a request.
        asked: bool,
    },
}

/// Something that happened between two users.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FollowEvent {
    /// What.
    pub change: FollowChange,
    /// Who follows.
    pub follower: UserId,
    /// Whom.
    pub followed: UserId,
}

/// The payload.
#[derive(Serialize, Deserialize)]
struct Payload {
    follower: String,
    followed: String,
    at: i64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    asked: bool,
}

/// The bytes of the outbox are not such an event.
#[derive(Debug, thiserror::Error)]
#[error("not an event of a follow: {0}")]
pub struct NotAFollowEvent(String);

impl FollowEvent {
    fn subject(self) -> String {
        let change = match self.change {
            FollowChange::Requested => "requested",
            FollowChange::Accepted { .. } => "accepted",
        };
        format!("follow.{}.{change}", self.followed)
    }

    fn payload(self, at: Timestamp) -> String {
        let payload = Payload {
            follower: self.follower.to_string(),
            followed: self.followed.to_string(),
            at: at.as_micros(),
            asked: self.change == FollowChange::Accepted { asked: true },
        };
        serde_json::json!(payload).to_string()
    }

    /// Reads an event of the outbox or the bus, and when it happened. One of a kind that this
    /// version does not know is an error.
    pub fn read(subject: &Subject, payload: &[u8]) -> Result<(Self, Timestamp), NotAFollowEvent> {
        let wrong = |what: &str| NotAFollowEvent(format!("{what} of {subject}"));
        let read: Payload =
            serde_json::from_slice(payload).map_err(|error| wrong(&error.to_string()))?;
        let change = match subject.as_str().rsplit('.').next() {
            Some("requested") => FollowChange::Requested,
            Some("accepted") => FollowChange::Accepted { asked: read.asked },
            _ => return Err(wrong("the subject")),
        };
        let this = Self {
            change,
            follower: read.follower.parse().map_err(|_| wrong("the follower"))?,
            followed: read.followed.parse().map_err(|_| wrong("the followed"))?,
        };
        Ok((this, Timestamp::from_micros(read.at)))
    }

    /// Tells the outbox. The writer has locked the follow.
    pub(super) async fn tell(
        self,
        db: &Database,
        transaction: &mut Transaction,
        now: Timestamp,
    ) -> Result<(), RowError> {
        let new = NewEvent {
            subject: &Subject::new(&self.subject())?,
            key: &format!("{}/{}", self.follower, self.followed),
            payload: self.payload(now).into(),
        };
        outbox::append(db, transaction, &new, now).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_read_again() {
        let at = Timestamp::from_micros(1_800_000_000_000_000);
        for change in [
            FollowChange::Requested,
            FollowChange::Accepted { asked: false },
            FollowChange::Accepted { asked: true },
        ] {
            let event = FollowEvent {
                change,
                follower: UserId::new(),
                followed: UserId::new(),
            };
            let subject = event.subject().parse().unwrap();
            let read = FollowEvent::read(&subject, event.payload(at).as_bytes());
            assert_eq!(read.unwrap(), (event, at));
        }
    }

    #[test]
    fn what_is_no_such_event_is_told() {
        let id = UserId::new();
        let good = format!(r#"{{"follower":"{id}","followed":"{id}","at":1}}"#);
        for (subject, payload) in [
            ("follow.x.accepted", "{}".to_owned()),
            ("follow.x.forgotten", good.clone()),
            ("follow.x.accepted", good.replace(&id.to_string(), "nobody")),
        ] {
            let error = FollowEvent::read(&subject.parse().unwrap(), payload.as_bytes());
            let error = error.unwrap_err().to_string();
            assert!(error.contains("not an event of a follow"), "{error}");
        }
    }
}
