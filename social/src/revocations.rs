//! What must not be obeyed any more although its signature is right: sessions that have ended,
//! and users who are suspended. In memory, so that every request can ask.
//!
//! A row says it for good. An event tells every node; one that starts, or has missed an event,
//! reads the rows. Nothing older than an access token's life needs to be known.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use media::{ApiTokenId, LoginSessionId, Micros, Timestamp, UserId};
use storage::rows::account_events::AccountEvent;
use storage::rows::login_sessions::EndedSession;
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
    /// How a user stands, and since when.
    users: HashMap<UserId, (Timestamp, Standing)>,
}

/// Whether a user is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    In,
    Suspended,
    /// For good.
    Deleted,
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
                .is_some_and(|(_, standing)| *standing != Standing::In)
    }

    /// Learns what was taken back at `at`, and tells the open sockets. Events may come twice,
    /// and late.
    pub(crate) fn learn(&self, event: &AccountEvent, at: Timestamp, now: Timestamp) {
        self.change(now, |known| known.learn(event, at));
    }

    /// The same of a page of sessions, as the rows have them.
    pub(crate) fn learn_ended(&self, ended: &[EndedSession], now: Timestamp) {
        self.change(now, |known| {
            let ended = ended.iter().map(|ended| (ended.id, ended.ended_at));
            known.sessions.extend(ended);
        });
    }

    /// Takes the rows' word for who is suspended: all who were in the time that is remembered,
    /// read at `read_at` or later. Who is suspended by what was heard before, and is not among
    /// them, is not any more.
    pub(crate) fn replace_suspended(
        &self,
        suspended: &[(Timestamp, UserId)],
        read_at: Timestamp,
        now: Timestamp,
    ) {
        self.change(now, |known| {
            known
                .users
                .retain(|_, (at, standing)| *standing != Standing::Suspended || *at >= read_at);
            for (at, user) in suspended {
                known.stands(*user, *at, Standing::Suspended);
            }
        });
    }

    fn change(&self, now: Timestamp, change: impl FnOnce(&mut Known)) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut known);
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
    fn learn(&mut self, event: &AccountEvent, at: Timestamp) {
        match event {
            AccountEvent::SessionsEnded { sessions, .. } => {
                self.sessions.extend(sessions.iter().map(|id| (*id, at)));
            }
            AccountEvent::Suspended { user } => self.stands(*user, at, Standing::Suspended),
            AccountEvent::Unsuspended { user } => self.stands(*user, at, Standing::In),
            AccountEvent::Deleted { user } => self.stands(*user, at, Standing::Deleted),
            AccountEvent::TokensRevoked { tokens, .. } => {
                self.tokens.extend(tokens.iter().map(|id| (*id, at)));
            }
            // Sessions end with a role.
            AccountEvent::RoleChanged { .. } => {}
        }
    }

    fn stands(&mut self, user: UserId, at: Timestamp, standing: Standing) {
        let known = self.users.entry(user).or_insert((at, standing));
        if known.0 <= at {
            *known = (at, standing);
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

    #[test]
    fn the_rows_have_the_last_word_of_who_is_suspended() {
        let revocations = Revocations::default();
        let (let_in, still_out, gone, later_out) =
            (UserId::new(), UserId::new(), UserId::new(), UserId::new());
        let read_at = NOW + Micros::new(5);
        let is_out = |user: UserId| revocations.is_revoked(&login(user, LoginSessionId::new()));
        let learn = |event: AccountEvent, at| revocations.learn(&event, at, read_at);
        learn(AccountEvent::Suspended { user: let_in }, NOW);
        learn(AccountEvent::Suspended { user: still_out }, NOW);
        learn(AccountEvent::Deleted { user: gone }, NOW);
        learn(AccountEvent::Suspended { user: later_out }, read_at);
        revocations.replace_suspended(&[(NOW, still_out)], read_at, read_at);
        assert!(!is_out(let_in));
        assert!(is_out(still_out) && is_out(gone) && is_out(later_out));
        // What the rows said is older than what was heard meanwhile.
        learn(AccountEvent::Unsuspended { user: still_out }, read_at);
        revocations.replace_suspended(&[(NOW, still_out)], read_at, read_at);
        assert!(!is_out(still_out));
    }
}
