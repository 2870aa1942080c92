//! Live chat.

use std::fmt;

use async_graphql::{ID, InputObject, InputValueError, InputValueResult, Scalar, ScalarType};
use async_graphql::{SimpleObject, Union, Value};
use media::Timestamp;
use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::{Moment, Part};

/// Media time: what stands in a stream's timeline, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct MediaTime(pub i64);

/// JSON Schema takes 2.0 for an integer as well (draft 2020-12, 4.2.3).
struct WholeNumber;

impl Visitor<'_> for WholeNumber {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number of milliseconds")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<i64, E> {
        let unexpected = Unexpected::Unsigned(number);
        i64::try_from(number).map_err(|_| E::invalid_value(unexpected, &self))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<i64, E> {
        // 2^63, which a float has exactly.
        let end = -(i64::MIN as f64);
        match number.fract() == 0.0 && (-end..end).contains(&number) {
            true => Ok(number as i64),
            false => Err(E::invalid_value(Unexpected::Float(number), &self)),
        }
    }
}

impl<'de> Deserialize<'de> for MediaTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_i64(WholeNumber).map(Self)
    }
}

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

#[cfg(test)]
mod tests {
    use serde_json::{from_str, from_value, json};

    use super::*;

    #[test]
    fn a_whole_number_is_one_however_it_is_written() {
        for (text, milliseconds) in [("213", 213), ("213.0", 213), ("-2e3", -2_000)] {
            assert_eq!(from_str::<MediaTime>(text).unwrap().0, milliseconds);
        }
        let too_large = json!(u64::MAX);
        for wrong in [json!(0.5), json!(1e300), too_large, json!("1"), json!(null)] {
            let error = from_value::<MediaTime>(wrong).unwrap_err().to_string();
            assert!(error.contains("a whole number of milliseconds"), "{error}");
        }
    }
}
