//! A fill of what is not there yet waits for the feed instead of the origin.

use std::sync::Arc;

use tokio::time::timeout;

use super::feed::Feed;
use super::name::Item;
use crate::key::CacheKey;
use crate::shared::Shared;
use crate::store::Stored;

/// What will come of a feed.
#[derive(Debug)]
pub(crate) struct Awaited {
    feed: Arc<Feed>,
    item: Item,
}

/// What waiting came to.
pub(crate) enum Wait {
    Pushed(Arc<Stored>),
    /// It does not come, or not any more, or takes its time.
    Over,
    /// It should have come. Whoever finds the origin to have it tells so.
    Late,
}

impl Awaited {
    pub(super) fn new(feed: Arc<Feed>, item: Item) -> Self {
        Self { feed, item }
    }

    /// Waits until `key` is there, or does not come.
    pub(crate) async fn wait(&self, key: &CacheKey, shared: &Shared) -> Wait {
        let Some(feeds) = &shared.feeds else {
            return Wait::Over;
        };
        self.feed.interest.touch(shared.clock.now());
        let mut progress = self.feed.progress();
        let next = progress.borrow().next;
        let waiting = async {
            loop {
                let awaits = progress.borrow_and_update().awaits(self.item);
                // It is stored before the feed goes on.
                if let Some(stored) = shared.pushed(key) {
                    return Wait::Pushed(stored);
                }
                if !awaits || progress.changed().await.is_err() {
                    return Wait::Over;
                }
            }
        };
        let wait = tokio::select! {
            wait = timeout(feeds.config.patience, waiting) => {
                wait.unwrap_or_else(|_| match self.feed.falls_behind(self.item, next) {
                    true => Wait::Late,
                    false => Wait::Over,
                })
            }
            () = shared.closing.cancelled() => Wait::Over,
        };
        let outcome = match wait {
            Wait::Pushed(_) => "pushed",
            Wait::Over => "over",
            Wait::Late => "late",
        };
        metrics::counter!("nova_edge_push_waits_total", "outcome" => outcome).increment(1);
        wait
    }

    /// The origin has what the feed was late with.
    pub(crate) fn was_late(&self) {
        self.feed.suspect(self.item);
    }
}

impl Shared {
    /// What is stored under `key` and fresh.
    fn pushed(&self, key: &CacheKey) -> Option<Arc<Stored>> {
        let resource = self.store.current(key, self.fences.purges())?;
        let stored = resource.newest()?;
        let is_good = stored.is_whole() && stored.head.is_fresh(self.clock.now());
        is_good.then(|| Arc::clone(stored))
    }
}
