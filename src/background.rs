//! What runs beside the requests: the outbox's events go to the bus, and feeds and the indexes of
//! search are kept, and people are told of what happens to them.

use std::sync::Arc;
use std::time::Duration;

use media::Clock;
use storage::events::Bus;
use storage::rows::outbox::{self, BusDelivery, Relay, Start};
use storage::rows::{Database, feed, notifications, search};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::serve::Foundation;

/// The outbox's consumer that publishes on the bus. One process does it at a time.
const BUS: &str = "bus";

/// How often it is shown how far consumers are behind.
const LAG_SHOWN: Duration = Duration::from_secs(15);

/// How long the tasks have to end after everything else has.
const END: Duration = Duration::from_secs(1);

/// The tasks of a process that has the rows.
#[derive(Debug)]
pub struct Background {
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
}

impl Background {
    /// Starts them.
    pub fn start(foundation: &Foundation, bus: Arc<dyn Bus>) -> Self {
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let relay = Relay::new(
            foundation.database.clone(),
            foundation.clock.clone(),
            BUS,
            Start::Next,
            Arc::new(BusDelivery::new(bus.clone())),
        );
        tasks.spawn(relay.run(shutdown.clone()));
        let feeds = feed::run(
            foundation.database.clone(),
            foundation.clock.clone(),
            shutdown.clone(),
        );
        tasks.spawn(feeds);
        let indexes = search::run(
            foundation.database.clone(),
            foundation.clock.clone(),
            shutdown.clone(),
        );
        tasks.spawn(indexes);
        let told = notifications::run(
            foundation.database.clone(),
            foundation.clock.clone(),
            bus,
            shutdown.clone(),
        );
        tasks.spawn(told);
        let shown = show_lag(
            foundation.database.clone(),
            foundation.clock.clone(),
            shutdown.clone(),
        );
        tasks.spawn(shown);
        Self { shutdown, tasks }
    }

    /// Returns when a task has ended that should not.
    pub async fn ended(background: &mut Option<Self>) {
        match background {
            Some(background) => drop(background.tasks.join_next().await),
            None => std::future::pending().await,
        }
    }

    /// Tells them to end; they do so beside whatever else is stopped.
    pub fn begin_to_stop(&self) {
        self.shutdown.cancel();
    }

    /// Waits for their end, within bounds: what they leave undone is done by the next
    /// process.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        let ended = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(%error, "a background task failed");
                }
            }
        };
        if timeout(END, ended).await.is_err() {
            tracing::warn!("background tasks were not finished in time");
        }
        self.tasks.shutdown().await;
    }
}

/// Shows how far the outbox's consumers are behind, for who watches the server.
async fn show_lag(database: Database, clock: Arc<dyn Clock>, shutdown: CancellationToken) {
    loop {
        match outbox::lag(&database).await {
            Ok(consumers) => {
                for lag in consumers {
                    let age = lag
                        .oldest
                        .map_or(0.0, |oldest| (clock.now() - oldest).as_secs_f64().max(0.0));
                    // Consumers are named by the code, so there are few.
                    let labels = [("consumer", lag.consumer)];
                    metrics::gauge!("nova_outbox_waiting_events", &labels).set(lag.events as f64);
                    metrics::gauge!("nova_outbox_oldest_event_age_seconds", &labels).set(age);
                }
            }
            Err(error) => tracing::debug!(%error, "the outbox's lag is not known"),
        }
        let pause = tokio::time::sleep(LAG_SHOWN);
        if shutdown.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}
