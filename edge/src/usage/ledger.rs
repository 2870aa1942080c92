//! Usage by subject, until it is drained.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use media::Timestamp;
use metrics::Counter;

use super::session::Session;
use super::subject::{Subject, prefix};
use super::viewers::Viewers;
use crate::server::Receipt;

const MINUTE: i64 = 60_000_000;
const HALF_MINUTE: i64 = MINUTE / 2;
/// Half minutes after which a subject that nobody asks for is forgotten.
const IDLE_HALVES: u64 = 4;

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Requests.
    pub requests: u64,
    /// Requests that were answered with what was stored, fresh or stale.
    pub hits: u64,
    /// Answers that are errors of the server's side (5xx), bodies that broke off, and
    /// requests whose client left before there was an answer.
    pub errors: u64,
    /// Bytes of bodies that clients took.
    pub bytes: u64,
    /// Requests to the origin.
    pub origin_requests: u64,
    /// Bytes of bodies that came from the origin.
    pub origin_bytes: u64,
}

impl Counts {
    /// These and `more`.
    pub fn add(&mut self, more: &Self) {
        let pairs = [
            (&mut self.requests, more.requests),
            (&mut self.hits, more.hits),
            (&mut self.errors, more.errors),
            (&mut self.bytes, more.bytes),
            (&mut self.origin_requests, more.origin_requests),
            (&mut self.origin_bytes, more.origin_bytes),
        ];
        for (sum, more) in pairs {
            *sum = sum.saturating_add(more);
        }
    }
}

/// What was counted for a subject in a minute, since it was drained last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Drained {
    /// When the minute began.
    pub minute: Timestamp,
    /// For what.
    pub subject: Subject,
    /// What has come since the last time.
    pub counts: Counts,
    /// Different sessions of the minute so far.
    pub viewers: u64,
}

/// The account of one subject.
pub(crate) struct Account {
    subject: Subject,
    pub(super) requests: AtomicU64,
    pub(super) hits: AtomicU64,
    pub(super) errors: AtomicU64,
    bytes: AtomicU64,
    /// Of all accounts together.
    sent_bytes: Counter,
    pub(super) origin_requests: AtomicU64,
    pub(super) origin_bytes: AtomicU64,
    viewers: Viewers,
    /// Half minutes since something was counted.
    idle: AtomicU64,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Account").field(&self.subject).finish()
    }
}

impl Account {
    pub(super) fn new(subject: Subject) -> Self {
        Self {
            subject,
            requests: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            sent_bytes: metrics::counter!("nova_edge_sent_bytes_total"),
            origin_requests: AtomicU64::new(0),
            origin_bytes: AtomicU64::new(0),
            viewers: Viewers::default(),
            idle: AtomicU64::new(0),
        }
    }

    pub(super) fn subject(&self) -> &Subject {
        &self.subject
    }

    pub(super) fn saw(&self, session: Session) {
        self.viewers.insert(session);
    }

    fn take(&self) -> Counts {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        Counts {
            requests: take(&self.requests),
            hits: take(&self.hits),
            errors: take(&self.errors),
            bytes: take(&self.bytes),
            origin_requests: take(&self.origin_requests),
            origin_bytes: take(&self.origin_bytes),
        }
    }
}

/// A client takes bytes of a body.
impl Receipt for Account {
    fn taken(&self, bytes: u64) {
        count(&self.bytes, bytes);
        self.sent_bytes.increment(bytes);
    }
}

/// Adds one, or some.
pub(super) fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// Where a request is counted.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Known(Arc<Account>),
    /// It becomes an account of its own once something of it was served: names that nobody
    /// has do not fill the ledger.
    New(Subject),
}

/// The accounts. Looked up without a lock; only a new subject takes one.
#[derive(Debug)]
pub(super) struct Ledger {
    accounts: ArcSwap<Accounts>,
    other: Arc<Account>,
    /// Subjects that are told apart.
    limit: usize,
    /// Held by whoever drains, or changes what accounts there are.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    drained_at: Option<Timestamp>,
    /// Accounts that were forgotten while somebody may just have found them.
    leaving: Vec<Arc<Account>>,
}

/// By the beginning of the path.
type Accounts = HashMap<Box<str>, Arc<Account>>;

