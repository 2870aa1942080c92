//! The body of an answer, and its bytes until the socket has taken them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::activity::Activity;

/// A request from its head to the end of its answer. Dropped before, it was given up.
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) activity: Arc<Activity>,
    is_done: bool,
}

impl Ticket {
    pub(super) fn new(activity: &Arc<Activity>) -> Self {
        activity.request_begins();
        Self {
            activity: Arc::clone(activity),
            is_done: false,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.activity.request_ends();
        if !self.is_done {
            self.activity.request_reset(Instant::now());
        }
    }
}

pin_project! {
    /// What a service answers with, or a text of the server's own.
    #[derive(Debug)]
    pub(super) struct SentBody<B> {
        #[pin]
        content: Option<B>,
        text: Bytes,
        ticket: Ticket,
    }
}

impl<B: Body> SentBody<B> {
    pub(super) fn new(content: B, mut ticket: Ticket) -> Self {
        ticket.is_done = content.is_end_stream();
        Self {
            content: Some(content),
            text: Bytes::new(),
            ticket,
        }
    }

    pub(super) fn text(text: &'static str, mut ticket: Ticket) -> Self {
        ticket.is_done = true;
        Self {
            content: None,
            text: Bytes::from_static(text.as_bytes()),
            ticket,
        }
    }

    /// Of the answer to a HEAD (RFC 9110 9.3.2). Only for HTTP/1.1 would hyper see to it.
    pub(super) fn empty(ticket: Ticket) -> Self {
        Self::text("", ticket)
    }
}

impl<B: Body<Data = Bytes>> Body for SentBody<B> {
    type Data = Given;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Given>, B::Error>>> {
        let this = self.project();
        let ticket = this.ticket;
        let Some(mut content) = this.content.as_pin_mut() else {
            let text = std::mem::take(this.text);
            let text = (!text.is_empty()).then(|| Given::new(text, &ticket.activity));
            return Poll::Ready(text.map(|text| Ok(Frame::data(text))));
        };
        let frame = std::task::ready!(content.as_mut().poll_frame(context));
        // That a body breaks off is not the client's doing.
        ticket.is_done = !matches!(frame, Some(Ok(_))) || content.is_end_stream();
        let give = |frame: Frame<Bytes>| frame.map_data(|data| Given::new(data, &ticket.activity));
        Poll::Ready(frame.map(|frame| frame.map(give)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Some(content) => content.is_end_stream(),
            None => self.text.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Some(content) => content.size_hint(),
            None => SizeHint::with_exact(self.text.len() as u64),
        }
    }
}

/// Bytes that wait for the client to take them.
#[derive(Debug)]
pub(super) struct Given {
    bytes: Bytes,
    activity: Arc<Activity>,
}

impl Given {
    fn new(bytes: Bytes, activity: &Arc<Activity>) -> Self {
        activity.given(bytes.len());
        Self {
            bytes,
            activity: Arc::clone(activity),
        }
    }
}

impl Buf for Given {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.activity.taken(count);
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.activity.withdrawn(self.bytes.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::activity::Listener;
    use crate::server::config::ServerConfig;

    fn activity() -> Arc<Activity> {
        let listener = Listener::new("test", ServerConfig::default());
        Arc::new(Activity::new(&listener))
    }

    #[test]
    fn bytes_are_owed_until_they_are_taken_or_dropped() {
        let activity = activity();
        let owed = || {
            let sample = activity.sample();
            sample.given - sample.taken
        };
        let mut first = Given::new(Bytes::from_static(b"0123456789"), &activity);
        let second = Given::new(Bytes::from_static(b"01234"), &activity);
        assert_eq!(owed(), 15);
        first.advance(4);
        assert_eq!((owed(), activity.sample().taken), (11, 4));
        drop(second);
        assert_eq!((owed(), activity.sample().taken), (6, 4));
        first.advance(6);
        drop(first);
        assert_eq!((owed(), activity.sample().taken), (0, 10));
    }

    #[test]
    fn a_request_is_under_way_until_its_ticket_is_gone() {
        let activity = activity();
        let ticket = Ticket::new(&activity);
        assert_eq!(activity.sample().under_way, 1);
        drop(ticket);
        let sample = activity.sample();
        assert_eq!((sample.under_way, sample.begun), (0, 1));
    }
}
