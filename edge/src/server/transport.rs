//! A client's socket, with or without TLS.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::activity::{Activity, Cut, Order};
use super::fast_path::{FastPath, Limits};
use super::guarded::Peer;
use super::tls::HTTP2;
use super::turn::{Decision, Lane};
use super::unsent::Unsent;

/// RFC 9113 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of the first read: most requests of HTTP/1.1 are within.
const FIRST_READ: usize = 4_096;
/// Pieces that one call takes to the socket.
const PIECES: usize = 64;

/// What a client is about to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// Bytes to and from a client, counted.
#[derive(Debug)]
pub(super) struct Transport {
    stream: Stream,
    /// Read already, to be read again.
    first: Bytes,
    /// The last bytes that were read.
    tail: Tail,
    activity: Arc<Activity>,
    /// Where requests of HTTP/1.1 may be answered without hyper.
    lane: Option<Lane>,
}

#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Transport {
    pub(super) fn new(stream: Stream, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            first: Bytes::new(),
            tail: Tail::default(),
            activity,
            lane: None,
        }
    }

    /// Asks `path` for answers from now on, whenever hyper is at rest.
    pub(super) fn answer_by(&mut self, path: Arc<dyn FastPath>, peer: Peer) {
        let config = &self.activity.listener.config;
        let limits = Limits {
            bytes: config.max_header_bytes as usize,
            fields: config.max_headers,
        };
        self.lane = Some(Lane::new(path, peer, limits));
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// What was agreed on by ALPN, else what the first bytes say.
    pub(super) async fn protocol(&mut self) -> io::Result<Protocol> {
        if let Stream::Tls(stream) = &self.stream
            && let Some(agreed) = stream.get_ref().1.alpn_protocol()
        {
            return Ok(match agreed == HTTP2 {
                true => Protocol::Http2,
                false => Protocol::Http1,
            });
        }
        let mut first = Vec::with_capacity(FIRST_READ);
        let protocol = loop {
            let read = self.read_buf(&mut first).await?;
            let known = first.len().min(PREFACE.len());
            if first[..known] != PREFACE[..known] || read == 0 {
                break Protocol::Http1;
            }
            if known == PREFACE.len() {
                break Protocol::Http2;
            }
        };
        self.first = first.into();
        Ok(protocol)
    }

    /// What comes from the client, or came and was not read yet.
    fn poll_bytes(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let length = self.first.len().min(buffer.remaining());
            buffer.put_slice(&self.first[..length]);
            self.first.advance(length);
            if self.first.is_empty() {
                self.first = Bytes::new();
            }
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        let came = &buffer.filled()[before..];
        if !came.is_empty() {
            self.tail.add(came);
            self.activity.received(came.len(), self.tail.ends_a_head());
        }
        read
    }

    /// Ready when the socket has taken all that the fast path has answered. That it goes out is
    /// for `poll_flush`, which hyper calls after each read.
    fn poll_unsent(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(lane) = &mut self.lane else {
            return Poll::Ready(Ok(()));
        };
        let Some(unsent) = &mut lane.unsent else {
            return Poll::Ready(Ok(()));
        };
        while unsent.has_remaining() {
            let mut slots = [IoSlice::new(&[]); PIECES];
            let count = unsent.chunks_vectored(&mut slots);
            let sent = ready!(self.stream.poll_write(context, &slots[..count]))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            unsent.advance(sent);
            self.activity.taken(sent);
        }
        lane.unsent = None;
        self.activity.request_ends();
        Poll::Ready(Ok(()))
    }

    /// Answers what it can of the requests that came, and says how many bytes they were.
    /// Pending while the socket does not take the last answer; all before it is done.
    fn poll_answers(
        &mut self,
        context: &mut Context<'_>,
        came: &[u8],
    ) -> (usize, Poll<io::Result<()>>) {
        let mut answered = 0;
        while let Some(lane) = &mut self.lane
            && let Decision::Answered(length, answer) = lane.look(&came[answered..], &self.activity)
        {
            answered += length;
            let unsent = Unsent::new(answer);
            self.activity.request_begins();
            self.activity.given(unsent.remaining());
            lane.unsent = Some(unsent);
            match self.poll_unsent(context) {
                Poll::Ready(Ok(())) => {}
                not_all => return (answered, not_all),
            }
            if answered == came.len() {
                break;
            }
        }
        (answered, Poll::Ready(Ok(())))
    }

    fn hyper_writes(&mut self) {
        if let Some(lane) = &mut self.lane {
            lane.hyper_writes();
        }
    }

    fn socket(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.get_ref().0,
        }
    }
}

