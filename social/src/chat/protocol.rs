//! What is said on the socket `/ws`, version 1: docs/CHAT.md has all of it.
//!
//! Every message is one JSON object in one text frame, and `type` says which it is.

use serde::{Deserialize, Serialize};

use crate::json;
use crate::model::{ChatMessage, ChatRoom, MediaTime, Notification};

/// The version of the protocol.
pub const VERSION: u32 = 1;

/// The largest message of a client, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 8 * 1024;

/// The longest id of a request, in bytes.
pub const MAX_ID_BYTES: usize = 64;

/// The most messages that a client can have when it joins.
pub const MAX_RECENT: u32 = 100;

/// What a client says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ClientMessage {
    /// Who it is and which version it speaks: the first message, and only that.
    Hello {
        /// The version.
        version: u32,
        /// `Bearer ...`; none: somebody who only reads.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authorization: Option<String>,
    },
    /// The same somebody, with another access token.
    Authenticate {
        /// What is answered is told by it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// `Bearer ...`.
        authorization: String,
    },
    /// Into a room, and out of another one.
    Join {
        /// What is answered is told by it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// The stream's name.
        room: String,
        /// The last event that the client has had: what came after it comes first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<u64>,
        /// Without `after`: so many of the messages before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        recent: Option<u32>,
    },
    /// Out of the room.
    Leave {
        /// What is answered is told by it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
    },
    /// Says something in the room.
    Send {
        /// What is answered is told by it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// Plain text.
        text: String,
        /// The message that it answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<String>,
        /// What the client shows, in milliseconds since 1970.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        media_time: Option<MediaTime>,
        /// Said again under it, it is not said again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// Deletes a message of the room.
    Delete {
        /// What is answered is told by it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// Its id.
        message: String,
    },
    /// Asks to be told how its notifications stand, now and whenever that changes.
    Notifications {
        /// What is answered is told by it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
    },
    /// Asks whether the server is there.
    Ping {
        /// What is answered is told by it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
    },
}

/// What a client said and cannot mean.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMessage {
    /// It is too large.
    #[error("expected at most {MAX_MESSAGE_BYTES} bytes")]
    TooLarge,
    /// It is no message of this protocol.
    #[error("expected a message of version {VERSION}: {0}")]
    Malformed(String),
    /// A request's id is too long.
    #[error("id: expected at most {MAX_ID_BYTES} bytes")]
    LongId,
}

impl ClientMessage {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Self, InvalidMessage> {
        if text.len() > MAX_MESSAGE_BYTES {
            return Err(InvalidMessage::TooLarge);
        }
        // What is read into a struct may be an array as well, for all that serde cares.
        if !text.trim_ascii_start().starts_with('{') {
            return Err(InvalidMessage::Malformed("not an object".to_owned()));
        }
        let read = json::read_by(|text| serde_json::from_slice::<Self>(text), text.as_bytes());
        let message = read.map_err(|error| {
            // It may quote what was said, at any length.
            InvalidMessage::Malformed(error.to_string().chars().take(200).collect())
        })?;
        match message.id().is_some_and(|id| id.len() > MAX_ID_BYTES) {
            true => Err(InvalidMessage::LongId),
            false => Ok(message),
        }
    }

    /// What its answer is told by.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Hello { .. } => None,
            Self::Authenticate { id, .. }
            | Self::Join { id, .. }
            | Self::Leave { id }
            | Self::Send { id, .. }
            | Self::Delete { id, .. }
            | Self::Notifications { id }
            | Self::Ping { id } => id.as_deref(),
        }
    }
}

