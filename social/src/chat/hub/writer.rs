//! What is said in one room at the same time is written as one: a transaction for as many
//! messages as wait, one after the other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use media::StreamId;
use storage::rows::RowError;
use storage::rows::chat::{self, NewChatMessage, Sending};
use tokio::sync::oneshot;

use super::Hub;
use crate::ServiceError;

/// Messages that wait in one room.
const WAITING: usize = 512;

/// Messages of one transaction.
const AT_ONCE: usize = 64;

type Answer = Result<Sending, ServiceError>;

/// A message, and who waits to hear what came of it.
struct Pending {
    message: NewChatMessage,
    asks: oneshot::Sender<Answer>,
}

/// What waits, by room. A room that is there has a task that writes.
#[derive(Default)]
pub(super) struct Queues(Mutex<HashMap<StreamId, Vec<Pending>>>);

impl Queues {
    fn lock(&self) -> MutexGuard<'_, HashMap<StreamId, Vec<Pending>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one; whether nobody writes in its room yet.
    fn add(&self, stream: StreamId, pending: Pending) -> Result<bool, ServiceError> {
        let mut queues = self.lock();
        match queues.get_mut(&stream) {
            Some(queue) if queue.len() >= WAITING => Err(ServiceError::Busy),
            Some(queue) => {
                queue.push(pending);
                Ok(false)
            }
            None => {
                queues.insert(stream, vec![pending]);
                Ok(true)
            }
        }
    }

    /// The next of a room; none: nobody writes there any more.
    fn take(&self, stream: StreamId) -> Vec<Pending> {
        let mut queues = self.lock();
        let Some(queue) = queues.get_mut(&stream) else {
            return Vec::new();
        };
        let next: Vec<_> = queue.drain(..queue.len().min(AT_ONCE)).collect();
        if next.is_empty() {
            queues.remove(&stream);
        }
        next
    }
}

/// That somebody writes in a room. When this goes before all is written, for the task has panicked
/// or its runtime ends, nobody is left to wait for it: who waits is refused, and whoever says
/// something next brings another.
struct Writer {
    queues: Arc<Queues>,
    stream: StreamId,
    is_done: bool,
}

impl Writer {
    fn new(queues: &Arc<Queues>, stream: StreamId) -> Self {
        Self {
            queues: queues.clone(),
            stream,
            is_done: false,
        }
    }

    /// The next; none: all is written, and whoever comes now brings another.
    fn take(&mut self) -> Vec<Pending> {
        let next = self.queues.take(self.stream);
        self.is_done = next.is_empty();
        next
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.is_done {
            self.queues.lock().remove(&self.stream);
        }
    }
}

impl Hub {
    /// Says something. When nobody waits for what came of it any more, it is said all the same.
    pub(crate) async fn send(&self, stream: StreamId, message: NewChatMessage) -> Answer {
        if self.stopping.is_cancelled() {
            return Err(ServiceError::Busy);
        }
        let (asks, answer) = oneshot::channel();
        if self.queues.add(stream, Pending { message, asks })? {
            let (hub, writer) = (self.clone(), Writer::new(&self.queues, stream));
            self.tasks.spawn(async move { hub.write(writer).await });
        }
        // Nobody answers when the task has gone with its runtime.
        answer.await.unwrap_or(Err(ServiceError::Busy))
    }

    async fn write(&self, mut writer: Writer) {
        let stream = writer.stream;
        loop {
            let pending = writer.take();
            if pending.is_empty() {
                return;
            }
            let (messages, asking): (Vec<_>, Vec<_>) = pending
                .into_iter()
                .map(|Pending { message, asks }| (message, asks))
                .unzip();
            let mut answers = match self.write_all(stream, &messages).await {
                Ok(sent) => sent.into_iter().map(Ok).collect(),
                Err(error) if messages.len() == 1 || error.is_transient() => {
                    refuse_all(&error, messages.len())
                }
                // What is wrong with one is not wrong with the others.
                Err(_) => self.write_each(stream, &messages).await,
            };
            for (asks, answer) in asking.into_iter().zip(answers.drain(..)) {
                // Whoever asked may have gone.
                let _ = asks.send(answer);
            }
        }
    }

    async fn write_all(
        &self,
        stream: StreamId,
        messages: &[NewChatMessage],
    ) -> Result<Vec<Sending>, RowError> {
        let mut transaction = self.db.write().await?;
        let sent = chat::send(&mut transaction, stream, messages, self.clock.now()).await?;
        transaction.commit().await?;
        let said = sent.iter().filter(|one| matches!(one, Sending::Said(_)));
        let said = said.count() as u64;
        if said > 0 {
            metrics::counter!("nova_chat_messages_total").increment(said);
            self.happened(stream);
        }
        Ok(sent)
    }

    async fn write_each(&self, stream: StreamId, messages: &[NewChatMessage]) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(messages.len());
        for message in messages {
            let sent = self.write_all(stream, std::slice::from_ref(message)).await;
            answers.push(match sent {
                Ok(mut sent) => sent
                    .pop()
                    .ok_or_else(|| ServiceError::internal("chat", "no answer")),
                Err(error) => Err(error.into()),
            });
        }
        answers
    }
}

/// The same answer for each.
fn refuse_all(error: &RowError, count: usize) -> Vec<Answer> {
    let one = || match error {
        RowError::Busy => ServiceError::Busy,
        RowError::NotFound(what) => ServiceError::NotFound(what.to_string().into()),
        error => ServiceError::internal("chat", error),
    };
    (0..count).map(|_| Err(one())).collect()
}

#[cfg(test)]
mod tests {
    use media::UserId;

    use super::*;

    fn pending() -> (Pending, oneshot::Receiver<Answer>) {
        let (asks, answer) = oneshot::channel();
        let message = NewChatMessage {
            author: UserId::new(),
            reply_to: None,
            body: "hello".to_owned(),
            media_at: None,
            client_key: None,
        };
        (Pending { message, asks }, answer)
    }

    #[test]
    fn a_writer_that_panics_leaves_nobody_waiting() {
        let (queues, stream) = (Arc::new(Queues::default()), StreamId::new());
        let (first, mut answer) = pending();
        assert!(queues.add(stream, first).unwrap());
        let mut writer = Writer::new(&queues, stream);
        assert_eq!(writer.take().len(), 1);
        let (second, mut other) = pending();
        assert!(!queues.add(stream, second).unwrap(), "one writes already");
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _writer = writer;
            panic!("while it writes");
        }));
        assert!(panicked.is_err());
        assert!(answer.try_recv().is_err() && other.try_recv().is_err());
        let (third, _answer) = pending();
        assert!(queues.add(stream, third).unwrap(), "another comes");
        let mut writer = Writer::new(&queues, stream);
        while !writer.take().is_empty() {}
        let (next, _answer) = pending();
        assert!(queues.add(stream, next).unwrap());
        drop(writer);
        let mut writer = Writer::new(&queues, stream);
        assert_eq!(writer.take().len(), 1, "it is another's");
    }
}
