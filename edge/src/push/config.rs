//! What an operator may set.

use std::time::Duration;

/// How new media are pushed to an edge, and on to the edges in front of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushConfig {
    /// Feeds are followed for viewers here; if not, only for edges that subscribe here.
    pub for_viewers: bool,
    /// Feeds that are followed at one time. What has none is asked for as it would be
    /// without.
    pub max_feeds: usize,
    /// How long a feed is followed after the last request for its rendition.
    pub idle: Duration,
    /// How long a request waits for a feed. Then the upstream is asked.
    pub patience: Duration,
    /// How long an upstream that gives no feed is not asked for one.
    pub rest: Duration,
    /// Feeds that edges in front of this one follow at one time.
    pub max_subscribers: usize,
    /// The same, of one address. To a shield a whole edge is one.
    pub max_subscribers_per_address: usize,
    /// Objects that wait for one subscriber. One that is slower is left, and can ask for what
    /// it has missed.
    pub max_queued: usize,
    /// The same in bytes.
    pub max_queued_bytes: u64,
}

impl Default for PushConfig {
    fn default() -> Self {
        Self {
            for_viewers: true,
            max_feeds: 512,
            idle: Duration::from_secs(10),
            patience: Duration::from_secs(2),
            rest: Duration::from_secs(30),
            max_subscribers: 4_096,
            max_subscribers_per_address: 1_024,
            max_queued: 32,
            max_queued_bytes: 8 << 20,
        }
    }
}
