//! What writes notifications and takes them away, beside requests.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use media::{Clock, Micros};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::super::jobs::{self, Attempt, Options};
use super::super::leases::{self, Terms};
use super::super::outbox::{Relay, Start};
use super::super::{Database, RowError};
use super::writer::{CONSUMER, Writer};
use super::{live, retention};
use crate::events::Bus;

/// How long a process that was killed keeps its jobs, and its turn to sweep.
const SILENCE: Micros = Micros::from_secs(5);

/// Broadcasts of which one process tells at once: one with very many followers keeps no other
/// from being told.
const BROADCASTS_AT_ONCE: NonZeroUsize = NonZeroUsize::new(2).expect("2 is not 0");

/// The pause between rounds of the sweeper, and between its steps.
const SWEPT_EVERY: Duration = Duration::from_secs(600);
const STEPS_EVERY: Duration = Duration::from_millis(100);

/// Writes notifications, and sweeps what is too old, until `shutdown`. Any number of processes
/// may run it: one at a time takes the events, one tells of a broadcast, and one sweeps. What
/// fails is tried again, logged and counted; dropping it half-way loses nothing.
///
/// There is no catch-up: what happened before the consumer was is no news.
pub async fn run(
    db: Database,
    clock: Arc<dyn Clock>,
    bus: Arc<dyn Bus>,
    shutdown: CancellationToken,
) {
    let writer = Writer::new(db.clone(), clock.clone(), bus.clone());
    let relay = Relay::new(
        db.clone(),
        clock.clone(),
        CONSUMER,
        Start::Next,
        Arc::new(writer),
    );
    let terms = Terms {
        name: "notifications".to_owned(),
        owner: leases::this_process(),
        ttl: Micros::from_secs(30),
    };
    let sweeping = |_, stop| Box::pin(sweep(&db, &*clock, stop));
    tokio::join!(
        relay.run(shutdown.clone()),
        tell_of_broadcasts(db.clone(), clock.clone(), bus, shutdown.clone()),
        leases::run_while_held(&db, &*clock, &terms, &shutdown, sweeping),
    );
}

async fn tell_of_broadcasts(
    db: Database,
    clock: Arc<dyn Clock>,
    bus: Arc<dyn Bus>,
    shutdown: CancellationToken,
) {
    let options = Options {
        queue: live::QUEUE,
        worker: leases::this_process(),
        concurrency: BROADCASTS_AT_ONCE,
        ttl: SILENCE,
    };
    let (rows, times) = (db.clone(), clock.clone());
    let handler = move |attempt: Attempt| {
        let (rows, bus, times) = (rows.clone(), bus.clone(), times.clone());
        async move { live::tell(&rows, bus, times, &attempt).await }
    };
    jobs::run(db, clock, options, handler, shutdown).await;
}

async fn sweep(db: &Database, clock: &dyn Clock, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let round = stop.run_until_cancelled(sweep_all(db, clock)).await;
        if let Some(Err(error)) = round {
            metrics::counter!("nova_notifications_failures_total", "step" => "sweep").increment(1);
            tracing::warn!(%error, "old notifications were not swept");
        }
        stop.run_until_cancelled(sleep(SWEPT_EVERY)).await;
    }
}

async fn sweep_all(db: &Database, clock: &dyn Clock) -> Result<(), RowError> {
    loop {
        let swept = retention::sweep(db, clock.now()).await?;
        metrics::counter!("nova_notifications_swept_rows_total").increment(swept.deleted);
        if !swept.more {
            return Ok(());
        }
        sleep(STEPS_EVERY).await;
    }
}
