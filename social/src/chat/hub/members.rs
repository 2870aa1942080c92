//! Who is there on a socket and has logged in: found by user, and woken alone. What ends a session
//! somewhere wakes nobody else.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use media::UserId;
use tokio::sync::Notify;

use crate::caller::Identity;

/// News for one socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// Whoever it is must not be there any more.
    Ended,
    /// What lies between them and others has changed.
    Relations,
}

const ENDED: u8 = 1;
const RELATIONS: u8 = 2;

/// One socket of somebody.
#[derive(Debug)]
struct Member {
    identity: Identity,
    news: AtomicU8,
    wake: Notify,
}

impl Member {
    fn tell(&self, news: u8) {
        self.news.fetch_or(news, Ordering::AcqRel);
        self.wake.notify_one();
    }
}

type ByUser = HashMap<UserId, Vec<Arc<Member>>>;

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Members(Mutex<ByUser>);

/// The place of a socket, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    members: Arc<Members>,
    member: Arc<Member>,
    user: UserId,
}

impl Members {
    fn lock(&self) -> MutexGuard<'_, ByUser> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for somebody; none for nobody in particular, who has nothing that ends.
    pub(crate) fn seat(self: &Arc<Self>, identity: &Identity) -> Option<Seat> {
        let user = match identity {
            Identity::Anonymous => return None,
            Identity::Session { user, .. } | Identity::Token { user, .. } => *user,
        };
        let member = Arc::new(Member {
            identity: identity.clone(),
            news: AtomicU8::new(0),
            wake: Notify::new(),
        });
        self.lock().entry(user).or_default().push(member.clone());
        Some(Seat {
            members: self.clone(),
            member,
            user,
        })
    }

    /// Ends whoever `is_over`.
    pub(super) fn end(&self, is_over: impl Fn(&Identity) -> bool) {
        for member in self.lock().values().flatten() {
            if is_over(&member.identity) {
                member.tell(ENDED);
            }
        }
    }

    /// What lies between these people and others has changed.
    pub(super) fn relations_changed(&self, users: &[UserId]) {
        let members = self.lock();
        for member in users.iter().filter_map(|user| members.get(user)).flatten() {
            member.tell(RELATIONS);
        }
    }
}

impl Seat {
    /// Waits for news. The end is told before anything else.
    pub(crate) async fn news(&self) -> News {
        loop {
            let news = self.member.news.load(Ordering::Acquire);
            if news & ENDED != 0 {
                return News::Ended;
            }
            if news & RELATIONS != 0 {
                self.member.news.fetch_and(!RELATIONS, Ordering::AcqRel);
                return News::Relations;
            }
            self.member.wake.notified().await;
        }
    }

    /// Waits for the end alone; what else is told stays.
    pub(crate) async fn ended(&self) {
        while self.member.news.load(Ordering::Acquire) & ENDED == 0 {
            self.member.wake.notified().await;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut members = self.members.lock();
        if let Some(seats) = members.get_mut(&self.user) {
            seats.retain(|one| !Arc::ptr_eq(one, &self.member));
            if seats.is_empty() {
                members.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use media::LoginSessionId;

    use super::*;
    use crate::caller::Role;

    fn login() -> (UserId, Identity) {
        let user = UserId::new();
        let session = LoginSessionId::new();
        let role = Role::User;
        (
            user,
            Identity::Session {
                user,
                session,
                role,
            },
        )
    }

    #[test]
    fn news_reach_those_whom_they_are_for() {
        let members = Arc::new(Members::default());
        let ((ada, of_ada), (_, of_bob)) = (login(), login());
        let (one, other) = (members.seat(&of_ada), members.seat(&of_bob));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert!(members.seat(&Identity::Anonymous).is_none());
        assert_eq!(one.news().now_or_never(), None);
        members.relations_changed(&[ada]);
        assert_eq!(one.news().now_or_never(), Some(News::Relations));
        assert_eq!(one.news().now_or_never(), None);
        members.relations_changed(&[ada]);
        members.end(|identity| *identity == of_ada);
        // The end is final, and comes first.
        assert_eq!(one.news().now_or_never(), Some(News::Ended));
        assert_eq!(one.news().now_or_never(), Some(News::Ended));
        assert_eq!(other.news().now_or_never(), None);
        drop(one);
        assert_eq!(members.lock().len(), 1);
        drop(other);
        assert!(members.lock().is_empty());
    }
}
