//! What waits for one subscriber.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Message, RecvError, SUBSCRIPTION_BYTES, SUBSCRIPTION_MESSAGES, SubjectPattern};

/// A bounded queue of messages that any number of publishers fill and one subscriber
/// empties. The oldest give way to the newest.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Message>,
    /// Bytes of the payloads of `messages`.
    bytes: usize,
    /// Messages lost since the subscriber was last told.
    missed: u64,
    interrupted: bool,
    closed: bool,
}

impl Mailbox {
    /// Adds a message, and never waits.
    pub(super) fn push(&self, message: Message) {
        let mut state = self.lock();
        state.bytes += message.event.payload.len();
        state.messages.push_back(message);
        let mut missed = 0;
        while state.messages.len() > SUBSCRIPTION_MESSAGES || state.bytes > SUBSCRIPTION_BYTES {
            state.take();
            missed += 1;
        }
        state.missed += missed;
        drop(state);
        if missed > 0 {
            metrics::counter!("nova_events_missed_total").increment(missed);
        }
        self.changed.notify_one();
    }

    /// Messages that nobody counted may be missing.
    pub(super) fn interrupt(&self) {
        self.lock().interrupted = true;
        self.changed.notify_one();
    }

    /// No message will come any more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    fn next(&self) -> Option<Result<Message, RecvError>> {
        let mut state = self.lock();
        if std::mem::take(&mut state.interrupted) {
            return Some(Err(RecvError::Interrupted));
        }
        match std::mem::take(&mut state.missed) {
            0 => {}
            missed => return Some(Err(RecvError::Lagged(missed))),
        }
        match state.take() {
            Some(message) => Some(Ok(message)),
            None if state.closed => Some(Err(RecvError::Closed)),
            None => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self) -> Option<Message> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.event.payload.len();
        Some(message)
    }
}

/// Receives what is published to the subjects of one pattern, until it is dropped.
pub struct Subscription {
    pattern: SubjectPattern,
    mailbox: Arc<Mailbox>,
    /// Unsubscribes when it is dropped.
    _unsubscribe: Box<dyn Send + Sync>,
}

impl Subscription {
    pub(super) fn new(
        pattern: SubjectPattern,
        mailbox: Arc<Mailbox>,
        unsubscribe: impl Send + Sync + 'static,
    ) -> Self {
        Self {
            pattern,
            mailbox,
            _unsubscribe: Box::new(unsubscribe),
        }
    }

    /// Waits for the next message, or for the news that messages were lost. A future
    /// that is dropped has taken nothing.
    pub async fn recv(&mut self) -> Result<Message, RecvError> {
        loop {
            if let Some(next) = self.mailbox.next() {
                return next;
            }
            // What changed since is remembered: there is one waiter.
            self.mailbox.changed.notified().await;
        }
    }

    /// What it selects.
    pub fn pattern(&self) -> &SubjectPattern {
        &self.pattern
    }

    /// Messages lost that [`Subscription::recv`] has yet to report.
    pub fn missed(&self) -> u64 {
        self.mailbox.lock().missed
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("pattern", &self.pattern)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::{Event, MAX_PAYLOAD_BYTES};
    use super::*;

    fn message(payload: impl Into<Bytes>) -> Message {
        Message {
            event: Event::new("a".parse().unwrap(), payload),
            reply_to: None,
        }
    }

    fn payload_of(next: Option<Result<Message, RecvError>>) -> Bytes {
        next.unwrap().unwrap().event.payload
    }

    #[test]
    fn the_oldest_give_way_and_are_counted() {
        let mailbox = Mailbox::default();
        for index in 0..SUBSCRIPTION_MESSAGES + 3 {
            mailbox.push(message(index.to_string()));
        }
        assert_eq!(mailbox.next().unwrap().unwrap_err(), RecvError::Lagged(3));
        for index in 3..SUBSCRIPTION_MESSAGES + 3 {
            assert_eq!(payload_of(mailbox.next()), index.to_string());
        }
        assert!(mailbox.next().is_none());
        mailbox.push(message("on"));
        assert_eq!(payload_of(mailbox.next()), "on");
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mailbox = Mailbox::default();
        let fit = SUBSCRIPTION_BYTES / MAX_PAYLOAD_BYTES;
        for _ in 0..fit + 2 {
            mailbox.push(message(vec![0; MAX_PAYLOAD_BYTES]));
        }
        assert_eq!(mailbox.next().unwrap().unwrap_err(), RecvError::Lagged(2));
        for _ in 0..fit {
            assert_eq!(payload_of(mailbox.next()).len(), MAX_PAYLOAD_BYTES);
        }
        assert!(mailbox.next().is_none());
        assert_eq!(mailbox.lock().bytes, 0);
    }

    #[test]
    fn an_end_comes_after_what_waits() {
        let mailbox = Mailbox::default();
        mailbox.push(message("last"));
        mailbox.interrupt();
        mailbox.close();
        assert_eq!(mailbox.next().unwrap().unwrap_err(), RecvError::Interrupted);
        assert_eq!(payload_of(mailbox.next()), "last");
        for _ in 0..2 {
            assert_eq!(mailbox.next().unwrap().unwrap_err(), RecvError::Closed);
        }
    }
}
