//! What ingest asks of the house it stands in: who may publish, and where a
//! stream's timeline goes on.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use media::timeline::Numbering;
use media::{StreamId, StreamKeyId, StreamName};

/// A boxed future, so that [`Host`] is object safe.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What ingest asks of the house. The implementation may be slow or fail: only the
/// publisher it is asked for waits.
pub trait Host: Send + Sync + 'static {
    /// Who may publish: from a key to a grant. Dropped unfinished when the encoder
    /// leaves or the deadline passes.
    fn authorize(&self, request: PublishRequest) -> BoxFuture<'_, Result<Grant, Refusal>>;

    /// Where the timeline of a granted publication begins. Asked when the stream's
    /// previous publisher, if any, has ended its feed.
    fn begin<'a>(&'a self, grant: &'a Grant) -> BoxFuture<'a, Result<Numbering, Refusal>>;
}

/// A wish to publish, as the encoder put it.
#[derive(Clone, Debug)]
pub struct PublishRequest {
    /// The secret that names the stream.
    pub key: StreamKey,
    /// The RTMP application: the first segment of the URL's path. An encoder may have put
    /// anything there: not for logs.
    pub app: String,
    /// What the encoder calls itself (`flashVer`); not to be trusted.
    pub encoder: Option<String>,
    /// Where the encoder connects from.
    pub peer: SocketAddr,
}

/// Leave to publish a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// The stream.
    pub stream: StreamId,
    /// The key that it was given for, by what is not secret of it: who takes a key back finds by
    /// it what is published with it.
    pub key: StreamKeyId,
    /// Its name in URLs, for logs.
    pub name: StreamName,
    /// What happens when it is live already.
    pub policy: TakeoverPolicy,
}

/// What happens when a second encoder publishes to a stream that is live.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TakeoverPolicy {
    /// The newer one takes the stream over. Right for an encoder that lost its network
    /// and came back while its old connection still looks alive.
    #[default]
    Takeover,
    /// The newer one is refused.
    Reject,
}

/// Why an encoder may not publish. The text goes to the encoder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No stream has this key.
    #[error("the stream key is not valid")]
    BadKey,
    /// The key is right, but its owner may not publish now; says why.
    #[error("{0}")]
    Forbidden(String),
    /// The stream is live already and does not allow takeover.
    #[error("the stream is already live from another encoder")]
    Busy,
    /// Another encoder took the stream over.
    #[error("another encoder took this stream over")]
    TakenOver,
    /// The leave to publish was taken back.
    #[error("this stream may not be published to any more")]
    Withdrawn,
    /// The server has as many publishers as it takes.
    #[error("the server takes no more publishers at the moment")]
    Overloaded,
    /// The question could not be answered; the log knows why.
    #[error("the server could not start the stream, try again")]
    Internal,
    /// The house did not answer in time.
    #[error("the server did not decide in time, try again")]
    Undecided,
    /// The server is shutting down.
    #[error("the server is shutting down")]
    ShuttingDown,
}

impl Refusal {
    /// The `code` of the `onStatus` error. Only codes that make OBS's librtmp, ffmpeg
    /// and rtmp2sink give up with a message.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadKey | Self::Busy | Self::TakenOver => "NetStream.Publish.BadName",
            Self::Forbidden(_) | Self::Withdrawn => "NetStream.Publish.Unauthorized",
            Self::Overloaded | Self::ShuttingDown => "NetStream.Publish.Rejected",
            Self::Internal | Self::Undecided => "NetStream.Failed",
        }
    }

    /// A word for a metric's label.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::BadKey => "bad_key",
            Self::Forbidden(_) => "forbidden",
            Self::Busy => "busy",
            Self::TakenOver => "taken_over",
            Self::Withdrawn => "withdrawn",
            Self::Overloaded => "overloaded",
            Self::Internal => "internal",
            Self::Undecided => "undecided",
            Self::ShuttingDown => "shutting_down",
        }
    }
}

/// A stream key. Prints as `***`, wherever it is printed.
#[derive(Clone, PartialEq, Eq)]
pub struct StreamKey(String);

impl StreamKey {
    /// Wraps a key.
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// The key itself, to be looked up and never to be logged.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_prints() {
        let request = PublishRequest {
            key: StreamKey::new("sk_secret"),
            app: "live".into(),
            encoder: None,
            peer: ([127, 0, 0, 1], 1).into(),
        };
        let printed = format!("{request:?} {:#?} {}", request, request.key);
        assert!(!printed.contains("secret"), "{printed}");
        assert!(printed.contains("***"), "{printed}");
    }

    #[test]
    fn r03_no_refusal_speaks_of_adobe_authentication() {
        for refusal in [
            Refusal::BadKey,
            Refusal::Busy,
            Refusal::TakenOver,
            Refusal::Withdrawn,
            Refusal::Overloaded,
            Refusal::Internal,
            Refusal::Undecided,
            Refusal::ShuttingDown,
        ] {
            assert!(!refusal.to_string().contains("authmod"), "{refusal}");
            assert!(refusal.code().starts_with("NetStream."), "{refusal:?}");
        }
    }
}