/// What the server says.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ServerMessage<'a> {
    /// To `hello`.
    Welcome {
        version: u32,
        /// The client says something at least so often, if only `ping`.
        heartbeat_seconds: u64,
        /// The id of whoever has logged in.
        user: Option<String>,
    },
    /// To `authenticate`, `leave`, `delete` and `notifications`.
    Done {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
    },
    /// To `join`; what comes behind it is of the room.
    Joined {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        room: ChatRoom,
        /// Whether all that came after `after` follows. If not, the history has it.
        is_complete: bool,
    },
    /// To `send`.
    Sent {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        event: u64,
        message: &'a str,
    },
    /// To `ping`.
    Pong {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
    },
    /// To anything: it was not done.
    Error {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        code: &'a str,
        message: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_seconds: Option<u64>,
    },
    /// The client is in no room any more, and did not ask for that.
    Left { room: &'a str, reason: &'a str },
    /// Something was said.
    Message {
        room: &'a str,
        event: u64,
        message: &'a ChatMessage,
    },
    /// A message was deleted.
    Deleted {
        room: &'a str,
        event: u64,
        message: &'a str,
    },
    /// The room is run differently.
    Changed {
        room: &'a str,
        event: u64,
        slow_mode_seconds: u32,
        followers_only: bool,
    },
    /// How many are there.
    Presence { room: &'a str, viewers: u64 },
    /// How the client's notifications stand.
    Notifications {
        /// How many are unread: 100 is 100 or more.
        unread: u32,
        /// What is new or has changed of the newest. The first time, the newest as they are.
        notifications: &'a [Notification],
    },
}

impl ServerMessage<'_> {
    /// As it is sent.
    pub(crate) fn text(&self) -> String {
        // Of strings and numbers: it does not fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_say_is_read() {
        for (text, message) in [
            (
                r#"{"type":"hello","version":1,"authorization":"Bearer x"}"#,
                ClientMessage::Hello {
                    version: 1,
                    authorization: Some("Bearer x".to_owned()),
                },
            ),
            (
                r#" {"type":"join","id":"1","room":"demo","after":7}"#,
                ClientMessage::Join {
                    id: Some("1".to_owned()),
                    room: "demo".to_owned(),
                    after: Some(7),
                    recent: None,
                },
            ),
            (
                r#"{"text":"hi","type":"send","media_time":1800000000000}"#,
                ClientMessage::Send {
                    id: None,
                    text: "hi".to_owned(),
                    reply_to: None,
                    media_time: Some(MediaTime(1_800_000_000_000)),
                    key: None,
                },
            ),
            (
                r#"{"type":"send","text":"1.0","media_time":-2e3}"#,
                ClientMessage::Send {
                    id: None,
                    text: "1.0".to_owned(),
                    reply_to: None,
                    media_time: Some(MediaTime(-2_000)),
                    key: None,
                },
            ),
            (r#"{"type":"ping"}"#, ClientMessage::Ping { id: None }),
            (
                r#"{"type":"notifications","id":"n"}"#,
                ClientMessage::Notifications {
                    id: Some("n".to_owned()),
                },
            ),
        ] {
            assert_eq!(ClientMessage::parse(text), Ok(message));
        }
    }

    #[test]
    fn what_is_no_message_is_told() {
        let long = format!(r#"{{"type":"ping","id":"{}"}}"#, "x".repeat(65));
        let saying = |at: &str| format!(r#"{{"type":"send","text":"a","media_time":{at}}}"#);
        let large = format!(r#"{{"type":"ping","id":"{}"}}"#, "x".repeat(9_000));
        for (text, told) in [
            ("", "not an object"),
            ("[]", "not an object"),
            (r#"["ping"]"#, "not an object"),
            ("{}", "missing field `type`"),
            (r#"{"type":"shout"}"#, "unknown variant"),
            (r#"{"type":"ping","x":1}"#, "unknown field"),
            (r#"{"type":"join"}"#, "missing field `room`"),
            (r#"{"type":"join","room":"a","after":-1}"#, "invalid value"),
            (r#"{"type":"ping"}{}"#, "trailing"),
            (&saying("0.5"), "floating point"),
            (&saying("1e300"), "floating point"),
            (&saying("18446744073709551615"), "expected i64"),
            (&saying("\"1\""), "invalid type: string"),
            (&long, "at most 64"),
            (&large, "at most 8192"),
        ] {
            let error = ClientMessage::parse(text).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
