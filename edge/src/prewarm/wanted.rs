//! Which keys an operator wants stored just now: they come in whatever else there is, and it is
//! waited for what is written of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::key::CacheKey;

/// The keys: no more than all orders together fetch at a time.
#[derive(Debug, Default)]
pub(crate) struct Wanted(Mutex<HashMap<CacheKey, Want>>);

/// A key that is wanted.
#[derive(Debug, Default)]
struct Want {
    /// How many prewarms fetch it.
    prewarms: usize,
    /// How many writes of it have not ended.
    writes: watch::Sender<usize>,
}

/// A key is wanted for as long as this lives.
#[derive(Debug)]
pub(crate) struct Wanting {
    wanted: Arc<Wanted>,
    key: CacheKey,
    writes: watch::Sender<usize>,
}

/// Something of a wanted key is written, or will be, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Writing(watch::Sender<usize>);

impl Wanted {
    pub(crate) fn want(self: &Arc<Self>, key: &CacheKey) -> Wanting {
        let mut keys = self.lock();
        let want = keys.entry(key.clone()).or_default();
        want.prewarms += 1;
        Wanting {
            wanted: Arc::clone(self),
            key: key.clone(),
            writes: want.writes.clone(),
        }
    }

    pub(crate) fn has(&self, key: &CacheKey) -> bool {
        self.lock().contains_key(key)
    }

    /// Something under `key` will be written. None: nobody waits for it.
    pub(crate) fn will_write(&self, key: &CacheKey) -> Option<Writing> {
        let writes = self.lock().get(key)?.writes.clone();
        writes.send_modify(|count| *count += 1);
        Some(Writing(writes))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CacheKey, Want>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wanting {
    /// Waits until nothing of it is being written.
    pub(crate) async fn written(&self) {
        // Its sender is here, so there is no error.
        let _ = self.writes.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Drop for Wanting {
    fn drop(&mut self) {
        let mut keys = self.wanted.lock();
        if let Some(want) = keys.get_mut(&self.key) {
            want.prewarms -= 1;
            if want.prewarms == 0 {
                keys.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_wanted_until_nobody_wants_it() {
        let wanted = Arc::new(Wanted::default());
        let key = CacheKey::of_general("/a").unwrap();
        let (one, other) = (wanted.want(&key), wanted.want(&key));
        drop(one);
        assert!(wanted.has(&key));
        drop(other);
        assert!(!wanted.has(&key));
    }

    #[tokio::test]
    async fn what_is_written_of_it_is_waited_for() {
        let wanted = Arc::new(Wanted::default());
        let key = CacheKey::of_general("/a").unwrap();
        assert!(wanted.will_write(&key).is_none(), "nobody wants it");
        let wanting = wanted.want(&key);
        wanting.written().await;
        let (one, other) = (wanted.will_write(&key), wanted.will_write(&key));
        let mut waits = Box::pin(wanting.written());
        drop(one);
        assert!(polled(&mut waits).is_none());
        drop(other);
        waits.await;
    }

    /// The result, if it is there at once.
    fn polled<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::Pin::new(future).poll(&mut context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }
}
