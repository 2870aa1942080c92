//! What an origin may fail with, and what a viewer is told.

use std::convert::Infallible;
use std::sync::Arc;

use http::StatusCode;

/// Why an upstream gave no answer at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// No connection: refused, no route, no such name.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// A connection did not come in time.
    #[error("did not answer in time")]
    Timeout,
    /// A connection that broke, or an answer that is not HTTP.
    #[error("gave no valid answer: {0}")]
    Protocol(String),
    /// A connection that was closed before there was an answer, as one that was kept may be,
    /// and the request was not sent again.
    #[error("closed the connection before it answered")]
    Closed,
    /// Nobody to ask: all have failed, and as many requests as may find out whether one is
    /// back.
    #[error("has no member that may be asked now")]
    Unavailable,
}

impl From<Infallible> for UpstreamError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Why a fill ended without a whole answer. As the error of a body it makes the
/// server cut the connection, so that a client never takes a part for the whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FillError {
    /// The upstream gave no answer.
    #[error("the origin {0}")]
    Upstream(#[from] UpstreamError),
    /// The answer's head did not come within the fill's deadline.
    #[error("the origin did not answer within the fill's deadline")]
    HeadTimeout,
    /// A status that was not asked for, such as 206 without a range.
    #[error("the origin answered {0}, which the request does not allow")]
    UnexpectedStatus(StatusCode),
    /// A Content-Length that is not a number.
    #[error("the origin sent a Content-Length that is not a number")]
    InvalidLength,
    /// The body broke off with an error.
    #[error("the origin's body broke off: {0}")]
    BodyBroken(Arc<str>),
    /// The body ended before its Content-Length.
    #[error("the origin's body ended after {received} of {expected} bytes")]
    BodyTruncated {
        /// Bytes announced.
        expected: u64,
        /// Bytes that came.
        received: u64,
    },
    /// The body went on past its Content-Length.
    #[error("the origin's body is longer than its Content-Length")]
    BodyOverlong,
    /// The origin fell silent in the middle of a body.
    #[error("the origin's body stalled")]
    BodyStalled,
    /// This reader fell out of the window of an answer that is too large to keep.
    #[error("the reader fell behind the window of a large answer")]
    ReaderLagged,
    /// No reader of a windowed fill took anything for too long.
    #[error("no reader took anything for too long")]
    ReadersStalled,
    /// Nobody reads any more, and the answer would not be stored.
    #[error("every reader has left")]
    Deserted,
    /// A large object became another while its slices were asked for.
    #[error("the object changed while it was read")]
    ObjectChanged,
    /// The request wants nothing but what is stored, and nothing is.
    #[error("nothing is stored that answers this")]
    OnlyIfCached,
    /// The edge is shutting down.
    #[error("the edge is shutting down")]
    ShuttingDown,
    /// The fill's task ended without a word: a bug.
    #[error("the fill was lost")]
    Lost,
}

impl FillError {
    /// The token in `Cache-Status` and in metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Upstream(UpstreamError::Unreachable(_)) => "origin-unreachable",
            Self::Upstream(UpstreamError::Timeout) | Self::HeadTimeout => "origin-timeout",
            Self::Upstream(UpstreamError::Protocol(_) | UpstreamError::Closed) => "origin-protocol",
            Self::Upstream(UpstreamError::Unavailable) => "origin-unavailable",
            Self::UnexpectedStatus(_) => "origin-unexpected-status",
            Self::InvalidLength => "origin-invalid-length",
            Self::BodyBroken(_) => "body-broken",
            Self::BodyTruncated { .. } => "body-truncated",
            Self::BodyOverlong => "body-overlong",
            Self::BodyStalled => "body-stalled",
            Self::ReaderLagged => "reader-lagged",
            Self::ReadersStalled => "readers-stalled",
            Self::Deserted => "deserted",
            Self::ObjectChanged => "object-changed",
            Self::OnlyIfCached => "only-if-cached",
            Self::ShuttingDown => "shutting-down",
            Self::Lost => "fill-lost",
        }
    }

    /// The status for a client that has not been sent a head yet.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            // RFC 9111 5.2.1.7 of the last.
            Self::Upstream(UpstreamError::Timeout)
            | Self::HeadTimeout
            | Self::BodyStalled
            | Self::OnlyIfCached => StatusCode::GATEWAY_TIMEOUT,
            Self::Upstream(UpstreamError::Unavailable)
            | Self::ShuttingDown
            | Self::ReaderLagged
            | Self::ReadersStalled
            | Self::Deserted => StatusCode::SERVICE_UNAVAILABLE,
            Self::Upstream(_)
            | Self::UnexpectedStatus(_)
            | Self::InvalidLength
            | Self::BodyBroken(_)
            | Self::BodyTruncated { .. }
            | Self::BodyOverlong
            | Self::ObjectChanged
            | Self::Lost => StatusCode::BAD_GATEWAY,
        }
    }

    /// One sentence for the client; addresses and causes stay in the log.
    pub(crate) fn text(&self) -> &'static str {
        match self {
            Self::Upstream(UpstreamError::Unreachable(_) | UpstreamError::Unavailable) => {
                "The origin cannot be reached.\n"
            }
            Self::Upstream(UpstreamError::Timeout) | Self::HeadTimeout | Self::BodyStalled => {
                "The origin did not answer in time.\n"
            }
            Self::OnlyIfCached => "Nothing is stored that answers this.\n",
            Self::ShuttingDown => "This edge is shutting down.\n",
            Self::ReaderLagged | Self::ReadersStalled | Self::Deserted => {
                "The answer could not be read in time.\n"
            }
            _ => "The origin did not give a whole answer.\n",
        }
    }
}
