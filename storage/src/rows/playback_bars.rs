//! Playback tokens that open nothing any more although they have not expired: those of an owner's
//! streams that were signed before an instant, for one viewer or for everybody.
//!
//! A row says it for good, and is kept until the last of these tokens has expired. An event tells
//! those who verify: `playback.{owner}.barred`, under the owner's id as its key. The payload is
//! JSON with `owner`, `viewer` (the nil id: everybody) and `at`, in microseconds since 1970.

use media::{Micros, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::outbox::{self, NewEvent};
use super::sql::{FromRow, Row, query};
use super::{Database, RowError, Transaction};
use crate::events::{Event, Subject};

/// What subscribers of all of them ask for.
pub const PATTERN: &str = "playback.>";

/// The longest that a playback token is good.
pub const TOKEN_AT_MOST: Micros = Micros::from_secs(24 * 60 * 60);

/// How long a bar is kept: longer than any token is good.
pub const BARS_KEPT: Micros = Micros::from_secs(25 * 60 * 60);

/// A bar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bar {
    /// Of whose streams.
    pub owner: UserId,
    /// For whom; `None`: for everybody.
    pub viewer: Option<UserId>,
    /// Of tokens that were signed until then.
    pub at: Timestamp,
}

impl Bar {
    /// What the page after it begins behind.
    pub fn cursor(&self) -> (Timestamp, UserId, Uuid) {
        let viewer = self.viewer.map_or(Uuid::nil(), UserId::as_uuid);
        (self.at, self.owner, viewer)
    }
}

impl FromRow for Bar {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        let viewer: Uuid = row.get("viewer_id")?;
        Ok(Self {
            owner: row.get("owner_id")?,
            viewer: (!viewer.is_nil()).then(|| viewer.into()),
            at: row.get("barred_at")?,
        })
    }
}

/// The payload.
#[derive(Serialize, Deserialize)]
struct Payload {
    owner: String,
    viewer: String,
    at: i64,
}

/// The bytes on the bus are not such an event.
#[derive(Debug, thiserror::Error)]
#[error("not an event of playback: {0}")]
pub struct NotABar(String);

impl Bar {
    /// Reads what came over the bus. An event of a kind that this version does not know is an
    /// error: who gets it reads the rows.
    pub fn read(event: &Event) -> Result<Self, NotABar> {
        let subject = event.subject.as_str();
        let wrong = |what: &str| NotABar(format!("{what} of {subject}"));
        let payload: Payload =
            serde_json::from_slice(&event.payload).map_err(|error| wrong(&error.to_string()))?;
        if subject.rsplit('.').next() != Some("barred") {
            return Err(wrong("the subject"));
        }
        let viewer: Uuid = payload.viewer.parse().map_err(|_| wrong("the viewer"))?;
        Ok(Self {
            owner: payload.owner.parse().map_err(|_| wrong("the owner"))?,
            viewer: (!viewer.is_nil()).then(|| viewer.into()),
            at: Timestamp::from_micros(payload.at),
        })
    }
}

/// Bars everybody from what the tokens for this owner's streams have opened; what is published
/// after the commit. Those whom a stream is for get another token.
pub(super) async fn bar_all(
    db: &Database,
    transaction: &mut Transaction,
    owner: UserId,
    now: Timestamp,
) -> Result<Event, RowError> {
    let bar = Bar {
        owner,
        viewer: None,
        at: now,
    };
    write(db, transaction, bar).await
}

/// Bars a viewer, if the owner has a stream that not everybody may see; what is published after
/// the commit.
pub async fn bar_viewer(
    db: &Database,
    transaction: &mut Transaction,
    owner: UserId,
    viewer: UserId,
    now: Timestamp,
) -> Result<Option<Event>, RowError> {
    let has_one = query(
        "SELECT 1 FROM streams
         WHERE owner_id = $1 AND visibility <> 'public' AND deleted_at IS NULL LIMIT 1",
    )
    .bind(owner)
    .exists(&mut *transaction)
    .await?;
    if !has_one {
        return Ok(None);
    }
    let bar = Bar {
        owner,
        viewer: Some(viewer),
        at: now,
    };
    write(db, transaction, bar).await.map(Some)
}

async fn write(db: &Database, transaction: &mut Transaction, bar: Bar) -> Result<Event, RowError> {
    let viewer = bar.viewer.map_or(Uuid::nil(), UserId::as_uuid);
    query(
        "INSERT INTO playback_bars (owner_id, viewer_id, barred_at) VALUES ($1, $2, $3)
         ON CONFLICT (owner_id, viewer_id) DO UPDATE
             SET barred_at = CASE WHEN excluded.barred_at > playback_bars.barred_at
                                  THEN excluded.barred_at ELSE playback_bars.barred_at END",
    )
    .bind(bar.owner)
    .bind(viewer)
    .bind(bar.at)
    .execute(&mut *transaction)
    .await?;
    let key = bar.owner.to_string();
    let subject = Subject::new(&format!("playback.{key}.barred"))?;
    let payload = Payload {
        owner: key.clone(),
        viewer: viewer.to_string(),
        at: bar.at.as_micros(),
    };
    let payload = serde_json::json!(payload).to_string();
    let new = NewEvent {
        subject: &subject,
        key: &key,
        payload: payload.clone().into(),
    };
    let id = outbox::append(db, transaction, &new, bar.at).await?;
    Ok(Event::new(subject, payload).with_id(id.as_uuid()))
}

/// Bars of `since` or later, the oldest first, those after `after`, at most `limit`: for a node
/// that starts, or was cut off.
pub async fn since(
    db: &Database,
    since: Timestamp,
    after: Option<Bar>,
    limit: u32,
) -> Result<Vec<Bar>, RowError> {
    let first = (since, UserId::from(Uuid::nil()), Uuid::nil());
    let (at, owner, viewer) = after.map_or(first, |bar| bar.cursor());
    query(
        "SELECT owner_id, viewer_id, barred_at FROM playback_bars
         WHERE (barred_at, owner_id, viewer_id) > ($1, $2, $3)
         ORDER BY barred_at, owner_id, viewer_id
         LIMIT $4",
    )
    .bind(at)
    .bind(owner)
    .bind(viewer)
    .bind(limit)
    .all(db)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_such_event_is_told() {
        let id = UserId::new();
        let good = format!(r#"{{"owner":"{id}","viewer":"{id}","at":1}}"#);
        for (subject, payload) in [
            ("playback.x.barred", "{}".to_owned()),
            ("playback.x.opened", good.clone()),
            ("playback.x.barred", good.replace(&id.to_string(), "nobody")),
        ] {
            let event = Event::new(subject.parse().unwrap(), payload);
            let error = Bar::read(&event).unwrap_err().to_string();
            assert!(error.contains("not an event of playback"), "{error}");
        }
    }
}
