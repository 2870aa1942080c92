//! The bus within one process.

use std::fmt;
use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::mailbox::Mailbox;
use super::message::Waiting;
use super::routes::Routes;
use super::{
    Bus, BusError, BusFuture, Checkpoint, Event, Message, ReplyTo, Subject, SubjectPattern,
    Subscription, check_payload,
};

/// Events within one process. Payloads are shared, not copied; publishing never waits.
#[derive(Default)]
pub struct LocalBus {
    shared: Arc<RwLock<Shared>>,
}

#[derive(Default)]
struct Shared {
    routes: Routes<Arc<Mailbox>>,
    next_id: u64,
}

impl LocalBus {
    /// A bus without subscribers, of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns how many subscriptions got it.
    fn deliver(&self, event: Event, reply_to: Option<ReplyTo>) -> Result<usize, BusError> {
        check_payload(&event.payload)?;
        let message = Message { event, reply_to };
        let mut receivers = 0;
        let shared = self.shared.read().unwrap_or_else(PoisonError::into_inner);
        shared.routes.for_each(&message.event.subject, |mailbox| {
            mailbox.push(message.clone());
            receivers += 1;
        });
        Ok(receivers)
    }

    fn add(&self, pattern: &SubjectPattern) -> Subscription {
        let mailbox = Arc::new(Mailbox::default());
        let mut shared = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        let id = shared.next_id;
        shared.next_id += 1;
        shared.routes.insert(pattern, id, mailbox.clone());
        let unsubscribe = Unsubscribe {
            shared: self.shared.clone(),
            pattern: pattern.clone(),
            id,
        };
        Subscription::new(pattern.clone(), mailbox, unsubscribe)
    }

    async fn ask(
        &self,
        subject: &Subject,
        payload: Bytes,
        within: Duration,
    ) -> Result<Bytes, BusError> {
        let (requester, answer) = oneshot::channel();
        // Held here too: that all subscribers forget the request is no answer.
        let waiting: Waiting = Arc::new(Mutex::new(Some(requester)));
        let event = Event::new(subject.clone(), payload);
        let reply_to = ReplyTo::local(waiting.clone());
        if self.deliver(event, Some(reply_to))? == 0 {
            return Err(BusError::NoResponders(subject.clone()));
        }
        let answered = timeout(within, answer).await;
        drop(waiting);
        match answered {
            Ok(Ok(payload)) => Ok(payload),
            _ => Err(BusError::DeadlineExceeded),
        }
    }
}

impl Bus for LocalBus {
    fn publish(&self, event: Event) -> BusFuture<'_, ()> {
        Box::pin(async move { self.deliver(event, None).map(drop) })
    }

    fn subscribe<'a>(&'a self, pattern: &'a SubjectPattern) -> BusFuture<'a, Subscription> {
        Box::pin(async move { Ok(self.add(pattern)) })
    }

    fn request<'a>(
        &'a self,
        subject: &'a Subject,
        payload: Bytes,
        within: Duration,
    ) -> BusFuture<'a, Bytes> {
        Box::pin(self.ask(subject, payload, within))
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint { connects: 0 }
    }

    fn flush(&self, _since: Checkpoint, _within: Duration) -> BusFuture<'_, ()> {
        Box::pin(ready(Ok(())))
    }

    fn health(&self) -> Result<(), BusError> {
        Ok(())
    }
}

impl fmt::Debug for LocalBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalBus")
    }
}

/// Removes a subscription from the routes when it is dropped.
struct Unsubscribe {
    shared: Arc<RwLock<Shared>>,
    pattern: SubjectPattern,
    id: u64,
}

impl Drop for Unsubscribe {
    fn drop(&mut self) {
        let mut shared = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        shared.routes.remove(&self.pattern, self.id);
    }
}
