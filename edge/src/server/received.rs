//! The body of a request, limited in size and in slowness.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use super::config::ServerConfig;
use super::pace::Pace;

/// What a client sends with a request, while it is read.
#[derive(Debug)]
pub struct ReceivedBody {
    incoming: Incoming,
    /// None where there is no body.
    guard: Option<Box<Guard>>,
}

/// Why a body does not go on.
#[derive(Debug, thiserror::Error)]
pub enum ReceivedBodyError {
    /// It has more bytes than it may.
    #[error("the request's body is longer than {limit} bytes")]
    TooLarge {
        /// As many as it may have.
        limit: u64,
    },
    /// The client sends too slowly.
    #[error("the request's body comes slower than {least} bytes in {window_seconds} s")]
    TooSlow {
        /// As many as there must be.
        least: u64,
        /// In this time.
        window_seconds: u64,
    },
    /// The client left, or what it sent is no body.
    #[error("the request's body cannot be read: {0}")]
    Broken(#[from] hyper::Error),
}

#[derive(Debug)]
struct Guard {
    config: Arc<ServerConfig>,
    /// Bytes that may still come.
    left: u64,
    pace: Pace,
    /// Since when bytes are waited for, and until when the pace allows it.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
    fault: Fault,
}

/// What a body was refused for, as its request's answer gets to know it.
#[derive(Debug, Clone, Default)]
pub(super) struct Fault(Arc<AtomicU8>);

/// A body that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Refused {
    TooLarge = 1,
    TooSlow,
}

impl Fault {
    fn set(&self, refused: Refused) {
        self.0.store(refused as u8, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Option<Refused> {
        [Refused::TooLarge, Refused::TooSlow]
            .into_iter()
            .find(|refused| *refused as u8 == self.0.load(Ordering::Relaxed))
    }
}

impl ReceivedBody {
    /// With what will tell its fault, if there is a body.
    pub(super) fn new(incoming: Incoming, config: &Arc<ServerConfig>) -> (Self, Option<Fault>) {
        if incoming.is_end_stream() {
            let guard = None;
            return (Self { incoming, guard }, None);
        }
        let fault = Fault::default();
        let guard = Some(Box::new(Guard {
            config: Arc::clone(config),
            left: config.max_body_bytes,
            pace: Pace::default(),
            waiting: None,
            fault: fault.clone(),
        }));
        (Self { incoming, guard }, Some(fault))
    }
}

impl Guard {
    /// `bytes` came.
    fn came(&mut self, bytes: u64) -> Result<(), ReceivedBodyError> {
        if let Some((since, _)) = self.waiting.take()
            && self.is_slow(since.elapsed(), bytes)
        {
            return Err(self.too_slow());
        }
        match self.left.checked_sub(bytes) {
            Some(left) => self.left = left,
            None => {
                self.fault.set(Refused::TooLarge);
                let limit = self.config.max_body_bytes;
                return Err(ReceivedBodyError::TooLarge { limit });
            }
        }
        Ok(())
    }

    /// Nothing has come. Ready when the client is too slow.
    fn wait(&mut self, context: &mut Context<'_>) -> Poll<ReceivedBodyError> {
        loop {
            let left = self.pace.left(self.config.pace_window);
            let (since, timer) = self.waiting.get_or_insert_with(|| {
                let now = Instant::now();
                (now, Box::pin(sleep_until(now + left)))
            });
            std::task::ready!(timer.as_mut().poll(context));
            let waited = since.elapsed();
            self.waiting = None;
            if self.is_slow(waited, 0) {
                return Poll::Ready(self.too_slow());
            }
        }
    }

    fn is_slow(&mut self, waited: std::time::Duration, bytes: u64) -> bool {
        let config = &self.config;
        let least = config.least_in_window();
        self.pace.is_slow(waited, bytes, config.pace_window, least)
    }

    fn too_slow(&self) -> ReceivedBodyError {
        self.fault.set(Refused::TooSlow);
        ReceivedBodyError::TooSlow {
            least: self.config.least_in_window(),
            window_seconds: self.config.pace_window.as_secs(),
        }
    }
}

impl Body for ReceivedBody {
    type Data = Bytes;
    type Error = ReceivedBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReceivedBodyError>>> {
        let this = &mut *self;
        let frame = Pin::new(&mut this.incoming).poll_frame(context);
        let Some(guard) = &mut this.guard else {
            return frame.map_err(ReceivedBodyError::Broken);
        };
        if guard.fault.get().is_some() {
            // It was told once, and ends here.
            return Poll::Ready(None);
        }
        match frame {
            Poll::Pending => guard.wait(context).map(|error| Some(Err(error))),
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                Poll::Ready(Some(guard.came(length).map(|()| frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
