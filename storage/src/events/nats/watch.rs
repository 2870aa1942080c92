//! Tells the subscriptions when events may be missing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::{info, warn};

use super::super::BusError;
use super::super::mailbox::Mailbox;
use super::Link;

/// How long a server has to answer after a reconnect before it is asked again.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// From one question to the next while the client is not connected.
const CONNECTING_PAUSE: Duration = Duration::from_millis(100);

/// The mailboxes of the subscriptions that exist.
#[derive(Default)]
pub(super) struct Attached(Mutex<Vec<Weak<Mailbox>>>);

impl Attached {
    pub(super) fn add(&self, mailbox: &Arc<Mailbox>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == all.capacity() {
            all.retain(|mailbox| mailbox.strong_count() > 0);
        }
        all.push(Arc::downgrade(mailbox));
    }

    fn interrupt(&self) {
        metrics::counter!("nova_events_interruptions_total").increment(1);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|mailbox| {
            let alive = mailbox.upgrade();
            alive.inspect(|mailbox| mailbox.interrupt()).is_some()
        });
    }
}

/// What the client says about its connection.
#[derive(Default)]
pub(super) struct Signals {
    changed: Notify,
    /// The client threw away what a subscription's task did not take in time.
    overrun: AtomicBool,
}

impl Signals {
    /// Never waits: the client drops what it says while this is busy.
    pub(super) fn client_says(&self, event: async_nats::Event) {
        match event {
            async_nats::Event::Disconnected => warn!("events server lost, reconnecting"),
            async_nats::Event::SlowConsumer(_) => self.overrun.store(true, Ordering::Relaxed),
            async_nats::Event::ServerError(error) => warn!(%error, "events server refused"),
            async_nats::Event::ClientError(error) => warn!(%error, "events server not reached"),
            _ => {}
        }
        self.changed.notify_one();
    }
}

/// Runs until it is aborted.
pub(super) async fn watch(link: Link, signals: Arc<Signals>, attached: Arc<Attached>) {
    // The first connection is of no news.
    let mut told = 1;
    loop {
        let connected = link.connected().is_ok();
        metrics::gauge!("nova_events_server_connected").set(f64::from(u8::from(connected)));
        signals.changed.notified().await;
        if signals.overrun.swap(false, Ordering::Relaxed) {
            attached.interrupt();
        }
        // Any signal will do: the client may have dropped the one about this.
        while link.connects() != told {
            let connects = link.connects();
            // Who is told reads the rows: by then the server must have the subscription.
            match link.round_trip(ANSWER_DEADLINE).await {
                Ok(()) => {
                    told = connects;
                    info!("events server is back");
                    attached.interrupt();
                }
                Err(BusError::DeadlineExceeded | BusError::Stalled) => {}
                // The client counts a connection, and signals it, before it uses it: there
                // may be no further signal about this one.
                Err(_) => sleep(CONNECTING_PAUSE).await,
            }
        }
    }
}
