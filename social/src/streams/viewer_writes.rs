//! What viewers say, written together: in a room of ten thousand somebody says something hundreds of
//! times a second, and as many transactions would keep the media from the rows.

use std::time::Duration;

use storage::rows::viewers::{self, Saying};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::{ServiceError, Services};

/// What waits to be written, at most.
const WAITING: usize = 10_000;
/// What is written by one transaction, at most.
const AT_ONCE: usize = 1_000;
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
    /// Whether their session is there; dropped: that could not be written.
    answer: oneshot::Sender<bool>,
}

impl ViewerWrites {
    pub(crate) fn new() -> (Self, UnwrittenViewers) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// Whether the session is there of whoever says it. Returns when it is written.
    pub(super) async fn say(&self, saying: Saying) -> Result<bool, ServiceError> {
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
            match viewers::note(&self.db, &said, self.now()).await {
                Ok(found) => {
                    for Unwritten { saying, answer } in taken.drain(..) {
                        // Whoever has left does not wait for it.
                        let _ = answer.send(found.contains(&saying.viewer));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, lost = taken.len(), "what viewers say is not written");
                    taken.clear();
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
