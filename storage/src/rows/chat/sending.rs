//! Saying something.

use media::{ChatMessageId, Micros, StreamId, Timestamp, UserId};

use super::super::error::check_size;
use super::super::sql::{FromRow, Row, query};
use super::super::users::{Role, UserRow, user_columns};
use super::super::{Entity, RowError, Transaction};
use super::{
    BODY_BYTES_AT_MOST, CLIENT_KEY_BYTES_AT_MOST, ChatMessageRow, ChatRoomRow, message_columns,
};

/// Something to be said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewChatMessage {
    /// Who says it.
    pub author: UserId,
    /// What it answers.
    pub reply_to: Option<ChatMessageId>,
    /// Plain text.
    pub body: String,
    /// What the author sees, as they say; `None`: what is live.
    pub media_at: Option<Timestamp>,
    /// What the author's program calls it; said again under the same key, it is not said again.
    pub client_key: Option<String>,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sending {
    /// It is said.
    Said(ChatMessageRow),
    /// It was said before under its key, and may have been deleted since.
    Known(ChatMessageRow),
    /// It is not said.
    Refused(Refusal),
}

/// Why something is not said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The author is suspended or deleted.
    NotActive,
    /// The stream's owner blocks the author, or is blocked by them: there is no such room.
    Blocked,
    /// The author is banned from the room.
    Banned,
    /// The author has a timeout.
    TimedOut {
        /// Until then.
        until: Timestamp,
    },
    /// The author does not follow the stream's owner.
    FollowersOnly,
    /// The author has said something, and the room is slow.
    TooSoon {
        /// When they may say something again.
        again_at: Timestamp,
    },
    /// What it would answer is not there.
    NoSuchReply,
}

/// Who of the people in a room looks after it: its owner, and whoever looks after all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moderators {
    /// Whose the stream is.
    pub owner: UserId,
}

impl Moderators {
    /// Whether that is one of them.
    pub fn has(self, user: &UserRow) -> bool {
        user.id == self.owner || user.role != Role::User
    }
}

/// The stream, as far as it matters to its room.
struct Stage {
    moderators: Moderators,
    media_end: Timestamp,
    live_window: Option<Micros>,
    /// When the broadcast began that goes on.
    live_since: Option<Timestamp>,
}

impl FromRow for Stage {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            moderators: Moderators {
                owner: row.get("owner_id")?,
            },
            media_end: row.get("media_end")?,
            live_window: row.get("live_window")?,
            live_since: row.get("started_at")?,
        })
    }
}

impl Stage {
    async fn read(transaction: &mut Transaction, stream: StreamId) -> Result<Self, RowError> {
        query(
            "SELECT s.owner_id, s.media_end, s.live_window, l.started_at
             FROM streams s
                 LEFT JOIN live_sessions l ON l.stream_id = s.id AND l.ended_at IS NULL
             WHERE s.id = $1",
        )
        .bind(stream)
        .optional(transaction)
        .await?
        .ok_or(RowError::NotFound(Entity::Stream))
    }

    /// The media time that a message gets: what its author saw, as far as a viewer of what is
    /// live can have seen it, and now where nothing is live or nobody says.
    fn media_time(&self, seen: Option<Timestamp>, now: Timestamp) -> Timestamp {
        let (Some(seen), Some(since)) = (seen, self.live_since) else {
            return now;
        };
        let oldest = match self.live_window {
            Some(window) => since.max(now - window),
            None => since,
        };
        // Media time may be ahead of the clock, where an encoder is.
        seen.clamp(oldest.min(now), now.max(self.media_end))
    }
}

/// An author, and all that decides whether they may say something.
struct Standing {
    author: UserRow,
    is_blocked: bool,
    follows: bool,
    is_sanctioned: bool,
    until: Option<Timestamp>,
    last_said: Option<Timestamp>,
}

