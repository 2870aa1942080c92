//! How often what may be asked: one set of limits for every face.

mod counts;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as GovernorClock, Reference};
use governor::middleware::{StateInformationMiddleware, StateSnapshot};
use governor::{NotUntil, Quota, RateLimiter};
use media::{Clock, UserId};

use counts::BoundedCounts;

use crate::ServiceError;
use crate::caller::Caller;
use crate::settings::Limits;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// Exports an hour by one user: each reads all that there is.
const EXPORTS_PER_HOUR: u32 = 10;

/// Other addresses an hour that one user asks for: each mails somebody who may be a stranger.
const EMAIL_CHANGES_PER_HOUR: u32 = 5;

/// Purges and prewarms an hour by one user who does not administer the installation: each is read
/// by every cache.
const CACHE_ORDERS_PER_HOUR: u32 = 60;

/// So many times what one network may try of an account, all networks together may: whoever
/// tries from fewer does not keep its owner out, and whoever has many still guesses slowly.
const LOGINS_EVERYWHERE: u32 = 10;

/// The most keys that one limit counts by themselves. When there are so many, those are
/// forgotten that have all of their quota again; while none can be, those that come share their
/// counts.
const MAX_KEYS: usize = 100_000;

/// How often a limit that is full looks for keys that it can forget.
const SWEPT_EVERY: Duration = Duration::from_secs(1);

/// Whom a limit counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// One user, from wherever.
    User(UserId),
    /// One client address, or a network of them.
    Address(IpAddr),
    /// One name or address as it was typed, in lower case.
    Text(Box<str>),
    /// The same from one client address, or a network of them.
    TextFrom(Box<str>, IpAddr),
}

impl Key {
    /// Whoever asks: a user from wherever, or the network of somebody.
    pub(crate) fn of(caller: &Caller) -> Self {
        match caller.user() {
            Some(user) => Self::User(user),
            None => Self::Address(caller.network()),
        }
    }

    /// What people type, whether anybody is called so or not.
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_ascii_lowercase().into())
    }

    /// The same from there alone.
    pub(crate) fn text_from(text: &str, network: IpAddr) -> Self {
        Self::TextFrom(text.to_ascii_lowercase().into(), network)
    }
}

/// The service's clock as `governor` reads it.
#[derive(Debug, Clone)]
struct Ticks(Arc<dyn Clock>);

impl GovernorClock for Ticks {
    /// Since the Unix epoch.
    type Instant = Duration;

    fn now(&self) -> Duration {
        let micros = self.0.now().as_micros();
        Duration::from_micros(u64::try_from(micros).unwrap_or_default())
    }
}

type Counts = RateLimiter<Key, BoundedCounts, Ticks, StateInformationMiddleware>;

/// One limit: so many in a window.
#[derive(Debug)]
pub(crate) struct Limit {
    name: &'static str,
    quota: NonZeroU32,
    window: Duration,
    ticks: Ticks,
    counts: Counts,
    /// When it last looked for keys to forget, in seconds since the Unix epoch.
    swept: AtomicU64,
}

impl Limit {
    fn new(name: &'static str, quota: u32, window: Duration, ticks: &Ticks) -> Self {
        let quota = NonZeroU32::new(quota).unwrap_or(NonZeroU32::MIN);
        let refill = (window / quota.get()).max(Duration::from_nanos(1));
        let of_governor = Quota::with_period(refill)
            .unwrap_or_else(|| Quota::per_second(quota))
            .allow_burst(quota);
        let store = BoundedCounts::new(MAX_KEYS);
        let counts = Counts::new(of_governor, store, ticks.clone());
        Self {
            name,
            quota,
            window,
            ticks: ticks.clone(),
            counts,
            swept: AtomicU64::new(0),
        }
    }

    /// How many at once after a silence.
    pub(crate) fn quota(&self) -> u32 {
        self.quota.get()
    }

    /// Whether keys that come share their counts.
    fn is_full(&self) -> bool {
        self.counts.len() >= MAX_KEYS
    }

    /// Forgets whoever has all of the quota again, if there is no room for more.
    fn make_room(&self, now: Duration) {
        let swept = self.swept.load(Ordering::Relaxed);
        let is_due = now.as_secs().abs_diff(swept) >= SWEPT_EVERY.as_secs();
        if !is_due || !self.is_full() {
            return;
        }
        self.swept.store(now.as_secs(), Ordering::Relaxed);
        self.counts.retain_recent();
        if self.is_full() {
            metrics::counter!("nova_api_limit_full_total", "limit" => self.name).increment(1);
        }
    }

    /// Counts one, or refuses it.
    pub(crate) fn take(&self, key: Key, standings: &Standings) -> Result<(), ServiceError> {
        let now = self.ticks.now();
        self.make_room(now);
        let taken = self.counts.check_key(&key);
        let (remaining, refilled) = match &taken {
            Ok(state) => (state.remaining_burst_capacity(), self.refilled(state)),
            Err(not_until) => (0, wait(not_until, now)),
        };
        standings.note(Standing {
            limit: self.name,
            quota: self.quota.get(),
            window: self.window,
            remaining,
            refilled,
        });
        if taken.is_ok() {
            return Ok(());
        }
        metrics::counter!("nova_api_limited_total", "limit" => self.name).increment(1);
        Err(ServiceError::RateLimited {
            limit: self.name,
            after: refilled,
        })
    }

    /// When all of it is there again.
    fn refilled(&self, state: &StateSnapshot) -> Duration {
        let used = self.quota.get() - state.remaining_burst_capacity().min(self.quota.get());
        whole_seconds(self.window / self.quota.get() * used)
    }
}