impl Ledger {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            accounts: ArcSwap::default(),
            other: Arc::new(Account::new(Subject::Other)),
            limit,
            state: Mutex::default(),
        }
    }

    /// Where a request for `path` is counted.
    pub(super) fn place(&self, path: &str) -> Place {
        let Some(prefix) = prefix(path) else {
            return Place::Known(Arc::clone(&self.other));
        };
        if let Some(account) = self.accounts.load().get(prefix) {
            return Place::Known(Arc::clone(account));
        }
        // Another spelling, or one that is new.
        match Subject::of(path) {
            Subject::Other => Place::Known(Arc::clone(&self.other)),
            subject => match self.accounts.load().get(subject.path().as_str()) {
                Some(account) => Place::Known(Arc::clone(account)),
                None => Place::New(subject),
            },
        }
    }

    /// The account, when it is known whether something of its subject was served.
    pub(super) fn account(&self, place: &Place, was_served: bool) -> Arc<Account> {
        match place {
            Place::Known(account) => Arc::clone(account),
            Place::New(subject) if was_served => self.open(subject),
            Place::New(_) => Arc::clone(&self.other),
        }
    }

    fn open(&self, subject: &Subject) -> Arc<Account> {
        if self.len() >= self.limit {
            metrics::counter!("nova_edge_usage_subjects_refused_total").increment(1);
            return Arc::clone(&self.other);
        }
        let _one_at_a_time = self.lock();
        let accounts = self.accounts.load();
        let path = subject.path();
        if let Some(account) = accounts.get(path.as_str()) {
            return Arc::clone(account);
        }
        let account = Arc::new(Account::new(subject.clone()));
        let mut more = Accounts::clone(&accounts);
        more.insert(path.into(), Arc::clone(&account));
        self.accounts.store(Arc::new(more));
        account
    }

    /// What is counted from now on counts for this time, if nothing was drained before.
    pub(super) fn begin(&self, now: Timestamp) {
        self.lock().drained_at.get_or_insert(now);
    }

    /// Takes what was counted since the last time. It counts for the minute of that time: a
    /// caller that comes at each full minute makes it exact.
    pub(super) fn drain(&self, now: Timestamp) -> Vec<Drained> {
        let mut state = self.lock();
        let last = state.drained_at.replace(now).unwrap_or(now);
        let half = |at: Timestamp| at.as_micros().div_euclid(HALF_MINUTE);
        let is_second_half = half(last).rem_euclid(2) == 1;
        let turns = half(now).saturating_sub(half(last)).clamp(0, 2);
        let minute = Timestamp::from_micros(last.as_micros().div_euclid(MINUTE) * MINUTE);
        let mut drained = Vec::new();
        let accounts = self.accounts.load();
        // Who has one of these in hand may still count: before what was counted is read.
        let in_hand: Vec<bool> = state
            .leaving
            .iter()
            .map(|account| Arc::strong_count(account) > 1)
            .collect();
        let of_all = accounts.values().chain([&self.other]).chain(&state.leaving);
        for account in of_all {
            let counts = account.take();
            let viewers = match is_second_half {
                true => account.viewers.in_both_halves(),
                false => account.viewers.in_this_half(),
            };
            if counts != Counts::default() {
                account.idle.store(0, Ordering::Relaxed);
                drained.push(Drained {
                    minute,
                    subject: account.subject.clone(),
                    counts,
                    viewers,
                });
            }
            for _ in 0..turns {
                account.viewers.turn();
                account.idle.fetch_add(1, Ordering::Relaxed);
            }
        }
        let mut in_hand = in_hand.into_iter();
        state.leaving.retain(|_| in_hand.next().unwrap_or(true));
        let (leaving, kept): (Accounts, Accounts) = accounts
            .iter()
            .map(|(path, account)| (path.clone(), Arc::clone(account)))
            .partition(|(_, account)| account.idle.load(Ordering::Relaxed) >= IDLE_HALVES);
        if !leaving.is_empty() {
            self.accounts.store(Arc::new(kept));
            state.leaving.extend(leaving.into_values());
        }
        drained
    }

    /// Sessions of streams and videos that are there now.
    pub(super) fn viewers(&self) -> u64 {
        let accounts = self.accounts.load();
        let viewers = accounts.values().map(|one| one.viewers.in_both_halves());
        viewers.sum()
    }

    /// Subjects that are told apart now.
    pub(super) fn len(&self) -> usize {
        self.accounts.load().len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What it guards is whole at any time.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::session::Hasher;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000 + seconds * 1_000_000)
    }

    fn serve(ledger: &Ledger, path: &str) {
        let place = ledger.place(path);
        count(&ledger.account(&place, true).requests, 1);
    }

    fn told(drained: &[Drained]) -> Vec<(i64, String, u64, u64)> {
        let mut told: Vec<_> = drained
            .iter()
            .map(|one| {
                let minute = (one.minute - at(0)).as_micros() / MINUTE;
                let subject = one.subject.to_string();
                (minute, subject, one.counts.requests, one.viewers)
            })
            .collect();
        told.sort();
        told
    }

    #[test]
    fn what_comes_between_counts_for_the_minute_it_began_in() {
        let ledger = Ledger::new(10);
        assert_eq!(ledger.drain(at(50)), []);
        serve(&ledger, "/live/a/x");
        serve(&ledger, "/live/%61/x");
        serve(&ledger, "/nothing");
        let first = told(&ledger.drain(at(60)));
        let of_a = (0, "live/a".to_owned(), 2, 0);
        assert_eq!(first, [of_a, (0, "other".to_owned(), 1, 0)]);
        serve(&ledger, "/live/a/x");
        assert_eq!(
            told(&ledger.drain(at(70))),
            [(1, "live/a".to_owned(), 1, 0)]
        );
        assert_eq!(ledger.drain(at(80)), []);
    }

    #[test]
    fn viewers_are_those_of_the_minute_so_far() {
        let (ledger, hasher) = (Ledger::new(10), Hasher::new());
        ledger.drain(at(0));
        let watch = |names: std::ops::Range<u32>| {
            let place = ledger.place("/live/a/x");
            let account = ledger.account(&place, true);
            count(&account.requests, 1);
            for name in names {
                account.saw(hasher.named(&name.to_string()));
            }
        };
        let viewers = |drained: Vec<Drained>| drained[0].viewers;
        watch(0..2);
        assert_eq!(viewers(ledger.drain(at(30))), 2);
        watch(1..4);
        assert_eq!(viewers(ledger.drain(at(50))), 4);
        watch(0..1);
        assert_eq!(viewers(ledger.drain(at(60))), 4);
        assert_eq!(ledger.viewers(), 4);
        watch(7..8);
        assert_eq!(viewers(ledger.drain(at(70))), 1);
        ledger.drain(at(130));
        assert_eq!(ledger.viewers(), 0);
    }

    #[test]
    fn subjects_are_bounded_and_names_of_nothing_are_none() {
        let ledger = Ledger::new(2);
        let missing = ledger.place("/live/missing/x");
        count(&ledger.account(&missing, false).requests, 1);
        assert_eq!(ledger.len(), 0);
        for name in ["a", "b", "c", "a"] {
            serve(&ledger, &format!("/live/{name}/x"));
        }
        let expected = [
            (0, "live/a".to_owned(), 2, 0),
            (0, "live/b".to_owned(), 1, 0),
            (0, "other".to_owned(), 2, 0),
        ];
        assert_eq!(told(&ledger.drain(at(0))), expected);
    }

    #[test]
    fn what_nobody_asks_for_is_forgotten_and_its_last_bytes_count() {
        let ledger = Ledger::new(10);
        ledger.drain(at(0));
        serve(&ledger, "/live/a/x");
        serve(&ledger, "/live/b/x");
        let held = ledger.account(&ledger.place("/live/b/x"), true);
        for half in 1..=6 {
            ledger.drain(at(30 * half));
        }
        assert_eq!(ledger.len(), 0);
        count(&held.bytes, 5);
        drop(held);
        let drained = ledger.drain(at(190));
        assert_eq!((drained.len(), drained[0].counts.bytes), (1, 5));
        assert_eq!(drained[0].minute, at(180));
        assert_eq!(ledger.lock().leaving.len(), 0);
    }
}