impl FromRow for Standing {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            author: UserRow::from_row(row)?,
            is_blocked: row.get("is_blocked")?,
            follows: row.get("follows")?,
            is_sanctioned: row.get("is_sanctioned")?,
            until: row.get("until_at")?,
            last_said: row.get("last_said")?,
        })
    }
}

const STANDING: &str = concat!(
    "SELECT ",
    user_columns!(u),
    ", EXISTS (SELECT 1 FROM blocks b WHERE b.blocker_id = $3 AND b.blocked_id = u.id
               UNION ALL
               SELECT 1 FROM blocks b WHERE b.blocker_id = u.id AND b.blocked_id = $3)
           AS is_blocked,
       EXISTS (SELECT 1 FROM follows f
               WHERE f.follower_id = u.id AND f.followed_id = $3 AND f.accepted_at IS NOT NULL)
           AS follows,
       EXISTS (SELECT 1 FROM chat_sanctions s WHERE s.stream_id = $2 AND s.user_id = u.id)
           AS is_sanctioned,
       (SELECT s.until_at FROM chat_sanctions s WHERE s.stream_id = $2 AND s.user_id = u.id)
           AS until_at,
       (SELECT m.created_at FROM chat_messages m
        WHERE m.author_id = u.id AND m.stream_id = $2 ORDER BY m.sequence DESC LIMIT 1)
           AS last_said
     FROM users u WHERE u.id = $1"
);

impl Standing {
    /// Why they say nothing now.
    fn refusal(
        &self,
        moderators: Moderators,
        room: &ChatRoomRow,
        now: Timestamp,
    ) -> Option<Refusal> {
        if !self.author.is_active() {
            return Some(Refusal::NotActive);
        }
        if self.is_blocked {
            return Some(Refusal::Blocked);
        }
        if moderators.has(&self.author) {
            return None;
        }
        match self.until {
            None if self.is_sanctioned => return Some(Refusal::Banned),
            Some(until) if until > now => return Some(Refusal::TimedOut { until }),
            _ => {}
        }
        if room.followers_only && !self.follows {
            return Some(Refusal::FollowersOnly);
        }
        let again_at = self.last_said? + room.slow_mode;
        // Where nothing has to lie between, clocks of two hosts decide nothing.
        let is_slow = room.slow_mode > Micros::new(0);
        (is_slow && again_at > now).then_some(Refusal::TooSoon { again_at })
    }
}

/// Says these in a room, in their order, as one: what is not refused is all there after the
/// commit. [`RowError::NotFound`] when there is no such stream, [`RowError::TooLarge`] when a
/// text or a key is.
pub async fn send(
    transaction: &mut Transaction,
    stream: StreamId,
    messages: &[NewChatMessage],
    now: Timestamp,
) -> Result<Vec<Sending>, RowError> {
    for message in messages {
        check_size("message", message.body.len(), BODY_BYTES_AT_MOST)?;
        let key = message.client_key.as_deref().unwrap_or_default();
        check_size("key of a message", key.len(), CLIENT_KEY_BYTES_AT_MOST)?;
    }
    let room = super::lock(transaction, stream).await?;
    let stage = Stage::read(transaction, stream).await?;
    let mut last_event = room.last_event;
    let mut sent = Vec::with_capacity(messages.len());
    for message in messages {
        let one = send_one(
            transaction,
            stream,
            &room,
            &stage,
            message,
            last_event + 1,
            now,
        );
        let one = one.await?;
        if matches!(one, Sending::Said(_)) {
            last_event += 1;
        }
        sent.push(one);
    }
    if last_event > room.last_event {
        super::count(transaction, stream, last_event).await?;
    }
    Ok(sent)
}