impl Stream {
    fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
        }
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }
}

/// The last three bytes of what came in pieces, the newest lowest.
#[derive(Debug, Default)]
struct Tail(u32);

impl Tail {
    fn add(&mut self, bytes: &[u8]) {
        for byte in &bytes[bytes.len().saturating_sub(3)..] {
            self.0 = (self.0 << 8 | u32::from(*byte)) & 0x00ff_ffff;
        }
    }

    /// Is an empty line the last that came? A CR before an LF may be missing (RFC 9112 2.2).
    fn ends_a_head(&self) -> bool {
        self.0 == u32::from_be_bytes(*b"\0\n\r\n") || self.0 & 0xffff == 0x0a0a
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.activity.leaves();
        if let Order::Cut(Cut::SlowReader | Cut::Resets | Cut::Shutdown) = self.activity.ordered() {
            // What the system holds for the client goes with the connection.
            if let Err(error) = self.socket().set_zero_linger() {
                tracing::debug!(%error, "a connection lingers");
            }
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.poll_unsent(context))?;
        if this.activity.is_switched() {
            // Whoever reads is not the connection's task any more, and obeys by what it reads:
            // the end.
            this.lane = None;
            this.activity.listen(context);
            if this.activity.ordered() != Order::GoOn {
                return Poll::Ready(Ok(()));
            }
            return this.poll_bytes(context, buffer);
        }
        let before = buffer.filled().len();
        loop {
            ready!(this.poll_bytes(context, buffer))?;
            let came = &buffer.filled()[before..];
            let (answered, sent) = this.poll_answers(context, came);
            if answered == 0 {
                return Poll::Ready(Ok(()));
            }
            let rest = Bytes::copy_from_slice(&came[answered..]);
            buffer.set_filled(before);
            if sent.is_pending() {
                this.first = match this.first.is_empty() {
                    true => rest,
                    false => [rest, std::mem::take(&mut this.first)].concat().into(),
                };
            } else if !rest.is_empty() {
                // hyper's, and looked at already.
                buffer.put_slice(&rest);
                return sent;
            }
            ready!(sent)?;
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_unsent(context))?;
        self.hyper_writes();
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_unsent(context))?;
        self.hyper_writes();
        self.stream.poll_write(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_unsent(context))?;
        let this = &mut *self;
        ready!(this.stream.poll_flush(context))?;
        if let Some(lane) = &mut this.lane {
            lane.flushed(&this.activity);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_unsent(context))?;
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_with_an_empty_line_however_it_comes() {
        let ends = |pieces: &[&str]| {
            let mut tail = Tail::default();
            pieces.iter().for_each(|piece| tail.add(piece.as_bytes()));
            tail.ends_a_head()
        };
        assert!(ends(&["GET / HTTP/1.1\r\n\r\n"]));
        assert!(ends(&["GET / HTTP/1.1\r\n", "\r", "\n"]));
        assert!(ends(&["GET / HTTP/1.1\n", "\n"]));
        assert!(!ends(&[]));
        assert!(!ends(&["GET / HTTP/1.1\r\n"]));
        assert!(!ends(&["GET / HTTP/1.1\r\n\r\nG"]));
        assert!(!ends(&["GET / HTTP/1.1\r\n\r"]));
    }
}
