//! What viewers say, written together: in a room of ten thousand somebody says something hundreds of
//! times a second, and as many transactions would keep the media from the rows.

use std::time::Duration;

use media::ViewerId;
use storage::rows::viewers::{self, Saying};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::{ServiceError, Services};

/// What waits to be written, at most.
const WAITING: usize = 10_000;
/// What is written by one transaction, at most.
const AT_ONCE: usize = 1_000;
/// How long that may take.
const WRITE: Duration = Duration::from_secs(5);
/// From one transaction to the next.
const PAUSE: Duration = Duration::from_millis(100);

/// The way to whoever writes.
#[derive(Debug)]
pub(crate) struct ViewerWrites(mpsc::Sender<Unwritten>);

/// What [`Services::write_what_viewers_say`] writes.
pub(crate) type UnwrittenViewers = mpsc::Receiver<Unwritten>;

/// What somebody has said who waits for it to be written.
#[derive(Debug)]
pub(crate) struct Unwritten {
    saying: Saying,
    /// Their session, if it is there; dropped: that could not be written.
    answer: oneshot::Sender<Option<ViewerId>>,
}

impl ViewerWrites {
    pub(crate) fn new() -> (Self, UnwrittenViewers) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// The session of whoever says it, if it is there. Returns when it is written.
    pub(super) async fn say(&self, saying: Saying) -> Result<Option<ViewerId>, ServiceError> {
        let (answer, answered) = oneshot::channel();
        let unwritten = Unwritten { saying, answer };
        match self.0.try_send(unwritten) {
            Ok(()) => answered.await.map_err(|_| ServiceError::Busy),
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => Err(ServiceError::Busy),
        }
    }
}

impl Services {
    /// Writes what viewers say, for as long as it is polled.
    pub(crate) async fn write_what_viewers_say(&self, unwritten: &mut UnwrittenViewers) {
        let mut taken = Vec::new();
        while unwritten.recv_many(&mut taken, AT_ONCE).await > 0 {
            let said: Vec<_> = taken.iter().map(|one| one.saying).collect();
            let noting = viewers::note(&self.db, &said, self.now());
            let failed = match timeout(WRITE, noting).await {
                Ok(Ok(found)) => {
                    for Unwritten { saying, answer } in taken.drain(..) {
                        // Whoever has gone does not wait for it.
                        let _ = answer.send(found.get(&saying.viewer).copied());
                    }
                    None
                }
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some(format!("no answer within {WRITE:?}")),
            };
            if let Some(error) = failed {
                tracing::warn!(error, lost = taken.len(), "what viewers say is not written");
                taken.clear();
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use media::StreamId;
    use storage::rows::viewers::Turn;

    use super::*;

    fn saying() -> Saying {
        Saying {
            stream: StreamId::new(),
            viewer: ViewerId::new(),
            turn: Turn::Beat,
        }
    }

    #[tokio::test]
    async fn what_many_say_is_taken_at_once_and_each_is_answered() {
        let (writes, mut unwritten) = ViewerWrites::new();
        let said: Vec<_> = (0..50).map(|_| saying()).collect();
        let answered = join_all(said.iter().map(|one| writes.say(*one)));
        let answering = async {
            let mut taken = Vec::new();
            unwritten.recv_many(&mut taken, AT_ONCE).await;
            let count = taken.len();
            for Unwritten { saying, answer } in taken {
                let at = said.iter().position(|one| *one == saying).unwrap();
                // Every second one is there, and of the last nobody knows.
                if at + 1 < said.len() {
                    answer.send((at % 2 == 0).then_some(saying.viewer)).unwrap();
                }
            }
            count
        };
        let (answers, taken) = tokio::join!(answered, answering);
        assert_eq!(taken, said.len());
        for (at, answer) in answers.into_iter().enumerate() {
            match answer {
                Ok(there) => assert_eq!(there, (at % 2 == 0).then_some(said[at].viewer)),
                Err(ServiceError::Busy) => assert_eq!(at + 1, said.len()),
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    #[tokio::test]
    async fn no_more_waits_than_there_is_room_for() {
        let (writes, mut unwritten) = ViewerWrites::new();
        let mut waiting = Vec::new();
        for _ in 0..WAITING {
            let mut waits = Box::pin(writes.say(saying()));
            assert!(waits.as_mut().now_or_never().is_none());
            waiting.push(waits);
        }
        assert!(matches!(
            writes.say(saying()).await,
            Err(ServiceError::Busy)
        ));
        unwritten.close();
        while unwritten.recv().await.is_some() {}
        for waits in waiting {
            assert!(matches!(waits.await, Err(ServiceError::Busy)));
        }
    }
}
