//! A client's socket, with or without TLS.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::activity::{Activity, Cut, Order};
use super::tls::HTTP2;

/// RFC 9113 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of the first read: most requests of HTTP/1.1 are within.
const FIRST_READ: usize = 1_024;

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
        }
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

    fn socket(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.get_ref().0,
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
}

impl AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
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
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
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
