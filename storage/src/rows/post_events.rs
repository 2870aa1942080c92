//! What happened to posts: what counts, feeds, search and notifications are made from.
//!
//! Each is written to the outbox in the transaction that it tells of, under the subject
//! `post.{post}.{what}`. The payload is JSON with `post`, `user` and `at`, in microseconds
//! since 1970; what the post says is in its row. Comments and quotes are posts that were
//! created. A share, a like, and the end of an answer and of a quote are told of the post that
//! is shared, liked, was answered and was quoted.

use media::{PostId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::outbox::{self, NewEvent};
pub use super::words::InvalidWord;
use super::words::words;
use super::{Database, RowError, Transaction};
use crate::events::Subject;

/// What subscribers of all of them ask for.
pub const PATTERN: &str = "post.>";

words! {
    /// What happened to a post: the last word of the subject.
    PostChange, "created, edited, deleted, taken-down, shared, unshared, unanswered, unquoted, \
     liked or unliked":
    /// Somebody wrote it.
    Created = "created",
    /// It says something else.
    Edited = "edited",
    /// It says nothing any more. What shared it and who liked it goes without further words.
    Deleted = "deleted",
    /// It was deleted by right of a role, which is told beside.
    TakenDown = "taken-down",
    /// Somebody shared it.
    Shared = "shared",
    /// Somebody shares it no more.
    Unshared = "unshared",
    /// What answered it directly was deleted.
    Unanswered = "unanswered",
    /// What quoted it was deleted.
    Unquoted = "unquoted",
    /// Somebody likes it.
    Liked = "liked",
    /// Somebody likes it no more.
    Unliked = "unliked"
}

/// Something that happened to a post.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PostEvent {
    /// What.
    pub change: PostChange,
    /// To which.
    pub post: PostId,
    /// Its author; of an answer, a share, a quote or a like, whose it is or was.
    pub user: UserId,
}

/// The payload.
#[derive(Serialize, Deserialize)]
struct Payload {
    post: String,
    user: String,
    at: i64,
}

/// The bytes of the outbox are not such an event.
#[derive(Debug, thiserror::Error)]
#[error("not an event of a post: {0}")]
pub struct NotAPostEvent(String);

impl PostEvent {
    fn subject(&self) -> String {
        format!("post.{}.{}", self.post, self.change)
    }

    /// Whoever writes the event has locked what it is the key of: the post's row, or the one
    /// of the share or the like.
    fn key(&self) -> String {
        match self.change {
            PostChange::Created
            | PostChange::Edited
            | PostChange::Deleted
            | PostChange::TakenDown => self.post.to_string(),
            PostChange::Shared | PostChange::Unshared => {
                format!("{}/share/{}", self.post, self.user)
            }
            PostChange::Unanswered => format!("{}/answer/{}", self.post, self.user),
            PostChange::Unquoted => format!("{}/quote/{}", self.post, self.user),
            PostChange::Liked | PostChange::Unliked => format!("{}/like/{}", self.post, self.user),
        }
    }

    fn payload(&self, at: Timestamp) -> String {
        let payload = Payload {
            post: self.post.to_string(),
            user: self.user.to_string(),
            at: at.as_micros(),
        };
        serde_json::json!(payload).to_string()
    }

    /// Reads an event of the outbox or the bus, and when it happened. One of a kind that this
    /// version does not know is an error.
    pub fn read(subject: &Subject, payload: &[u8]) -> Result<(Self, Timestamp), NotAPostEvent> {
        let wrong = |what: &str| NotAPostEvent(format!("{what} of {subject}"));
        let read: Payload =
            serde_json::from_slice(payload).map_err(|error| wrong(&error.to_string()))?;
        let last = subject.as_str().rsplit('.').next().unwrap_or_default();
        let this = Self {
            change: last.parse().map_err(|_| wrong("the subject"))?,
            post: read.post.parse().map_err(|_| wrong("the post"))?,
            user: read.user.parse().map_err(|_| wrong("the user"))?,
        };
        Ok((this, Timestamp::from_micros(read.at)))
    }

    /// Tells the outbox.
    pub(super) async fn tell(
        self,
        db: &Database,
        transaction: &mut Transaction,
        now: Timestamp,
    ) -> Result<(), RowError> {
        let new = NewEvent {
            subject: &Subject::new(&self.subject())?,
            key: &self.key(),
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
            PostChange::Created,
            PostChange::Edited,
            PostChange::Deleted,
            PostChange::TakenDown,
            PostChange::Shared,
            PostChange::Unshared,
            PostChange::Unanswered,
            PostChange::Unquoted,
            PostChange::Liked,
            PostChange::Unliked,
        ] {
            let event = PostEvent {
                change,
                post: PostId::new(),
                user: UserId::new(),
            };
            let subject = event.subject().parse().unwrap();
            let read = PostEvent::read(&subject, event.payload(at).as_bytes());
            assert_eq!(read.unwrap(), (event, at));
        }
    }

    #[test]
    fn what_is_no_such_event_is_told() {
        let id = PostId::new();
        let good = format!(r#"{{"post":"{id}","user":"{id}","at":1}}"#);
        for (subject, payload) in [
            ("post.x.created", "{}".to_owned()),
            ("post.x.forgotten", good.clone()),
            ("post.x.created", good.replace(&id.to_string(), "nobody")),
        ] {
            let error = PostEvent::read(&subject.parse().unwrap(), payload.as_bytes());
            let error = error.unwrap_err().to_string();
            assert!(error.contains("not an event of a post"), "{error}");
        }
    }
}
