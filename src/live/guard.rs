//! Publications that go on only as long as they may: a key is revoked or expires, a stream is
//! stopped or deleted, its owner is suspended.
//!
//! The rows tell. An event says that they have changed, and they are looked at each second all the
//! same: a key expires without one, and an event may be lost. While the database is away, what is
//! live goes on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ingest::{Grant, Refusal, Registry};
use media::{StreamKeyId, StreamName};
use storage::events::{
    Bus, BusError, Event, RecvError, SubjectError, SubjectPattern, Subscription,
};
use storage::rows::purges::{self, NewPurge};
use storage::rows::streams::{Standing, Visibility};
use storage::rows::{RowError, account_events, stream_events, stream_keys, streams};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Live;
use super::session::Command;
use crate::edge_node::PURGED;
use crate::wake;

/// How often the rows are looked at where nothing is heard.
const LOOK: Duration = Duration::from_secs(1);
/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The pause after the bus has failed.
const RETRY: Duration = Duration::from_secs(1);

/// What tells that something may not go on.
#[derive(Debug)]
pub struct News {
    bus: Arc<dyn Bus>,
    accounts: Subscription,
    streams: Subscription,
}

/// Why nothing is heard.
#[derive(Debug, thiserror::Error)]
pub enum NewsError {
    /// The bus.
    #[error("what may not be published any more is not heard of: {0}")]
    Bus(#[from] BusError),
    /// A subject of ours, which is valid.
    #[error(transparent)]
    Subject(#[from] SubjectError),
}

impl News {
    /// Hears of accounts and streams.
    pub async fn listen(bus: Arc<dyn Bus>) -> Result<Self, NewsError> {
        let accounts = SubjectPattern::new(account_events::PATTERN)?;
        let streams = SubjectPattern::new(stream_events::PATTERN)?;
        Ok(Self {
            accounts: bus.subscribe(&accounts).await?,
            streams: bus.subscribe(&streams).await?,
            bus,
        })
    }

    /// Returns when something was heard that matters, or something was missed. Nothing is lost when
    /// this is dropped half-way.
    async fn heard(&mut self) -> Heard {
        loop {
            let heard = tokio::select! {
                heard = self.accounts.recv() => heard,
                heard = self.streams.recv() => heard,
            };
            match heard {
                Ok(message) if matters(&message.event) => return Heard::Something,
                Ok(_) => {}
                Err(RecvError::Closed) => return Heard::Closed,
                Err(_) => return Heard::Something,
            }
        }
    }

    /// Listens anew. While that fails, the rows are looked at at the same pace.
    async fn listen_again(&mut self) {
        sleep(RETRY).await;
        match timeout(PATIENCE, Self::listen(self.bus.clone())).await {
            Ok(Ok(anew)) => *self = anew,
            Ok(Err(error)) => tracing::warn!(%error, "the rows are looked at instead"),
            Err(_) => tracing::warn!("the bus does not answer: the rows are looked at instead"),
        }
    }
}

/// What was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// Something that matters, or may.
    Something,
    /// Nothing is heard any more.
    Closed,
}

/// Whether somebody may have to go by it.
fn matters(event: &Event) -> bool {
    let subject = event.subject.as_str();
    let what = subject.rsplit('.').next().unwrap_or_default();
    match subject.starts_with("account.") {
        true => matches!(what, "suspended" | "deleted"),
        false => matches!(what, "stopped" | "deleted" | "keys-changed" | "changed"),
    }
}

impl Live {
    /// Ends what may not go on, until `shutdown`.
    pub async fn guard(
        self: Arc<Self>,
        registry: Registry,
        mut news: News,
        shutdown: CancellationToken,
    ) {
        // What was stored of these for others than they are for now, and is not purged yet.
        let mut unpurged = BTreeSet::new();
        let bus = news.bus.clone();
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let heard = tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => Heard::Something,
                heard = news.heard() => heard,
            };
            // Not beside the ticks: each would begin it again.
            if heard == Heard::Closed {
                let listening = news.listen_again();
                if shutdown.run_until_cancelled(listening).await.is_none() {
                    return;
                }
            }
            let looking = timeout(PATIENCE, async {
                self.take_back(&registry, &mut unpurged).await?;
                self.purge(&*bus, &mut unpurged).await
            });
            match shutdown.run_until_cancelled(looking).await {
                None => return,
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => {
                    tracing::debug!(%error, "who may go on publishing is not known");
                }
                Some(Err(_)) => tracing::debug!("who may go on publishing is not known in time"),
            }
        }
    }

    async fn take_back(
        &self,
        registry: &Registry,
        unpurged: &mut BTreeSet<StreamName>,
    ) -> Result<(), RowError> {
        let shelves = &self.context.shelves;
        let keys: Vec<StreamKeyId> = registry.grants().iter().map(|grant| grant.key).collect();
        if !keys.is_empty() {
            let good = stream_keys::good_among(&shelves.database, &keys, shelves.clock.now());
            let good = good.await?;
            // Of who has come since, nobody was asked.
            let is_bad = |grant: &Grant| keys.contains(&grant.key) && !good.contains(&grant.key);
            let withdrawn = registry.withdraw(is_bad);
            if withdrawn > 0 {
                tracing::info!(
                    publishers = withdrawn,
                    "what may not be published any more ends"
                );
            }
        }
        let sessions: Vec<_> = self.lock().keys().copied().collect();
        if sessions.is_empty() {
            return Ok(());
        }
        let standings = streams::standings(&shelves.database, &sessions).await?;
        self.tell_audiences(&standings, unpurged);
        for stream in sessions {
            let standing = standings.iter().find(|standing| standing.stream == stream);
            let forget = match standing {
                Some(Standing {
                    is_shown: true,
                    is_stopped: false,
                    ..
                }) => continue,
                Some(standing) => !standing.is_shown,
                None => true,
            };
            // A session that is busy hears of it with the next look: its publisher goes first.
            if let Some(mailbox) = self.session(stream) {
                drop(mailbox.try_send(Command::End { forget }));
            }
        }
        Ok(())
    }

    /// Has players asked for tokens from now on where a stream is not for everybody any more, and
    /// not where it is.
    fn tell_audiences(&self, standings: &[Standing], unpurged: &mut BTreeSet<StreamName>) {
        for window in self.context.streams.all() {
            let standing = standings.iter().find(|one| one.stream == window.id());
            let Some(standing) = standing else { continue };
            let is_signed = standing.visibility != Visibility::Public;
            if window.set_signed(is_signed) != is_signed {
                unpurged.insert(window.name().clone());
            }
        }
    }

    /// What caches have stored until now says for whom it was then: it goes.
    async fn purge(
        &self,
        bus: &dyn Bus,
        unpurged: &mut BTreeSet<StreamName>,
    ) -> Result<(), RowError> {
        let shelves = &self.context.shelves;
        while let Some(name) = unpurged.first() {
            let purge = NewPurge {
                kind: "tag",
                subject: &format!("stream:{name}"),
                soft: false,
                requested_by: "origin",
            };
            purges::request(&shelves.database, &purge, None, None, shelves.clock.now()).await?;
            wake::all(bus, PURGED).await;
            unpurged.pop_first();
        }
        Ok(())
    }

    /// Whether what was granted may begin.
    pub(super) async fn is_still_good(&self, grant: &Grant) -> Result<(), Refusal> {
        let shelves = &self.context.shelves;
        let (keys, now) = ([grant.key], shelves.clock.now());
        match stream_keys::good_among(&shelves.database, &keys, now).await {
            Ok(good) if good.contains(&grant.key) => Ok(()),
            Ok(_) => Err(Refusal::Withdrawn),
            Err(error) => {
                tracing::error!(%error, "whether a grant is still good is not known");
                Err(Refusal::Internal)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use storage::events::LocalBus;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_heard_no_more_is_listened_to_again() {
        let bus = Arc::new(LocalBus::new());
        let mut news = News::listen(Arc::new(LocalBus::new())).await.unwrap();
        news.bus = bus.clone();
        news.listen_again().await;
        let subject = "account.one.suspended".parse().unwrap();
        bus.publish(Event::new(subject, "{}")).await.unwrap();
        let heard = timeout(LOOK, news.heard()).await;
        assert_eq!(heard.unwrap(), Heard::Something);
    }
}
