//! The task that hands a consumer its events.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use media::{Clock, Micros};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::super::leases::{self, Lease, Terms};
use super::super::sql::{AssertSqlSafe, query};
use super::super::{Database, RowError};
use super::EventId;
use super::consumers::{Start, register};
use super::deliver::{Deliver, DeliverError, DeliverFuture};
use super::horizon::{Horizon, Place};
use super::read::{Batch, End, read};
use super::retry::Retry;

/// How long a consumer may take over one event.
pub const DELIVERY_DEADLINE: Duration = Duration::from_secs(10);

/// How long a relay that was killed keeps its consumer from others, unless
/// [`Relay::with_lease`] says otherwise.
pub const LEASE: Micros = Micros::from_secs(15);

/// How often the outbox is looked at when nothing wakes the relay: what another process
/// has written waits so long at most.
const POLL: Duration = Duration::from_millis(250);

/// The first pause before a hole is looked at again. It doubles up to [`POLL`].
const HOLE_PAUSE: Duration = Duration::from_millis(5);

/// How long a batch goes on before the position is moved, which also asks for the lease:
/// who was paused delivers nothing from a batch of before.
const BATCH_SPAN: Micros = Micros::from_secs(3);

/// The pause after the rows have failed.
const ROWS_PAUSE: Duration = Duration::from_secs(1);

/// What an event in delivery is left of its time when the relay has to stop.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// Hands the events to one consumer, as the module says. Several relays of one consumer,
/// in several processes, take turns: all but one stand by.
#[derive(Debug)]
pub struct Relay {
    db: Database,
    clock: Arc<dyn Clock>,
    consumer: &'static str,
    start: Start,
    deliver: Arc<dyn Deliver>,
    lease: Micros,
}

impl Relay {
    /// A relay of `consumer`, which begins at `start` if it is new.
    pub fn new(
        db: Database,
        clock: Arc<dyn Clock>,
        consumer: &'static str,
        start: Start,
        deliver: Arc<dyn Deliver>,
    ) -> Self {
        Self {
            db,
            clock,
            consumer,
            start,
            deliver,
            lease: LEASE,
        }
    }

    /// The same with another lease than [`LEASE`]: for how long nobody delivers after a
    /// crash.
    pub fn with_lease(self, lease: Micros) -> Self {
        Self { lease, ..self }
    }

    /// Delivers until `shutdown`. What fails is tried again; the reasons are logged and
    /// counted. Dropping it half-way loses nothing.
    pub async fn run(self, shutdown: CancellationToken) {
        let terms = Terms {
            name: format!("outbox/{}", self.consumer),
            owner: leases::this_process(),
            ttl: self.lease,
        };
        let turn = |lease, stop| Turn::new(&self, lease).run(stop);
        leases::run_while_held(&self.db, &*self.clock, &terms, &shutdown, turn).await;
    }
}

/// The time in which a relay has the lease.
struct Turn<'a> {
    relay: &'a Relay,
    lease: Lease,
    horizon: Horizon,
    retry: Retry,
    hole_pause: Duration,
}

/// When to look again.
enum Next {
    Now,
    /// When an event was written, and after this time in any case.
    Woken(Duration),
    /// After this time.
    Pause(Duration),
}

/// Why not all of a batch was delivered.
enum Failure {
    /// The consumer did not take an event, or did not confirm those it took.
    Consumer(Option<EventId>, DeliverError),
    Rows(RowError),
}

impl From<RowError> for Failure {
    fn from(error: RowError) -> Self {
        Self::Rows(error)
    }
}

impl<'a> Turn<'a> {
    fn new(relay: &'a Relay, lease: Lease) -> Self {
        Self {
            relay,
            lease,
            horizon: Horizon::default(),
            retry: Retry::default(),
            hole_pause: HOLE_PAUSE,
        }
    }

    /// Until `stop`, or until the lease turns out to be lost.
    async fn run(mut self, stop: CancellationToken) {
        let notify = self.relay.db.outbox_notify().clone();
        while !stop.is_cancelled() {
            // What is committed after this point wakes the relay, also while it reads.
            let mut written = pin!(notify.notified());
            written.as_mut().enable();
            let next = match self.step(&stop).await {
                Ok(next) => next,
                // It is logged, and `run_while_held` asks for it again.
                Err(Failure::Rows(RowError::LeaseLost { .. })) => return,
                Err(Failure::Rows(error)) => Next::Pause(self.rows_failed(&error)),
                Err(Failure::Consumer(event, error)) if !stop.is_cancelled() => {
                    Next::Pause(self.consumer_failed(event, &error))
                }
                Err(Failure::Consumer(..)) => return,
            };
            let pause = match next {
                Next::Now => continue,
                Next::Woken(pause) => {
                    let woken = async {
                        tokio::select! { () = written => {}, () = sleep(pause) => {} }
                    };
                    stop.run_until_cancelled(woken).await
                }
                Next::Pause(pause) => stop.run_until_cancelled(sleep(pause)).await,
            };
            if pause.is_none() {
                return;
            }
        }
    }

