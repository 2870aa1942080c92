//! One feed: how far it is, and who follows it here.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use media::feed::ObjectHead;
use media::{Micros, Timestamp};
use tokio::sync::watch;

use super::config::PushConfig;
use super::feeds::{Feeds, Seat};
use super::interest::Interest;
use super::name::{FeedName, Item, Point};
use super::subscriber::{Handed, Outlet, Pushed, Subscriber, pair};
use crate::budget::Reservation;
use crate::purge::{Group, Stamp, tags_of};

/// Tags of a rendition's media. Of one with more it is not known which it has.
const MAX_TAGS: usize = 64;

/// A rendition whose new media are pushed here.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(super) name: FeedName,
    pub(super) interest: Arc<Interest>,
    /// Of the subscriber that it was begun for: `CDN-Loop`. None of one for viewers.
    pub(super) passed: Option<Vec<HeaderValue>>,
    /// Up to when what comes has been checked against purges; at first when it was asked for.
    pub(super) checked: Stamp,
    /// Those that what has come had.
    tags: Mutex<BTreeSet<Box<str>>>,
    /// The caches that it comes through, as its answer told: `CDN-Loop`.
    chain: Mutex<Vec<HeaderValue>>,
    progress: watch::Sender<Progress>,
    outlets: Mutex<Vec<Outlet>>,
    /// The first that the upstream had, and the feed had not brought.
    suspicion: Mutex<Option<Point>>,
}

/// How far a feed is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) phase: Phase,
    /// What comes next, once something has come.
    pub(super) next: Option<Point>,
    /// It has not brought in time what was waited for, nor anything since.
    pub(super) is_late: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is being asked for.
    Asked,
    /// What is published comes.
    Live,
    /// It is not asked for, since the upstream gives none.
    Refused,
    /// It has ended, and is asked for again in a moment.
    Ended,
}

impl Progress {
    /// Is it worth while to wait for this?
    pub(super) fn awaits(self, item: Item) -> bool {
        !self.is_late && self.brings(item)
    }

    /// Will this come of it?
    fn brings(self, item: Item) -> bool {
        self.phase == Phase::Live && self.next.is_some_and(|next| next.is_before(item))
    }
}

impl Feed {
    pub(super) fn new(name: FeedName, now: Timestamp, passed: Option<Vec<HeaderValue>>) -> Self {
        Self {
            name,
            interest: Arc::new(Interest::new(now)),
            passed,
            checked: Stamp::default(),
            tags: Mutex::default(),
            chain: Mutex::default(),
            progress: watch::Sender::new(Progress {
                phase: Phase::Asked,
                next: None,
                is_late: false,
            }),
            outlets: Mutex::default(),
            suspicion: Mutex::default(),
        }
    }

    pub(super) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    pub(super) fn awaits(&self, item: Item) -> bool {
        self.progress.borrow().awaits(item)
    }

    /// It is asked for, or what it is asked for is answered.
    pub(super) fn enters(&self, phase: Phase) {
        self.progress.send_modify(|progress| progress.phase = phase);
    }

    /// `item` has come, or would have, were it stored.
    pub(super) fn came(&self, item: Item) {
        self.progress.send_modify(|progress| {
            progress.is_late = false;
            if let Some(point) = item.point() {
                let next = point.next();
                progress.next = Some(next);
                self.interest.reaches(next.segment);
            }
        });
    }

    /// `item` was waited for since `next` came next, and has not come. Is it late, so that
    /// nothing is waited for until something comes? What is farther ahead than the segment in the
    /// making, and a segment, may take longer than anybody waits; so may a part, if there are
    /// others before it.
    pub(super) fn falls_behind(&self, item: Item, next: Option<Point>) -> bool {
        let mut is_late = false;
        self.progress.send_if_modified(|progress| {
            is_late = progress.next == next && next.is_some_and(|next| next.is_of_segment(item));
            is_late && !std::mem::replace(&mut progress.is_late, true)
        });
        is_late
    }

    /// What has come has these fields.
    pub(super) fn notes_tags(&self, headers: &HeaderMap) {
        let mut known = lock(&self.tags);
        for tag in tags_of(headers) {
            if known.len() <= MAX_TAGS && !known.contains(tag) {
                known.insert(tag.into());
            }
        }
    }

    /// Its answer has come, through these caches.
    pub(super) fn comes_through(&self, chain: Vec<HeaderValue>) {
        *lock(&self.chain) = chain;
    }

    /// The caches that it comes through, but this one.
    pub(super) fn chain(&self) -> Vec<HeaderValue> {
        lock(&self.chain).clone()
    }

