//! What is answered without asking the origin.

use http::StatusCode;

use crate::key::KeyError;

/// Why a request is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Not GET, HEAD or OPTIONS, of media.
    Method,
    /// CONNECT or TRACE.
    NotImplemented,
    /// The request has a body.
    RequestBody,
    /// The target has no cache key.
    Target(KeyError),
    /// As many fills run as may.
    TooManyFills,
    /// As many fills of what the origin may hold back run as may.
    TooManyHeldFills,
    /// As many fills that serve one request only run as may.
    TooManyPrivateFills,
    /// As many requests wait for a head as may.
    TooManyWaiting,
    /// As many requests for what the origin may hold back wait as may.
    TooManyHeld,
    /// The request wants nothing but what is stored, and nothing is.
    OnlyIfCached,
    /// The request was here before, or has passed too many caches (RFC 8586).
    Loop,
    /// There is no such feed, or not for who asks.
    NoFeed,
    /// As many feeds are followed as may be, here or by whoever asks.
    TooManyFeeds,
    /// The feed is not to be had at the moment.
    FeedEnded,
    /// The edge is shutting down.
    ShuttingDown,
}

impl Refusal {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::RequestBody => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Target(KeyError::TooLong) => StatusCode::URI_TOO_LONG,
            Self::Target(_) => StatusCode::BAD_REQUEST,
            // RFC 9111 5.2.1.7.
            Self::OnlyIfCached => StatusCode::GATEWAY_TIMEOUT,
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::NoFeed => StatusCode::NOT_FOUND,
            Self::TooManyFills
            | Self::TooManyHeldFills
            | Self::TooManyPrivateFills
            | Self::TooManyWaiting
            | Self::TooManyHeld
            | Self::TooManyFeeds
            | Self::FeedEnded
            | Self::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The token in `Cache-Status`.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::NotImplemented => "not-implemented",
            Self::RequestBody => "request-body",
            Self::Target(error) => error.reason(),
            Self::TooManyFills => "too-many-fills",
            Self::TooManyHeldFills => "too-many-held-fills",
            Self::TooManyPrivateFills => "too-many-private-fills",
            Self::TooManyWaiting => "too-many-waiting",
            Self::TooManyHeld => "too-many-held",
            Self::OnlyIfCached => "only-if-cached",
            Self::Loop => "loop",
            Self::NoFeed => "no-feed",
            Self::TooManyFeeds => "too-many-feeds",
            Self::FeedEnded => "feed-ended",
            Self::ShuttingDown => "shutting-down",
        }
    }

    /// One sentence for the client.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Method => "Only GET, HEAD and OPTIONS are answered here.\n",
            Self::NotImplemented => "This method is not passed on here.\n",
            Self::RequestBody => "A request to this cache has no body.\n",
            Self::Target(KeyError::TooLong) => "The path is too long.\n",
            Self::Target(_) => "The request target is not valid.\n",
            Self::TooManyFills
            | Self::TooManyHeldFills
            | Self::TooManyPrivateFills
            | Self::TooManyWaiting
            | Self::TooManyHeld
            | Self::TooManyFeeds
            | Self::FeedEnded => "This edge is busy; try again in a second.\n",
            Self::OnlyIfCached => "Nothing is stored that answers this.\n",
            Self::NoFeed => "There is no such feed here.\n",
            Self::Loop => "Caches ask each other in a circle for this.\n",
            Self::ShuttingDown => "This edge is shutting down.\n",
        }
    }
}
