//! Tokens for playback that open nothing any more although they have not expired: of who is
//! suspended, has logged out, or may not see a stream any more.
//!
//! `follower` tells what it is.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use edge::access::{Judge, SessionName};
use media::{Micros, Timestamp, UserId};
use storage::rows::account_events::AccountEvent;
use storage::rows::playback_bars::{Bar, TOKEN_AT_MOST};

use super::viewing::{self, Named, Shown};

/// Bars of one kind that are remembered. If there are more, all tokens from before are barred: who
/// may play gets another.
const MOST: usize = 250_000;

/// Tokens that were signed so long after a bar are barred too: clocks of nodes differ, and whoever
/// signed one may have read the rows before the bar was committed. Who may play asks again.
const CLOCK_SKEW: Micros = Micros::from_secs(5);

/// What is barred, as this edge knows it. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Bars(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    known: RwLock<Known>,
    /// Spares requests the lock while nothing is barred.
    any: AtomicBool,
}

/// Each until no token of theirs can be good. Tokens that were signed until [`CLOCK_SKEW`] after that
/// time are barred.
#[derive(Debug, Default)]
pub(super) struct Known {
    viewers: HashMap<UserId, Timestamp>,
    owners: HashMap<UserId, Timestamp>,
    /// Of an owner's streams, for a viewer.
    pairs: HashMap<(UserId, UserId), Timestamp>,
    /// Login sessions and API tokens, for good.
    shown: HashMap<Shown, Timestamp>,
    /// Everybody.
    all: Option<Timestamp>,
}

impl Known {
    fn bars(&self, named: &Named) -> bool {
        let is_until =
            |until: Option<&Timestamp>| until.is_some_and(|until| named.at <= *until + CLOCK_SKEW);
        let viewer = named.viewer;
        is_until(self.all.as_ref())
            || is_until(self.owners.get(&named.owner))
            || self.shown.contains_key(&named.shown)
            || viewer.is_some_and(|viewer| {
                is_until(self.viewers.get(&viewer))
                    || is_until(self.pairs.get(&(named.owner, viewer)))
            })
    }

    pub(super) fn learn_event(&mut self, event: &AccountEvent, at: Timestamp) {
        match event {
            AccountEvent::Suspended { user } | AccountEvent::Deleted { user } => {
                self.learn_suspended(*user, at);
            }
            AccountEvent::SessionsEnded { sessions, .. } => {
                for session in sessions {
                    self.learn_ended(viewing::half(session.as_uuid()), at);
                }
            }
            AccountEvent::TokensRevoked { tokens, .. } => {
                for token in tokens {
                    self.learn_ended(viewing::half(token.as_uuid()), at);
                }
            }
            AccountEvent::Unsuspended { .. } | AccountEvent::RoleChanged { .. } => {}
        }
    }

    /// Suspended at `at`: neither do they play, nor is anything of theirs played.
    pub(super) fn learn_suspended(&mut self, user: UserId, at: Timestamp) {
        later(&mut self.viewers, user, at);
        later(&mut self.owners, user, at);
    }

    /// A login session or an API token has ended.
    pub(super) fn learn_ended(&mut self, shown: Shown, at: Timestamp) {
        later(&mut self.shown, shown, at);
    }

    pub(super) fn learn_bar(&mut self, bar: &Bar) {
        match bar.viewer {
            None => later(&mut self.owners, bar.owner, bar.at),
            Some(viewer) => later(&mut self.pairs, (bar.owner, viewer), bar.at),
        }
    }

    /// Forgets what no token is left of, and stays within its bounds.
    fn settle(&mut self, now: Timestamp) {
        settle(&mut self.viewers, &mut self.all, now);
        settle(&mut self.owners, &mut self.all, now);
        settle(&mut self.pairs, &mut self.all, now);
        settle(&mut self.shown, &mut self.all, now);
        self.all = self.all.filter(|at| now - *at <= TOKEN_AT_MOST);
    }
}

fn later<K: Hash + Eq>(bars: &mut HashMap<K, Timestamp>, key: K, at: Timestamp) {
    let until = bars.entry(key).or_insert(at);
    *until = at.max(*until);
}

