//! What must not be obeyed any more although its signature is right: sessions that have ended,
//! and users who are suspended. In memory, so that every request can ask.
//!
//! A row says it for good. An event tells every node; one that starts, or has missed an event,
//! reads the rows. Nothing older than an access token's life needs to be known.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use media::{ApiTokenId, LoginSessionId, Micros, Timestamp, UserId};
use storage::rows::account_events::AccountEvent;
use tokio::sync::broadcast;

use crate::caller::Identity;

/// How long a revocation is remembered: longer than any access token is good, with room for
/// clocks that differ.
pub(crate) const REMEMBERED: Micros = Micros::from_secs(15 * 60);

/// News that wait for each open socket. One that is further behind has heard all the same that
/// there was something.
const WAITING: usize = 16;

#[derive(Debug, Default)]
struct Known {
    sessions: HashMap<LoginSessionId, Timestamp>,
    tokens: HashMap<ApiTokenId, Timestamp>,
    /// Since when a user is barred, or is not any more.
    users: HashMap<UserId, (Timestamp, bool)>,
}

/// What is revoked, as this node knows it.
#[derive(Debug)]
pub(crate) struct Revocations {
    known: RwLock<Known>,
    news: broadcast::Sender<()>,
}

impl Default for Revocations {
    fn default() -> Self {
        Self {
            known: RwLock::default(),
            news: broadcast::Sender::new(WAITING),
        }
    }
}

impl Revocations {
    /// Whether the session has ended, the token is revoked, or the user is barred.
    pub(crate) fn is_revoked(&self, identity: &Identity) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let (user, is_over) = match identity {
            Identity::Anonymous => return false,
            Identity::Session { user, session, .. } => (user, known.sessions.contains_key(session)),
            Identity::Token { user, token, .. } => (user, known.tokens.contains_key(token)),
        };
        is_over
            || known
                .users
                .get(user)
                .is_some_and(|(_, is_barred)| *is_barred)
    }

    /// Learns what was taken back at `at`, and tells the open sockets. Events may come twice,
    /// and late.
    pub(crate) fn learn(&self, event: &AccountEvent, at: Timestamp, now: Timestamp) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        match event {
            AccountEvent::SessionsEnded { sessions, .. } => {
                known.sessions.extend(sessions.iter().map(|id| (*id, at)));
            }
            AccountEvent::Suspended { user } | AccountEvent::Deleted { user } => {
                known.bar(*user, at, true);
            }
            AccountEvent::Unsuspended { user } => known.bar(*user, at, false),
            AccountEvent::TokensRevoked { tokens, .. } => {
                known.tokens.extend(tokens.iter().map(|id| (*id, at)));
            }
            // Sessions end with a role.
            AccountEvent::RoleChanged { .. } => {}
        }
        known.sessions.retain(|_, at| now - *at <= REMEMBERED);
        known.tokens.retain(|_, at| now - *at <= REMEMBERED);
        known.users.retain(|_, (at, _)| now - *at <= REMEMBERED);
        metrics::gauge!("nova_api_revoked_sessions").set(known.sessions.len() as f64);
        drop(known);
        // Nobody listens when no socket is open.
        let _ = self.news.send(());
    }

    /// Hears that something was revoked; what, [`Revocations::is_revoked`] tells.
    pub(crate) fn news(&self) -> broadcast::Receiver<()> {
        self.news.subscribe()
    }
}

impl Known {
    fn bar(&mut self, user: UserId, at: Timestamp, is_barred: bool) {
        let known = self.users.entry(user).or_insert((at, is_barred));
        if known.0 <= at {
            *known = (at, is_barred);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Role;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn login(user: UserId, session: LoginSessionId) -> Identity {
        Identity::Session {
            user,
            session,
            role: Role::User,
        }
    }

    fn token(user: UserId, token: ApiTokenId) -> Identity {
        Identity::Token {
            user,
            token,
            role: Role::User,
            scopes: [].into(),
        }
    }

    #[test]
    fn what_is_revoked_is_known_until_no_token_of_it_is_good() {
        let revocations = Revocations::default();
        let mut news = revocations.news();
        let (session, user) = (LoginSessionId::new(), UserId::new());
        let (ada, program) = (login(user, session), ApiTokenId::new());
        let ended = AccountEvent::SessionsEnded {
            user,
            sessions: vec![session],
        };
        assert!(!revocations.is_revoked(&ada));
        revocations.learn(&ended, NOW, NOW);
        assert!(revocations.is_revoked(&ada));
        assert!(!revocations.is_revoked(&login(user, LoginSessionId::new())));
        assert!(news.try_recv().is_ok());
        let revoked = AccountEvent::TokensRevoked {
            user,
            tokens: vec![program],
        };
        revocations.learn(&revoked, NOW, NOW);
        assert!(revocations.is_revoked(&token(user, program)));
        let later = NOW + REMEMBERED + Micros::new(1);
        revocations.learn(&AccountEvent::Unsuspended { user }, later, later);
        assert!(!revocations.is_revoked(&ada));
        assert!(!revocations.is_revoked(&token(user, program)));
    }

    #[test]
    fn what_comes_late_changes_nothing_that_came_after() {
        let revocations = Revocations::default();
        let user = UserId::new();
        let ada = login(user, LoginSessionId::new());
        let later = NOW + Micros::new(1);
        let suspended = AccountEvent::Suspended { user };
        revocations.learn(&suspended, NOW, NOW);
        assert!(revocations.is_revoked(&ada));
        revocations.learn(&AccountEvent::Unsuspended { user }, later, later);
        assert!(!revocations.is_revoked(&ada));
        revocations.learn(&suspended, NOW, later);
        assert!(!revocations.is_revoked(&ada));
    }
}
