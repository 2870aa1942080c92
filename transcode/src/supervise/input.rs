//! Frames to a worker.

use std::sync::Arc;

use bytes::Buf;
use media::Frame;
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::WorkerError;
use super::backlog::Backlog;
use crate::RungSet;
use crate::wire::{Encoded, Request, WireError};

/// Frames that wait for the worker at most: 2 s at 60 fps.
const MAX_QUEUED_FRAMES: usize = 120;

/// Bytes that wait for the worker at most. Room for one frame of any size.
const MAX_QUEUED_BYTES: usize = 2 * crate::MAX_FRAME;

/// The way to a worker. Dropped without [`WorkerInput::finish`], the worker ends
/// without finishing.
#[derive(Debug)]
pub struct WorkerInput {
    queue: mpsc::Sender<Queued>,
    room: Arc<Semaphore>,
    backlog: Arc<Backlog>,
    rungs: watch::Sender<RungSet>,
}

#[derive(Debug)]
struct Queued {
    message: Encoded,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Keeps its room until it is written.
    Frame(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit),
    End,
}

/// Steers a worker from beside its [`WorkerInput`].
#[derive(Debug)]
pub struct WorkerControl {
    backlog: Arc<Backlog>,
    rungs: watch::Sender<RungSet>,
}

impl WorkerControl {
    /// How far the worker is behind what it was sent.
    pub fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    /// Which rungs the worker makes from now on. One that is not among them stops at once,
    /// one that is again returns where a segment starts, under the same decoder
    /// configuration. Overtakes the frames that wait here.
    pub fn select(&self, rungs: RungSet) {
        self.rungs.send_if_modified(|selected| {
            let news = *selected != rungs;
            *selected = rungs;
            news
        });
    }
}

impl WorkerInput {
    pub(super) fn start(stdin: ChildStdin, job: Encoded, backlog: Arc<Backlog>) -> Self {
        let (queue, queued) = mpsc::channel(MAX_QUEUED_FRAMES);
        let (rungs, selected) = watch::channel(RungSet::ALL);
        let writing = Writing {
            stdin,
            queued,
            selected,
            backlog: Arc::clone(&backlog),
        };
        // Ends with the queue or with the worker, which `WorkerOutput` sees.
        tokio::spawn(writing.run(job));
        Self {
            queue,
            room: Arc::new(Semaphore::new(MAX_QUEUED_BYTES)),
            backlog,
            rungs,
        }
    }

    /// What steers the worker and tells how far it is, while frames are sent.
    pub fn control(&self) -> WorkerControl {
        WorkerControl {
            backlog: Arc::clone(&self.backlog),
            rungs: self.rungs.clone(),
        }
    }

    /// Sends the source's next video frame, in decoding order; waits while the worker
    /// is behind. May be cancelled: then the frame was not sent.
    pub async fn send(&mut self, frame: &Frame) -> Result<(), WorkerError> {
        let message = Request::Frame(frame.clone()).encode()?;
        let room = Arc::clone(&self.room)
            .acquire_many_owned(weight(&message))
            .await
            .map_err(|_| WorkerError::Closed)?;
        let slot = self
            .queue
            .reserve()
            .await
            .map_err(|_| WorkerError::Closed)?;
        self.backlog.queued(frame.dts);
        slot.send(Queued {
            message,
            kind: Kind::Frame(room),
        });
        Ok(())
    }

    /// No more frames: the worker encodes what it has, and [`super::WorkerOutput`] ends.
    pub async fn finish(self) -> Result<(), WorkerError> {
        let message = Request::End.encode()?;
        self.queue
            .send(Queued {
                message,
                kind: Kind::End,
            })
            .await
            .map_err(|_| WorkerError::Closed)
    }
}

fn weight(message: &Encoded) -> u32 {
    // At most MAX_FRAME and a few fields, which fits the semaphore twice.
    u32::try_from(message.len()).unwrap_or(u32::MAX)
}

/// What writes to the worker.
struct Writing {
    stdin: ChildStdin,
    queued: mpsc::Receiver<Queued>,
    selected: watch::Receiver<RungSet>,
    backlog: Arc<Backlog>,
}

/// Why nothing more is written.
#[derive(Debug, thiserror::Error)]
enum Unwritten {
    #[error(transparent)]
    Pipe(#[from] std::io::Error),
    #[error(transparent)]
    Message(#[from] WireError),
}

impl Writing {
    async fn run(mut self, job: Encoded) {
        if let Err(error) = self.write_all(job).await {
            tracing::debug!(%error, "transcode worker takes no more input");
        }
    }

    async fn write_all(&mut self, job: Encoded) -> Result<(), Unwritten> {
        self.write(job).await?;
        let mut next: Option<Queued> = None;
        loop {
            let ready = async {
                if next.is_none() {
                    next = self.queued.recv().await;
                }
                match &next {
                    Some(Queued {
                        kind: Kind::Frame(_),
                        ..
                    }) => self.backlog.room().await,
                    Some(Queued {
                        kind: Kind::End, ..
                    })
                    | None => {}
                }
            };
            // The selection's sender may be gone: then it does not change any more.
            tokio::select! {
                biased;
                Ok(()) = self.selected.changed() => {
                    let rungs = *self.selected.borrow_and_update();
                    self.write(Request::Rungs(rungs).encode()?).await?;
                }
                () = ready => match next.take() {
                    Some(Queued { message, .. }) => self.write(message).await?,
                    None => return Ok(()),
                },
            }
        }
    }

    async fn write(&mut self, message: Encoded) -> Result<(), std::io::Error> {
        let mut bytes = message.head.chain(message.data);
        self.stdin.write_all_buf(&mut bytes).await
    }
}
