//! The outbox: events that are rows of the transaction they tell of, and reach every
//! consumer.
//!
//! [`append`] writes an event with what it tells: either both are there or neither. A
//! [`Relay`] hands the events to one named consumer:
//!
//! - **At least once.** A consumer's position moves past an event after its [`Deliver`]
//!   said that it has it. Who dies in between delivers up to [`BATCH`] events again, the
//!   same ones in the same order. A consumer that writes [`consume_once`] in the
//!   transaction of what it does, does it once.
//! - **In order.** Events come in the order of their numbers. For one key that is the
//!   order of what happened, if writers of one key write one after the other: they lock a
//!   row of the thing that the key names, before [`append`] and until their commit.
//!   Events of different keys are not ordered by when they were committed.
//! - **None is passed over**, in whatever order transactions commit: see `horizon`. A
//!   transaction that runs for long delays the events after those it may still write, and
//!   also the events after a rollback that happened meanwhile.
//! - **By one relay at a time**, which holds the consumer's lease. A position is written
//!   only by who holds it, so that one that was paused cannot move it.
//!
//! An event that a consumer fails on stays first in its line: it is tried again, after
//! longer and longer pauses, without end, and nothing behind it is delivered. Passing it
//! over would break the order of its key, and putting it aside with all that follow under
//! the key needs a list without bound. Other consumers do not notice. It is counted and
//! logged, and after [`ALARM_AFTER`] failures an alarm. A consumer that can do without an
//! event that will never work keeps it somewhere and says that it has it.
//!
//! An event is kept until every consumer has it: one that is not served any more keeps
//! all. [`lag`] tells, and [`unregister`] ends it. Without any consumer, events are kept
//! for [`UNCONSUMED_FOR`].
//!
//! On PostgreSQL, relays and writers use the primary. A server that takes over, or comes
//! back, without the last commits has lost their events, and gives their numbers to others.
//! A relay notices with its next read or write that the server is not the one it knows, and
//! begins with the position that the row there has: no event that this server keeps is
//! passed over. A consumer may then have been given events of transactions that never were,
//! and is given others again. A server that forgets commits without being started anew
//! (`synchronous_commit` off, and a backend that crashes) promises nothing.
//!
//! Whoever copies events into a database keeps their numbers and lets the sequence go on
//! above the highest one that was ever given, before anybody writes or reads there.

mod consumed;
mod consumers;
mod deliver;
mod horizon;
mod read;
mod relay;
mod retention;
mod retry;

use std::fmt;

use bytes::Bytes;
use media::Timestamp;
use uuid::Uuid;

use super::error::check_size;
use super::sql::{Bind, FromRow, Row, Value, query};
use super::{Database, RowError, Transaction};
use crate::events::Subject;

pub use consumed::{consume_once, forget_consumed};
pub use consumers::{LAG_COUNTED, Lag, Start, lag, register, unregister};
pub(in crate::rows) use deliver::passed_over;
pub use deliver::{BusDelivery, Deliver, DeliverError, DeliverFuture};
pub use relay::{DELIVERY_DEADLINE, LEASE, Relay};
pub use retention::{UNCONSUMED_FOR, delete_delivered};
pub use retry::ALARM_AFTER;

/// The most events that are read at a time, and that come again after a crash. With their
/// largest payloads they are 32 MiB.
pub const BATCH: u32 = 128;

/// The largest payload of an event, in bytes: what an event on the bus may have.
pub const MAX_PAYLOAD_BYTES: usize = crate::events::MAX_PAYLOAD_BYTES;

/// The longest key of an event, in bytes.
pub const MAX_KEY_BYTES: usize = 255;

/// An event's id: what a consumer knows it by when it comes again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(Uuid);

impl EventId {
    /// The id as a UUID, as a row keeps it.
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for EventId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Bind for EventId {
    const NULL: Value = Value::Uuid(None);

    fn value(self) -> Value {
        self.0.value()
    }
}

/// An event to be written.
#[derive(Clone)]
pub struct NewEvent<'a> {
    /// What it is about.
    pub subject: &'a Subject,
    /// What it happened to, such as a stream's id: events of one key are delivered in
    /// order. [`MAX_KEY_BYTES`] at most.
    pub key: &'a str,
    /// What is said, [`MAX_PAYLOAD_BYTES`] at most.
    pub payload: Bytes,
}

impl fmt::Debug for NewEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The payload may be what somebody wrote to somebody.
        f.debug_struct("NewEvent")
            .field("subject", &self.subject)
            .field("key", &self.key)
            .field("bytes", &self.payload.len())
            .finish()
    }
}

/// An event of the outbox. Clones share the payload.
#[derive(Clone, PartialEq, Eq)]
pub struct OutboxEvent {
    /// Its number: later events of a key have higher ones. Not every number is used.
    pub sequence: i64,
    /// Its id.
    pub id: EventId,
    /// What it is about.
    pub subject: Subject,
    /// What it happened to.
    pub key: String,
    /// What is said.
    pub payload: Bytes,
    /// When it was written.
    pub created_at: Timestamp,
}

impl fmt::Debug for OutboxEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxEvent")
            .field("sequence", &self.sequence)
            .field("id", &self.id)
            .field("subject", &self.subject)
            .field("key", &self.key)
            .field("bytes", &self.payload.len())
            .field("created_at", &self.created_at)
            .finish()
    }
}

impl FromRow for OutboxEvent {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            sequence: row.get("sequence")?,
            id: EventId(row.get("id")?),
            subject: row.parsed("subject")?,
            key: row.get("key")?,
            payload: row.get("payload")?,
            created_at: row.get("created_at")?,
        })
    }
}

/// Adds an event to the outbox, as part of what the transaction does. Relays of this
/// process wake up when it is committed.
pub async fn append(
    db: &Database,
    transaction: &mut Transaction,
    event: &NewEvent<'_>,
    now: Timestamp,
) -> Result<EventId, RowError> {
    check_size("event key", event.key.len(), MAX_KEY_BYTES)?;
    check_size("event payload", event.payload.len(), MAX_PAYLOAD_BYTES)?;
    let id = EventId(Uuid::now_v7());
    query(
        "INSERT INTO outbox_events (id, subject, key, payload, created_at)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(id)
    .bind(event.subject.as_str())
    .bind(event.key)
    .bind(event.payload.clone())
    .bind(now)
    .execute(&mut *transaction)
    .await?;
    transaction.wake_after_commit(db.outbox_notify());
    Ok(id)
}
