//! What runs beside the requests: the outbox's events go to the bus.

use std::sync::Arc;

use storage::events::Bus;
use storage::rows::outbox::{BusDelivery, Relay, Start};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::serve::Foundation;

/// The outbox's consumer that publishes on the bus. One process does it at a time.
const BUS: &str = "bus";

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
            Arc::new(BusDelivery::new(bus)),
        );
        tasks.spawn(relay.run(shutdown.clone()));
        Self { shutdown, tasks }
    }

    /// Returns when a task has ended that should not.
    pub async fn ended(background: &mut Option<Self>) {
        match background {
            Some(background) => drop(background.tasks.join_next().await),
            None => std::future::pending().await,
        }
    }

    /// Ends them.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a background task failed");
            }
        }
    }
}
