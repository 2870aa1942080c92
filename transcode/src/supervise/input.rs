//! Frames to a worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Buf;
use media::Frame;
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::WorkerError;
use crate::wire::{Encoded, Request};

/// Frames that wait for the worker at most: 2 s at 60 fps.
const MAX_QUEUED_FRAMES: usize = 120;

/// Bytes that wait for the worker at most. Room for one frame of any size.
const MAX_QUEUED_BYTES: usize = 2 * crate::MAX_FRAME;

/// Frames sent so far, for the watchdog.
#[derive(Debug, Default)]
pub(super) struct Sent(AtomicU64);

impl Sent {
    pub(super) fn frames(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The way to a worker. Dropped without [`WorkerInput::finish`], the worker ends
/// without finishing.
#[derive(Debug)]
pub struct WorkerInput {
    queue: mpsc::Sender<Queued>,
    room: Arc<Semaphore>,
    sent: Arc<Sent>,
    /// Frames were dropped, and the decoder cannot go on before the next key frame.
    wants_key: bool,
}

#[derive(Debug)]
struct Queued {
    message: Encoded,
    _room: Option<OwnedSemaphorePermit>,
}

/// What became of an offered frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offered {
    /// It is on its way.
    Taken,
    /// The worker is behind; this frame and all before the next key frame are dropped.
    Dropped,
}

impl WorkerInput {
    pub(super) fn start(stdin: ChildStdin, job: Encoded, sent: Arc<Sent>) -> Self {
        let (queue, queued) = mpsc::channel(MAX_QUEUED_FRAMES);
        // Ends with the queue or with the worker, which `WorkerOutput` sees.
        tokio::spawn(write(stdin, job, queued));
        Self {
            queue,
            room: Arc::new(Semaphore::new(MAX_QUEUED_BYTES)),
            sent,
            wants_key: false,
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
        slot.send(Queued {
            message,
            _room: Some(room),
        });
        self.sent.count();
        Ok(())
    }

    /// Sends the source's next video frame unless the worker is behind. For live
    /// streams: the source's own rendition must not wait for an encoder.
    pub fn offer(&mut self, frame: &Frame) -> Result<Offered, WorkerError> {
        let message = Request::Frame(frame.clone()).encode()?;
        if self.wants_key && !frame.key {
            return self.drop_frame();
        }
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(weight(&message)) else {
            return self.drop_frame();
        };
        match self.queue.try_send(Queued {
            message,
            _room: Some(room),
        }) {
            Ok(()) => {
                self.sent.count();
                self.wants_key = false;
                Ok(Offered::Taken)
            }
            Err(TrySendError::Full(_)) => self.drop_frame(),
            Err(TrySendError::Closed(_)) => Err(WorkerError::Closed),
        }
    }

    fn drop_frame(&mut self) -> Result<Offered, WorkerError> {
        if self.queue.is_closed() {
            return Err(WorkerError::Closed);
        }
        self.wants_key = true;
        metrics::counter!("nova_transcode_frames_dropped_total").increment(1);
        Ok(Offered::Dropped)
    }

    /// No more frames: the worker encodes what it has, and [`super::WorkerOutput`] ends.
    pub async fn finish(self) -> Result<(), WorkerError> {
        let message = Request::End.encode()?;
        self.queue
            .send(Queued {
                message,
                _room: None,
            })
            .await
            .map_err(|_| WorkerError::Closed)
    }
}

fn weight(message: &Encoded) -> u32 {
    // At most MAX_FRAME and a few fields, which fits the semaphore twice.
    u32::try_from(message.len()).unwrap_or(u32::MAX)
}

async fn write(mut stdin: ChildStdin, job: Encoded, mut queued: mpsc::Receiver<Queued>) {
    let mut next = Some(Queued {
        message: job,
        _room: None,
    });
    while let Some(Queued { message, _room }) = next {
        let mut bytes = message.head.chain(message.data);
        if let Err(error) = stdin.write_all_buf(&mut bytes).await {
            tracing::debug!(%error, "transcode worker takes no more input");
            return;
        }
        next = queued.recv().await;
    }
}
