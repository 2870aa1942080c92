//! What happened in a room, encoded once for all who are there.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use media::{ChatMessageId, UserId};
use storage::rows::chat::{ChatMessageRow, ChatRoomRow, Moderators};

use crate::chat::protocol::ServerMessage;
use crate::chat::{message, seconds};
use crate::model::{ChatChanged, ChatDeleted, ChatEvent, ChatPresence, ChatSaid};

/// Something that is told to everybody in a room.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Its number; none: it is not told again.
    pub(crate) event: Option<u64>,
    /// Who said it: whoever hides them is not told.
    pub(crate) author: Option<UserId>,
    /// The message that it is about.
    pub(crate) message: Option<ChatMessageId>,
    /// As sockets get it.
    pub(crate) text: Utf8Bytes,
    /// As GraphQL gets it.
    pub(crate) what: What,
}

/// What is told.
#[derive(Debug)]
pub(crate) enum What {
    /// Something that happened.
    Event(Box<ChatEvent>),
    /// Nobody is in the room any more.
    Over,
    /// The node stops.
    Stopping,
}

impl What {
    fn of(event: ChatEvent) -> Self {
        Self::Event(Box::new(event))
    }
}

impl Frame {
    /// What an event's row says. Nothing, when its author is not shown any more.
    pub(super) fn of_row(
        room: &str,
        row: &ChatMessageRow,
        moderators: Moderators,
        names: &[String],
    ) -> Option<Arc<Self>> {
        let event = row.last_event;
        if row.deleted_at.is_some() {
            let id = row.id.to_string();
            let text = ServerMessage::Deleted {
                room,
                event,
                message: &id,
            };
            return Some(Arc::new(Self {
                event: Some(event),
                author: None,
                message: Some(row.id),
                text: text.text().into(),
                what: What::of(ChatEvent::Deleted(ChatDeleted {
                    event,
                    message: id.into(),
                })),
            }));
        }
        if !row.author.is_active() {
            return None;
        }
        let message = message(row, moderators, names);
        let text = ServerMessage::Message {
            room,
            event,
            message: &message,
        };
        Some(Arc::new(Self {
            event: Some(event),
            author: Some(row.author.id),
            message: Some(row.id),
            text: text.text().into(),
            what: What::of(ChatEvent::Said(ChatSaid { event, message })),
        }))
    }

    /// How the room is run from now on.
    pub(super) fn changed(room: &str, row: &ChatRoomRow) -> Arc<Self> {
        let (event, slow_mode_seconds, followers_only) =
            (row.last_event, seconds(row), row.followers_only);
        let text = ServerMessage::Changed {
            room,
            event,
            slow_mode_seconds,
            followers_only,
        };
        Arc::new(Self {
            // Whoever comes later is told how the room is; whoever hears it twice is none the wiser.
            event: None,
            author: None,
            message: None,
            text: text.text().into(),
            what: What::of(ChatEvent::Changed(ChatChanged {
                event,
                slow_mode_seconds,
                followers_only,
            })),
        })
    }

    /// How many are there.
    pub(super) fn presence(room: &str, viewers: u64) -> Arc<Self> {
        Arc::new(Self {
            event: None,
            author: None,
            message: None,
            text: ServerMessage::Presence { room, viewers }.text().into(),
            what: What::of(ChatEvent::Presence(ChatPresence { viewers })),
        })
    }

    /// The last thing that is told.
    pub(super) fn over(room: &str, reason: &'static str) -> Arc<Self> {
        Arc::new(Self {
            event: None,
            author: None,
            message: None,
            text: ServerMessage::Left { room, reason }.text().into(),
            what: What::Over,
        })
    }

    /// The last thing that is told by this node.
    pub(super) fn stopping() -> Arc<Self> {
        Arc::new(Self {
            event: None,
            author: None,
            message: None,
            text: Utf8Bytes::default(),
            what: What::Stopping,
        })
    }

    /// Whether a message was said by it, and not deleted.
    pub(super) fn is_said(&self) -> bool {
        matches!(&self.what, What::Event(event) if matches!(**event, ChatEvent::Said(_)))
    }
}