    /// Nothing comes any more: who follows it here is left, and who waits for it goes on.
    pub(super) fn ends(&self, phase: Phase) {
        *lock(&self.suspicion) = None;
        let mut outlets = lock(&self.outlets);
        outlets.clear();
        self.progress.send_replace(Progress {
            phase,
            next: None,
            is_late: false,
        });
    }

    /// Hands on what has come. `room` is none yet, and of what all subscribers share.
    pub(super) fn hand_on(
        &self,
        head: &ObjectHead,
        chunks: &Arc<[Bytes]>,
        joined: Option<u32>,
        room: Reservation,
    ) {
        let mut outlets = lock(&self.outlets);
        if outlets.is_empty() {
            return;
        }
        match Pushed::new(head, Arc::clone(chunks), joined, room).map(Arc::new) {
            Ok(pushed) => outlets.retain_mut(|outlet| match outlet.send(&pushed) {
                Handed::Taken => true,
                Handed::Left | Handed::NotForIt => false,
                Handed::TooSlow => {
                    metrics::counter!("nova_edge_push_dropped_total").increment(1);
                    tracing::warn!(feed = %self.name, "a subscriber is too slow for its feed, which ends");
                    false
                }
            }),
            // It was read as this is written, so that the limits are the same.
            Err(error) => {
                tracing::error!(feed = %self.name, %error, "an object cannot be handed on");
                outlets.clear();
            }
        }
    }

    /// One more that follows it here from now on. None if it is not live.
    /// `is_public`: it may have what is for everybody.
    pub(super) fn subscribe(
        &self,
        seat: Seat,
        config: &PushConfig,
        is_public: bool,
    ) -> Option<Subscriber> {
        let mut outlets = lock(&self.outlets);
        // Under the lock: `ends` empties it under the same.
        if self.progress.borrow().phase != Phase::Live {
            return None;
        }
        let (outlet, subscriber) =
            pair(seat, config.max_queued, config.max_queued_bytes, is_public);
        outlets.push(outlet);
        Some(subscriber)
    }

    /// Has nobody asked for its rendition lately, and does nobody follow it here?
    pub(super) fn is_unwanted(&self, now: Timestamp, config: &PushConfig) -> bool {
        let mut outlets = lock(&self.outlets);
        outlets.retain(|outlet| !outlet.is_closed());
        outlets.is_empty() && self.interest.is_over(now, Micros::from(config.idle))
    }

    /// The upstream had `item`, and it has not come.
    pub(super) fn suspect(&self, item: Item) {
        let progress = *self.progress.borrow();
        if let Some(point) = item.point().filter(|_| progress.brings(item)) {
            let mut suspicion = lock(&self.suspicion);
            suspicion.take_if(|known| progress.next.is_none_or(|next| next > *known));
            suspicion.get_or_insert(point);
        }
    }

    /// What it is suspected to be late with, still.
    pub(super) fn late_with(&self) -> Option<Point> {
        let mut suspicion = lock(&self.suspicion);
        let next = self.progress.borrow().next;
        suspicion.take_if(|point| next.is_none_or(|next| next > *point));
        *suspicion
    }
}

/// A feed is among the others, and may bring something, for as long as this lives, whatever
/// becomes of its task.
#[derive(Debug)]
pub(super) struct Following<'a> {
    feed: &'a Arc<Feed>,
    feeds: &'a Feeds,
    /// What becomes of it.
    phase: Phase,
}

impl<'a> Following<'a> {
    pub(super) fn new(feed: &'a Arc<Feed>, feeds: &'a Feeds) -> Self {
        Self {
            feed,
            feeds,
            phase: Phase::Ended,
        }
    }

    /// It is not followed any more.
    pub(super) fn ends(mut self, phase: Phase) {
        self.phase = phase;
    }
}

impl Drop for Following<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(feed = %self.feed.name, "a feed was lost");
        }
        self.feeds.forget(self.feed);
        self.feed.ends(self.phase);
    }
}

/// What may still come of it.
impl Group for Feed {
    fn may_have(&self, path: &str) -> bool {
        let Some((name, item)) = FeedName::of(path) else {
            return false;
        };
        let next = self.progress.borrow().next;
        name == self.name
            && match item.point() {
                Some(point) => next.is_none_or(|next| next <= point),
                None => item == Item::Init,
            }
    }

    fn may_have_below(&self, prefix: &str) -> bool {
        self.name.may_begin_with(prefix)
    }

    fn may_be_tagged(&self, tag: &str) -> bool {
        let tags = lock(&self.tags);
        tags.is_empty() || tags.len() > MAX_TAGS || tags.contains(tag)
    }
}

/// No code panics while it holds one of the locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
