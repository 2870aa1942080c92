//! Who is given the events.

use std::error::Error;
use std::fmt;
use std::future::ready;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use super::super::RowError;
use super::{DELIVERY_DEADLINE, OutboxEvent};
use crate::events::{Bus, BusError, Checkpoint, Event};

/// What a [`Deliver`] method returns: a future that can be held behind a pointer, so that
/// the trait is object safe.
pub type DeliverFuture<'a> = Pin<Box<dyn Future<Output = Result<(), DeliverError>> + Send + 'a>>;

/// A consumer's end of the outbox.
///
/// Each call has [`DELIVERY_DEADLINE`], and its future may be dropped before it ends:
/// then the events come again.
pub trait Deliver: fmt::Debug + Send + Sync {
    /// Takes the next event. It may have come before. An error brings it again, after a
    /// pause, and nothing else before it.
    fn deliver<'a>(&'a self, event: &'a OutboxEvent) -> DeliverFuture<'a>;

    /// Makes sure of every event taken since the last call, before the position moves
    /// past them. An error brings all of them again. For who takes events in one go;
    /// whoever is done with an event when `deliver` returns has nothing to do here.
    fn confirm(&self) -> DeliverFuture<'_> {
        Box::pin(ready(Ok(())))
    }
}

/// Why an event was not taken.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// Its time was up.
    #[error("not within {DELIVERY_DEADLINE:?}")]
    DeadlineExceeded,
    /// The process is stopping.
    #[error("the process is stopping")]
    Stopping,
    /// The rows failed.
    #[error(transparent)]
    Rows(#[from] RowError),
    /// The bus failed.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// Something else failed. It has no secrets: it is logged.
    #[error("{0}")]
    Other(Box<dyn Error + Send + Sync>),
}

/// Notes that a consumer goes on without an event that this version cannot read: it would stop
/// the consumer for ever.
pub(in crate::rows) fn passed_over(consumer: &'static str, event: &OutboxEvent, reason: &str) {
    tracing::error!(consumer, event = %event.id, reason, "an event is passed over");
    metrics::counter!("nova_outbox_passed_over_total", "consumer" => consumer).increment(1);
}

/// Publishes the events on a bus, where they reach whoever subscribes then: who must not
/// miss any is a consumer of the outbox itself. A batch is confirmed once, when the events
/// server has all of it. For one relay.
///
/// If the connection to an events server is lost within a batch, all of the batch comes
/// again in its order. What the client still held of it may come before that, out of order,
/// by the new connection: subscribers are told of an interruption then.
#[derive(Debug)]
pub struct BusDelivery {
    bus: Arc<dyn Bus>,
    /// Before the first event that is not confirmed.
    since: Mutex<Option<Checkpoint>>,
}

impl BusDelivery {
    /// To that bus.
    pub fn new(bus: Arc<dyn Bus>) -> Self {
        Self {
            bus,
            since: Mutex::default(),
        }
    }
}

impl Deliver for BusDelivery {
    fn deliver<'a>(&'a self, event: &'a OutboxEvent) -> DeliverFuture<'a> {
        self.since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_with(|| self.bus.checkpoint());
        let published =
            Event::new(event.subject.clone(), event.payload.clone()).with_id(event.id.as_uuid());
        Box::pin(async move { Ok(self.bus.publish(published).await?) })
    }

    fn confirm(&self) -> DeliverFuture<'_> {
        let since = self
            .since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        Box::pin(async move {
            if let Some(since) = since {
                self.bus.flush(since, DELIVERY_DEADLINE).await?;
            }
            Ok(())
        })
    }
}
