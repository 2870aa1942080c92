//! What an operator may set.

use std::time::Duration;

/// How new media are pushed to an edge, and on to the edges in front of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushConfig {
    /// Feeds are followed for viewers here; if not, only for edges that subscribe here.
    pub for_viewers: bool,
    /// Edges may subscribe here. Where none has a reason to, whoever says to be one would make
    /// this one follow what nobody watches.
    pub for_edges: bool,
    /// Feeds that are followed for viewers at one time. What has none is asked for as it would
    /// be without.
    pub max_feeds: usize,
    /// Feeds that are followed at one time because an edge has subscribed, and no viewer is
    /// here.
    pub max_feeds_for_edges: usize,
    /// How long a feed is followed after the last request for its rendition.
    pub idle: Duration,
    /// How long a request waits for a feed. Then the upstream is asked.
    pub patience: Duration,
    /// How long a subscriber waits for its feed to be had from the upstream.
    pub subscriber_patience: Duration,
    /// How long an upstream that gives no feed is not asked for one.
    pub rest: Duration,
    /// Feeds that edges in front of this one follow at one time.
    pub max_subscribers: usize,
    /// The same, of one address, or of one /64 of IPv6. To a shield a whole edge is one.
    pub max_subscribers_per_address: usize,
    /// Objects that wait for one subscriber. One that is slower is left, and can ask for what
    /// it has missed.
    pub max_queued: usize,
    /// The same in bytes. One object may wait, whatever its size.
    pub max_queued_bytes: u64,
    /// Bytes of what waits for subscribers, all together. What waits for several counts once.
    pub max_queued_bytes_of_all: u64,
}

impl Default for PushConfig {
    fn default() -> Self {
        Self {
            for_viewers: true,
            for_edges: true,
            max_feeds: 512,
            max_feeds_for_edges: 512,
            idle: Duration::from_secs(10),
            patience: Duration::from_secs(2),
            subscriber_patience: Duration::from_secs(2),
            rest: Duration::from_secs(30),
            max_subscribers: 4_096,
            max_subscribers_per_address: 1_024,
            max_queued: 32,
            max_queued_bytes: 8 << 20,
            max_queued_bytes_of_all: 256 << 20,
        }
    }
}
