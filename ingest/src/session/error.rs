//! Why a session ends.

use media::timeline::TimelineError;
use rml_rtmp::handshake::HandshakeError;

use crate::amf0::Amf0Error;
use crate::chunk::ChunkError;
use crate::flv::FlvError;
use crate::host::Refusal;

/// Why a session ends.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Not an RTMP handshake.
    #[error("handshake: {0}")]
    Handshake(#[from] HandshakeError),
    /// Chunks that cannot be read, or a limit on them.
    #[error("chunk stream: {0}")]
    Chunk(#[from] ChunkError),
    /// A command that cannot be read, or a limit on it.
    #[error("command: {0}")]
    Command(#[from] Amf0Error),
    /// A command that makes no sense where it came.
    #[error("command: {0}")]
    Protocol(&'static str),
    /// Media that cannot be taken.
    #[error("{0}")]
    Media(#[from] FlvError),
    /// Media that cannot be put on a timeline.
    #[error("{0}")]
    Timeline(#[from] TimelineError),
    /// The house refused.
    #[error("{0}")]
    Refused(Refusal),
    /// A deadline has passed.
    #[error("{0}")]
    Timeout(Deadline),
    /// [`SessionLimits::held`](super::SessionLimits::held).
    #[error("more than {0} bytes sent before the request to publish was answered")]
    TooMuchHeld(usize),
    /// [`SessionLimits::output`](super::SessionLimits::output).
    #[error("more than {0} bytes of answers not taken")]
    TooMuchOutput(usize),
    /// [`SessionLimits::message_streams`](super::SessionLimits::message_streams).
    #[error("more than {0} message streams")]
    TooManyMessageStreams(u32),
}

/// What did not happen in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Deadline {
    /// The handshake.
    #[error("no handshake in time")]
    Handshake,
    /// The request to publish.
    #[error("no request to publish in time")]
    Publish,
    /// The house's answer.
    #[error("no decision in time")]
    Decision,
    /// The next access unit.
    #[error("no media for too long")]
    Idle,
}

impl SessionError {
    /// The `code` of the `onStatus` error that tells the encoder.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Media(_) | Self::Timeline(_) | Self::Timeout(_) => "NetStream.Publish.Rejected",
            _ => "NetStream.Failed",
        }
    }

    /// A word for a metric's label.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Handshake(_) => "handshake",
            Self::Chunk(_) => "chunk",
            Self::Command(_) | Self::Protocol(_) => "command",
            Self::Media(_) => "media",
            Self::Timeline(_) => "timeline",
            Self::Refused(refusal) => refusal.label(),
            Self::Timeout(Deadline::Handshake) => "timeout_handshake",
            Self::Timeout(Deadline::Publish) => "timeout_publish",
            Self::Timeout(Deadline::Decision) => "timeout_decision",
            Self::Timeout(Deadline::Idle) => "timeout_idle",
            Self::TooMuchHeld(_) => "held",
            Self::TooMuchOutput(_) => "output",
            Self::TooManyMessageStreams(_) => "message_streams",
        }
    }
}
