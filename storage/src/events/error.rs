//! What can go wrong on a bus.

use super::{MAX_PAYLOAD_BYTES, PUBLISH_PATIENCE, Subject};

/// Why a bus did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// The payload is larger than [`MAX_PAYLOAD_BYTES`], or than what the server takes.
    #[error(
        "event payload of {size} bytes is too large: {MAX_PAYLOAD_BYTES} bytes at most, and no more than the events server takes"
    )]
    PayloadTooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// Nobody subscribes to what was asked.
    #[error("nobody answers requests to {0}")]
    NoResponders(Subject),
    /// No answer came in time.
    #[error("no answer came before the deadline")]
    DeadlineExceeded,
    /// The server is not connected now; the bus goes on trying.
    #[error("the events server is not connected")]
    Disconnected,
    /// The server is connected, and did not take what is sent for [`PUBLISH_PATIENCE`].
    #[error("the events server has not taken what was sent for {PUBLISH_PATIENCE:?}")]
    Stalled,
    /// The connection was lost since the checkpoint.
    #[error("the connection to the events server was lost: what was published may be missing")]
    Unconfirmed,
    /// The bus has ended.
    #[error("the events bus is closed")]
    Closed,
}

/// What a subscription has instead of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecvError {
    /// The subscriber was too slow: as many messages were lost, before the next one.
    #[error("{0} events were lost: they came faster than they were received")]
    Lagged(u64),
    /// Nobody knows how many messages were lost: the connection was lost and is back, or
    /// the server sent faster than this process read. Messages from before the gap may
    /// still come.
    #[error("events may be missing: the connection to the events server was interrupted")]
    Interrupted,
    /// The bus has ended: no message will come.
    #[error("the events bus is closed")]
    Closed,
}

/// Why a bus could not be opened. Without credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The URL names no bus.
    #[error(
        "the events URL is not valid ({why}): expected local: or nats://[USER:PASSWORD@|TOKEN@]HOST[:PORT][,HOST[:PORT]...], with tls:// for TLS"
    )]
    InvalidUrl {
        /// What is wrong with it. Not the URL: which part is a secret, a wrong one hides.
        why: &'static str,
    },
    /// No server answered.
    #[error(
        "no events server answers at {url} ({why}): start nats-server there, correct events.url, or set it to local: if this is the only process"
    )]
    Unreachable {
        /// The URL, credentials hidden.
        url: String,
        /// What the last attempt met, on one line.
        why: String,
    },
    /// The server does not let us in.
    #[error(
        "the events server at {url} refuses these credentials: correct the user and password, or the token, in events.url"
    )]
    Unauthorized {
        /// The URL, credentials hidden.
        url: String,
    },
    /// The server takes less than an event may have.
    #[error(
        "the events server at {url} takes messages of {limit} bytes only: set its max_payload to {needed} or more"
    )]
    PayloadLimit {
        /// The URL, credentials hidden.
        url: String,
        /// What it takes, in bytes.
        limit: usize,
        /// What it has to take, in bytes.
        needed: usize,
    },
}
