//! What tells an edge which tokens for playback open nothing any more.
//!
//! The rows say it for good; events tell at once. An edge that starts, or has missed something,
//! reads the rows of as long as tokens are good. Without a database it knows what it hears.

use std::sync::Arc;
use std::time::Duration;

use media::{Clock, Micros, Timestamp};
use storage::events::{
    Bus, BusError, Event, RecvError, SubjectError, SubjectPattern, Subscription,
};
use storage::rows::account_events::{self, AccountEvent};
use storage::rows::playback_bars::{self, Bar, TOKEN_AT_MOST};
use storage::rows::{Database, RowError, api_tokens, login_sessions, users};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::bars::Bars;
use super::viewing;

/// How often the rows are looked at where events tell of them.
const POLL: Duration = Duration::from_secs(1);
/// The same where they do not.
const POLL_WITHOUT_EVENTS: Duration = Duration::from_millis(100);
/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pause after the bus has failed.
const RETRY: Duration = Duration::from_secs(1);
/// What is committed late, or by a host whose clock is behind, is seen by the look after so long.
const OVERLAP: Micros = Micros::from_secs(10);
/// Rows of one page.
const PAGE: u32 = 500;

/// What follows what is barred.
#[derive(Debug)]
pub struct BarsParts {
    /// What is told.
    pub bars: Bars,
    /// The rows; `None`: there are none here.
    pub database: Option<Database>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// What tells of changes.
    pub bus: Arc<dyn Bus>,
    /// Whether the bus tells of what the API does.
    pub hears_the_api: bool,
}

/// Why an edge cannot know what is barred.
#[derive(Debug, thiserror::Error)]
pub enum BarsError {
    /// The bus.
    #[error("what is barred is not heard of: {0}")]
    Bus(#[from] BusError),
    /// A subject of ours, which is valid.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// The rows.
    #[error("what is barred is not known: {0}")]
    Rows(#[from] RowError),
}

/// What hears.
struct News {
    accounts: Subscription,
    bars: Subscription,
}

impl News {
    async fn listen(bus: &dyn Bus) -> Result<Self, BarsError> {
        let accounts = SubjectPattern::new(account_events::PATTERN)?;
        let bars = SubjectPattern::new(playback_bars::PATTERN)?;
        Ok(Self {
            accounts: bus.subscribe(&accounts).await?,
            bars: bus.subscribe(&bars).await?,
        })
    }
}

/// What follows what is barred, once it knows what was.
pub struct Follower {
    parts: BarsParts,
    news: News,
    /// Until when the rows are known.
    read_at: Timestamp,
}

impl BarsParts {
    /// Reads what is barred, before anybody is answered.
    pub async fn start(self) -> Result<Follower, BarsError> {
        // Before the rows are read: what is told in between comes twice, not never.
        let news = News::listen(&*self.bus).await?;
        let mut follower = Follower {
            read_at: self.clock.now() - TOKEN_AT_MOST,
            parts: self,
            news,
        };
        follower.read().await?;
        Ok(follower)
    }
}

impl Follower {
    /// Follows until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut ticks = interval(match self.parts.hears_the_api {
            true => POLL,
            false => POLL_WITHOUT_EVENTS,
        });
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => self.look().await,
                heard = self.news.accounts.recv() => self.hear(heard.map(|m| m.event)).await,
                heard = self.news.bars.recv() => self.hear(heard.map(|m| m.event)).await,
            }
        }
    }

    async fn hear(&mut self, heard: Result<Event, RecvError>) {
        let event = match heard {
            Ok(event) => event,
            Err(RecvError::Closed) => {
                sleep(RETRY).await;
                match News::listen(&*self.parts.bus).await {
                    Ok(news) => self.news = news,
                    Err(error) => tracing::warn!(%error, "the rows are looked at instead"),
                }
                return self.look().await;
            }
            // Something was missed.
            Err(_) => return self.look().await,
        };
        let (bars, now) = (&self.parts.bars, self.parts.clock.now());
        if let Ok((event, at)) = AccountEvent::read(&event) {
            bars.learn(now, |known| known.learn_event(&event, at));
        } else if let Ok(bar) = Bar::read(&event) {
            bars.learn(now, |known| known.learn_bar(&bar));
        } else {
            tracing::warn!(subject = %event.subject, "an event is not understood: the rows are read");
            self.look().await;
        }
    }

    async fn look(&mut self) {
        match timeout(PATIENCE, self.read()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "what is barred is not read"),
            Err(_) => tracing::debug!("what is barred is not read in time"),
        }
    }

    /// Reads what has come since the rows were read.
    async fn read(&mut self) -> Result<(), RowError> {
        let Some(database) = &self.parts.database else {
            return Ok(());
        };
        let (bars, now) = (&self.parts.bars, self.parts.clock.now());
        let since = self.read_at - OVERLAP;
        read_logins(database, bars, since, now).await?;
        read_tokens(database, bars, since, now).await?;
        read_suspended(database, bars, since, now).await?;
        read_bars(database, bars, since, now).await?;
        self.read_at = now;
        Ok(())
    }
}

/// Reads all pages of rows since an instant, and learns from each.
macro_rules! read_pages {
    ($(#[$doc:meta])* $name:ident, $rows:path, $known:ident, $row:ident => $learn:expr) => {
        $(#[$doc])*
        async fn $name(
            database: &Database,
            bars: &Bars,
            since: Timestamp,
            now: Timestamp,
        ) -> Result<(), RowError> {
            let mut after = None;
            loop {
                let page = $rows(database, since, after, PAGE).await?;
                if !page.is_empty() {
                    bars.learn(now, |$known| page.iter().for_each(|$row| $learn));
                }
                match page.last() {
                    Some(last) if page.len() == PAGE as usize => after = Some(*last),
                    _ => return Ok(()),
                }
            }
        }
    };
}

read_pages!(
    /// Logins that have ended.
    read_logins, login_sessions::ended_since,
    known, ended => known.learn_ended(viewing::half(ended.id.as_uuid()), ended.ended_at)
);
read_pages!(
    /// API tokens that were revoked.
    read_tokens, api_tokens::revoked_since,
    known, revoked => known.learn_ended(viewing::half(revoked.1.as_uuid()), revoked.0)
);
read_pages!(
    /// Who was suspended.
    read_suspended, users::suspended_since,
    known, suspended => known.learn_suspended(suspended.1, suspended.0)
);
read_pages!(
    /// Who was barred.
    read_bars, playback_bars::since,
    known, bar => known.learn_bar(bar)
);
