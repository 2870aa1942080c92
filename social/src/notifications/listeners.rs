//! Who of this node looks at notifications, and is woken when theirs have changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use media::UserId;
use tokio::sync::watch;

/// Those who look, by whose notifications they look at. As many as there are sockets at most.
#[derive(Debug, Default)]
pub(crate) struct Listeners(Mutex<HashMap<UserId, watch::Sender<()>>>);

impl Listeners {
    /// Listens to what changes from now on.
    pub(crate) fn listen(self: &Arc<Self>, user: UserId) -> Listener {
        let mut all = self.lock();
        let sender = all.entry(user).or_insert_with(|| watch::Sender::new(()));
        Listener {
            changes: sender.subscribe(),
            user,
            all: self.clone(),
        }
    }

    /// Wakes those who look at these users' notifications.
    pub(crate) fn wake(&self, users: &[UserId]) {
        let all = self.lock();
        for user in users {
            if let Some(sender) = all.get(user) {
                sender.send_replace(());
            }
        }
    }

    /// Wakes everybody: something may have been missed.
    pub(crate) fn wake_all(&self) {
        for sender in self.lock().values() {
            sender.send_replace(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, watch::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who looks.
#[derive(Debug)]
pub(crate) struct Listener {
    changes: watch::Receiver<()>,
    user: UserId,
    all: Arc<Listeners>,
}

impl Listener {
    /// Returns when something has changed since the last call.
    pub(crate) async fn changed(&mut self) {
        // The sender is there as long as this is.
        drop(self.changes.changed().await);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        // This one is the last.
        if all
            .get(&self.user)
            .is_some_and(|sender| sender.receiver_count() == 1)
        {
            all.remove(&self.user);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn who_looks_is_woken_and_forgotten_afterwards() {
        let all = Arc::new(Listeners::default());
        let (ada, bob) = (UserId::new(), UserId::new());
        let (mut one, mut other) = (all.listen(ada), all.listen(ada));
        let mut third = all.listen(bob);
        all.wake(&[UserId::new(), ada]);
        one.changed().await;
        other.changed().await;
        assert!(third.changed().now_or_never().is_none());
        // What comes twice before anybody looks is one change.
        all.wake(&[bob]);
        all.wake_all();
        third.changed().await;
        assert!(third.changed().now_or_never().is_none());
        drop(one);
        all.wake(&[ada]);
        other.changed().await;
        drop((other, third));
        assert!(all.lock().is_empty());
    }
}
