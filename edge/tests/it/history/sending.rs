//! The body of an answer of the origin's.

use std::collections::VecDeque;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::oneshot;

use super::origin::{Log, Sent};

/// The body of an answer, in two halves.
pub(super) struct Sending {
    log: Log,
    id: usize,
    pieces: VecDeque<Piece>,
}

enum Piece {
    Bytes(Bytes),
    Gate(oneshot::Receiver<()>),
    Breaks,
}

impl Sending {
    pub(super) fn new(
        log: Log,
        id: usize,
        sent: &Sent,
        bytes: Range<usize>,
        gate: Option<oneshot::Receiver<()>>,
    ) -> Self {
        let content = Bytes::copy_from_slice(&sent.representation.text.as_bytes()[bytes]);
        let half = content.len() / 2;
        let mut pieces = VecDeque::from([Piece::Bytes(content.slice(..half))]);
        pieces.extend(gate.map(Piece::Gate));
        match (sent.breaks, sent.has_length) {
            (false, _) => pieces.push_back(Piece::Bytes(content.slice(half..))),
            // It ends as if it were whole, but for its length.
            (true, true) => {}
            (true, false) => pieces.push_back(Piece::Breaks),
        }
        Self { log, id, pieces }
    }

    fn ends(&self) {
        self.log.ended(self.id);
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.ends();
    }
}

impl Body for Sending {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        loop {
            match self.pieces.front_mut() {
                Some(Piece::Gate(gate)) => {
                    // Let go, or all are.
                    let _ = ready!(Pin::new(gate).poll(context));
                    self.pieces.pop_front();
                }
                Some(Piece::Bytes(bytes)) => {
                    let bytes = std::mem::take(bytes);
                    self.pieces.pop_front();
                    if !bytes.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(bytes))));
                    }
                }
                Some(Piece::Breaks) => {
                    self.pieces.pop_front();
                    return Poll::Ready(Some(Err("it breaks off, as it is told")));
                }
                None => {
                    self.ends();
                    return Poll::Ready(None);
                }
            }
        }
    }
}
