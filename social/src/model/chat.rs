//! Live chat.

use async_graphql::{ID, InputObject, InputValueError, InputValueResult, Scalar, ScalarType};
use async_graphql::{SimpleObject, Union, Value};
use media::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Moment, Part};

/// Media time: what stands in a stream's timeline, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MediaTime(pub i64);

impl From<Timestamp> for MediaTime {
    fn from(at: Timestamp) -> Self {
        Self(at.as_micros().div_euclid(1_000))
    }
}

impl From<MediaTime> for Timestamp {
    fn from(MediaTime(milliseconds): MediaTime) -> Self {
        Self::from_micros(milliseconds.saturating_mul(1_000))
    }
}

/// Media time: what stands in a stream's timeline, in milliseconds since 1970. A number.
#[Scalar(name = "MediaTime")]
impl ScalarType for MediaTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::Number(number) => number
                .as_i64()
                .map(Self)
                .ok_or_else(|| InputValueError::custom("expected a whole number of milliseconds")),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::Number(self.0.into())
    }
}

/// Something to be said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SendChatInput {
    /// Plain text: 1 to 500 characters, of control characters only the line feed.
    #[schema(min_length = 1, max_length = 500)]
    pub text: String,
    /// The message that it answers.
    #[schema(value_type = Option<String>, format = "uuid")]
    pub reply_to: Option<ID>,
    /// What you see while you say it, where you are behind what is live: media time, in
    /// milliseconds since 1970.
    #[schema(value_type = Option<i64>)]
    pub media_time: Option<MediaTime>,
}

/// How a room is to be run. What is not named stays.
#[derive(Debug, Clone, Copy, Default, Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeChatInput {
    /// Seconds that have to lie between two messages of one person; 0: none.
    #[schema(minimum = 0, maximum = 3600)]
    pub slow_mode_seconds: Option<u32>,
    /// Whether only those who follow the stream's owner say something.
    pub followers_only: Option<bool>,
}

/// For how long somebody says nothing.
#[derive(Debug, Clone, Copy, Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SanctionInput {
    /// A timeout of so many seconds; none: a ban, until it is lifted.
    #[schema(minimum = 1, maximum = 2_592_000)]
    pub seconds: Option<u32>,
}

/// The room of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, SimpleObject, ToSchema)]
pub struct ChatRoom {
    /// The stream's name.
    pub stream: String,
    /// The last event of the room: `after` of what comes then.
    pub last_event: u64,
    /// Seconds that have to lie between two messages of one person; 0: none.
    pub slow_mode_seconds: u32,
    /// Whether only those who follow the stream's owner say something.
    pub followers_only: bool,
    /// How many are there, as far as this server knows.
    pub viewers: u64,
    /// Whether you look after it.
    pub is_moderator: bool,
}

/// Who said something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, SimpleObject, ToSchema)]
pub struct ChatAuthor {
    /// Id.
    #[schema(value_type = String, format = "uuid")]
    pub id: ID,
    /// Name, as it stands in `/@name`.
    pub name: String,
    /// Name as it is shown.
    pub display_name: String,
    /// Where their picture is, on this server: `/avatars/...`; `null`: they have none.
    #[schema(required = true, format = "uri-reference")]
    pub avatar_url: Option<String>,
    /// Whether they look after the room.
    pub is_moderator: bool,
}

/// Something that was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, SimpleObject, ToSchema)]
pub struct ChatMessage {
    /// Id.
    #[schema(value_type = String, format = "uuid")]
    pub id: ID,
    /// The event that it was said by. Messages of a room are in the order of their events.
    pub event: u64,
    /// Who said it.
    pub author: ChatAuthor,
    /// Plain text as it was written.
    pub text: String,
    /// The same text in pieces, in their order.
    pub parts: Vec<Part>,
    /// The message that it answers; `null`: none, or one that is not kept any more.
    #[schema(required = true, value_type = Option<String>, format = "uuid")]
    pub reply_to: Option<ID>,
    /// What its author saw then: media time, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub media_time: MediaTime,
    /// When it was said.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Moment,
}

/// Somebody who says nothing in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, SimpleObject, ToSchema)]
pub struct ChatSanction {
    /// Who.
    pub user: ChatAuthor,
    /// Until when; `null`: it is a ban.
    #[schema(required = true, value_type = Option<String>, format = "date-time")]
    pub until: Option<Moment>,
    /// Since when.
    #[schema(value_type = String, format = "date-time")]
    pub since: Moment,
}

/// Something was said.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct ChatSaid {
    /// The event.
    pub event: u64,
    /// The message.
    pub message: ChatMessage,
}

/// A message was deleted.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct ChatDeleted {
    /// The event.
    pub event: u64,
    /// The message's id.
    pub message: ID,
}

/// The room is run differently.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct ChatChanged {
    /// The event.
    pub event: u64,
    /// Seconds that have to lie between two messages of one person; 0: none.
    pub slow_mode_seconds: u32,
    /// Whether only those who follow the stream's owner say something.
    pub followers_only: bool,
}

/// How many are there. Who comes and goes is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SimpleObject)]
pub struct ChatPresence {
    /// How many.
    pub viewers: u64,
}

/// Something that happened in a room.
#[derive(Debug, Clone, PartialEq, Eq, Union)]
pub enum ChatEvent {
    /// Something was said.
    Said(ChatSaid),
    /// A message was deleted.
    Deleted(ChatDeleted),
    /// The room is run differently.
    Changed(ChatChanged),
    /// How many are there.
    Presence(ChatPresence),
}
