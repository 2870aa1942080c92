//! The bus through a NATS server.

mod link;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::{ConnectErrorKind, ConnectOptions};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::info;

use super::mailbox::Mailbox;
use super::url::{Credentials, NatsUrl};
use super::{
    Bus, BusError, BusFuture, Checkpoint, Event, MAX_PAYLOAD_BYTES, OpenError, PUBLISH_QUEUE,
    Subject, SubjectPattern, Subscription, check_payload,
};

pub(super) use link::Link;
use watch::{Attached, Signals, watch};

/// How long one server has to let us in.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// How long all servers of the URL have together, at the start.
const START_DEADLINE: Duration = Duration::from_secs(10);

/// How long a server has to confirm a subscription.
const SUBSCRIBE_DEADLINE: Duration = Duration::from_secs(5);

/// How often a silent server is asked whether it lives; the third time without an answer
/// it is given up.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// Messages between the client and a [`Mailbox`], which is emptied into at once: what a
/// burst needs while the task that does so waits for a processor.
const CLIENT_QUEUE: usize = 16 * 1_024;

/// Room for `Nova-Event-Id` in what the server counts as a payload.
const HEADER_BYTES: usize = 256;

/// Events through a NATS server, or a cluster of them.
///
/// The client reconnects by itself and without end, waiting longer each time up to 5 s,
/// and subscribes again.
pub struct NatsBus {
    link: Link,
    attached: Arc<Attached>,
    watcher: JoinHandle<()>,
    /// The URL without credentials.
    shown: String,
}

impl NatsBus {
    pub(super) async fn connect(url: NatsUrl) -> Result<Self, OpenError> {
        let NatsUrl {
            servers,
            credentials,
            shown,
        } = url;
        let signals = Arc::new(Signals::default());
        let started = Arc::new(AtomicBool::new(false));
        let options = options(credentials, signals.clone(), started.clone());
        let connected = timeout(START_DEADLINE, options.connect(servers)).await;
        let unreachable = |why: String| OpenError::Unreachable {
            url: shown.clone(),
            why: one_line(&why),
        };
        let client = match connected {
            Ok(Ok(client)) => client,
            Ok(Err(error)) if error.kind() == ConnectErrorKind::AuthorizationViolation => {
                return Err(OpenError::Unauthorized { url: shown });
            }
            Ok(Err(error)) => return Err(unreachable(error.to_string())),
            Err(_) => return Err(unreachable(format!("no answer in {START_DEADLINE:?}"))),
        };
        started.store(true, Ordering::Relaxed);
        let (limit, needed) = (
            client.server_info().max_payload,
            MAX_PAYLOAD_BYTES + HEADER_BYTES,
        );
        if limit < needed {
            return Err(OpenError::PayloadLimit {
                url: shown,
                limit,
                needed,
            });
        }
        info!(url = shown, "events server connected");
        let link = Link::new(client);
        let attached = Arc::new(Attached::default());
        let watcher = tokio::spawn(watch(link.clone(), signals, attached.clone()));
        Ok(Self {
            link,
            attached,
            watcher,
            shown,
        })
    }

    async fn attach(&self, pattern: &SubjectPattern) -> Result<Subscription, BusError> {
        let mailbox = Arc::new(Mailbox::default());
        // Before the server knows: an interruption from here on is told.
        self.attached.add(&mailbox);
        let mut incoming = self
            .link
            .subscribe(pattern.as_str().to_owned(), SUBSCRIBE_DEADLINE)
            .await?;
        let (link, to) = (self.link.clone(), mailbox.clone());
        let pump = tokio::spawn(async move {
            while let Some(message) = incoming.next().await {
                if let Some(message) = link.received(message) {
                    to.push(message);
                }
            }
            to.close();
        });
        let pump = AbortOnDrop(pump);
        self.link.round_trip(SUBSCRIBE_DEADLINE).await?;
        Ok(Subscription::new(pattern.clone(), mailbox, pump))
    }

