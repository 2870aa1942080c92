//! What one who is in a room hears of it.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use media::UserId;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::frame::Frame;
use super::room::{Presence, Room};

/// More has happened than is kept for somebody who is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooSlow;

/// What somebody hears in a room, each event once and in order.
pub(crate) struct Listener {
    pub(super) frames: broadcast::Receiver<Arc<Frame>>,
    pub(super) room: Arc<Room>,
    /// What comes first.
    pub(super) backlog: VecDeque<Arc<Frame>>,
    /// Of what is received, events up to this one were heard.
    pub(super) last: u64,
    /// Whose messages are not heard.
    pub(super) hidden: HashSet<UserId>,
    pub(super) _presence: Presence,
}

impl Listener {
    /// The name of the room's stream.
    pub(crate) fn name(&self) -> &str {
        &self.room.name
    }

    /// Hears nothing of these from now on.
    pub(crate) fn hide(&mut self, hidden: HashSet<UserId>) {
        self.hidden = hidden;
    }

    /// The next. Nothing is lost when this is dropped half-way.
    pub(crate) async fn next(&mut self) -> Result<Arc<Frame>, TooSlow> {
        loop {
            if let Some(frame) = self.backlog.pop_front() {
                if !self.hides(&frame) {
                    return Ok(frame);
                }
                continue;
            }
            match self.frames.recv().await {
                Ok(frame) if self.is_heard(&frame) => return Ok(frame),
                Ok(_) => {}
                // The room is held: its sender lives as long as this does.
                Err(RecvError::Lagged(_) | RecvError::Closed) => return Err(TooSlow),
            }
        }
    }

    /// The next, if it is there.
    pub(crate) fn try_next(&mut self) -> Result<Option<Arc<Frame>>, TooSlow> {
        loop {
            if let Some(frame) = self.backlog.pop_front() {
                if !self.hides(&frame) {
                    return Ok(Some(frame));
                }
                continue;
            }
            match self.frames.try_recv() {
                Ok(frame) if self.is_heard(&frame) => return Ok(Some(frame)),
                Ok(_) => {}
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Lagged(_) | TryRecvError::Closed) => return Err(TooSlow),
            }
        }
    }

    /// Whether a frame that was received is for this listener.
    fn is_heard(&mut self, frame: &Frame) -> bool {
        if let Some(event) = frame.event {
            if event <= self.last {
                return false;
            }
            self.last = event;
        }
        !self.hides(frame)
    }

    fn hides(&self, frame: &Frame) -> bool {
        !self.hidden.is_empty()
            && frame
                .author
                .is_some_and(|author| self.hidden.contains(&author))
    }
}
