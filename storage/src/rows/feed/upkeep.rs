//! What keeps feeds, counts and trends, beside requests.

use std::sync::Arc;
use std::time::Duration;

use media::{Clock, Micros, UserId};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::super::leases::{self, Terms};
use super::super::outbox::{self, Relay, Start};
use super::super::{Database, RowError, post_counts};
use super::fan_out::Threshold;
use super::writer::{CONSUMER, Writer};
use super::{catch_up, retention, trends};

/// The pause between computations of trends.
const TRENDS_EVERY: Duration = Duration::from_secs(60);

/// How long nobody goes on after the process that did was killed.
const LEASE: Micros = Micros::from_secs(30);

/// The pause between counts of what very many like.
const COUNTS_EVERY: Duration = Duration::from_secs(5);

/// The pause between tries of what has failed, and between rounds of the sweeper.
const PAUSE: Duration = Duration::from_secs(60);

/// Users whose feeds are swept in one step, and the pause after it.
const USERS_AT_ONCE: u32 = 50;
const STEPS_EVERY: Duration = Duration::from_millis(100);

/// A round of the sweeper ends after all feeds, or with so many rows.
const ROWS_OF_A_ROUND: u64 = 100_000;

/// Keeps feeds, counts and trends until `shutdown`. Any number of processes may run it: one at a
/// time takes the events, and one, which may be another, does the rest. What fails is tried
/// again, logged and counted; dropping it half-way loses nothing.
pub async fn run(db: Database, clock: Arc<dyn Clock>, shutdown: CancellationToken) {
    let threshold = Threshold::default();
    let writer = Writer::new(db.clone(), clock.clone(), threshold);
    let relay = Relay::new(
        db.clone(),
        clock.clone(),
        CONSUMER,
        Start::Oldest,
        Arc::new(writer),
    );
    let upkeep = Upkeep {
        db,
        clock,
        threshold,
    };
    tokio::join!(relay.run(shutdown.clone()), upkeep.run(shutdown));
}

struct Upkeep {
    db: Database,
    clock: Arc<dyn Clock>,
    threshold: Threshold,
}

impl Upkeep {
    async fn run(&self, shutdown: CancellationToken) {
        let terms = Terms {
            name: "feed".to_owned(),
            owner: leases::this_process(),
            ttl: LEASE,
        };
        let work = |_, stop| Box::pin(self.all_work(stop));
        leases::run_while_held(&self.db, &*self.clock, &terms, &shutdown, work).await;
    }

    /// Nothing that is written here is wrong when another process has begun meanwhile: it needs
    /// no guard. Each work goes on beside the others, however long these take.
    async fn all_work(&self, stop: CancellationToken) {
        tokio::join!(
            self.catching_up(&stop),
            self.computing(&stop),
            self.counting(&stop),
            self.sweeping(&stop),
        );
    }

    async fn catching_up(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let caught_up = stop.run_until_cancelled(self.catch_up()).await;
            let is_done = matches!(caught_up, Some(Ok(())));
            told("catch_up", caught_up);
            if is_done {
                return;
            }
            stop.run_until_cancelled(sleep(PAUSE)).await;
        }
    }

    /// After the consumer was registered: from then on there are events.
    async fn catch_up(&self) -> Result<(), RowError> {
        outbox::register(&self.db, CONSUMER, Start::Oldest, self.clock.now()).await?;
        while catch_up::catch_up(&self.db, self.threshold, self.clock.now()).await? {}
        Ok(())
    }

    async fn computing(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let computing = trends::compute(&self.db, self.clock.now());
            told("trends", stop.run_until_cancelled(computing).await);
            stop.run_until_cancelled(sleep(TRENDS_EVERY)).await;
        }
    }

    async fn counting(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let counting = post_counts::count_due(&self.db);
            told("counts", stop.run_until_cancelled(counting).await);
            stop.run_until_cancelled(sleep(COUNTS_EVERY)).await;
        }
    }

    async fn sweeping(&self, stop: &CancellationToken) {
        let mut swept_to = None;
        while !stop.is_cancelled() {
            let sweeping = self.sweep(&mut swept_to);
            told("sweep", stop.run_until_cancelled(sweeping).await);
            stop.run_until_cancelled(sleep(PAUSE)).await;
        }
    }

    /// A round, which begins where the last one ended.
    async fn sweep(&self, to: &mut Option<UserId>) -> Result<(), RowError> {
        let mut deleted = 0;
        while deleted < ROWS_OF_A_ROUND {
            let now = self.clock.now();
            let swept = retention::sweep(&self.db, *to, now, USERS_AT_ONCE).await?;
            metrics::counter!("nova_feed_swept_rows_total").increment(swept.deleted);
            deleted += swept.deleted;
            *to = swept.next;
            if to.is_none() {
                break;
            }
            sleep(STEPS_EVERY).await;
        }
        Ok(())
    }
}

/// The next round tries again what failed.
fn told<T>(step: &'static str, done: Option<Result<T, RowError>>) {
    if let Some(Err(error)) = done {
        metrics::counter!("nova_feed_failures_total", "step" => step).increment(1);
        tracing::warn!(step, %error, "the upkeep of feeds failed");
    }
}
