//! Events that wake other processes up, and say nothing: the rows tell.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use storage::events::{Bus, Event, RecvError, Subject, Subscription};
use tokio::time::{Instant, sleep_until};

/// The rows are not read more often than this, however many events there are.
const PAUSE: Duration = Duration::from_millis(100);

/// Tells all who listen to `subject`. Who misses it finds the rows by itself.
pub async fn all(bus: &dyn Bus, subject: &str) {
    let told = match Subject::new(subject) {
        Ok(subject) => {
            let event = Event::new(subject, Bytes::new());
            bus.publish(event).await.map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = told {
        tracing::warn!(
            subject,
            error,
            "others were not woken: they find it by themselves"
        );
    }
}

/// What wakes this process: many events in a short time wake it once.
pub struct Wakes {
    events: Subscription,
    is_closed: bool,
    /// Something was heard, and nobody told of it yet.
    has_heard: bool,
    /// Not before.
    next: Instant,
}

impl Wakes {
    /// Of what `events` hear.
    pub fn new(events: Subscription) -> Self {
        Self {
            events,
            is_closed: false,
            has_heard: false,
            next: Instant::now(),
        }
    }

    /// Returns when something was heard. May be given up at any time: nothing is forgotten.
    pub async fn heard(&mut self) {
        if !self.has_heard {
            if self.is_closed {
                return std::future::pending().await;
            }
            // Whatever it says, and whatever was lost: the rows tell.
            let event = self.events.recv().await;
            self.is_closed = matches!(event, Err(RecvError::Closed));
            self.has_heard = true;
        }
        sleep_until(self.next).await;
        while !self.is_closed
            && let Some(event) = self.events.recv().now_or_never()
        {
            self.is_closed = matches!(event, Err(RecvError::Closed));
        }
        self.has_heard = false;
        self.next = Instant::now() + PAUSE;
    }
}

#[cfg(test)]
mod tests {
    use storage::events::{LocalBus, SubjectPattern};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_events_wake_once_and_none_is_forgotten() {
        let bus = LocalBus::new();
        let events = bus.subscribe(&SubjectPattern::new("moved").unwrap()).await;
        let mut wakes = Wakes::new(events.unwrap());
        for _ in 0..3 {
            all(&bus, "moved").await;
        }
        wakes.heard().await;
        let first = Instant::now();
        all(&bus, "moved").await;
        // Given up while it waits, and asked again.
        assert_eq!(wakes.heard().now_or_never(), None);
        all(&bus, "moved").await;
        wakes.heard().await;
        assert!(first.elapsed() >= PAUSE);
        assert_eq!(wakes.heard().now_or_never(), None, "nothing has come since");
    }
}
