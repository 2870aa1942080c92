//! What is said in one room at the same time is written as one: a transaction for as many
//! messages as wait, one after the other.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

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

impl Hub {
    /// Says something. When nobody waits for what came of it any more, it is said all the same.
    pub(crate) async fn send(&self, stream: StreamId, message: NewChatMessage) -> Answer {
        if self.stopping.is_cancelled() {
            return Err(ServiceError::Busy);
        }
        let (asks, answer) = oneshot::channel();
        if self.queues.add(stream, Pending { message, asks })? {
            let hub = self.clone();
            self.tasks.spawn(async move { hub.write(stream).await });
        }
        // Nobody answers when the task has gone with its runtime.
        answer.await.unwrap_or(Err(ServiceError::Busy))
    }

    async fn write(&self, stream: StreamId) {
        loop {
            let pending = self.queues.take(stream);
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
