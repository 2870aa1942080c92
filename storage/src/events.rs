//! Events wake parts of Nova up and fan out; losing one never loses data, since what
//! must not be lost is a row.
//!
//! One trait, [`Bus`], and the bus that a URL names: see [`open`]. Both, in this process
//! and through NATS, keep the same promises:
//!
//! - **At most once.** An event reaches the subscriptions that exist when it is
//!   published, or is lost. A publisher's own subscriptions get it too.
//! - **In order per publisher.** A subscription sees the events of one publishing task
//!   on one bus in the order of its calls, whatever their subjects.
//! - **Bounded.** [`SUBSCRIPTION_MESSAGES`] and [`SUBSCRIPTION_BYTES`] wait for a
//!   subscriber. One that is slower loses the oldest and is told how many
//!   ([`RecvError::Lagged`]); it slows nobody down.
//! - **A gap is told.** When the connection to the server was lost and is back, every
//!   subscription gets [`RecvError::Interrupted`] after the server has it again: who
//!   then reads the rows has missed nothing.
//! - **No call hangs.** Each has a deadline of its own or takes one.
//!
//! While the server is gone, nothing is kept for it: [`Bus::publish`] fails with
//! [`BusError::Disconnected`]. Up to [`PUBLISH_QUEUE`] events are on their way to a
//! server that is slow; then publishing waits [`PUBLISH_PATIENCE`] and fails with
//! [`BusError::Stalled`]. An event that was taken can still be lost with the connection:
//! [`Bus::flush`] proves that the server has it.
//!
//! One difference is left: in a cluster of NATS servers, the servers that a subscriber
//! is not connected to hear of its subscription a moment after [`Bus::subscribe`] has
//! returned.

mod error;
mod local;
mod mailbox;
mod message;
mod nats;
mod routes;
mod subject;
mod url;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub use error::{BusError, OpenError, RecvError};
pub use local::LocalBus;
pub use mailbox::Subscription;
pub use message::{Event, Message, ReplyTo};
pub use nats::NatsBus;
pub use subject::{
    MAX_SUBJECT_BYTES, MAX_SUBJECT_TOKENS, Subject, SubjectError, SubjectFault, SubjectPattern,
};
pub use url::without_credentials;

use url::BusUrl;

/// The largest payload of an event, a request or a reply, in bytes. A NATS server takes
/// 1 MiB unless it is told otherwise.
pub const MAX_PAYLOAD_BYTES: usize = 256 * 1024;

/// The most messages that wait for one subscriber.
pub const SUBSCRIPTION_MESSAGES: usize = 1_024;

/// The most payload that waits for one subscriber, in bytes.
pub const SUBSCRIPTION_BYTES: usize = 16 * 1024 * 1024;

/// The most events on their way to a connected server.
pub const PUBLISH_QUEUE: usize = 256;

/// How long publishing waits for a server that does not take what is sent.
pub const PUBLISH_PATIENCE: Duration = Duration::from_secs(2);

/// What a [`Bus`] method returns: a future that can be held behind a pointer, so that
/// the trait is object safe.
pub type BusFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, BusError>> + Send + 'a>>;

/// Carries events from who publishes to who subscribes. The module says what it promises.
/// Shared as `Arc<dyn Bus>`, which is cheap to clone.
pub trait Bus: fmt::Debug + Send + Sync {
    /// Publishes an event. That nobody subscribes is no error.
    fn publish(&self, event: Event) -> BusFuture<'_, ()>;

    /// From its return on, what is published to the subjects of `pattern` is received,
    /// until the [`Subscription`] is dropped.
    fn subscribe<'a>(&'a self, pattern: &'a SubjectPattern) -> BusFuture<'a, Subscription>;

    /// Asks the subscribers of `subject` and returns the first answer, which a subscriber
    /// gives by [`Message::reply_to`]. Without a subscriber this fails at once with
    /// [`BusError::NoResponders`], without an answer after `within` with
    /// [`BusError::DeadlineExceeded`].
    fn request<'a>(
        &'a self,
        subject: &'a Subject,
        payload: Bytes,
        within: Duration,
    ) -> BusFuture<'a, Bytes>;

    /// Where the connection stands now: what [`Bus::flush`] answers for begins here.
    fn checkpoint(&self) -> Checkpoint;

    /// Proves that the server has every event whose [`Bus::publish`] began after `since`
    /// was taken and has returned. On an error, any of them may be missing, and who needs
    /// them delivered publishes them again: [`BusError::Unconfirmed`] if the connection
    /// was lost since, [`BusError::DeadlineExceeded`] after `within`.
    fn flush(&self, since: Checkpoint, within: Duration) -> BusFuture<'_, ()>;

    /// Whether events go through now. Asks nobody.
    fn health(&self) -> Result<(), BusError>;
}

/// A moment in the life of a bus's connection, for [`Bus::flush`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// How often the bus had connected.
    connects: u64,
}

/// Opens the bus that `url` names:
///
/// - `local:`, events within this process;
/// - `nats://[USER:PASSWORD@|TOKEN@]HOST[:PORT][,HOST[:PORT]...]`, any server of one NATS
///   cluster, port 4222 by default. What a URL reserves is percent-encoded in the
///   credentials;
/// - `tls://...`, the same, and a server without TLS is refused.
///
/// A server that does not answer now is an error. One that is lost later is waited for
/// without end: [`Bus::health`] tells.
pub async fn open(url: &str) -> Result<Arc<dyn Bus>, OpenError> {
    match BusUrl::parse(url)? {
        BusUrl::Local => Ok(Arc::new(LocalBus::new())),
        BusUrl::Nats(url) => Ok(Arc::new(NatsBus::connect(url).await?)),
    }
}

/// Whether `url` names a bus, without opening it.
pub fn check_url(url: &str) -> Result<(), OpenError> {
    BusUrl::parse(url).map(drop)
}

fn check_payload(payload: &Bytes) -> Result<(), BusError> {
    if payload.len() <= MAX_PAYLOAD_BYTES {
        return Ok(());
    }
    metrics::counter!("nova_events_refused_total", "reason" => "payload_too_large").increment(1);
    Err(BusError::PayloadTooLarge {
        size: payload.len(),
    })
}
