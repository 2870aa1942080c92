//! Whether an edge may trust what it has stored: only while it would hear of a purge.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use edge::EdgeControl;
use media::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// What an edge does when it cannot hear of purges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDatabaseLoss {
    /// Asks the origin for each key, once a second at most, before it gives what is stored.
    Revalidate,
    /// Gives what is stored, purged or not.
    Serve,
}

/// Until when an edge trusts what it has stored.
#[derive(Debug)]
pub struct Trust {
    control: EdgeControl,
    on_loss: OnDatabaseLoss,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    until: Instant,
    is_lost: bool,
    /// Why the database was not reached last.
    why: String,
}

impl Trust {
    /// None, until it is extended.
    pub fn new(control: EdgeControl, on_loss: OnDatabaseLoss) -> Self {
        Self {
            control,
            on_loss,
            state: Mutex::new(State {
                until: Instant::now(),
                is_lost: false,
                why: String::new(),
            }),
            changed: Notify::new(),
        }
    }

    /// The lease was renewed, and all purges so far were obeyed. The end is told by both
    /// clocks, which were read when the lease was asked for.
    pub fn extend(&self, until: Instant, time: Timestamp) {
        let mut state = self.lock();
        state.until = until;
        state.why.clear();
        let left = until.saturating_duration_since(Instant::now());
        if state.is_lost && !left.is_zero() {
            state.is_lost = false;
            tracing::info!("the edge hears of purges again, and has obeyed what it had missed");
        }
        // A process that was stopped in between sees the time at once.
        self.hears_until(time);
        drop(state);
        self.changed.notify_one();
    }

    /// The database was not reached, or not understood.
    pub fn failed(&self, why: &str) {
        let mut state = self.lock();
        if state.why != why {
            tracing::warn!(
                error = why,
                "the edge's lease was not renewed, or purges not read"
            );
            why.clone_into(&mut state.why);
        }
    }

    /// The lease is lost, whatever its time.
    pub fn lose(&self) {
        self.lose_locked(&mut self.lock());
    }

    /// What an operator should know.
    pub fn notice(&self) -> Option<String> {
        let state = self.lock();
        let then = match self.on_loss {
            OnDatabaseLoss::Revalidate => "what is stored is asked about before it is given",
            OnDatabaseLoss::Serve => "what is stored is given all the same",
        };
        state
            .is_lost
            .then(|| format!("edge: it cannot hear of purges, {then}"))
    }

    /// Ends the trust in time.
    pub async fn watch(self: Arc<Self>, shutdown: CancellationToken) {
        loop {
            let (until, is_lost) = {
                let state = self.lock();
                (state.until, state.is_lost)
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.changed.notified() => {}
                () = sleep_until(until), if !is_lost => {
                    let mut state = self.lock();
                    if state.until <= Instant::now() {
                        self.lose_locked(&mut state);
                    }
                }
            }
        }
    }

    fn lose_locked(&self, state: &mut State) {
        if !state.is_lost {
            state.is_lost = true;
            tracing::error!(
                on_database_loss = ?self.on_loss,
                "the edge cannot hear of purges"
            );
            self.hears_until(Timestamp::from_micros(i64::MIN));
        }
    }

    fn hears_until(&self, until: Timestamp) {
        if self.on_loss == OnDatabaseLoss::Revalidate {
            self.control.hears_of_purges_until(Some(until));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use edge::{Edge, EdgeConfig, HttpUpstream, HttpUpstreamConfig};
    use media::SystemClock;

    use super::*;

    const NOT_YET: Duration = Duration::from_secs(3_600);
    const LATER: Timestamp = Timestamp::from_micros(i64::MAX);

    fn trust(on_loss: OnDatabaseLoss) -> Arc<Trust> {
        let upstream = HttpUpstreamConfig::new("http://127.0.0.1:9");
        let upstream = HttpUpstream::new(&upstream).unwrap();
        let edge = Edge::new(EdgeConfig::default(), upstream, Arc::new(SystemClock));
        Arc::new(Trust::new(edge.control(), on_loss))
    }

    #[tokio::test]
    async fn trust_ends_by_itself_and_comes_back_with_the_lease() {
        for on_loss in [OnDatabaseLoss::Revalidate, OnDatabaseLoss::Serve] {
            let trust = trust(on_loss);
            trust.extend(Instant::now() + NOT_YET, LATER);
            let shutdown = CancellationToken::new();
            let watching = tokio::spawn(Arc::clone(&trust).watch(shutdown.clone()));
            assert_eq!(trust.notice(), None);
            trust.extend(Instant::now() + Duration::from_millis(20), LATER);
            while trust.notice().is_none() {
                tokio::task::yield_now().await;
            }
            // Asked for too long ago.
            trust.extend(Instant::now(), LATER);
            assert!(trust.notice().is_some());
            trust.extend(Instant::now() + NOT_YET, LATER);
            assert_eq!(trust.notice(), None);
            trust.lose();
            assert!(trust.notice().is_some());
            shutdown.cancel();
            watching.await.unwrap();
        }
    }
}