fn wait(not_until: &NotUntil<Duration>, now: Duration) -> Duration {
    let earliest: Duration = not_until.earliest_possible();
    whole_seconds(earliest.duration_since(now).into()).max(Duration::from_secs(1))
}

/// Rounded up: a client that waits as long as it is told is not refused again.
fn whole_seconds(span: Duration) -> Duration {
    Duration::from_secs(span.as_secs() + u64::from(span.subsec_nanos() > 0))
}

/// How one limit stands after a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its name.
    pub limit: &'static str,
    /// So many
    pub quota: u32,
    /// in so long.
    pub window: Duration,
    /// How many are left.
    pub remaining: u32,
    /// When all are there again; of a request that was refused, when one is.
    pub refilled: Duration,
}

/// How the limits stand that one request was counted by. A face shows them.
#[derive(Debug, Default)]
pub struct Standings(Mutex<Vec<Standing>>);

impl Standings {
    fn note(&self, standing: Standing) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.iter_mut().find(|one| one.limit == standing.limit) {
            Some(one) => *one = standing,
            None => all.push(standing),
        }
    }

    /// All of them.
    pub fn all(&self) -> Vec<Standing> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Every limit there is.
#[derive(Debug)]
pub(crate) struct Limiter {
    pub(crate) requests: Limit,
    pub(crate) writes: Limit,
    pub(crate) posts: Limit,
    pub(crate) edits: Limit,
    pub(crate) chat_messages: Limit,
    pub(crate) viewers: Limit,
    pub(crate) logins_of_account: Limit,
    pub(crate) logins_everywhere: Limit,
    pub(crate) logins_of_address: Limit,
    pub(crate) registrations: Limit,
    pub(crate) resets: Limit,
    pub(crate) mails: Limit,
    pub(crate) email_changes: Limit,
    pub(crate) exports: Limit,
    pub(crate) pictures: Limit,
    pub(crate) cache_orders: Limit,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits, clock: Arc<dyn Clock>) -> Self {
        let ticks = Ticks(clock);
        let limit = |name, quota, window| Limit::new(name, quota, window, &ticks);
        Self {
            requests: limit("requests", limits.requests_per_minute, MINUTE),
            writes: limit("writes", limits.writes_per_minute, MINUTE),
            posts: limit("posts", limits.posts_per_hour, HOUR),
            edits: limit("edits", limits.edits_per_hour, HOUR),
            chat_messages: limit("chat-messages", limits.chat_messages_per_minute, MINUTE),
            viewers: limit("viewers", limits.viewers_per_minute, MINUTE),
            logins_of_account: limit(
                "logins-of-account",
                limits.logins_per_minute_per_account,
                MINUTE,
            ),
            logins_everywhere: limit(
                "logins-everywhere",
                limits
                    .logins_per_minute_per_account
                    .saturating_mul(LOGINS_EVERYWHERE),
                MINUTE,
            ),
            logins_of_address: limit("logins", limits.logins_per_minute_per_address, MINUTE),
            registrations: limit(
                "registrations",
                limits.registrations_per_hour_per_address,
                HOUR,
            ),
            resets: limit("resets", limits.resets_per_hour_per_address, HOUR),
            mails: limit("mails", limits.mails_per_hour_per_recipient, HOUR),
            email_changes: limit("email-changes", EMAIL_CHANGES_PER_HOUR, HOUR),
            exports: limit("exports", EXPORTS_PER_HOUR, HOUR),
            pictures: limit("pictures", limits.pictures_per_hour, HOUR),
            cache_orders: limit("cache-orders", CACHE_ORDERS_PER_HOUR, HOUR),
        }
    }
}

#[cfg(test)]
mod tests {
    use media::{ManualClock, Micros, Timestamp};

    use super::*;

    fn limiter(clock: &Arc<ManualClock>) -> Limiter {
        Limiter::new(&Limits::default(), clock.clone())
    }

    #[test]
    fn so_many_at_once_and_then_one_by_one() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(
            1_800_000_000_000_000,
        )));
        let limiter = limiter(&clock);
        let standings = Standings::default();
        let take = |text: &str| limiter.logins_of_account.take(Key::text(text), &standings);
        for left in (0..10).rev() {
            take("Ada").unwrap();
            assert_eq!(standings.all()[0].remaining, left);
        }
        let Err(ServiceError::RateLimited { after, .. }) = take("ADA") else {
            panic!("the eleventh is refused, however it is spelled");
        };
        assert_eq!(after, Duration::from_secs(6));
        let standing = standings.all()[0].clone();
        assert_eq!((standing.remaining, standing.quota), (0, 10));
        take("grace").unwrap();
        clock.advance(Micros::from(after));
        take("ada").unwrap();
        assert!(take("ada").is_err());
    }

    #[test]
    fn a_full_limit_keeps_nobody_out_who_was_there_and_recovers() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(
            1_800_000_000_000_000,
        )));
        let limiter = limiter(&clock);
        let standings = Standings::default();
        let take = |text: &str| limiter.registrations.take(Key::text(text), &standings);
        take("ada").unwrap();
        // Not so long that she has all of it again.
        clock.advance(Micros::from(MINUTE));
        for stranger in 0..2 * MAX_KEYS {
            // Those beyond share: some are refused.
            let _ = take(&stranger.to_string());
        }
        assert!(limiter.registrations.is_full());
        for _ in 1..5 {
            take("ada").unwrap();
        }
        assert!(take("ada").is_err());
        clock.advance(Micros::from(2 * HOUR));
        take("grace").unwrap();
        assert_eq!(limiter.registrations.counts.len(), 1);
    }
}