async fn send_one(
    transaction: &mut Transaction,
    stream: StreamId,
    room: &ChatRoomRow,
    stage: &Stage,
    new: &NewChatMessage,
    event: u64,
    now: Timestamp,
) -> Result<Sending, RowError> {
    let standing: Option<Standing> = query(STANDING)
        .bind(new.author)
        .bind(stream)
        .bind(stage.moderators.owner)
        .optional(&mut *transaction)
        .await?;
    let Some(standing) = standing else {
        return Ok(Sending::Refused(Refusal::NotActive));
    };
    if let Some(key) = &new.client_key
        && let Some(known) = known(transaction, stream, new.author, key).await?
    {
        return Ok(Sending::Known(known));
    }
    if let Some(refusal) = standing.refusal(stage.moderators, room, now) {
        return Ok(Sending::Refused(refusal));
    }
    if let Some(reply_to) = new.reply_to
        && !is_there(transaction, stream, reply_to).await?
    {
        return Ok(Sending::Refused(Refusal::NoSuchReply));
    }
    let row = query(
        "INSERT INTO chat_messages
             (id, stream_id, sequence, last_event, author_id, reply_to_id, body, media_at,
              created_at, client_key)
         VALUES ($1, $2, $3, $3, $4, $5, $6, $7, $8, $9)
         RETURNING id AS message_id, stream_id, sequence, last_event, reply_to_id, body, media_at,
                   created_at AS said_at, deleted_at AS withdrawn_at",
    )
    .bind(ChatMessageId::new())
    .bind(stream)
    .bind(event)
    .bind(new.author)
    .bind(new.reply_to)
    .bind(&new.body)
    .bind(stage.media_time(new.media_at, now))
    .bind(now)
    .bind(new.client_key.as_deref())
    .rows(transaction)
    .await?;
    let row = row.first().ok_or(RowError::NotFound(Entity::ChatMessage))?;
    Ok(Sending::Said(ChatMessageRow::by(row, standing.author)?))
}

async fn known(
    transaction: &mut Transaction,
    stream: StreamId,
    author: UserId,
    key: &str,
) -> Result<Option<ChatMessageRow>, RowError> {
    query(concat!(
        "SELECT ",
        message_columns!(),
        ", ",
        user_columns!(u),
        " FROM chat_messages m JOIN users u ON u.id = m.author_id
         WHERE m.author_id = $1 AND m.stream_id = $2 AND m.client_key = $3"
    ))
    .bind(author)
    .bind(stream)
    .bind(key)
    .optional(transaction)
    .await
}

async fn is_there(
    transaction: &mut Transaction,
    stream: StreamId,
    id: ChatMessageId,
) -> Result<bool, RowError> {
    query("SELECT 1 FROM chat_messages WHERE id = $1 AND stream_id = $2 AND deleted_at IS NULL")
        .bind(id)
        .bind(stream)
        .exists(transaction)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn ago(seconds: i64) -> Timestamp {
        NOW - Micros::from_secs(seconds)
    }

    #[test]
    fn media_time_is_what_can_have_been_seen() {
        let stage = |live_since, window: Option<i64>| Stage {
            moderators: Moderators {
                owner: UserId::new(),
            },
            media_end: ago(-2),
            live_window: window.map(Micros::from_secs),
            live_since,
        };
        let live = Some(ago(600));
        for (stage, seen, gets) in [
            (stage(None, None), Some(ago(30)), NOW),
            (stage(live, None), None, NOW),
            (stage(live, None), Some(ago(30)), ago(30)),
            (stage(live, None), Some(ago(601)), ago(600)),
            (stage(live, None), Some(ago(-1)), ago(-1)),
            (stage(live, None), Some(ago(-100)), ago(-2)),
            (stage(live, Some(60)), Some(ago(90)), ago(60)),
            (stage(live, Some(6_000)), Some(ago(900)), ago(600)),
            // A session that began by a clock that is ahead.
            (stage(Some(ago(-5)), None), Some(ago(30)), NOW),
            (
                stage(live, None),
                Some(Timestamp::from_micros(i64::MIN)),
                ago(600),
            ),
        ] {
            assert_eq!(stage.media_time(seen, NOW), gets, "{seen:?}");
        }
    }
}
