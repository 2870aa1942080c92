//! Sessions that were ended before their tokens have expired.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use media::Timestamp;

use super::claims::SessionName;

/// There is no room for another revoked session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{most} sessions are revoked, and no more can be; replace the signing key instead")]
pub struct TooManyRevoked {
    most: usize,
}

/// Each until the last of its tokens has expired.
pub(super) struct Revoked {
    sessions: RwLock<HashMap<SessionName, Timestamp>>,
    /// Spares requests the lock while nothing is revoked.
    any: AtomicBool,
    most: usize,
}

impl Revoked {
    pub(super) fn new(most: usize) -> Self {
        Self {
            sessions: RwLock::default(),
            any: AtomicBool::new(false),
            most,
        }
    }

    pub(super) fn add(
        &self,
        now: Timestamp,
        session: SessionName,
        until: Timestamp,
    ) -> Result<(), TooManyRevoked> {
        let mut sessions = self
            .sessions
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= self.most {
            sessions.retain(|_, until| *until > now);
        }
        if sessions.len() >= self.most && !sessions.contains_key(&session) {
            return Err(TooManyRevoked { most: self.most });
        }
        let end = sessions.entry(session).or_insert(until);
        *end = until.max(*end);
        self.any.store(true, Ordering::Release);
        Ok(())
    }

    /// Is `session` revoked at `now`?
    pub(super) fn contains(&self, session: &SessionName, now: Timestamp) -> bool {
        self.any.load(Ordering::Acquire)
            && self
                .sessions
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .get(session)
                .is_some_and(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revoked_sessions_are_bounded_and_none_is_forgotten_early() {
        let at = Timestamp::from_micros;
        let name = |text: &str| text.parse::<SessionName>().unwrap();
        let revoked = Revoked::new(2);
        assert!(!revoked.contains(&name("a"), at(0)));
        revoked.add(at(0), name("a"), at(10)).unwrap();
        revoked.add(at(0), name("b"), at(20)).unwrap();
        revoked.add(at(0), name("a"), at(5)).unwrap();
        let full = revoked.add(at(9), name("c"), at(20)).unwrap_err();
        assert!(full.to_string().starts_with("2 sessions"), "{full}");
        assert!(revoked.contains(&name("a"), at(9)) && revoked.contains(&name("b"), at(9)));
        // Also where there is room, so that nothing was forgotten.
        assert!(!revoked.contains(&name("a"), at(10)));
        revoked.add(at(10), name("c"), at(20)).unwrap();
        assert!(!revoked.contains(&name("a"), at(10)) && revoked.contains(&name("c"), at(10)));
    }
}
