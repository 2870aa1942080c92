//! What an operator may set.

use std::time::Duration;

use crate::node::NodeId;
use crate::push::PushConfig;

/// What is behind an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OriginKind {
    /// Nova's own: media that are the same for everybody. A name has one spelling, nothing
    /// of a client but what is in the key reaches the origin, only GET, HEAD and OPTIONS
    /// are answered, CORS is answered here, and the wishes of a request
    /// (`Cache-Control`) bring no load to the origin.
    Media,
    /// Any HTTP origin: RFC 9111 to the letter. Fields and bodies of requests are
    /// forwarded, and so is every method but CONNECT and TRACE.
    General,
}

/// Limits and timeouts of an [`Edge`](crate::Edge).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeConfig {
    /// What is behind it.
    pub origin: OriginKind,
    /// Its name in `CDN-Loop`, which no other edge on a request's way has (RFC 8586).
    pub node: NodeId,
    /// Bytes of answers kept in memory: keys, headers and bodies.
    pub memory_bytes: u64,
    /// Bytes of the largest answer that is stored, with 64 for each piece it came in. A
    /// larger one is streamed through a window that follows its fastest reader.
    pub max_object_bytes: u64,
    /// Answers kept for one key, where `Vary` tells them apart. The newest are kept, and no
    /// more than a quarter of `memory_bytes`.
    pub max_variants: usize,
    /// Fills at one time, over all keys that the origin answers at once.
    pub max_fills: usize,
    /// Fills at one time of what the origin may hold back: playlists with `_HLS_msn`, and
    /// parts. They last by design, so that they have a limit apart and cannot use up the
    /// fills of segments. As many as the origin holds.
    pub max_held_fills: usize,
    /// Fills at one time that serve one request only: with `Authorization`, with another
    /// method than GET, or after an answer that was not for others.
    pub max_private_fills: usize,
    /// Bytes that running fills may hold together. A fill that finds no room goes on
    /// through a window and is not stored.
    pub fill_memory_bytes: u64,
    /// Bytes of the window of a fill that is known to be too large from its head on.
    pub pass_window_bytes: u64,
    /// Requests that wait for the head of an answer at one time.
    pub max_waiting: usize,
    /// Requests for playlists with `_HLS_msn` and for parts that wait at one time. They
    /// wait by design, so they have a limit apart and cannot use up the other.
    pub max_held: usize,
    /// From the start of a fill to the origin's head, whichever upstream it is. Must exceed
    /// three target durations, for so long the origin may hold a request (RFC 8216bis
    /// 6.2.5.2), or 12 s where nothing has begun yet; else what comes in time for the origin
    /// is a 504 here.
    pub head_timeout: Duration,
    /// Longest silence of the origin between two pieces of a body.
    pub body_timeout: Duration,
    /// Longest time in which no reader of a windowed fill takes anything.
    pub reader_timeout: Duration,
    /// How long past its lifetime an answer may be served while the origin fails
    /// (RFC 5861 4). What the origin forbids (RFC 9111 4.2.4) stays forbidden.
    pub stale_if_error: Duration,
    /// How long a request for media waits for the origin before it takes a stale answer.
    pub stale_wait: Duration,
    /// How new media are pushed here, and on to other edges; None: they are not. Of media only.
    pub push: Option<PushConfig>,
    /// How long [`Edge::shutdown`](crate::Edge::shutdown) lets bodies run on.
    pub shutdown_grace: Duration,
}

impl EdgeConfig {
    /// The defaults in front of any HTTP origin.
    pub fn general() -> Self {
        Self {
            origin: OriginKind::General,
            max_private_fills: 1_024,
            ..Self::default()
        }
    }
}

impl Default for EdgeConfig {
    fn default() -> Self {
        Self {
            origin: OriginKind::Media,
            node: NodeId::random(),
            memory_bytes: 256 << 20,
            max_object_bytes: 32 << 20,
            max_variants: 16,
            max_fills: 1_024,
            max_held_fills: 4_096,
            max_private_fills: 64,
            fill_memory_bytes: 256 << 20,
            pass_window_bytes: 256 << 10,
            max_waiting: 20_000,
            max_held: 50_000,
            head_timeout: Duration::from_secs(15),
            body_timeout: Duration::from_secs(10),
            reader_timeout: Duration::from_secs(30),
            stale_if_error: Duration::from_secs(6),
            stale_wait: Duration::from_secs(2),
            push: None,
            shutdown_grace: Duration::from_secs(3),
        }
    }
}