fn settle<K>(bars: &mut HashMap<K, Timestamp>, all: &mut Option<Timestamp>, now: Timestamp) {
    if bars.len() <= MOST {
        // Looked through when it may be worth it, not with every event.
        return;
    }
    bars.retain(|_, at| now - *at <= TOKEN_AT_MOST);
    if bars.len() > MOST {
        tracing::warn!(
            most = MOST,
            "so much is barred that all tokens for playback are"
        );
        bars.clear();
        *all = Some(now);
    }
}

impl Judge for Bars {
    fn is_revoked(&self, session: &SessionName) -> bool {
        self.0.any.load(Ordering::Acquire)
            && viewing::read(session).is_some_and(|named| {
                let known = self.0.known.read();
                known.unwrap_or_else(PoisonError::into_inner).bars(&named)
            })
    }
}

impl Bars {
    pub(super) fn learn(&self, now: Timestamp, learn: impl FnOnce(&mut Known)) {
        let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
        learn(&mut known);
        known.settle(now);
        self.0.any.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use media::LoginSessionId;
    use social::streams::Viewing;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
    const BEFORE: Timestamp = Timestamp::from_micros(1_799_999_999_000_000);
    /// While somebody may still have read the rows as they were.
    const JUST_AFTER: Timestamp = Timestamp::from_micros(1_800_000_005_000_000);
    const AFTER: Timestamp = Timestamp::from_micros(1_800_000_006_000_000);

    struct Who {
        owner: UserId,
        viewer: UserId,
        login: LoginSessionId,
    }

    impl Who {
        fn new() -> Self {
            Self {
                owner: UserId::new(),
                viewer: UserId::new(),
                login: LoginSessionId::new(),
            }
        }

        fn is_out(&self, bars: &Bars, at: Timestamp) -> bool {
            bars.is_revoked(&viewing::name(&Viewing {
                owner: self.owner,
                viewer: Some(self.viewer),
                shown: Some(self.login.as_uuid()),
                at,
            }))
        }
    }

    #[test]
    fn s05_what_is_barred_opens_nothing_until_another_token_is_signed() {
        for bar in [
            |known: &mut Known, who: &Who| {
                let user = who.viewer;
                known.learn_event(&AccountEvent::Suspended { user }, NOW);
            },
            |known: &mut Known, who: &Who| {
                let user = who.owner;
                known.learn_event(&AccountEvent::Deleted { user }, NOW);
            },
            |known: &mut Known, who: &Who| {
                known.learn_bar(&Bar {
                    owner: who.owner,
                    viewer: Some(who.viewer),
                    at: NOW,
                });
            },
            |known: &mut Known, who: &Who| {
                known.learn_bar(&Bar {
                    owner: who.owner,
                    viewer: None,
                    at: NOW,
                });
            },
        ] {
            let (bars, who, other) = (Bars::default(), Who::new(), Who::new());
            assert!(!who.is_out(&bars, BEFORE));
            bars.learn(NOW, |known| bar(known, &who));
            assert!(who.is_out(&bars, BEFORE) && who.is_out(&bars, NOW));
            assert!(who.is_out(&bars, JUST_AFTER));
            assert!(!who.is_out(&bars, AFTER) && !other.is_out(&bars, BEFORE));
        }
    }

    #[test]
    fn s05_a_login_that_has_ended_opens_nothing_for_good() {
        let (bars, who) = (Bars::default(), Who::new());
        let ended = AccountEvent::SessionsEnded {
            user: who.viewer,
            sessions: vec![who.login],
        };
        bars.learn(NOW, |known| known.learn_event(&ended, NOW));
        assert!(who.is_out(&bars, BEFORE) && who.is_out(&bars, AFTER));
        let again = Who {
            login: LoginSessionId::new(),
            ..who
        };
        assert!(!again.is_out(&bars, BEFORE));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_nothing_is_let_in_for_it() {
        let mut bars: HashMap<usize, Timestamp> = (0..=MOST).map(|key| (key, NOW)).collect();
        let mut all = None;
        settle(&mut bars, &mut all, NOW);
        assert_eq!((bars.len(), all), (0, Some(NOW)));
        let old = NOW - TOKEN_AT_MOST - Micros::new(1);
        let mut bars: HashMap<usize, Timestamp> = (0..=MOST).map(|key| (key, old)).collect();
        let mut all = None;
        settle(&mut bars, &mut all, NOW);
        assert_eq!((bars.len(), all), (0, None));
    }
}