    /// Reads a batch and delivers it.
    async fn step(&mut self, stop: &CancellationToken) -> Result<Next, Failure> {
        let Relay {
            db,
            consumer,
            start,
            clock,
            ..
        } = self.relay;
        let Some(batch) = read(db, &mut self.horizon, consumer).await? else {
            register(db, consumer, *start, clock.now()).await?;
            return Ok(Next::Now);
        };
        let all = self.deliver(&batch, stop).await?;
        if batch.end != End::OpenHole || !batch.events.is_empty() {
            self.hole_pause = HOLE_PAUSE;
        }
        Ok(match batch.end {
            _ if !all => Next::Now,
            End::Full | End::Hole => Next::Now,
            End::Outbox => Next::Woken(POLL),
            End::OpenHole => {
                let pause = self.hole_pause;
                self.hole_pause = (pause * 2).min(POLL);
                Next::Woken(pause)
            }
        })
    }

    /// Delivers, and moves the position past what the consumer has taken. Whether that
    /// was all.
    async fn deliver(
        &mut self,
        Batch { from, events, .. }: &Batch,
        stop: &CancellationToken,
    ) -> Result<bool, Failure> {
        let consumer = &self.relay.deliver;
        let began = self.relay.clock.now();
        let mut taken = 0;
        let mut refused = None;
        for event in events {
            if stop.is_cancelled() || self.relay.clock.now() - began > BATCH_SPAN {
                break;
            }
            match in_time(consumer.deliver(event), stop).await {
                Ok(()) => taken += 1,
                Err(error) => {
                    refused = Some(Failure::Consumer(Some(event.id), error));
                    break;
                }
            }
        }
        if let Some(last) = events[..taken].last() {
            let confirmed = in_time(consumer.confirm(), stop).await;
            confirmed.map_err(|error| Failure::Consumer(None, error))?;
            self.advance(*from, last.sequence, taken as u64).await?;
        }
        match refused {
            Some(failure) => Err(failure),
            None => Ok(taken == events.len()),
        }
    }

    /// Moves the position, if the lease is still this relay's and the server is the one
    /// that the events were read from. Another may not have them, and give their numbers to
    /// others: then all is read again.
    async fn advance(&mut self, from: Place, to: i64, events: u64) -> Result<(), RowError> {
        let Relay { db, consumer, .. } = self.relay;
        let now = self.relay.clock.now();
        let mut transaction = db.write().await?;
        self.lease.guard(&mut transaction, now).await?;
        let server = db.engine().server_start();
        let moved = query(AssertSqlSafe(format!(
            "UPDATE outbox_consumers SET position = $3, updated_at = $4
             WHERE name = $1 AND position = $2 AND {server} = $5"
        )))
        .bind(*consumer)
        .bind(from.position)
        .bind(to)
        .bind(now)
        .bind(from.server)
        .execute(&mut transaction)
        .await?;
        transaction.commit().await?;
        if moved == 0 {
            tracing::warn!(
                consumer,
                "the outbox is read anew: its consumer's position was changed, or its server is another one"
            );
            self.horizon = Horizon::default();
            return Ok(());
        }
        self.retry.succeeded();
        metrics::counter!("nova_outbox_delivered_total", "consumer" => *consumer).increment(events);
        metrics::gauge!("nova_outbox_blocked", "consumer" => *consumer).set(0);
        Ok(())
    }

    /// Counts the failure of what is first in line; the pause before it is tried again.
    fn consumer_failed(&mut self, event: Option<EventId>, error: &DeliverError) -> Duration {
        let consumer = self.relay.consumer;
        let pause = self.retry.failed();
        let failures = self.retry.failures();
        metrics::counter!("nova_outbox_delivery_failures_total", "consumer" => consumer)
            .increment(1);
        if self.retry.is_alarm() {
            metrics::gauge!("nova_outbox_blocked", "consumer" => consumer).set(1);
            tracing::error!(consumer, ?event, failures, %error, "an event blocks its consumer");
        } else {
            tracing::warn!(consumer, ?event, failures, %error, "an event was not delivered");
        }
        pause
    }

    /// Begins anew: what the horizon knows came through a connection that may be lost.
    fn rows_failed(&mut self, error: &RowError) -> Duration {
        let consumer = self.relay.consumer;
        self.horizon = Horizon::default();
        tracing::warn!(consumer, %error, "the outbox was not read");
        metrics::counter!("nova_outbox_row_failures_total", "consumer" => consumer).increment(1);
        ROWS_PAUSE
    }
}

/// Whoever has the lease next tells whether its consumer is blocked.
impl Drop for Turn<'_> {
    fn drop(&mut self) {
        metrics::gauge!("nova_outbox_blocked", "consumer" => self.relay.consumer).set(0);
    }
}

/// Waits for the consumer, but not for longer than it may take.
async fn in_time(work: DeliverFuture<'_>, stop: &CancellationToken) -> Result<(), DeliverError> {
    let stopped = async {
        stop.cancelled().await;
        sleep(STOP_GRACE).await;
    };
    tokio::select! {
        biased;
        result = work => result,
        () = stopped => Err(DeliverError::Stopping),
        () = sleep(DELIVERY_DEADLINE) => {
            Err(DeliverError::DeadlineExceeded)
        }
    }
}