    async fn confirm(&self, since: Checkpoint, within: Duration) -> Result<(), BusError> {
        let proved = self.link.round_trip(within).await;
        // Later than the answer: it came by the connection that is counted here, or by
        // one before.
        if self.link.connects() != since.connects {
            return Err(BusError::Unconfirmed);
        }
        proved
    }
}

impl Bus for NatsBus {
    fn publish(&self, event: Event) -> BusFuture<'_, ()> {
        Box::pin(async move {
            check_payload(&event.payload)?;
            let subject = event.subject.as_str().into();
            self.link.publish(subject, event.id, event.payload).await
        })
    }

    fn subscribe<'a>(&'a self, pattern: &'a SubjectPattern) -> BusFuture<'a, Subscription> {
        Box::pin(self.attach(pattern))
    }

    fn request<'a>(
        &'a self,
        subject: &'a Subject,
        payload: Bytes,
        within: Duration,
    ) -> BusFuture<'a, Bytes> {
        Box::pin(async move {
            check_payload(&payload)?;
            self.link.request(subject, payload, within).await
        })
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            connects: self.link.connects(),
        }
    }

    fn flush(&self, since: Checkpoint, within: Duration) -> BusFuture<'_, ()> {
        Box::pin(self.confirm(since, within))
    }

    fn health(&self) -> Result<(), BusError> {
        self.link.connected()
    }
}

impl Drop for NatsBus {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

impl fmt::Debug for NatsBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NatsBus").field(&self.shown).finish()
    }
}

/// Ends a subscription's task, which unsubscribes.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn options(
    credentials: Credentials,
    signals: Arc<Signals>,
    started: Arc<AtomicBool>,
) -> ConnectOptions {
    let options = match credentials {
        Credentials::None => ConnectOptions::new(),
        Credentials::Password { user, password } => {
            ConnectOptions::with_user_and_password(user, password)
        }
        Credentials::Token(token) => ConnectOptions::with_token(token),
    };
    options
        .name("nova")
        .connection_timeout(CONNECT_DEADLINE)
        .ping_interval(PING_INTERVAL)
        .client_capacity(PUBLISH_QUEUE)
        .subscription_capacity(CLIENT_QUEUE)
        .max_reconnects(None)
        .event_callback(move |event| {
            signals.client_says(event);
            std::future::ready(())
        })
        .reconnect_delay_callback(move |attempt| {
            if started.load(Ordering::Relaxed) {
                reconnect_delay(attempt, getrandom::u32().unwrap_or_default())
            } else {
                Duration::ZERO
            }
        })
}

/// How long to wait before the `attempt`th try, counted from 1: from 100 ms, doubled each
/// time, to 5 s at most; a random half of that, so that the processes that lost a server
/// do not come back to it at one time.
fn reconnect_delay(attempt: usize, random: u32) -> Duration {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
    let longest = FIRST
        .saturating_mul(2_u32.saturating_pow(doublings))
        .min(LONGEST);
    let half = longest / 2;
    half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// An error as a part of a sentence.
fn one_line(text: &str) -> String {
    text.split(['\r', '\n'])
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reconnecting_waits_longer_each_time_to_a_limit() {
        for (attempt, shortest, longest) in [
            (0, 50, 100),
            (1, 50, 100),
            (2, 100, 200),
            (4, 400, 800),
            (7, 2_500, 5_000),
            (1_000, 2_500, 5_000),
            (usize::MAX, 2_500, 5_000),
        ] {
            let delay = |random| reconnect_delay(attempt, random).as_millis();
            assert_eq!((delay(0), delay(u32::MAX)), (shortest, longest));
            assert!((shortest..=longest).contains(&delay(u32::MAX / 3)));
        }
    }

    #[test]
    fn errors_fit_into_a_sentence() {
        assert_eq!(one_line("one\r\n two\n\nthree\n"), "one; two; three");
    }
}
