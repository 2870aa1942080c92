//! The feeds of an edge, and how many there may be.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderValue;
use media::Timestamp;

use super::config::PushConfig;
use super::feed::Feed;
use super::held::Awaited;
use super::name::{FeedName, Item};
use crate::budget::Budget;
use crate::key::CacheKey;
use crate::purge::Purges;
use crate::server::key_of;

/// All feeds. Each is here for as long as its task runs.
#[derive(Debug)]
pub(crate) struct Feeds {
    pub(super) config: PushConfig,
    open: Mutex<HashMap<FeedName, Arc<Feed>>>,
    seats: Arc<Seats>,
    /// Of what waits for subscribers.
    pub(super) queued: Arc<Budget>,
}

impl Feeds {
    pub(crate) fn new(config: PushConfig) -> Self {
        Self {
            open: Mutex::default(),
            queued: Budget::new(config.max_queued_bytes_of_all),
            seats: Arc::new(Seats {
                most: config.max_subscribers,
                most_of_address: config.max_subscribers_per_address,
                taken: Mutex::default(),
            }),
            config,
        }
    }

    /// What brings `key`, which is not there yet.
    pub(crate) fn awaits(&self, key: &CacheKey) -> Option<Awaited> {
        let (name, item) = FeedName::of(key.path())?;
        let feed = self.lock().get(&name).cloned()?;
        feed.awaits(item).then(|| Awaited::new(feed, item))
    }

    /// `key` was asked for at `now`, and there is such a thing: its feed is wanted, if it is of
    /// the live edge. Whoever is given a new one must run it.
    pub(super) fn wanted(&self, key: &CacheKey, now: Timestamp) -> Option<Arc<Feed>> {
        let (name, item) = FeedName::of(key.path())?;
        let mut open = self.lock();
        if let Some(feed) = open.get(&name) {
            match item {
                Item::Part(point) | Item::Segment(point) => {
                    feed.interest.touch_by(point.segment, now);
                }
                Item::Playlist if key.is_held() => feed.interest.touch(now),
                Item::Playlist | Item::Init => {}
            }
            return None;
        }
        // Who asks for anything else may watch the past, or look once.
        let is_full = || count(&open, false) >= self.config.max_feeds;
        if !self.config.for_viewers || !key.is_held() || is_full() {
            return None;
        }
        let feed = Arc::new(Feed::new(name.clone(), now, None));
        open.insert(name, Arc::clone(&feed));
        Some(feed)
    }

    /// The feed that a subscriber follows, and whether it is new: then it must be run. None:
    /// there is no room for one. `passed` is the subscriber's `CDN-Loop`.
    pub(super) fn followed(
        &self,
        name: FeedName,
        now: Timestamp,
        passed: impl FnOnce() -> Vec<HeaderValue>,
    ) -> Option<(Arc<Feed>, bool)> {
        let mut open = self.lock();
        if let Some(feed) = open.get(&name) {
            feed.interest.touch(now);
            return Some((Arc::clone(feed), false));
        }
        if count(&open, true) >= self.config.max_feeds_for_edges {
            return None;
        }
        let feed = Arc::new(Feed::new(name.clone(), now, Some(passed())));
        open.insert(name, Arc::clone(&feed));
        Some((feed, true))
    }

    /// What comes of feeds that no purge is about counts as checked. What comes of others is not
    /// stored, and they are asked for anew.
    pub(crate) fn check(&self, purges: &Purges) {
        let open: Vec<_> = self.lock().values().cloned().collect();
        for feed in open {
            if let Some(era) = purges.passes_by(&*feed, feed.checked.era()) {
                feed.checked.raise(era);
            }
        }
    }

    /// Forgets a feed if nobody wants it. Then its task must end.
    pub(super) fn forget_unwanted(&self, feed: &Arc<Feed>, now: Timestamp) -> bool {
        let mut open = self.lock();
        let is_unwanted = feed.is_unwanted(now, &self.config);
        if is_unwanted {
            open.remove(&feed.name);
        }
        is_unwanted
    }

    /// Forgets a feed. Its task ends.
    pub(super) fn forget(&self, feed: &Arc<Feed>) {
        let mut open = self.lock();
        if open
            .get(&feed.name)
            .is_some_and(|known| Arc::ptr_eq(known, feed))
        {
            open.remove(&feed.name);
        }
    }

    /// A place for one more subscriber, at `address`.
    pub(super) fn seat(&self, address: Option<IpAddr>) -> Option<Seat> {
        self.seats.take(address)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FeedName, Arc<Feed>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many have been begun for edges, or for viewers.
fn count(open: &HashMap<FeedName, Arc<Feed>>, for_edges: bool) -> usize {
    let feeds = open.values();
    feeds
        .filter(|feed| feed.passed.is_some() == for_edges)
        .count()
}

/// The places of subscribers.
#[derive(Debug)]
struct Seats {
    most: usize,
    most_of_address: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// As connections count them: a site of IPv6 is one.
    by_address: HashMap<IpAddr, usize>,
}

impl Seats {
    fn take(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Seat> {
        let address = address.map(key_of);
        let mut taken = self.lock();
        if taken.all >= self.most {
            return None;
        }
        if let Some(address) = address {
            let of_address = taken.by_address.get(&address).copied().unwrap_or(0);
            if of_address >= self.most_of_address {
                return None;
            }
            taken.by_address.insert(address, of_address + 1);
        }
        taken.all += 1;
        metrics::gauge!("nova_edge_push_subscribers").increment(1.0);
        Some(Seat {
            seats: Arc::clone(self),
            address,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A subscriber's place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    address: Option<IpAddr>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        taken.all = taken.all.saturating_sub(1);
        if let Some(address) = self.address
            && let Some(of_address) = taken.by_address.get_mut(&address)
        {
            *of_address = of_address.saturating_sub(1);
            if *of_address == 0 {
                taken.by_address.remove(&address);
            }
        }
        metrics::gauge!("nova_edge_push_subscribers").decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_takes_no_more_places_than_one_address() {
        let feeds = Feeds::new(PushConfig {
            max_subscribers_per_address: 2,
            ..PushConfig::default()
        });
        let seat = |address: &str| feeds.seat(Some(address.parse().unwrap()));
        let first = seat("2001:db8:1:2::1").unwrap();
        let _second = seat("2001:db8:1:2:3::9").unwrap();
        assert!(seat("2001:db8:1:2::7").is_none());
        let _other = seat("2001:db8:1:3::1").unwrap();
        let _mapped = ["::ffff:192.0.2.1", "192.0.2.1"].map(|address| seat(address).unwrap());
        assert!(seat("192.0.2.1").is_none());
        drop(first);
        assert!(seat("2001:db8:1:2::7").is_some());
    }
}
